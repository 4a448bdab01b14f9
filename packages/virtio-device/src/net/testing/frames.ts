/** Bytes from hex with blanks. */
export function hex(text: string): Uint8Array {
  const digits = text.replaceAll(/\s/g, '');
  return Uint8Array.from({ length: digits.length / 2 }, (_, i) => Number.parseInt(digits.slice(2 * i, 2 * i + 2), 16));
}

export function join(...parts: readonly Uint8Array[]): Uint8Array {
  return Uint8Array.from(parts.flatMap((part) => [...part]));
}

/** A struct virtio_net_hdr of zeros. */
export const plainHeader = (bytes = 12): Uint8Array => new Uint8Array(bytes);

/** A frame to the bench's device of this length: Ethernet, type 0x88b5, then bytes that count up from `seed`. */
export function frameOf(length: number, seed = 1, to = '525400123456'): Uint8Array {
  const frame = new Uint8Array(length);
  frame.set(hex(`${to} 525400aabbcc 88b5`).subarray(0, length));
  for (let i = 14; i < length; i++) frame[i] = (seed + i) & 0xff;
  return frame;
}
