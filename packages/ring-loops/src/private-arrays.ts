import { type ArrayMaker, type HostMemory, PLAIN_ARRAYS, PRIVATE_AREA } from '@ringwire/guest-memory';

type Numbers = Uint8Array | Uint16Array | Uint32Array | Int32Array;

/** What a thread takes at a time, to cut it up. */
const CHUNK_BYTES = 0x1_0000;
const LEAST_SHIFT = 6;
const makers = new WeakMap<HostMemory, PrivateArrays>();

/**
 * Makes typed arrays in a memory's private area, for what a driver or a device keeps to itself and WebAssembly is to work
 * on. JavaScript's own where the memory has no such area.
 */
export function privateArrays(memory: HostMemory): ArrayMaker {
  const buffer = memory.wasm?.buffer;
  if (buffer === undefined || buffer.byteLength === memory.size) return PLAIN_ARRAYS;
  let maker = makers.get(memory);
  if (maker === undefined) {
    maker = new PrivateArrays(buffer as SharedArrayBuffer);
    makers.set(memory, maker);
  }
  return maker;
}

/** Take an array out of the private area, whose room others have from now on. @returns it elsewhere */
export function withdraw<T extends Numbers>(memory: HostMemory, array: T): T {
  if (!makers.get(memory)?.holds(array)) return array;
  const copy = array.slice() as T;
  makers.get(memory)?.release(array);
  return copy;
}

/**
 * The private area of a memory, as one thread has it: each takes chunks for itself, so that they meet at one word only. Room
 * comes back when an array is released, or garbage; where there is no more, arrays are JavaScript's own.
 */
class PrivateArrays implements ArrayMaker {
  private readonly buffer: SharedArrayBuffer;
  private readonly start: number;
  private readonly given: Int32Array;
  /** Free pieces by the logarithm of their size. */
  private readonly pieces: number[][] = Array.from({ length: 32 }, () => []);
  private chunkAt = 0;
  private chunkEnd = 0;
  private readonly garbage = new FinalizationRegistry<readonly [at: number, shift: number]>(([at, shift]) =>
    this.pieces[shift]!.push(at),
  );

  constructor(buffer: SharedArrayBuffer) {
    const { BYTES, TRAILER_BYTES, GIVEN_AT } = PRIVATE_AREA;
    this.buffer = buffer;
    this.start = buffer.byteLength - BYTES;
    this.given = new Int32Array(buffer, buffer.byteLength - TRAILER_BYTES + GIVEN_AT, 1);
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

  release(array: Numbers): void {
    if (this.holds(array) && this.garbage.unregister(array))
      this.pieces[shiftOf(array.byteLength)]!.push(array.byteOffset);
  }

  private make<T extends Numbers>(
    Kind: { new (length: number): T; new (buffer: SharedArrayBuffer, at: number, length: number): T },
    length: number,
    width: number,
  ): T {
    const shift = shiftOf(length * width);
    const at = this.pieces[shift]!.pop() ?? this.cut(2 ** shift);
    if (at < 0) return new Kind(length);
    const array = new Kind(this.buffer, at, length);
    array.fill(0);
    this.garbage.register(array, [at, shift], array);
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
      if (before + bytes > PRIVATE_AREA.BYTES - PRIVATE_AREA.TRAILER_BYTES) return -1;
      if (Atomics.compareExchange(this.given, 0, before, before + bytes) === before) return this.start + before;
    }
  }
}

/** Pieces are powers of two. */
const shiftOf = (bytes: number): number => Math.max(LEAST_SHIFT, 32 - Math.clz32(bytes - 1));
