/** The plain way, slow and obvious, for what the package does fast. Shares nothing with it. */

/** RFC 1071: the folded sum of big-endian halfwords, an odd last byte padded with a zero. Not inverted. */
export function referenceSum(...parts: readonly Uint8Array[]): number {
  let sum = 0;
  let weight = 256;
  for (const part of parts) {
    for (const byte of part) {
      sum += byte * weight;
      if (sum > 0xffff) sum -= 0xffff;
      weight = 257 - weight;
    }
  }
  return sum;
}

/** virtio 1.4 §5.1.9.4.3, bit by bit. */
export function referenceToeplitz(key: Uint8Array, input: Uint8Array): number {
  const bitOf = (bytes: Uint8Array, bit: number): number => ((bytes[bit >> 3] ?? 0) >> (7 - (bit & 7))) & 1;
  let hash = 0;
  for (let bit = 0; bit < input.length * 8; bit++) {
    if (bitOf(input, bit) === 0) continue;
    let window = 0;
    for (let at = 0; at < 32; at++) window = window * 2 + bitOf(key, bit + at);
    hash = (hash ^ window) >>> 0;
  }
  return hash;
}
