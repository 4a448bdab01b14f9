/** Throws unless a 16-bit 1 is stored low byte first; `one` is that number's first byte in memory. */
export function requireLittleEndian(one: number): void {
  if (one === 1) return;
  throw new Error('this machine is big-endian: virtio structures are little-endian and are read in host byte order');
}

/** First byte in memory of the 16-bit number 1. */
export function firstByteOfOne(): number {
  return new Uint8Array(new Uint16Array([1]).buffer)[0]!;
}
