import { type ArrayMaker, type HostMemory, PLAIN_ARRAYS, PRIVATE_AREA } from '@ringwire/guest-memory';

type Numbers = Uint8Array | Uint16Array | Uint32Array | Int32Array;

const { BYTES, TRAILER_BYTES, OWNERS_AT, CHUNKS_AT, CHUNK_BYTES } = PRIVATE_AREA;
/** The last chunk has the trailer in it. */
const CHUNKS = BYTES / CHUNK_BYTES - 1;
const LEAST_SHIFT = 6;
/** Whose chunks are that a thread without a number took: nobody can take them back. */
const ANY_OWNER = 1;
const makers = new WeakMap<HostMemory, PrivateArrays>();
const owners = new WeakMap<HostMemory, number>();

/**
 * Makes typed arrays in a memory's private area, for what a driver or a device keeps to itself and WebAssembly is to work
 * on. JavaScript's own where the memory has no such area.
 */
export function privateArrays(memory: HostMemory): ArrayMaker {
  const buffer = memory.wasm?.buffer;
  if (buffer === undefined || buffer.byteLength === memory.size) return PLAIN_ARRAYS;
  let maker = makers.get(memory);
  if (maker === undefined) {
    maker = new PrivateArrays(buffer as SharedArrayBuffer, owners.get(memory) ?? ANY_OWNER);
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
 * A number for a thread that may be ended from outside: it says {@link ownPrivateArrays} first, and whoever ended it
 * {@link freePrivateArrays}. @returns 0 where the memory has no such area
 */
export function newPrivateOwner(memory: HostMemory): number {
  const words = trailerOf(memory);
  return words === undefined ? 0 : ANY_OWNER + 1 + (Atomics.add(words, OWNERS_AT >> 2, 1) & 0x3fff_ffff);
}

/** What this thread takes of the private area of its view of a memory is in its name. To be said before it takes any. */
export function ownPrivateArrays(memory: HostMemory, owner: number): void {
  if (owner !== 0) owners.set(memory, owner);
}

/** A thread was ended, and does not run any more: what it had of the private area is for others. */
export function freePrivateArrays(memory: HostMemory, owner: number): void {
  const words = trailerOf(memory);
  if (words === undefined || owner <= ANY_OWNER) return;
  for (let chunk = 0; chunk < CHUNKS; chunk++) Atomics.compareExchange(words, (CHUNKS_AT >> 2) + chunk, owner, 0);
}

function trailerOf({ wasm, size }: HostMemory): Int32Array | undefined {
  const buffer = wasm?.buffer;
  if (buffer === undefined || buffer.byteLength === size) return undefined;
  return new Int32Array(buffer, buffer.byteLength - TRAILER_BYTES, TRAILER_BYTES >> 2);
}

/**
 * The private area of a memory, as one thread has it: each takes chunks for itself, and says so in a word of its own. Room
 * comes back when an array is released, or garbage; where there is no more, arrays are JavaScript's own.
 */
class PrivateArrays implements ArrayMaker {
  private readonly buffer: SharedArrayBuffer;
  private readonly start: number;
  /** Whose each chunk is. */
  private readonly chunks: Int32Array;
  private readonly owner: number;
  /** Free pieces by the logarithm of their size. */
  private readonly pieces: number[][] = Array.from({ length: 32 }, () => []);
  private chunkAt = 0;
  private chunkEnd = 0;
  private readonly garbage = new FinalizationRegistry<readonly [at: number, shift: number]>(([at, shift]) =>
    this.pieces[shift]!.push(at),
  );

  constructor(buffer: SharedArrayBuffer, owner: number) {
    this.buffer = buffer;
    this.owner = owner;
    this.start = buffer.byteLength - BYTES;
    this.chunks = new Int32Array(buffer, buffer.byteLength - TRAILER_BYTES + CHUNKS_AT, CHUNKS);
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

  /** Take as many chunks as it needs, one behind the other. @returns where they begin, or -1 */
  private claim(bytes: number): number {
    const wanted = Math.ceil(bytes / CHUNK_BYTES);
    for (let first = 0; first + wanted <= CHUNKS; first++) {
      let taken = 0;
      while (taken < wanted && Atomics.compareExchange(this.chunks, first + taken, 0, this.owner) === 0) taken++;
      if (taken === wanted) return this.start + first * CHUNK_BYTES;
      for (let chunk = first; chunk < first + taken; chunk++) Atomics.store(this.chunks, chunk, 0);
      // The one behind is another's.
      first += taken;
    }
    return -1;
  }
}

/** Pieces are powers of two. */
const shiftOf = (bytes: number): number => Math.max(LEAST_SHIFT, 32 - Math.clz32(bytes - 1));
