import type { ArrayMaker } from '@ringwire/guest-memory';
import { privateArrays } from '@ringwire/ring-loops';
import { VirtioError } from '@ringwire/virtio-spec';
import { BufferList, ELEMENT_SHIFT, NO_ROOM, UsedBurst } from '@ringwire/virtqueue';
import { type FrameLoops, frameLoops } from './frame-loops.js';
import { FRAME, type FrameBurst, type FramePool, LAST } from './frame-pool.js';
import type { LiveQueue } from './live-queue.js';
import type { NetCounters } from './net-counters.js';
import { NetOffload } from './net-offload.js';
import type { OffloadRules } from './offload-rules.js';
import { type FrameBytes, writePlainHeader, writeTxHeader } from './tx-header.js';

const BURST = 32;
const ETHERNET = 14;
// Plain module constants: a hot loop reads an imported object's member from memory.
const { SHIFT, DATA, LENGTH, IS_SPECIAL, DELTA_LO, ADDRESS_HI } = FRAME;
/** Buffers of the longest frame that is sent. */
export const POLL_TX_ENTRIES = 32;

/** Transmit queue of a poll-mode driver: frames go into the ring where they are, their headers in front of them. */
export class PollTxQueue implements FrameBytes {
  readonly live: LiveQueue;
  private readonly pool: FramePool;
  private readonly rules: OffloadRules;
  private readonly frameMax: number;
  private readonly counters: NetCounters;
  /** No offload was negotiated: each header is all zeros. */
  private readonly isPlain: boolean;
  private readonly list: BufferList;
  private readonly chain: BufferList = new BufferList(POLL_TX_ENTRIES);
  private readonly used: UsedBurst;
  private readonly loops: FrameLoops | undefined;
  /** What a loop says besides how far it came: the bytes of its frames. */
  private readonly total: Uint32Array;
  private readonly home: ArrayMaker | undefined;
  private readonly offload: NetOffload = new NetOffload();
  private current = LAST;

  /** @param frameMax bytes of the longest frame without segmentation */
  constructor(live: LiveQueue, pool: FramePool, rules: OffloadRules, frameMax: number, counters: NetCounters) {
    this.live = live;
    this.pool = pool;
    this.rules = rules;
    this.frameMax = frameMax;
    this.counters = counters;
    const arrays = privateArrays(pool.memory);
    this.list = new BufferList(BURST, arrays);
    this.used = new UsedBurst(BURST, arrays);
    this.total = arrays.u32(1);
    const isReachable = pool.home !== undefined && this.list.home === pool.home && arrays.holds(this.total);
    this.home = isReachable ? pool.home : undefined;
    this.loops = isReachable ? frameLoops.on(pool.memory.wasm!) : undefined;
    this.isPlain = rules.transmit.flags === 0 && rules.transmit.types === 0;
    live.queue.disableNotifications();
  }

  /**
   * Send the first frames of a burst, as many as the ring has room for: they are the driver's from now on, and go back
   * into the pool when the device has sent them. The others stay the caller's.
   * @param from frame of the burst to begin with
   * @returns frames taken
   * @throws VirtioError for a frame or an offload that may not be sent; those before it are taken then
   */
  burst(frames: FrameBurst, from: number): number {
    const { queue } = this.live;
    if (queue.free * 2 <= queue.size) this.reclaim();
    let at = from;
    try {
      while (at < frames.count) {
        const plain = this.isPlain ? this.addPlain(frames, at) : 0;
        at += plain;
        if (plain === BURST) continue;
        if (at === frames.count || !this.addOther(frames.frame[at]!, frames.length[at]!)) break;
        at++;
      }
    } finally {
      this.live.publish();
    }
    if (at < frames.count) this.counters.txFull++;
    return at - from;
  }

  /** Put what the device has sent back into the pool. @returns frames */
  reclaim(): number {
    const { used, pool } = this;
    let done = 0;
    for (;;) {
      used.clear();
      const count = this.live.queue.takeUsed(used, BURST);
      if (count === 0) return done;
      pool.putBurst(used.token, count, used.home);
      done += count;
    }
  }

  /** The device was reset: what it had goes back into the pool unsent. */
  abandon(): void {
    const { used, pool } = this;
    for (;;) {
      used.clear();
      if (this.live.queue.detachUnused(used) === 0) return;
      pool.putBurst(used.token, used.count, used.home);
      this.counters.txLost += used.count;
    }
  }

  byteAt(offset: number): number {
    const { pool } = this;
    let at = offset;
    for (let buffer = this.current; buffer !== LAST; buffer = pool.nextOf(buffer)) {
      if (at < pool.lengthOf(buffer)) return pool.memory.u8[pool.dataOf(buffer) + at]!;
      at -= pool.lengthOf(buffer);
    }
    return 0;
  }

  /**
   * One descriptor per frame and a header of zeros: no call and no allocation per frame.
   * @returns frames taken, up to the first one that is not so, and at most BURST
   */
  private addPlain(frames: FrameBurst, from: number): number {
    const { list, loops, total, counters } = this;
    const { queue } = this.live;
    const most = Math.min(frames.count - from, BURST, queue.free);
    // A caller's count may be beyond its burst: what lies there belongs to others.
    const isReachable = loops !== undefined && frames.home === this.home && from >= 0 && from + most <= frames.capacity;
    const ready = isReachable ? this.describe(loops, frames, from, most) : this.describePlain(frames, from, most);
    if (ready === 0) return 0;
    list.count = ready;
    list.readable = ready;
    const added = queue.addBurst(list);
    counters.txFrames += added;
    counters.txBytes += total[0]!;
    return added;
  }

  private describe(loops: FrameLoops, frames: FrameBurst, from: number, most: number): number {
    const { pool, list, frameMax, total } = this;
    const first = frames.frame.byteOffset + (from << 2);
    const { hdrBytes } = this.rules;
    const pooled = pool.words.byteOffset;
    const words = list.words.byteOffset;
    return loops.describe(first, most, pooled, pool.buffers, hdrBytes, frameMax, words, total.byteOffset);
  }

  /** The same where WebAssembly does not reach. */
  private describePlain(frames: FrameBurst, from: number, count: number): number {
    const { pool, list, frameMax } = this;
    const { frame } = frames;
    const { hdrBytes } = this.rules;
    const { words } = pool;
    const elements = list.words;
    const { i32 } = pool.memory;
    let bytes = 0;
    let ready = 0;
    // `| 0` keeps V8 to 32-bit additions without overflow checks.
    for (; ready < count; ready = (ready + 1) | 0) {
      const buffer = frame[(from + ready) | 0]!;
      const word = buffer << SHIFT;
      const at = words[(word + DATA) | 0]!;
      const length = words[(word + LENGTH) | 0]!;
      if (words[(word + IS_SPECIAL) | 0] !== 0 || length < ETHERNET || length > frameMax || (at & 3) !== 0) break;
      const header = (at - hdrBytes) | 0;
      clearHeader(i32, header >>> 2, at >>> 2);
      const element = ready << ELEMENT_SHIFT;
      elements[element] = (header + words[(word + DELTA_LO) | 0]!) | 0;
      elements[element + 1] = words[(word + ADDRESS_HI) | 0]!;
      elements[element + 2] = length + hdrBytes;
      elements[element + 3] = buffer;
      bytes = (bytes + length) | 0;
    }
    this.total[0] = bytes;
    return ready;
  }

  /** A frame of several buffers, or with an offload. @returns whether there was room */
  private addOther(first: number, length: number): boolean {
    const { pool, chain, rules } = this;
    this.current = first;
    this.check(first, length);
    const { hdrBytes } = rules;
    const header = pool.dataOf(first) - hdrBytes;
    if (pool.flagsOf(first) === 0 && pool.gsoTypeOf(first) === 0) writePlainHeader(pool.memory, header, rules, length);
    else writeTxHeader(pool.memory, header, rules, this.offloadOf(first), length, this);
    chain.clear();
    for (let buffer = first; buffer !== LAST; buffer = pool.nextOf(buffer)) {
      const extra = buffer === first ? hdrBytes : 0;
      chain.addReadable(pool.addressOf(buffer) - extra, pool.lengthOf(buffer) + extra);
    }
    if (this.live.queue.add(chain, undefined, first) === NO_ROOM) return false;
    this.counters.txFrames++;
    this.counters.txBytes += length;
    return true;
  }

  private check(first: number, length: number): void {
    const { pool } = this;
    if (length !== pool.frameBytes(first) || length < ETHERNET)
      throw new VirtioError('length', length, `that of the frame, ${ETHERNET} bytes or more`, 'FrameBurst');
    if (pool.gsoTypeOf(first) === 0 && length > this.frameMax)
      throw new VirtioError(
        'length',
        length,
        `at most ${this.frameMax}, mtu and Ethernet header`,
        'virtio 1.4 §5.1.4.2',
      );
    let buffers = 0;
    for (let buffer = first; buffer !== LAST; buffer = pool.nextOf(buffer)) buffers++;
    const most = Math.min(this.live.entries, POLL_TX_ENTRIES);
    if (buffers > most)
      throw new VirtioError('buffers', buffers, `at most ${most} in this queue`, 'virtio 1.4 §2.7.5.3.1');
  }

  private offloadOf(first: number): NetOffload {
    const { pool, offload } = this;
    offload.flags = pool.flagsOf(first);
    offload.gsoType = pool.gsoTypeOf(first);
    offload.hdrLen = pool.hdrLen[first]!;
    offload.gsoSize = pool.gsoSize[first]!;
    offload.csumStart = pool.csumStart[first]!;
    offload.csumOffset = pool.csumOffset[first]!;
    return offload;
  }
}

/**
 * Make a header all zeros. One that is already so is not written: its cache line then stays with the device, which read it
 * last and reads it again. The shortest header, which nearly every frame has, is looked at in one go.
 */
function clearHeader(i32: Int32Array, from: number, end: number): void {
  if ((i32[from]! | i32[from + 1]! | i32[from + 2]!) === 0 && end === from + 3) return;
  for (let word = from; word < end; word = (word + 1) | 0) if (i32[word] !== 0) i32[word] = 0;
}
