import type { HostMemory, RangeList } from '@ringwire/guest-memory';
import { VirtioError } from '@ringwire/virtio-spec';
import { type DmaMemory, hostOffset } from './dma-memory.js';

/** Bytes in front of a frame's first byte: room for any struct virtio_net_hdr, and a cache line. */
export const HEADROOM = 64;
/** `next` of a frame's last buffer. */
export const LAST = -1;

const PAGE = 4096;
const BLOCK = 64 * PAGE;

export interface FramePoolOptions {
  readonly buffers: number;
  /** Bytes of each buffer without headroom; 2176 when left out, which is no power of two: those share few cache sets. */
  readonly dataBytes?: number;
}

/**
 * Buffers of one size for a poll-mode driver, known by number. A frame lies in one buffer, or in several that `next`
 * links; whoever holds the number of its first one owns it. Everything that is said of a frame stands in arrays here,
 * so that no packet costs an object.
 */
export class FramePool {
  readonly memory: HostMemory;
  readonly dataBytes: number;
  /** Device's address of each buffer's headroom, as two words. */
  readonly addressLo: Uint32Array;
  readonly addressHi: Uint32Array;
  /** Host offset of each buffer's data: behind the headroom, unless the driver received it elsewhere. */
  readonly data: Uint32Array;
  /** Bytes of data in each buffer. */
  readonly length: Uint32Array;
  readonly next: Int32Array;
  // Offload fields of a frame, in its first buffer; those of NetOffload that the poll-mode driver knows.
  readonly flags: Uint8Array;
  readonly gsoType: Uint8Array;
  readonly hdrLen: Uint16Array;
  readonly gsoSize: Uint16Array;
  readonly csumStart: Uint16Array;
  readonly csumOffset: Uint16Array;
  readonly hashValue: Uint32Array;
  readonly hashReport: Uint8Array;
  /** Buffers that nobody has. */
  free: number;
  /** Where each buffer's data begins as long as nothing else was received there. */
  readonly start: Uint32Array;
  private readonly stack: Uint32Array;
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
    this.addressLo = new Uint32Array(buffers);
    this.addressHi = new Uint32Array(buffers);
    this.data = new Uint32Array(buffers);
    this.start = new Uint32Array(buffers);
    this.length = new Uint32Array(buffers);
    this.next = new Int32Array(buffers).fill(LAST);
    this.flags = new Uint8Array(buffers);
    this.gsoType = new Uint8Array(buffers);
    this.hdrLen = new Uint16Array(buffers);
    this.gsoSize = new Uint16Array(buffers);
    this.csumStart = new Uint16Array(buffers);
    this.csumOffset = new Uint16Array(buffers);
    this.hashValue = new Uint32Array(buffers);
    this.hashReport = new Uint8Array(buffers);
    this.stack = Uint32Array.from({ length: buffers }, (_, i) => buffers - 1 - i);
    this.free = buffers;
    this.place(buffers);
  }

  /** @returns a buffer without data, or -1 when there is none */
  take(): number {
    if (this.free === 0) return -1;
    const buffer = this.stack[--this.free]!;
    this.next[buffer] = LAST;
    this.data[buffer] = this.start[buffer]!;
    this.length[buffer] = 0;
    this.flags[buffer] = 0;
    this.gsoType[buffer] = 0;
    return buffer;
  }

  /** Give a frame back: its first buffer, and those behind it. */
  put(first: number): void {
    for (let buffer = first; buffer !== LAST; buffer = this.next[buffer]!) this.stack[this.free++] = buffer;
  }

  /** Bytes between a buffer's first one and its data. */
  offsetOf(buffer: number): number {
    return this.data[buffer]! - this.start[buffer]! + HEADROOM;
  }

  /** Bytes of a whole frame. */
  frameBytes(first: number): number {
    let bytes = 0;
    for (let buffer = first; buffer !== LAST; buffer = this.next[buffer]!) bytes += this.length[buffer]!;
    return bytes;
  }

  /** Make a frame of these bytes. @returns its first buffer, or -1 when there are too few */
  fill(bytes: Uint8Array): number {
    const needed = Math.max(1, Math.ceil(bytes.length / this.dataBytes));
    if (needed > this.free) return -1;
    const first = this.take();
    for (let buffer = first, at = 0; ; ) {
      const part = bytes.subarray(at, at + this.dataBytes);
      this.memory.u8.set(part, this.data[buffer]!);
      this.length[buffer] = part.length;
      at += part.length;
      if (at >= bytes.length) return first;
      buffer = this.next[buffer] = this.take();
    }
  }

  /** A copy of a frame's bytes. */
  read(first: number): Uint8Array<ArrayBuffer> {
    const copy = new Uint8Array(this.frameBytes(first));
    let at = 0;
    for (let buffer = first; buffer !== LAST; buffer = this.next[buffer]!) {
      const start = this.data[buffer]!;
      copy.set(this.memory.u8.subarray(start, start + this.length[buffer]!), at);
      at += this.length[buffer]!;
    }
    return copy;
  }

  /** Append a frame's host ranges. */
  ranges(first: number, list: RangeList): void {
    for (let buffer = first; buffer !== LAST; buffer = this.next[buffer]!)
      list.push(this.data[buffer]!, this.length[buffer]!);
  }

  /** Free the memory: no device may reach it any more. */
  close(): void {
    for (const block of this.blocks.splice(0)) this.dma.free(block);
    this.free = 0;
  }

  private place(buffers: number): void {
    const pitch = HEADROOM + this.dataBytes;
    const perBlock = Math.floor(BLOCK / pitch);
    for (let buffer = 0; buffer < buffers; buffer++) {
      const within = buffer % perBlock;
      if (within === 0) this.blocks.push(this.dma.allocate(Math.min(perBlock, buffers - buffer) * pitch));
      const address = this.blocks.at(-1)! + within * pitch;
      this.addressLo[buffer] = address >>> 0;
      this.addressHi[buffer] = Math.floor(address / 2 ** 32);
      this.start[buffer] = hostOffset(this.dma, address, pitch) + HEADROOM;
      this.data[buffer] = this.start[buffer]!;
    }
  }
}

/** Frames that go to or come from a queue together: caller-owned, reused. */
export class FrameBurst {
  readonly capacity: number;
  count = 0;
  /** Each frame's first buffer in the pool. */
  readonly frame: Uint32Array;
  /** Bytes of each frame. */
  readonly length: Uint32Array;

  constructor(capacity: number) {
    this.capacity = capacity;
    this.frame = new Uint32Array(capacity);
    this.length = new Uint32Array(capacity);
  }

  clear(): void {
    this.count = 0;
  }

  push(frame: number, length: number): void {
    this.frame[this.count] = frame;
    this.length[this.count++] = length;
  }
}
