import { referenceSum } from './reference.js';

/** Where things lie in a frame that a test made: said by the test, found by nobody. */
export interface Layout {
  /** Offset of the IP header next to the transport. */
  readonly ip: number;
  readonly version: 4 | 6;
  readonly protocol: 6 | 17;
  readonly transport: number;
  readonly payload: number;
  /** Outer IP and UDP headers of a tunnel. */
  readonly outer?: { readonly ip: number; readonly version: 4 | 6; readonly udp: number; readonly checksum: boolean };
}

type Bytes = Uint8Array;

const get16 = (bytes: Bytes, at: number): number => bytes[at]! * 256 + bytes[at + 1]!;
const set = (bytes: Bytes, at: number, value: number, count: number): void => {
  for (let index = 0; index < count; index++) bytes[at + index] = Math.floor(value / 256 ** (count - 1 - index)) % 256;
};
const get32 = (bytes: Bytes, at: number): number => get16(bytes, at) * 65536 + get16(bytes, at + 2);
const invert = (sum: number): number => 0xffff - sum;

/** TCP or UDP segments of a frame, in the way that takes the fewest thoughts. */
export function referenceSegments(frame: Bytes, layout: Layout, size: number): Bytes[] {
  const segments: Bytes[] = [];
  const payload = frame.slice(layout.payload);
  const count = Math.max(1, Math.ceil(payload.length / size));
  for (let index = 0; index < count; index++) {
    const part = payload.slice(index * size, (index + 1) * size);
    const segment = Uint8Array.from([...frame.slice(0, layout.payload), ...part]);
    fixIp(segment, layout.ip, layout.version, index);
    if (layout.protocol === 6) {
      set(segment, layout.transport + 4, (get32(frame, layout.transport + 4) + index * size) % 2 ** 32, 4);
      const flags = segment[layout.transport + 13]!;
      const first = index === 0 ? 0xff : 0x7f;
      const last = index === count - 1 ? 0xff : 0xf6;
      segment[layout.transport + 13] = flags & first & last;
    } else set(segment, layout.transport + 4, segment.length - layout.transport, 2);
    fixTransport(segment, layout.ip, layout.version, layout.protocol, layout.transport);
    const { outer } = layout;
    if (outer !== undefined) {
      fixIp(segment, outer.ip, outer.version, index);
      set(segment, outer.udp + 4, segment.length - outer.udp, 2);
      if (outer.checksum) fixTransport(segment, outer.ip, outer.version, 17, outer.udp);
    }
    segments.push(segment);
  }
  return segments;
}

function fixIp(segment: Bytes, ip: number, version: 4 | 6, index: number): void {
  if (version === 6) {
    set(segment, ip + 4, segment.length - ip - 40, 2);
    return;
  }
  set(segment, ip + 2, segment.length - ip, 2);
  set(segment, ip + 4, (get16(segment, ip + 4) + index) % 65536, 2);
  set(segment, ip + 10, 0, 2);
  set(segment, ip + 10, invert(referenceSum(segment.slice(ip, ip + (segment[ip]! % 16) * 4))), 2);
}

function fixTransport(segment: Bytes, ip: number, version: 4 | 6, protocol: number, transport: number): void {
  const field = transport + (protocol === 6 ? 16 : 6);
  set(segment, field, 0, 2);
  const addresses = version === 4 ? segment.slice(ip + 12, ip + 20) : segment.slice(ip + 8, ip + 40);
  const pseudo = new Uint8Array(8);
  set(pseudo, 0, segment.length - transport, 4);
  pseudo[7] = protocol;
  const value = invert(referenceSum(addresses, pseudo, segment.slice(transport)));
  set(segment, field, protocol === 17 && value === 0 ? 0xffff : value, 2);
}

/** The datagram of some IP fragments, put together by their offsets: the IP payload. */
export function reassemble(fragments: readonly Bytes[], ip: number, version: 4 | 6, headerEnd: number): Bytes {
  const parts = fragments.map((fragment) => {
    const word = version === 4 ? get16(fragment, ip + 6) : get16(fragment, headerEnd + 2);
    const offset = version === 4 ? (word % 0x2000) * 8 : word - (word % 8);
    const more = version === 4 ? (word & 0x2000) !== 0 : word % 2 === 1;
    return { offset, more, bytes: fragment.slice(version === 4 ? headerEnd : headerEnd + 8) };
  });
  parts.sort((a, b) => a.offset - b.offset);
  const whole: number[] = [];
  for (const [index, { offset, more, bytes }] of parts.entries()) {
    if (offset !== whole.length) throw new Error(`a fragment begins at ${offset}, not at ${whole.length}`);
    if (more !== index < parts.length - 1) throw new Error(`fragment ${index} is the last one, or is not`);
    whole.push(...bytes);
  }
  return Uint8Array.from(whole);
}
