/**
 * The end of a memory that {@link HostMemory.create} made: no host offset leads there, but WebAssembly that works on the
 * memory reaches it. Pages of it that nobody touches cost nothing. Its last bytes say that it is one.
 */
export const PRIVATE_AREA = {
  BYTES: 0x80_0000,
  /** At its end, not to be given away. */
  TRAILER_BYTES: 0x400,
  /** In the trailer: how many threads have a number; changed atomically. */
  OWNERS_AT: 20,
  /** It is given away in chunks; a word for each of them, from here on in the trailer, says to whom, 0 for nobody. */
  CHUNKS_AT: 64,
  CHUNK_BYTES: 0x1_0000,
} as const;

const MAGIC = [0x676e6972, 0x65726977, 0x76697270, 0x73657461];
const SIZE32 = MAGIC.length;

/** Mark the end of a new memory as private. @param size bytes in front of that */
export function markPrivate(buffer: SharedArrayBuffer, size: number): void {
  trailerOf(buffer).set([...MAGIC, size]);
}

/** Bytes that host offsets may lead to: all, unless the memory's end is marked. */
export function publicBytes(buffer: SharedArrayBuffer): number {
  const size = buffer.byteLength - PRIVATE_AREA.BYTES;
  if (size <= 0) return buffer.byteLength;
  const trailer = trailerOf(buffer);
  return MAGIC.every((word, at) => trailer[at] === word) && trailer[SIZE32] === size ? size : buffer.byteLength;
}

const trailerOf = (buffer: SharedArrayBuffer): Uint32Array =>
  new Uint32Array(buffer, buffer.byteLength - PRIVATE_AREA.TRAILER_BYTES, SIZE32 + 1);
