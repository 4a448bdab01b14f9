import { WASM_PAGE } from './web-assembly.js';

/** Where typed arrays are made, all zeros. */
export interface ArrayMaker {
  u8(length: number): Uint8Array;
  u16(length: number): Uint16Array;
  u32(length: number): Uint32Array;
  i32(length: number): Int32Array;
  /** Whether an array lies in the memory whose arrays these are: then its `byteOffset` is where. */
  holds(array: ArrayBufferView): boolean;
}

/** JavaScript's own. */
export const PLAIN_ARRAYS: ArrayMaker = {
  u8: (length) => new Uint8Array(length),
  u16: (length) => new Uint16Array(length),
  u32: (length) => new Uint32Array(length),
  i32: (length) => new Int32Array(length),
  holds: () => false,
};

/** Whose memory arrays lie in, or undefined: they are JavaScript's own, some of them at least. */
export function homeOf(maker: ArrayMaker, ...arrays: readonly ArrayBufferView[]): ArrayMaker | undefined {
  return arrays.every((array) => maker.holds(array)) ? maker : undefined;
}

/** Bytes behind what addresses lead to; pages of it that nobody touches cost nothing. */
export const PRIVATE_BYTES: number = 128 * WASM_PAGE;
/** Last words of the area: that it is one, bytes in front of it, and how much of it is given away. */
const TRAILER = { MAGIC: [0x676e6972, 0x65726977, 0x76697270, 0x73657461], SIZE: 4, GIVEN: 5, WORDS: 6 };
const TRAILER_BYTES = 64;
/** What a thread takes at a time, to cut it up. */
const CHUNK_BYTES = WASM_PAGE;
const LEAST_SHIFT = 6;

/** Mark the end of a new memory as private. @param size bytes in front of that */
export function markPrivate(buffer: SharedArrayBuffer, size: number): void {
  const trailer = trailerOf(buffer);
  trailer.set(TRAILER.MAGIC);
  trailer[TRAILER.SIZE] = size;
}

/** Bytes that addresses may lead to: all, unless the memory's end is marked. */
export function publicBytes(buffer: SharedArrayBuffer): number {
  const all = buffer.byteLength;
  if (all <= PRIVATE_BYTES) return all;
  const trailer = trailerOf(buffer);
  const isMarked = TRAILER.MAGIC.every((word, at) => trailer[at] === word);
  return isMarked && trailer[TRAILER.SIZE] === all - PRIVATE_BYTES ? all - PRIVATE_BYTES : all;
}

function trailerOf(buffer: SharedArrayBuffer): Uint32Array {
  return new Uint32Array(buffer, buffer.byteLength - TRAILER_BYTES, TRAILER.WORDS);
}

/**
 * Typed arrays in a host memory, behind everything that addresses lead to: for what a driver or a device keeps to itself,
 * where WebAssembly that works on the memory reaches it too. Room comes back when an array is garbage. Where there is no
 * more, arrays are JavaScript's own: {@link holds} tells. Each thread has its own object, over the same area.
 */
export class PrivateArrays implements ArrayMaker {
  private readonly buffer: SharedArrayBuffer;
  private readonly start: number;
  private readonly given: Int32Array;
  /** Free pieces by the logarithm of their size. */
  private readonly pieces: number[][] = Array.from({ length: 32 }, () => []);
  private chunkAt = 0;
  private chunkEnd = 0;
  private readonly garbage: FinalizationRegistry<readonly [at: number, shift: number]>;

  /** @param buffer as {@link markPrivate} left it */
  constructor(buffer: SharedArrayBuffer) {
    this.buffer = buffer;
    this.start = buffer.byteLength - PRIVATE_BYTES;
    this.given = new Int32Array(buffer, buffer.byteLength - TRAILER_BYTES + 4 * TRAILER.GIVEN, 1);
    this.garbage = new FinalizationRegistry(([at, shift]) => this.pieces[shift]!.push(at));
  }

  u8(length: number): Uint8Array {
    return this.make(Uint8Array, length, 1);
  }

  u16(length: number): Uint16Array {
    return this.make(Uint16Array, length, 2);
  }

  u32(length: number): Uint32Array {
    return this.make(Uint32Array, length, 4);
  }

  i32(length: number): Int32Array {
    return this.make(Int32Array, length, 4);
  }

  holds(array: ArrayBufferView): boolean {
    return array.buffer === this.buffer;
  }

  private make<T extends Uint8Array | Uint16Array | Uint32Array | Int32Array>(
    Kind: { new (length: number): T; new (buffer: SharedArrayBuffer, at: number, length: number): T },
    length: number,
    width: number,
  ): T {
    const shift = Math.max(LEAST_SHIFT, 32 - Math.clz32(length * width - 1));
    const at = this.pieces[shift]!.pop() ?? this.cut(2 ** shift);
    if (at < 0) return new Kind(length);
    const array = new Kind(this.buffer, at, length);
    array.fill(0);
    this.garbage.register(array, [at, shift]);
    return array;
  }

  /** @returns where so many bytes begin, or -1 when there are no more */
  private cut(bytes: number): number {
    if (bytes >= CHUNK_BYTES) return this.claim(bytes);
    if (this.chunkAt + bytes > this.chunkEnd) {
      const chunk = this.claim(CHUNK_BYTES);
      if (chunk < 0) return -1;
      this.chunkAt = chunk;
      this.chunkEnd = chunk + CHUNK_BYTES;
    }
    const at = this.chunkAt;
    this.chunkAt += bytes;
    return at;
  }

  private claim(bytes: number): number {
    for (;;) {
      const before = Atomics.load(this.given, 0);
      if (before + bytes > PRIVATE_BYTES - TRAILER_BYTES) return -1;
      if (Atomics.compareExchange(this.given, 0, before, before + bytes) === before) return this.start + before;
    }
  }
}
