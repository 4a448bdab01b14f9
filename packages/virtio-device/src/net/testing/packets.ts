import { hex, join } from './frames.js';

const sum16 = (bytes: Uint8Array): number => {
  let sum = 0;
  for (let i = 0; i < bytes.length; i += 2) sum += (bytes[i]! << 8) | (bytes[i + 1] ?? 0);
  while (sum > 0xffff) sum = (sum & 0xffff) + (sum >>> 16);
  return sum;
};
const be16 = (value: number): Uint8Array => Uint8Array.of(value >>> 8, value & 0xff);

/** One side of a flow: IPv4 address and port. */
export interface End {
  readonly address: string;
  readonly port: number;
}
export const GUEST: End = { address: '0a000001', port: 1000 };
export const PEER: End = { address: '0a000002', port: 80 };

export interface PacketOptions {
  readonly from?: End;
  readonly to?: End;
  readonly payload?: number;
  /** `offloaded`: the sum of the pseudo header stands in for the checksum, as a driver leaves it. */
  readonly checksum?: 'complete' | 'offloaded' | 'wrong';
  readonly flags?: number;
}

/** Sum of the pseudo header, RFC 9293 §3.1. */
const pseudo = (from: End, to: End, protocol: number, length: number): number =>
  sum16(join(hex(from.address), hex(to.address), be16(protocol), be16(length)));

function ipv4(protocol: number, from: End, to: End, segment: Uint8Array): Uint8Array {
  const start = join(hex('4500'), be16(20 + segment.length), hex('1234 4000 40'), Uint8Array.of(protocol));
  const sum = sum16(join(start, hex('0000'), hex(from.address), hex(to.address)));
  const header = join(start, be16(~sum & 0xffff), hex(from.address), hex(to.address));
  return join(hex('525400123456 525400aabbcc 0800'), header, segment);
}

const bytesUp = (count: number): Uint8Array => Uint8Array.from({ length: count }, (_, i) => (7 * i + 1) & 0xff);

/** TCP over IPv4 to the bench's device; the checksum is at 34 + 16. */
export function tcp4(options: PacketOptions = {}): Uint8Array {
  const { from = PEER, to = GUEST, payload = 40, checksum = 'complete', flags = 0x18 } = options;
  const segment = join(
    be16(from.port),
    be16(to.port),
    hex('00001000 00002000 50'),
    Uint8Array.of(flags),
    hex('2000 0000 0000'),
    bytesUp(payload),
  );
  return withChecksum(segment, 16, 6, from, to, checksum);
}

/** UDP over IPv4; the checksum is at 34 + 6. */
export function udp4(options: PacketOptions = {}): Uint8Array {
  const { from = PEER, to = GUEST, payload = 40, checksum = 'complete' } = options;
  const segment = join(be16(from.port), be16(to.port), be16(8 + payload), hex('0000'), bytesUp(payload));
  return withChecksum(segment, 6, 17, from, to, checksum);
}

function withChecksum(
  segment: Uint8Array,
  at: number,
  protocol: number,
  from: End,
  to: End,
  checksum: PacketOptions['checksum'],
): Uint8Array {
  const start = pseudo(from, to, protocol, segment.length);
  segment.set(be16(start), at);
  if (checksum !== 'offloaded') segment.set(be16((~sum16(segment) & 0xffff) ^ (checksum === 'wrong' ? 1 : 0)), at);
  return ipv4(protocol, from, to, segment);
}

/** Whether the TCP or UDP checksum of a frame over IPv4 is right, and its IP checksum. */
export function isChecksummed(frame: Uint8Array): boolean {
  const segment = frame.subarray(34);
  const length = be16(segment.length);
  const whole = join(frame.subarray(26, 34), Uint8Array.of(0, frame[23]!), length, segment);
  return sum16(whole) === 0xffff && sum16(frame.subarray(14, 34)) === 0xffff;
}
