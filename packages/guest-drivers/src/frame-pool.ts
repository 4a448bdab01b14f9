import { type ArrayMaker, type HostMemory, homeOf, PLAIN_ARRAYS, type RangeList } from '@ringwire/guest-memory';
import { privateArrays } from '@ringwire/ring-loops';
import { VirtioError } from '@ringwire/virtio-spec';
import { type DmaMemory, hostOffset } from './dma-memory.js';
import { type FrameLoops, frameLoops } from './frame-loops.js';

/** Bytes in front of a frame's first byte: room for any struct virtio_net_hdr, and a cache line. */
const HEADROOM = 64;
/** In place of the buffer behind a frame's last one. */
export const LAST = -1;

/**
 * Words of {@link FramePool.words}, of which each buffer has 2^SHIFT. In a burst all that is said of a frame is looked at: in
 * one array, and one cache line mostly, that costs less than in parallel ones.
 */
export const FRAME = {
  SHIFT: 3,
  /** Host offset of the data's first byte. */
  DATA: 0,
  /** Bytes of data in this buffer. */
  LENGTH: 1,
  /** Not 0 when NEXT, OFFLOAD or DATA may be other than in the pool. */
  IS_SPECIAL: 2,
  /** Low word of the device's address of a byte, less the byte's host offset. A buffer lies within 4 GiB of addresses. */
  DELTA_LO: 3,
  /** High word of the device's address. */
  ADDRESS_HI: 4,
  /** The frame's next buffer, or {@link LAST}. */
  NEXT: 5,
  /** In a frame's first buffer: `flags`, and `gso_type` in bits 8–15, of struct virtio_net_hdr. */
  OFFLOAD: 6,
  /** Host offset behind the headroom: where data begins in the pool. */
  START: 7,
} as const;
// Plain module constants: a hot loop reads an object's member from memory.
const { SHIFT, DATA, LENGTH, IS_SPECIAL, DELTA_LO, ADDRESS_HI, NEXT, OFFLOAD, START } = FRAME;
const PAGE = 4096;
const BLOCK = 64 * PAGE;

/** How many buffers a {@link FramePool} has, and how long they are. */
export interface FramePoolOptions {
  readonly buffers: number;
  /** Bytes of each buffer without headroom; 2176 when left out, which is no power of two: those share few cache sets. */
  readonly dataBytes?: number;
}

/**
 * Buffers of one size for a poll-mode driver, known by number. A frame lies in one buffer, or in several that are linked;
 * whoever holds the number of its first one owns it. Everything that is said of a frame stands in arrays here, so that no
 * packet costs an object. In the pool a buffer is unlinked, and its data begins behind the headroom and asks for no offload.
 */
export class FramePool {
  readonly memory: HostMemory;
  readonly dataBytes: number;
  /** Buffers in all. */
  readonly buffers: number;
  /** What is said of each buffer: see `FRAME`. The methods below do the same for one word at a time. */
  readonly words: Int32Array;
  // The other offload fields of a frame, in its first buffer; those of NetOffload that the poll-mode driver knows.
  readonly hdrLen: Uint16Array;
  readonly gsoSize: Uint16Array;
  readonly csumStart: Uint16Array;
  readonly csumOffset: Uint16Array;
  readonly hashValue: Uint32Array;
  readonly hashReport: Uint8Array;
  /** Buffers that nobody has. */
  free: number;
  /** Whose memory {@link words} lie in; undefined: they are JavaScript's own. */
  readonly home: ArrayMaker | undefined;
  private readonly loops: FrameLoops | undefined;
  private readonly stack: Int32Array;
  private readonly blocks: number[] = [];
  private readonly dma: DmaMemory;

  /** @throws VirtioError for a size that is none, or when the memory has no room */
  constructor(dma: DmaMemory, { buffers, dataBytes = 2176 }: FramePoolOptions) {
    if (!Number.isInteger(buffers) || buffers < 1) throw new VirtioError('buffers', buffers, '1 or more', 'FramePool');
    if (!Number.isInteger(dataBytes) || dataBytes < 64 || dataBytes % 64 !== 0 || dataBytes > BLOCK - HEADROOM)
      throw new VirtioError('dataBytes', dataBytes, `a multiple of 64 up to ${BLOCK - HEADROOM}`, 'FramePool');
    this.dma = dma;
    this.memory = dma.space.memory;
    this.dataBytes = dataBytes;
    this.buffers = buffers;
    const arrays = privateArrays(this.memory);
    this.words = arrays.i32(buffers << SHIFT);
    this.hdrLen = new Uint16Array(buffers);
    this.gsoSize = new Uint16Array(buffers);
    this.csumStart = new Uint16Array(buffers);
    this.csumOffset = new Uint16Array(buffers);
    this.hashValue = new Uint32Array(buffers);
    this.hashReport = new Uint8Array(buffers);
    this.stack = arrays.i32(buffers);
    for (let i = 0; i < buffers; i++) this.stack[i] = buffers - 1 - i;
    this.home = homeOf(arrays, this.words, this.stack);
    this.loops = this.home === undefined ? undefined : frameLoops.on(this.memory.wasm!);
    this.free = buffers;
    this.place(buffers);
  }

  /** @returns a buffer without data, or -1 when there is none */
  take(): number {
    if (this.free === 0) return -1;
    const buffer = this.stack[--this.free]!;
    this.words[(buffer << SHIFT) + LENGTH] = 0;
    return buffer;
  }

  /** Append buffers without data to a burst, as many as there are and as fit. @returns how many */
  takeBurst(frames: FrameBurst, most: number): number {
    const { words, stack, loops } = this;
    const { frame, length } = frames;
    const count = Math.min(most, this.free, frames.capacity - frames.count);
    if (loops !== undefined && frames.home === this.home) {
      const behind = frames.count << 2;
      loops.take(
        stack.byteOffset,
        this.free,
        count,
        words.byteOffset,
        frame.byteOffset + behind,
        length.byteOffset + behind,
      );
      frames.count += count;
      this.free -= count;
      return count;
    }
    let at = frames.count;
    let top = this.free;
    for (const end = at + count; at < end; at = (at + 1) | 0) {
      top = (top - 1) | 0;
      const buffer = stack[top]!;
      words[(buffer << SHIFT) + LENGTH] = 0;
      frame[at] = buffer;
      length[at] = 0;
    }
    frames.count = at;
    this.free = top;
    return count;
  }

  /** Give a frame back: its first buffer, and those behind it. */
  put(first: number): void {
    const { words } = this;
    for (let buffer = first; buffer !== LAST; ) {
      const at = buffer << SHIFT;
      const next = words[at + NEXT]!;
      if (words[at + IS_SPECIAL] !== 0) {
        words[at + IS_SPECIAL] = 0;
        words[at + DATA] = words[at + START]!;
        words[at + NEXT] = LAST;
        words[at + OFFLOAD] = 0;
      }
      this.stack[this.free++] = buffer;
      buffer = next;
    }
  }

  /**
   * Give back the first `count` frames of a list.
   * @param home whose memory the list lies in, if it does
   */
  putBurst(frames: Int32Array, count: number, home?: ArrayMaker): void {
    const { words, stack, loops, buffers } = this;
    let done = 0;
    if (loops !== undefined && home === this.home) {
      const most = Math.min(count, buffers - this.free);
      done = loops.put(stack.byteOffset, this.free, frames.byteOffset, most, words.byteOffset, buffers);
      this.free += done;
    }
    let top = this.free;
    for (let i = done; i < count; i = (i + 1) | 0) {
      const buffer = frames[i]!;
      if (words[((buffer << SHIFT) + IS_SPECIAL) | 0] === 0) {
        stack[top] = buffer;
        top = (top + 1) | 0;
      } else {
        this.free = top;
        this.put(buffer);
        top = this.free;
      }
    }
    this.free = top;
  }

  /** Host offset of a buffer's data. */
  dataOf(buffer: number): number {
    return this.words[(buffer << SHIFT) + DATA]! >>> 0;
  }

  /** Let a buffer's data begin elsewhere in it. @param at host offset */
  setData(buffer: number, at: number): void {
    this.mark(buffer);
    this.words[(buffer << SHIFT) + DATA] = at;
  }

  /** Bytes of data in a buffer. */
  lengthOf(buffer: number): number {
    return this.words[(buffer << SHIFT) + LENGTH]! >>> 0;
  }

  setLength(buffer: number, bytes: number): void {
    this.words[(buffer << SHIFT) + LENGTH] = bytes;
  }

  /** The frame's next buffer, or {@link LAST}. */
  nextOf(buffer: number): number {
    return this.words[(buffer << SHIFT) + NEXT]!;
  }

  setNext(buffer: number, next: number): void {
    this.mark(buffer);
    this.words[(buffer << SHIFT) + NEXT] = next;
  }

  /** `flags` of a frame's header. */
  flagsOf(first: number): number {
    return this.words[(first << SHIFT) + OFFLOAD]! & 0xff;
  }

  /** `gso_type` of a frame's header. */
  gsoTypeOf(first: number): number {
    return this.words[(first << SHIFT) + OFFLOAD]! >>> 8;
  }

  /** What is to be done to a frame, or was found of it; its details stand in `hdrLen` and the other arrays. */
  setOffload(first: number, flags: number, gsoType: number): void {
    this.mark(first);
    this.words[(first << SHIFT) + OFFLOAD] = flags | (gsoType << 8);
  }

  /** Device's address of a buffer's data, whole. */
  addressOf(buffer: number): number {
    const { words } = this;
    const at = buffer << SHIFT;
    const low = (words[at + DATA]! + words[at + DELTA_LO]!) >>> 0;
    return words[at + ADDRESS_HI]! * 2 ** 32 + low;
  }

  /** Bytes of a whole frame. */
  frameBytes(first: number): number {
    let bytes = 0;
    for (let buffer = first; buffer !== LAST; buffer = this.nextOf(buffer)) bytes += this.lengthOf(buffer);
    return bytes;
  }

  /** Make a frame of these bytes. @returns its first buffer, or -1 when there are too few */
  fill(bytes: Uint8Array): number {
    const needed = Math.max(1, Math.ceil(bytes.length / this.dataBytes));
    if (needed > this.free) return -1;
    const first = this.take();
    for (let buffer = first, at = 0; ; ) {
      const part = bytes.subarray(at, at + this.dataBytes);
      this.memory.u8.set(part, this.dataOf(buffer));
      this.setLength(buffer, part.length);
      at += part.length;
      if (at >= bytes.length) return first;
      const next = this.take();
      this.setNext(buffer, next);
      buffer = next;
    }
  }

  /** A copy of a frame's bytes. */
  read(first: number): Uint8Array<ArrayBuffer> {
    const copy = new Uint8Array(this.frameBytes(first));
    let at = 0;
    for (let buffer = first; buffer !== LAST; buffer = this.nextOf(buffer)) {
      const start = this.dataOf(buffer);
      copy.set(this.memory.u8.subarray(start, start + this.lengthOf(buffer)), at);
      at += this.lengthOf(buffer);
    }
    return copy;
  }

  /** Append a frame's host ranges. */
  ranges(first: number, list: RangeList): void {
    for (let buffer = first; buffer !== LAST; buffer = this.nextOf(buffer))
      list.push(this.dataOf(buffer), this.lengthOf(buffer));
  }

  /** Free the memory: no device may reach it any more. */
  close(): void {
    for (const block of this.blocks.splice(0)) this.dma.free(block);
    this.free = 0;
  }

  private mark(buffer: number): void {
    this.words[(buffer << SHIFT) + IS_SPECIAL] = 1;
  }

  private place(buffers: number): void {
    const { words } = this;
    const pitch = HEADROOM + this.dataBytes;
    const perBlock = Math.floor(BLOCK / pitch);
    for (let buffer = 0, within = perBlock, block = 0; buffer < buffers; within++) {
      if (within >= perBlock) {
        block = this.dma.allocate(Math.min(perBlock, buffers - buffer) * pitch);
        this.blocks.push(block);
        within = 0;
      }
      const address = block + within * pitch;
      const high = Math.floor(address / 2 ** 32);
      // One that both words of an address change in stays out of use.
      if (Math.floor((address + pitch - 1) / 2 ** 32) !== high) continue;
      const start = hostOffset(this.dma, address, pitch) + HEADROOM;
      const at = buffer << SHIFT;
      words[at + DATA] = start;
      words[at + NEXT] = LAST;
      words[at + DELTA_LO] = (address + HEADROOM - start) | 0;
      words[at + ADDRESS_HI] = high;
      words[at + START] = start;
      buffer++;
    }
  }
}

/** Frames that go to or come from a queue together: caller-owned, reused. */
export class FrameBurst {
  readonly capacity: number;
  count = 0;
  /** Each frame's first buffer in the pool. */
  readonly frame: Int32Array;
  /** Bytes of each frame. */
  readonly length: Uint32Array;

  /** Whose memory the arrays lie in; undefined: they are JavaScript's own. */
  readonly home: ArrayMaker | undefined;

  /** @param arrays of the pool's memory, where bursts are handled fastest */
  constructor(capacity: number, arrays: ArrayMaker = PLAIN_ARRAYS) {
    this.capacity = capacity;
    this.frame = arrays.i32(capacity);
    this.length = arrays.u32(capacity);
    this.home = homeOf(arrays, this.frame, this.length);
  }

  clear(): void {
    this.count = 0;
  }

  push(frame: number, length: number): void {
    this.frame[this.count] = frame;
    this.length[this.count++] = length;
  }
}
