import { ACCESS, type HostMemory } from '@ringwire/guest-memory';
import { TX_CMD } from '@ringwire/nic-spec/ixgbe';
import { VirtioError } from '@ringwire/virtio-spec';
import type { DmaArena } from '../dma-arena.js';
import { FramePieces, PIECES_MAX } from '../frame-pieces.js';
import type { NetOffload } from '../net-offload.js';
import { NO_COOKIE, SENT } from '../net-tx-queue.js';
import { PAGE_BYTES, PageStock } from '../page-stock.js';
import { LARGEST_FRAME } from '../rx-header.js';
import type { FrameBytes } from '../tx-header.js';
import type { IxgbeCounters } from './ixgbe-counters.js';
import { LEAST_FRAME, TxPlan } from './tx-plan.js';
import type { TxRing } from './tx-ring.js';

const { EOP, RS } = TX_CMD;
const ETHERNET = 14;
const VLAN_TAG = 4;
const NO_PAGE = -1;
const NO_TOKEN = -1;
const BURST = 64;
const WORD = 0x1_0000_0000;
/** Most bytes of one data descriptor. Less than the 16 bits of its length hold: the card's own buffers are smaller. */
const DESCRIPTOR_BYTES = 8192;

/** One transmit queue of a kernel-style driver: offloads, copies, and what is to be freed when the card is done. */
export class IxgbeTxQueue implements FrameBytes {
  readonly ring: TxRing;
  /** Frames wait for room: the driver wants to be told. */
  isStopped = false;
  /** When the card was last done with a frame, or the ring was empty, in the caller's clock. */
  progressAt = 0;
  /** Longest frame without segmentation: the MTU and an Ethernet header, in bytes. */
  private frameMax: number;
  private readonly memory: HostMemory;
  private readonly arena: DmaArena;
  private readonly counters: IxgbeCounters;
  private readonly sent: (cookie: number) => void;
  private readonly plan: TxPlan = new TxPlan();
  // Per frame that is out.
  private readonly firstPage: Int32Array;
  private readonly cookies: Float64Array;
  private readonly freeSlots: Uint16Array;
  private freeCount: number;
  private readonly pages: PageStock;
  // What a frame's data descriptors are to show: its pieces, and a copy of its headers before them.
  private readonly address: Float64Array = new Float64Array(PIECES_MAX + 1);
  private readonly length: Uint32Array = new Uint32Array(PIECES_MAX + 1);
  private count = 0;
  private readonly tokens: Int32Array = new Int32Array(BURST);
  private isReclaiming = false;
  // While frames of an old ring are given up.
  private isDown = false;
  // What byteAt looks into.
  private current: FramePieces | Uint8Array = new FramePieces();

  /**
   * @param mtu   bytes behind the Ethernet header
   * @param pages for copies, at least 18
   * @param sent  is told each cookie when the card is done with the frame
   */
  constructor(
    ring: TxRing,
    arena: DmaArena,
    mtu: number,
    pages: number,
    counters: IxgbeCounters,
    sent: (cookie: number) => void,
  ) {
    this.ring = ring;
    this.arena = arena;
    this.memory = arena.dma.space.memory;
    this.frameMax = mtu + ETHERNET;
    this.counters = counters;
    this.sent = sent;
    this.firstPage = new Int32Array(ring.size);
    this.cookies = new Float64Array(ring.size);
    this.freeSlots = Uint16Array.from({ length: ring.size }, (_, slot) => slot);
    this.freeCount = ring.size;
    this.pages = new PageStock(arena, pages);
  }

  /** Frames that are not given back yet, as far as was looked. */
  get sending(): number {
    return this.freeSlots.length - this.freeCount;
  }

  /**
   * Send a frame out of memory that is its sender's again when the cookie comes back. Headers of a frame to be segmented are
   * copied: the card wants other lengths in them.
   * @throws VirtioError for a frame or an offload that may not be sent
   */
  send(pieces: FramePieces, offload: NetOffload | undefined, cookie: number): number {
    if (this.isDown) return SENT.DOWN;
    this.current = pieces;
    this.check(pieces.bytes, offload);
    this.reclaimIfBusy();
    const { headers } = this.plan;
    if (headers !== 0 && this.pages.free === 0) return this.stop();
    const page = headers === 0 ? NO_PAGE : this.pages.take(1);
    this.count = 0;
    if (page !== NO_PAGE) this.copyHeaders(page, headers);
    let skip = headers;
    for (let i = 0; i < pieces.count; i++) {
      const length = pieces.length[i]!;
      if (skip < length) this.show(pieces.address[i]! + skip, length - skip);
      skip = Math.max(0, skip - length);
    }
    return this.enqueue(page, cookie, pieces.bytes);
  }

  /** Send a copy of a frame. @throws VirtioError for a frame or an offload that may not be sent */
  sendBytes(frame: Uint8Array, offload: NetOffload | undefined): number {
    if (this.isDown) return SENT.DOWN;
    this.current = frame;
    this.check(frame.length, offload);
    this.reclaimIfBusy();
    const count = Math.ceil(frame.length / PAGE_BYTES);
    if (count > this.pages.free) return this.stop();
    const { pages, memory } = this;
    const first = pages.take(count);
    this.count = 0;
    let at = 0;
    for (let page = first; page !== NO_PAGE; page = pages.next[page]!) {
      const bytes = Math.min(PAGE_BYTES, frame.length - at);
      memory.u8.set(frame.subarray(at, at + bytes), pages.host[page]!);
      this.show(pages.address[page]!, bytes);
      at += bytes;
    }
    if (this.plan.headers !== 0) this.plan.prepareHeaders(memory.view, pages.host[first]!);
    return this.enqueue(first, NO_COOKIE, frame.length);
  }

  /** @param mtu bytes behind the Ethernet header */
  setMtu(mtu: number): void {
    this.frameMax = mtu + ETHERNET;
  }

  /** Free what the card is done with. @returns frames */
  reclaim(): number {
    // A sender that is told of a frame may send the next one at once.
    if (this.isReclaiming) return 0;
    this.isReclaiming = true;
    let done = 0;
    for (let count = BURST; count === BURST; done += count) {
      count = this.ring.reclaim(this.tokens);
      this.releaseAll(count);
    }
    this.isReclaiming = false;
    return done;
  }

  /** Go on after a stop. @returns whether there is room */
  resume(): boolean {
    if (this.reclaim() === 0) return false;
    this.isStopped = false;
    return true;
  }

  /** The card let go of the ring: free what it will not be done with any more. */
  abandon(): void {
    this.isDown = true;
    for (let count = BURST; count === BURST; ) {
      count = this.ring.takeBack(this.tokens);
      this.releaseAll(count);
      this.counters.txLost += count;
    }
    this.isStopped = false;
  }

  byteAt(offset: number): number {
    const frame = this.current;
    if (frame instanceof Uint8Array) return frame[offset] ?? 0;
    let at = offset;
    for (let i = 0; i < frame.count; i++) {
      const length = frame.length[i]!;
      if (at < length) {
        const host = this.arena.dma.space.resolve(frame.address[i]! + at, 1, ACCESS.READ);
        if (host < 0) throw new VirtioError('address', frame.address[i]! + at, 'memory within reach', 'IxgbeTxQueue');
        return this.memory.u8[host]!;
      }
      at -= length;
    }
    return 0;
  }

  private check(bytes: number, offload: NetOffload | undefined): void {
    if (bytes < LEAST_FRAME || bytes > LARGEST_FRAME)
      throw new VirtioError('length', bytes, `${LEAST_FRAME} to ${LARGEST_FRAME} bytes`, '82599 datasheet §7.2.3.2.4');
    this.plan.make(this, bytes, offload);
    if (this.plan.headers !== 0 || bytes <= this.frameMax) return;
    const isTagged = this.byteAt(12) === 0x81 && this.byteAt(13) === 0;
    if (!isTagged || bytes > this.frameMax + VLAN_TAG)
      throw new VirtioError('length', bytes, `at most ${this.frameMax}, MTU and Ethernet header`, 'IxgbeTxQueue');
  }

  private copyHeaders(page: number, bytes: number): void {
    const { memory } = this;
    const host = this.pages.host[page]!;
    for (let i = 0; i < bytes; i++) memory.u8[host + i] = this.byteAt(i);
    this.plan.prepareHeaders(memory.view, host);
    this.show(this.pages.address[page]!, bytes);
  }

  private show(address: number, bytes: number): void {
    this.address[this.count] = address;
    this.length[this.count++] = bytes;
  }

  /** @param bytes of the frame */
  private enqueue(firstPage: number, cookie: number, bytes: number): number {
    const { ring, plan } = this;
    const { vlanMacip, tucmd, mss } = plan;
    const needsContext = ring.needsContext(vlanMacip, tucmd, mss);
    let needed = needsContext ? 1 : 0;
    for (let i = 0; i < this.count; i++) needed += Math.ceil(this.length[i]! / DESCRIPTOR_BYTES);
    if (needed > ring.room || this.freeCount === 0) {
      this.pages.put(firstPage);
      return this.stop();
    }
    const slot = this.freeSlots[--this.freeCount]!;
    this.firstPage[slot] = firstPage;
    this.cookies[slot] = cookie;
    if (needsContext) ring.putContext(vlanMacip, tucmd, mss);
    for (let i = 0; i < this.count; i++)
      this.putPiece(this.address[i]!, this.length[i]!, i === this.count - 1 ? slot : -1);
    ring.publish();
    this.counters.txFrames++;
    this.counters.txBytes += bytes;
    return SENT.OK;
  }

  /** @param slot of the frame that ends with this piece, or -1 */
  private putPiece(address: number, length: number, slot: number): void {
    const { cmd, olinfo } = this.plan;
    for (let at = 0; at < length; ) {
      const from = address + at;
      const bytes = Math.min(length - at, DESCRIPTOR_BYTES);
      at += bytes;
      const isLast = slot >= 0 && at === length;
      const bits = isLast ? cmd | EOP | RS | bytes : cmd | bytes;
      this.ring.putData((from % WORD) | 0, Math.floor(from / WORD), bits, olinfo, isLast ? slot : NO_TOKEN);
    }
  }

  /** What is done is looked for when half of the ring is full: seldom, and before it is full. */
  private reclaimIfBusy(): void {
    if (this.ring.room * 2 <= this.ring.size) this.reclaim();
  }

  private stop(): number {
    this.counters.txFull++;
    this.isStopped = true;
    return SENT.FULL;
  }

  private releaseAll(count: number): void {
    for (let i = 0; i < count; i++) {
      const slot = this.tokens[i]!;
      const cookie = this.cookies[slot]!;
      this.pages.put(this.firstPage[slot]!);
      // Before anybody is told: who sends the next frame then gets this slot for it.
      this.freeSlots[this.freeCount++] = slot;
      if (cookie !== NO_COOKIE) this.sent(cookie);
    }
  }
}
