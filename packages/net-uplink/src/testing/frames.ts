import { type HostMemory, RangeList } from '@ringwire/guest-memory';
import { Frame } from '@ringwire/net-backend';
import type { FrameFields, ScriptedFrame } from '@ringwire/net-backend/testing';

/** Ethernet addresses of the guest that tests play, and of the interface at the other end. */
export const GUEST = '02 00 00 00 00 02';
export const HOST = '02 00 00 00 00 01';

export const bytesOf = (hex: string): Uint8Array =>
  Uint8Array.from(hex.match(/[0-9a-f]{2}/g)!, (two) => Number.parseInt(two, 16));

/** A frame at a place in memory, in pieces of so many bytes. */
export function frameAt(
  memory: HostMemory,
  at: number,
  bytes: Uint8Array,
  fields: Partial<FrameFields> = {},
  piece: number = bytes.length,
): Frame {
  memory.u8.set(bytes, at);
  const frame = new Frame(memory);
  frame.ranges = new RangeList();
  for (let from = 0; from < bytes.length; from += piece)
    frame.ranges.push(at + from, Math.min(piece, bytes.length - from));
  frame.end = frame.ranges.count;
  frame.length = bytes.length;
  return Object.assign(frame, fields);
}

type Bytes = Pick<ScriptedFrame, 'bytes'>;
const typeOf = ({ bytes }: Bytes): number => bytes[12]! * 256 + bytes[13]!;
const isIpv4 = (frame: Bytes, protocol: number): boolean => typeOf(frame) === 0x800 && frame.bytes[23] === protocol;

export const isUdp = (frame: Bytes): boolean => isIpv4(frame, 17);
export const isIcmp = (frame: Bytes): boolean => isIpv4(frame, 1);
export const isArpReply = (frame: Bytes): boolean => typeOf(frame) === 0x806 && frame.bytes[21] === 2;

/** Who has 192.0.2.1? 192.0.2.2, the guest, wants to know; and the answer. */
export const ARP_REQUEST: Uint8Array = bytesOf(
  `ffffffffffff ${GUEST} 0806 0001 0800 06 04 0001 ${GUEST} c0000202 000000000000 c0000201`,
);
export const ARP_REPLY: Uint8Array = bytesOf(
  `${GUEST} ${HOST} 0806 0001 0800 06 04 0002 ${HOST} c0000201 ${GUEST} c0000202`,
);
/** An echo request to 192.0.2.1, with its checksums, and the ICMP message of the answer. */
export const PING: Uint8Array = bytesOf(
  `${HOST} ${GUEST} 0800 4500 0020 0000 4000 4001 b6d9 c0000202 c0000201 0800 b62d 1234 0001 2a2a0573`,
);
export const PONG: Uint8Array = bytesOf('0000 be2d 1234 0001 2a2a0573');
