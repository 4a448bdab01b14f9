import { ACCESS, type HostMemory } from '@ringwire/guest-memory';
import { privateArrays } from '@ringwire/ring-loops';
import { VirtioError } from '@ringwire/virtio-spec';
import { BufferList, type DriverQueue, NO_ROOM, UsedBurst } from '@ringwire/virtqueue';
import type { DmaArena } from './dma-arena.js';
import { FramePieces, PIECES_MAX } from './frame-pieces.js';
import type { LiveQueue } from './live-queue.js';
import type { NetCounters } from './net-counters.js';
import type { NetOffload } from './net-offload.js';
import type { OffloadRules } from './offload-rules.js';
import { PAGE_BYTES, PageStock } from './page-stock.js';
import { LARGEST_FRAME, LARGEST_HEADER } from './rx-header.js';
import { type FrameBytes, writePlainHeader, writeTxHeader } from './tx-header.js';

/** What became of a frame that was handed to a driver. */
export const SENT = {
  /** It is in the ring. */
  OK: 0,
  /** The ring or the memory for copies is full: try again when the driver says so. */
  FULL: 1,
  /** The device is not there: reset, suspended or given up. */
  DOWN: 2,
} as const;

const ETHERNET = 14;
const VLAN_TAG = 4;
const NO_PAGE = -1;
const BURST = 64;
/** `cookie` of a frame whose sender does not want to hear of it. */
export const NO_COOKIE = -1;

/** The elements of the longest chain: a header and the pieces. */
export const TX_ENTRIES: number = PIECES_MAX + 1;

/** One transmit queue of a kernel-style driver: headers, copies, and what is to be freed when the device is done. */
export class NetTxQueue implements FrameBytes {
  readonly live: LiveQueue;
  /** Frames wait for room: the driver wants to be told. */
  isStopped = false;
  /** There was room again before the device could be asked to tell. */
  hasRoom = false;
  /** When the device last used a buffer, or the ring was empty, in the caller's clock. */
  progressAt = 0;
  private readonly memory: HostMemory;
  private readonly arena: DmaArena;
  private readonly rules: OffloadRules;
  private readonly mtu: number;
  private readonly counters: NetCounters;
  private readonly sent: (cookie: number) => void;
  // Per slot: place for a header, pages to be freed, and what the sender calls the frame.
  private readonly headerAddress: number;
  private readonly headerHost: number;
  private readonly firstPage: Int32Array;
  private readonly cookies: Float64Array;
  private readonly freeSlots: Uint16Array;
  private freeCount: number;
  private readonly pages: PageStock;
  private readonly buffer: BufferList = new BufferList(TX_ENTRIES);
  private readonly used: UsedBurst;
  private readonly done: Uint16Array = new Uint16Array(BURST);
  private isReclaiming = false;
  // While frames of an old ring are given up: their ids must not meet those of a new one.
  private isDown = false;
  // What byteAt looks into.
  private current: FramePieces | Uint8Array = new FramePieces();

  /**
   * @param mtu   0 when it is not negotiated
   * @param pages for copies, at least 17, those of the largest frame
   * @param sent  is told each cookie when the device is done with the frame
   */
  constructor(
    live: LiveQueue,
    arena: DmaArena,
    rules: OffloadRules,
    mtu: number,
    pages: number,
    counters: NetCounters,
    sent: (cookie: number) => void,
  ) {
    const { size } = live.queue;
    this.live = live;
    this.arena = arena;
    this.memory = arena.dma.space.memory;
    this.used = new UsedBurst(BURST, privateArrays(this.memory));
    this.rules = rules;
    this.mtu = mtu;
    this.counters = counters;
    this.sent = sent;
    this.headerAddress = arena.allocate(size * LARGEST_HEADER);
    this.headerHost = arena.hostOf(this.headerAddress, size * LARGEST_HEADER);
    this.firstPage = new Int32Array(size);
    this.cookies = new Float64Array(size);
    this.freeSlots = Uint16Array.from({ length: size }, (_, slot) => slot);
    this.freeCount = size;
    this.pages = new PageStock(arena, pages);
    live.queue.disableNotifications();
  }

  /** Frames that are not given back yet, as far as was looked. */
  get sending(): number {
    return this.freeSlots.length - this.freeCount;
  }

  /**
   * Send a frame out of memory that is its sender's again when the cookie comes back.
   * @throws VirtioError for a frame or an offload that may not be sent
   */
  send(pieces: FramePieces, offload: NetOffload | undefined, cookie: number): number {
    if (this.isDown) return SENT.DOWN;
    this.current = pieces;
    this.checkLength(pieces.bytes, offload);
    if (pieces.count + 1 > this.live.entries)
      throw new VirtioError(
        'count',
        pieces.count,
        `at most ${this.live.entries - 1} pieces in this queue`,
        'NetTxQueue',
      );
    this.reclaimIfBusy();
    if (this.freeCount === 0) return this.stop();
    const slot = this.freeSlots[this.freeCount - 1]!;
    this.writeHeader(this.headerHost + slot * LARGEST_HEADER, pieces.bytes, offload);
    const { buffer } = this;
    buffer.clear().addReadable(this.headerAddress + slot * LARGEST_HEADER, this.rules.hdrBytes);
    for (let i = 0; i < pieces.count; i++) buffer.addReadable(pieces.address[i]!, pieces.length[i]!);
    return this.enqueue(slot, NO_PAGE, cookie, pieces.bytes);
  }

  /** Send a copy of a frame. @throws VirtioError for a frame or an offload that may not be sent */
  sendBytes(frame: Uint8Array, offload: NetOffload | undefined): number {
    if (this.isDown) return SENT.DOWN;
    this.current = frame;
    this.checkLength(frame.length, offload);
    this.reclaimIfBusy();
    const { hdrBytes } = this.rules;
    const count = Math.ceil((hdrBytes + frame.length) / PAGE_BYTES);
    if (count > this.live.entries)
      throw new VirtioError('length', frame.length, `at most ${this.live.entries} pages in this queue`, 'NetTxQueue');
    if (this.freeCount === 0 || count > this.pages.free) return this.stop();
    const slot = this.freeSlots[this.freeCount - 1]!;
    const { pages, buffer, memory } = this;
    const first = pages.take(count);
    try {
      this.writeHeader(pages.host[first]!, frame.length, offload);
    } catch (mistake) {
      pages.put(first);
      throw mistake;
    }
    buffer.clear();
    // The first page begins with the header.
    let room = PAGE_BYTES - hdrBytes;
    let at = 0;
    for (let page = first; page !== NO_PAGE; page = pages.next[page]!) {
      const bytes = Math.min(room, frame.length - at);
      memory.u8.set(
        at === 0 && bytes === frame.length ? frame : frame.subarray(at, at + bytes),
        pages.host[page]! + PAGE_BYTES - room,
      );
      buffer.addReadable(pages.address[page]!, bytes + PAGE_BYTES - room);
      at += bytes;
      room = PAGE_BYTES;
    }
    return this.enqueue(slot, first, NO_COOKIE, frame.length);
  }

  /** Free what the device is done with. @returns buffers */
  reclaim(): number {
    // A sender that is told of a frame may send the next one at once.
    if (this.isReclaiming) return 0;
    this.isReclaiming = true;
    const { used } = this;
    let done = 0;
    for (;;) {
      used.clear();
      if (this.live.queue.takeUsed(used, BURST) === 0) break;
      // What a device says that it wrote into a buffer to be read is nothing (virtqueue gives 0 for it).
      this.releaseAll();
      done += used.count;
    }
    this.isReclaiming = false;
    return done;
  }

  /** Go on after a stop. @returns whether there is room */
  resume(): boolean {
    if (this.reclaim() === 0 && !this.hasRoom) return false;
    this.isStopped = false;
    this.hasRoom = false;
    this.live.queue.disableNotifications();
    return true;
  }

  /**
   * After a reset: free what the device will not be done with any more.
   * @param queue that it was in
   */
  abandon(queue: DriverQueue = this.live.queue): void {
    const { used } = this;
    this.isDown = true;
    for (;;) {
      used.clear();
      if (queue.detachUnused(used) === 0) break;
      this.releaseAll();
      this.counters.txLost += used.count;
    }
    this.isDown = false;
    this.isStopped = false;
    this.hasRoom = false;
  }

  byteAt(offset: number): number {
    const frame = this.current;
    if (frame instanceof Uint8Array) return frame[offset] ?? 0;
    let at = offset;
    for (let i = 0; i < frame.count; i++) {
      const length = frame.length[i]!;
      if (at < length) {
        const host = this.arena.dma.space.resolve(frame.address[i]! + at, 1, ACCESS.READ);
        if (host < 0) throw new VirtioError('address', frame.address[i]! + at, 'memory within reach', 'NetTxQueue');
        return this.memory.u8[host]!;
      }
      at -= length;
    }
    return 0;
  }

  private checkLength(bytes: number, offload: NetOffload | undefined): void {
    if (bytes < ETHERNET || bytes > LARGEST_FRAME)
      throw new VirtioError('length', bytes, `${ETHERNET} to ${LARGEST_FRAME} bytes`, 'virtio 1.4 §5.1.9.3');
    const isSegmented = offload !== undefined && offload.gsoType !== 0;
    const most = this.mtu + ETHERNET;
    if (this.mtu === 0 || isSegmented || bytes <= most) return;
    const isTagged = this.byteAt(12) === 0x81 && this.byteAt(13) === 0;
    if (!isTagged || bytes > most + VLAN_TAG)
      throw new VirtioError('length', bytes, `at most ${most}, mtu and Ethernet header`, 'virtio 1.4 §5.1.4.2');
  }

  private writeHeader(host: number, bytes: number, offload: NetOffload | undefined): void {
    if (offload === undefined) writePlainHeader(this.memory, host, this.rules, bytes);
    else writeTxHeader(this.memory, host, this.rules, offload, bytes, this);
  }

  private enqueue(slot: number, firstPage: number, cookie: number, bytes: number): number {
    if (this.live.queue.add(this.buffer, undefined, slot) === NO_ROOM) {
      this.pages.put(firstPage);
      return this.stop();
    }
    this.freeCount--;
    this.firstPage[slot] = firstPage;
    this.cookies[slot] = cookie;
    this.live.publish();
    this.counters.txFrames++;
    this.counters.txBytes += bytes;
    return SENT.OK;
  }

  /** Used buffers are looked for when half of the ring is full: seldom, and before it is full. */
  private reclaimIfBusy(): void {
    const { queue } = this.live;
    if (queue.free * 2 <= queue.size) this.reclaim();
  }

  /** No room: be told when a good part of what is out is done, so that not each single buffer interrupts. */
  private stop(): number {
    this.counters.txFull++;
    this.isStopped = true;
    this.hasRoom = this.live.queue.enableNotifications((this.live.queue.outstanding * 3) >> 2);
    return SENT.FULL;
  }

  private releaseAll(): void {
    const { used, done } = this;
    // Before anybody is told: who sends the next frame then gets one of these slots for it.
    for (let i = 0; i < used.count; i++) done[i] = used.token[i]!;
    for (let i = 0; i < used.count; i++) this.release(done[i]!);
  }

  private release(slot: number): void {
    this.pages.put(this.firstPage[slot]!);
    const cookie = this.cookies[slot]!;
    this.freeSlots[this.freeCount++] = slot;
    if (cookie !== NO_COOKIE) this.sent(cookie);
  }
}
