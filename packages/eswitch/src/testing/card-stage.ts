import { HostMemory, RangeList } from '@ringwire/guest-memory';
import { type Delivered, Frame } from '@ringwire/net-backend';
import { ScriptedBackend } from '@ringwire/net-backend/testing';
import { dropName } from '../drop-reason.js';
import { ESWITCH_AREA_BYTES, Eswitch } from '../eswitch.js';
import type { EswitchOptions } from '../eswitch-options.js';

/** Where frames of tests lie, behind the switch's own area. */
const FRAMES_AT = Math.ceil(ESWITCH_AREA_BYTES / 0x1000) * 0x1000;

export const WIRE = 0;
export const PHYSICAL = 1;
/** Number of the port of a virtual function. */
export const vf = (index: number): number => 2 + index;
/** The address of a port, or of any station. */
export const station = (number: number): Uint8Array => Uint8Array.of(2, 0, 0, 0, number >>> 8, number & 0xff);
export const BROADCAST: Uint8Array = new Uint8Array(6).fill(0xff);

/** Bytes of a frame: addresses, tags as [protocol, control information], and what is behind them. */
export function ethernet(
  to: Uint8Array,
  from: Uint8Array,
  tags: readonly (readonly [number, number])[] = [],
  rest: readonly number[] = [0x88, 0xb5, 1, 2, 3, 4],
): Uint8Array {
  const tagBytes = tags.flatMap(([protocol, tci]) => [protocol >>> 8, protocol & 0xff, tci >>> 8, tci & 0xff]);
  return Uint8Array.of(...to, ...from, ...tagBytes, ...rest);
}

/** A card's switch with a scripted device at every port; virtual function i has the address station(2 + i). */
export class CardStage {
  readonly memory: HostMemory = HostMemory.create(FRAMES_AT + 0x2_0000);
  readonly card: Eswitch;
  readonly devices: ScriptedBackend[];
  time = 0;

  constructor(virtualFunctions: number, options: Partial<EswitchOptions> = {}, offloads = 0) {
    const { memory } = this;
    this.card = new Eswitch({ memory, at: 0, virtualFunctions, now: () => this.time, ...options });
    this.devices = this.card.ports.map(({ number, backend, kind, configure }, index) => {
      const device = new ScriptedBackend(offloads);
      backend.attach(device);
      if (kind !== 'wire') configure.call(this.card.ports[index], { mac: station(number) });
      return device;
    });
  }

  /** A frame in the card's memory, in ranges of so many bytes; the rest is the last one. */
  frame(bytes: Uint8Array, ...lengths: number[]): Frame {
    const { memory } = this;
    memory.u8.set(bytes, FRAMES_AT);
    const frame = new Frame(memory);
    frame.ranges = new RangeList(8);
    let at = 0;
    for (const length of [...lengths, bytes.length]) {
      const have = Math.min(length, bytes.length - at);
      if (have > 0) frame.ranges.push(FRAMES_AT + at, have);
      at += have;
    }
    frame.end = frame.ranges.count;
    frame.length = bytes.length;
    return frame;
  }

  send(port: number, bytes: Uint8Array): Delivered {
    return this.card.ports[port]!.backend.receive(this.frame(bytes));
  }

  /** Send a frame, and say which ports got how many. */
  sent(port: number, bytes: Uint8Array): number[] {
    const before = this.devices.map(({ frames }) => frames.length);
    this.send(port, bytes);
    return this.devices.flatMap(({ frames }, index) => new Array<number>(frames.length - before[index]!).fill(index));
  }

  /** Bytes that a port got last. */
  last(port: number): Uint8Array | undefined {
    return this.devices[port]!.bytes.at(-1);
  }

  /** Drops of a port, by name. */
  drops(port: number): Record<string, number> {
    const { drops } = this.card.ports[port]!.counters;
    return Object.fromEntries([...drops].flatMap((count, reason) => (count > 0 ? [[dropName(reason), count]] : [])));
  }
}

/** What a driver leaves to the device of {@link largeTcp}: segments of 1000 bytes. virtio 1.4 §5.1.9.2 */
export const LARGE_TCP_FIELDS = {
  flags: 1,
  gsoType: 1,
  gsoSize: 1000,
  hdrLen: 54,
  csumStart: 34,
  csumOffset: 16,
} as const;

/** A TCP segment over IPv4, to be cut up. @param payload bytes */
export function largeTcp(to: Uint8Array, from: Uint8Array, payload: number): Uint8Array {
  const total = 40 + payload;
  const ip = [0x45, 0, total >>> 8, total & 0xff, 0, 1, 0, 0, 64, 6, 0, 0, 10, 0, 0, 1, 10, 0, 0, 2];
  const tcp = [0x10, 0, 0x20, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0x50, 0x10, 0, 0, 0, 0, 0, 0];
  const rest = [0x08, 0x00, ...ip, ...tcp, ...Array.from({ length: payload }, (_, index) => index & 0xff)];
  return ethernet(to, from, [], rest);
}
