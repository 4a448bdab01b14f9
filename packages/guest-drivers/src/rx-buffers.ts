import type { RangeList } from '@ringwire/guest-memory';
import { privateArrays } from '@ringwire/ring-loops';
import { BufferList, NO_ROOM } from '@ringwire/virtqueue';
import type { DmaArena } from './dma-arena.js';
import type { LiveQueue } from './live-queue.js';
import { LARGEST_FRAME } from './rx-header.js';

const PAGE = 4096;
const ETHERNET = 14;
const VLAN_TAG = 4;
/** The largest frame without segmentation and without MTU (virtio 1.4 §5.1.9.3). */
const PLAIN_FRAME = 1514;
const CACHE_LINE = 64;

/** What kind of buffers a receive queue is filled with, by what was negotiated. @see virtio 1.4 §5.1.9.3.1 */
export type RxKind = 'mergeable' | 'big' | 'small';

/** How large each buffer is to be: a frame goes over several mergeable ones, and into one of the other kinds. */
export function rxBufferBytes(kind: RxKind, hdrBytes: number, mtu: number, mergeableBytes: number): number {
  if (kind === 'mergeable') return mergeableBytes;
  if (kind === 'big') return hdrBytes + LARGEST_FRAME;
  return hdrBytes + Math.max(PLAIN_FRAME, mtu + ETHERNET) + VLAN_TAG;
}

/**
 * The buffers of one receive queue, made once and posted again and again. A buffer's slot is its number here; its
 * elements are whole pages, but for small ones, which share pages.
 */
export class RxBuffers {
  readonly count: number;
  /** Bytes of each buffer. */
  readonly bytes: number;
  private readonly live: LiveQueue;
  private readonly elements: number;
  private readonly elementBytes: number;
  // Per slot and element.
  private readonly address: Float64Array;
  private readonly host: Uint32Array;
  // Slots to be posted.
  private readonly waiting: Uint16Array;
  private waitingCount = 0;
  private readonly list: BufferList;

  /** @param bytesMax most memory to be spent; there is one buffer at least */
  constructor(live: LiveQueue, arena: DmaArena, bytes: number, bytesMax: number) {
    const { size } = live.queue;
    this.live = live;
    // Without tables a buffer of many elements would leave room for few buffers: then its elements are longer.
    const most = live.isIndirect ? live.entries : Math.max(1, size >> 2);
    const elements = Math.min(Math.ceil(bytes / PAGE), most);
    this.elementBytes = elements === 1 ? bytes : Math.ceil(bytes / elements / PAGE) * PAGE;
    this.elements = Math.ceil(bytes / this.elementBytes);
    this.bytes = this.elements * this.elementBytes;
    const room = live.isIndirect ? size : Math.max(1, Math.floor(size / this.elements));
    this.count = Math.max(1, Math.min(room, Math.floor(bytesMax / this.bytes)));
    this.address = new Float64Array(this.count * this.elements);
    this.host = new Uint32Array(this.count * this.elements);
    this.allocate(arena);
    this.waiting = new Uint16Array(this.count);
    this.list = new BufferList(
      Math.max(this.elements, Math.min(size, this.count)),
      privateArrays(arena.dma.space.memory),
    );
    for (let slot = 0; slot < this.count; slot++) this.recycle(slot);
  }

  /** Host offset of a slot's first byte. */
  hostOf(slot: number): number {
    return this.host[slot * this.elements]!;
  }

  /** Append the host ranges of bytes `from` to `end` of a slot. */
  append(slot: number, from: number, end: number, ranges: RangeList): void {
    let start = 0;
    for (let i = slot * this.elements; start < end; i++) {
      const first = Math.max(from - start, 0);
      const last = Math.min(end - start, this.elementBytes);
      if (first < last) ranges.push(this.host[i]! + first, last - first);
      start += this.elementBytes;
    }
  }

  /** The buffer's bytes are not wanted any more: it is posted with the next {@link post}. */
  recycle(slot: number): void {
    this.waiting[this.waitingCount++] = slot;
  }

  /** Put all recycled buffers into the ring; the caller publishes. */
  post(): void {
    if (this.waitingCount === 0) return;
    if (this.elements === 1) this.postBurst();
    else this.postLists();
  }

  private postBurst(): void {
    const { list, waiting } = this;
    list.clear();
    const count = Math.min(this.waitingCount, this.live.queue.free);
    for (let i = 0; i < count; i++) list.addWritable(this.address[waiting[i]!]!, this.bytes, waiting[i]!);
    if (count === 0) return;
    const added = this.live.queue.addBurst(list);
    waiting.copyWithin(0, added, this.waitingCount);
    this.waitingCount -= added;
  }

  private postLists(): void {
    const { list, waiting } = this;
    while (this.waitingCount > 0) {
      const slot = waiting[this.waitingCount - 1]!;
      list.clear();
      for (let i = slot * this.elements; i < (slot + 1) * this.elements; i++)
        list.addWritable(this.address[i]!, this.elementBytes);
      if (this.live.queue.add(list, undefined, slot) === NO_ROOM) return;
      this.waitingCount--;
    }
  }

  private allocate(arena: DmaArena): void {
    const pitch = Math.ceil(this.elementBytes / CACHE_LINE) * CACHE_LINE;
    const perBlock = this.elements === 1 ? Math.max(1, Math.floor(PAGE / pitch)) : 1;
    for (let i = 0; i < this.address.length; i += perBlock) {
      const block = arena.allocate(pitch * perBlock);
      for (let j = 0; j < perBlock && i + j < this.address.length; j++) {
        this.address[i + j] = block + j * pitch;
        this.host[i + j] = arena.hostOf(block + j * pitch, this.elementBytes);
      }
    }
  }
}
