const be = (value: number, bytes: number): number[] =>
  Array.from({ length: bytes }, (_, i) => Math.floor(value / 2 ** (8 * (bytes - 1 - i))) & 0xff);

/** RFC 1071, byte by byte: an oracle that shares nothing with the card's. */
export function checksumOf(bytes: readonly number[]): number {
  let sum = 0;
  for (let i = 0; i < bytes.length; i += 2) sum += bytes[i]! * 256 + (bytes[i + 1] ?? 0);
  while (sum > 0xffff) sum = (sum & 0xffff) + Math.floor(sum / 0x1_0000);
  return 0xffff - sum;
}

export interface PacketOptions {
  readonly source?: readonly number[];
  readonly destination?: readonly number[];
  readonly protocol?: 6 | 17 | 132;
  readonly from?: number;
  readonly to?: number;
  readonly payload?: readonly number[];
  /** What the fields of checksums hold: right ones, what drivers write for the card to finish, or wrong ones. */
  readonly checksums?: 'right' | 'open' | 'segments' | 'wrong';
  readonly flags?: number;
}

const ADDRESSES = [2, 0, 0, 0, 0, 2, 2, 0, 0, 0, 0, 1];

/** An IPv4 packet in an Ethernet frame, made by hand. */
export function ipv4Frame(options: PacketOptions = {}): Uint8Array {
  const { source = [192, 168, 0, 1], destination = [192, 168, 0, 2], protocol = 6, from = 1000, to = 80 } = options;
  const { payload = [1, 2, 3, 4, 5], checksums = 'right', flags = 0x18 } = options;
  const length = (protocol === 6 ? 20 : protocol === 17 ? 8 : 12) + payload.length;
  const pseudo = (bytes: number): number[] => [...source, ...destination, 0, protocol, ...be(bytes, 2)];
  const partial = 0xffff - checksumOf(pseudo(checksums === 'segments' ? 0 : length));
  const transport = (checksum: number): number[] => {
    if (protocol === 6)
      return [
        ...be(from, 2),
        ...be(to, 2),
        ...be(1, 4),
        ...be(2, 4),
        0x50,
        flags,
        0x20,
        0,
        ...be(checksum, 2),
        0,
        0,
        ...payload,
      ];
    if (protocol === 17) return [...be(from, 2), ...be(to, 2), ...be(length, 2), ...be(checksum, 2), ...payload];
    return [...be(from, 2), ...be(to, 2), ...be(7, 4), 0, 0, 0, 0, ...payload];
  };
  const right = checksumOf([...pseudo(length), ...transport(0)]);
  const field = { right, open: partial, segments: partial, wrong: right ^ 0x0101 }[checksums];
  const total = checksums === 'segments' ? 0 : 20 + length;
  const ip = (checksum: number): number[] => [
    ...[0x45, 0, ...be(total, 2), 0, 9, 0x40, 0, 64, protocol, ...be(checksum, 2), ...source, ...destination],
  ];
  const ipChecksum = { right: checksumOf(ip(0)), open: 0, segments: 0, wrong: checksumOf(ip(0)) ^ 0x0101 }[checksums];
  return Uint8Array.of(...ADDRESSES, 8, 0, ...ip(ipChecksum), ...transport(field));
}

/** A TCP or UDP packet of IPv6, likewise. */
export function ipv6Frame(options: PacketOptions = {}): Uint8Array {
  const { protocol = 6, from = 1000, to = 80, payload = [1, 2, 3, 4, 5], checksums = 'right' } = options;
  const source = options.source ?? [0xfe, 0x80, ...new Array<number>(13).fill(0), 1];
  const destination = options.destination ?? [0xfe, 0x80, ...new Array<number>(13).fill(0), 2];
  const length = (protocol === 6 ? 20 : 8) + payload.length;
  const pseudo = (bytes: number): number[] => [...source, ...destination, ...be(bytes, 4), 0, 0, 0, protocol];
  const partial = 0xffff - checksumOf(pseudo(checksums === 'segments' ? 0 : length));
  const transport = (checksum: number): number[] =>
    protocol === 6
      ? [
          ...be(from, 2),
          ...be(to, 2),
          ...be(1, 4),
          ...be(2, 4),
          0x50,
          0x18,
          0x20,
          0,
          ...be(checksum, 2),
          0,
          0,
          ...payload,
        ]
      : [...be(from, 2), ...be(to, 2), ...be(length, 2), ...be(checksum, 2), ...payload];
  const right = checksumOf([...pseudo(length), ...transport(0)]);
  const field = { right, open: partial, segments: partial, wrong: right ^ 0x0101 }[checksums];
  const total = checksums === 'segments' ? 0 : length;
  return Uint8Array.of(
    ...ADDRESSES,
    ...[0x86, 0xdd, 0x60, 0, 0, 0, ...be(total, 2), protocol, 64, ...source, ...destination],
    ...transport(field),
  );
}

/** The frame with a tag behind its addresses. */
export const tagged = (frame: Uint8Array, tag: number): Uint8Array =>
  Uint8Array.of(...frame.slice(0, 12), 0x81, 0x00, ...be(tag, 2), ...frame.slice(12));
