import type { DmaMemory, MsixMessage, NetOffload, Patience, PciAccess } from '@ringwire/guest-drivers';
import type { FunctionKind } from './function-kind.js';

/** What a station sends, over and over. */
export interface Load {
  readonly to: Uint8Array;
  /**
   * Bytes of a frame from the destination address on, 60 to 1514; or, in `message`, of a TCP payload, which the function cuts
   * up, or the guest where the function does not.
   */
  readonly bytes: number | { readonly message: number };
}

/** A guest, or the host, with a driver on its function. */
export interface Station {
  readonly kind: FunctionKind;
  readonly mac: Uint8Array;
  load: Load | undefined;
  /** Frames that came in, and the bytes that they would take on a wire. */
  received: number;
  receivedWireBytes: number;
  /** Told of each frame that comes in, unless it is undefined. */
  heard: ((bytes: Uint8Array) => void) | undefined;
  /** Take everything that came, and fill the ring. @returns frames that moved */
  turn(): number;
  /**
   * Send one frame, beside the load.
   * @param isMessage a TCP segment over IPv4 that the function is to cut up; no business of vendor B's
   * @returns whether there was room
   */
  sendOne(bytes: Uint8Array, isMessage?: boolean): boolean;
  /** A message of the function, by its data. */
  message(data: number): void;
}

/** A station beyond the wire. */
export const OUTSIDE: Uint8Array = Uint8Array.of(2, 0, 0, 0, 0xff, 1);
/** Descriptors of each ring of a station. */
export const RING_ENTRIES = 64;

/** What a station is opened with. */
export interface StationSetup {
  readonly access: PciAccess;
  readonly dma: DmaMemory;
  readonly mac: Uint8Array;
  /** In µs. */
  readonly now: () => number;
  /** A turn of those that a waiting driver depends on. */
  readonly pause: () => void;
  /** Of virtio functions. */
  readonly rings?: 'split' | 'packed';
}

/** One message for each of a function's vectors that a driver here uses. */
export const MESSAGES: readonly [MsixMessage, MsixMessage, MsixMessage] = [
  { addressLo: 0xfee0_0000, addressHi: 0, data: 0 },
  { addressLo: 0xfee0_0000, addressHi: 0, data: 1 },
  { addressLo: 0xfee0_0000, addressHi: 0, data: 2 },
];

/** Turns that drivers of physical and virtual functions need to agree, many times over. */
const TRIES = 500;
export const patienceOf = ({ pause }: StationSetup): Patience => ({ tries: TRIES, pause });

/** Bytes of a TCP segment's payload, with an ordinary MTU and time stamps. */
export const MSS = 1448;
/** Bytes of payload that a function cuts up at once: the longest IP packet, in whole segments. */
export const MESSAGE_MOST: number = 45 * MSS;
/** Ethernet, IPv4 and TCP. */
export const TCP_HEADERS = 54;
const IP_AT = 14;
const TCP_AT = 34;
const CHECKSUM_IN_TCP = 16;

/** A frame as a driver is given it. */
export interface OutgoingFrame {
  readonly bytes: Uint8Array;
  /** The function is to cut it into segments of {@link MSS}. */
  readonly isMessage: boolean;
}

/**
 * What a load comes to at one driver, to be sent in turns.
 * @param most bytes of payload that the function cuts up at once
 */
export function outgoingFrames({ to, bytes }: Load, from: Uint8Array, most: number): OutgoingFrame[] {
  const addresses = [...to, ...from];
  if (typeof bytes === 'number') {
    const frame = new Uint8Array(bytes);
    frame.set([...addresses, 0x88, 0xb5]);
    return [{ bytes: frame, isMessage: false }];
  }
  const frames: OutgoingFrame[] = [];
  for (let left = bytes.message; left > 0; left -= most) {
    const payload = Math.min(left, most);
    frames.push({ bytes: tcpFrame(addresses, payload), isMessage: payload > MSS });
  }
  return frames;
}

/** Headers, and a payload of zeros. @param addresses to and from: 12 bytes */
export function tcpFrame(addresses: readonly number[], payload: number): Uint8Array {
  const frame = new Uint8Array(TCP_HEADERS + payload);
  frame.set([...addresses, 0x08, 0x00, 0x45]);
  new DataView(frame.buffer).setUint16(IP_AT + 2, frame.length - IP_AT);
  frame.set([64, 6], IP_AT + 8);
  frame.set([10, 0, 0, 1, 10, 0, 0, 2], IP_AT + 12);
  frame.set([0x50, 0x10], TCP_AT + 12);
  return frame;
}

/** What is to be done to a message: segments, each with its checksum. virtio 1.4 §5.1.9.2 */
export function askSegments(offload: Pick<NetOffload, 'hdrLen' | 'gsoSize' | 'csumStart' | 'csumOffset'>): void {
  offload.hdrLen = TCP_HEADERS;
  offload.gsoSize = MSS;
  offload.csumStart = TCP_AT;
  offload.csumOffset = CHECKSUM_IN_TCP;
}
