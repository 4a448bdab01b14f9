import { referenceSum } from './reference.js';

/** Headers put together field by field, checksums included: for tests, so that what a test means stands in the test. */

const be = (value: number, bytes: number): number[] =>
  Array.from({ length: bytes }, (_, index) => Math.floor(value / 256 ** (bytes - 1 - index)) & 0xff);

export function join(...parts: readonly (Uint8Array | readonly number[])[]): Uint8Array<ArrayBuffer> {
  return Uint8Array.from(parts.flatMap((part) => [...part]));
}

function mac(last: number): number[] {
  return [0x02, 0, 0, 0, 0, last];
}

export function ethernet(type: number, payload: Uint8Array, tags: readonly [number, number][] = []): Uint8Array {
  return join(mac(2), mac(1), ...tags.map(([tpid, tci]) => [...be(tpid, 2), ...be(tci, 2)]), be(type, 2), payload);
}

const ADDRESS4 = { source: [10, 0, 0, 1], destination: [10, 0, 0, 2] };
export const ADDRESS6 = {
  source: [0xfd, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1],
  destination: [0xfd, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 2],
};

export interface Ipv4Fields {
  readonly options?: readonly number[];
  readonly id?: number;
  /** The halfword of flags and fragment offset. */
  readonly fragment?: number;
  readonly length?: number;
}

export function ipv4(protocol: number, payload: Uint8Array, fields: Ipv4Fields = {}): Uint8Array {
  const options = fields.options ?? [];
  const headerBytes = 20 + options.length;
  const header = [
    0x40 | (headerBytes / 4),
    0,
    ...be(fields.length ?? headerBytes + payload.length, 2),
    ...be(fields.id ?? 0x1234, 2),
    ...be(fields.fragment ?? 0x4000, 2),
    64,
    protocol,
    0,
    0,
    ...ADDRESS4.source,
    ...ADDRESS4.destination,
    ...options,
  ];
  const sum = 0xffff - referenceSum(Uint8Array.from(header));
  header.splice(10, 2, ...be(sum, 2));
  return join(header, payload);
}

/** @param next the first header behind the fixed one; `payload` begins with it */
export function ipv6(next: number, payload: Uint8Array, length: number = payload.length): Uint8Array {
  return join([0x60, 0, 0, 0], be(length, 2), [next, 64], ADDRESS6.source, ADDRESS6.destination, payload);
}

/** What a pseudo header sums to. */
export function pseudoSum(version: 4 | 6, protocol: number, length: number): number {
  const { source, destination } = version === 4 ? ADDRESS4 : ADDRESS6;
  return referenceSum(Uint8Array.from([...source, ...destination, ...be(length, 4), 0, protocol]));
}

export interface TcpFields {
  readonly sequence?: number;
  readonly flags?: number;
  readonly options?: readonly number[];
}

/** @param checksum `full`: as on the wire; `partial`: of the pseudo header alone, as VIRTIO_NET_HDR_F_NEEDS_CSUM has it */
export function tcp(
  version: 4 | 6,
  payload: Uint8Array,
  fields: TcpFields = {},
  checksum: 'full' | 'partial' = 'full',
): Uint8Array {
  const options = fields.options ?? [];
  const headerBytes = 20 + options.length;
  const segment = join(
    [...be(1000, 2), ...be(2000, 2), ...be(fields.sequence ?? 0x1000_0000, 4), ...be(0x2000_0000, 4)],
    [(headerBytes / 4) << 4, fields.flags ?? 0x10, ...be(500, 2), 0, 0, 0, 0],
    options,
    payload,
  );
  segment.set(be(transportChecksum(version, 6, segment, checksum), 2), 16);
  return segment;
}

export function udp(
  version: 4 | 6,
  payload: Uint8Array,
  port = 2000,
  checksum: 'full' | 'partial' | 'none' = 'full',
): Uint8Array {
  const datagram = join([...be(1000, 2), ...be(port, 2), ...be(8 + payload.length, 2), 0, 0], payload);
  if (checksum === 'none') return datagram;
  const value = transportChecksum(version, 17, datagram, checksum);
  datagram.set(be(value === 0 && checksum === 'full' ? 0xffff : value, 2), 6);
  return datagram;
}

function transportChecksum(
  version: 4 | 6,
  protocol: number,
  segment: Uint8Array,
  checksum: 'full' | 'partial',
): number {
  const pseudo = pseudoSum(version, protocol, segment.length);
  if (checksum === 'partial') return pseudo;
  const sum = pseudo + referenceSum(segment);
  return 0xffff - (sum > 0xffff ? sum - 0xffff : sum);
}

/** Bytes 0, 1, 2, … */
export function counting(length: number, first = 0): Uint8Array<ArrayBuffer> {
  return Uint8Array.from({ length }, (_, index) => first + index);
}
