import { VirtioError } from '@ringwire/virtio-spec';
import { BufferList, NO_ROOM, UsedBurst } from '@ringwire/virtqueue';
import { type FrameBurst, type FramePool, HEADROOM, LAST } from './frame-pool.js';
import type { LiveQueue } from './live-queue.js';
import type { NetCounters } from './net-counters.js';
import { NetOffload } from './net-offload.js';
import type { OffloadRules } from './offload-rules.js';
import { type FrameBytes, writePlainHeader, writeTxHeader } from './tx-header.js';

const BURST = 32;
const ETHERNET = 14;
const SIGN = 1 << 31;
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
  private readonly frameOfId: Uint32Array;
  private readonly list: BufferList = new BufferList(BURST);
  private readonly chain: BufferList = new BufferList(POLL_TX_ENTRIES);
  private readonly ids: Uint16Array = new Uint16Array(BURST);
  private readonly used: UsedBurst = new UsedBurst(BURST);
  private readonly offload: NetOffload = new NetOffload();
  private current = LAST;

  /** @param frameMax bytes of the longest frame without segmentation */
  constructor(live: LiveQueue, pool: FramePool, rules: OffloadRules, frameMax: number, counters: NetCounters) {
    this.live = live;
    this.pool = pool;
    this.rules = rules;
    this.frameMax = frameMax;
    this.counters = counters;
    this.isPlain = rules.transmit.flags === 0 && rules.transmit.types === 0;
    this.frameOfId = new Uint32Array(live.queue.size);
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
    const { used, pool, frameOfId } = this;
    const { id } = used;
    let done = 0;
    for (;;) {
      used.clear();
      const count = this.live.queue.takeUsed(used, BURST);
      if (count === 0) return done;
      for (let i = 0; i < count; i++) pool.put(frameOfId[id[i]!]!);
      done += count;
    }
  }

  /** The device was reset: what it had goes back into the pool unsent. */
  abandon(): void {
    const { used } = this;
    for (;;) {
      used.clear();
      if (this.live.queue.detachUnused(used) === 0) return;
      for (let i = 0; i < used.count; i++) this.pool.put(this.frameOfId[used.id[i]!]!);
      this.counters.txLost += used.count;
    }
  }

  byteAt(offset: number): number {
    const { pool } = this;
    let at = offset;
    for (let buffer = this.current; buffer !== LAST; buffer = pool.next[buffer]!) {
      if (at < pool.length[buffer]!) return pool.memory.u8[pool.data[buffer]! + at]!;
      at -= pool.length[buffer]!;
    }
    return 0;
  }

  /**
   * One descriptor per frame and a header of zeros: no call and no allocation per frame.
   * @returns frames taken, up to the first one that is not so, and at most BURST
   */
  private addPlain(frames: FrameBurst, from: number): number {
    const { pool, list, ids, frameOfId, frameMax } = this;
    const { queue } = this.live;
    const { frame } = frames;
    const { hdrBytes } = this.rules;
    const { u32 } = pool.memory;
    const { addressLo, addressHi, data, start, length: lengths, next } = pool;
    const { addressLo: low32, addressHi: high32, length: bytes32 } = list;
    const headerAt = HEADROOM - hdrBytes;
    const count = Math.min(frames.count - from, BURST, queue.free);
    let bytes = 0;
    let ready = 0;
    // `| 0` keeps V8 to 32-bit additions without overflow checks.
    for (; ready < count; ready = (ready + 1) | 0) {
      const buffer = frame[(from + ready) | 0]!;
      const length = lengths[buffer]!;
      const at = data[buffer]!;
      if (next[buffer] !== LAST || length < ETHERNET || length > frameMax || (at & 3) !== 0) break;
      clearHeader(u32, (at - hdrBytes) >>> 2, at >>> 2);
      const base = addressLo[buffer]! | 0;
      const low = (base + ((at - start[buffer]! + headerAt) | 0)) | 0;
      low32[ready] = low;
      high32[ready] = addressHi[buffer]! + carryOf(base, low);
      bytes32[ready] = length + hdrBytes;
      bytes = (bytes + length) | 0;
    }
    if (ready === 0) return 0;
    list.count = ready;
    list.readable = ready;
    const added = queue.addBurst(list, ids);
    for (let i = 0; i < added; i++) frameOfId[ids[i]!] = frame[(from + i) | 0]!;
    this.counters.txFrames += added;
    this.counters.txBytes += bytes;
    return added;
  }

  /** A frame of several buffers, or with an offload. @returns whether there was room */
  private addOther(first: number, length: number): boolean {
    const { pool, chain, rules } = this;
    this.current = first;
    this.check(first, length);
    const { hdrBytes } = rules;
    const header = pool.data[first]! - hdrBytes;
    if (pool.flags[first] === 0 && pool.gsoType[first] === 0) writePlainHeader(pool.memory, header, rules, length);
    else writeTxHeader(pool.memory, header, rules, this.offloadOf(first), length, this);
    chain.clear();
    for (let buffer = first; buffer !== LAST; buffer = pool.next[buffer]!) {
      const extra = buffer === first ? hdrBytes : 0;
      const address = pool.addressHi[buffer]! * 2 ** 32 + pool.addressLo[buffer]! + pool.offsetOf(buffer) - extra;
      chain.addReadable(address, pool.length[buffer]! + extra);
    }
    const id = this.live.queue.add(chain);
    if (id === NO_ROOM) return false;
    this.frameOfId[id] = first;
    this.counters.txFrames++;
    this.counters.txBytes += length;
    return true;
  }

  private check(first: number, length: number): void {
    const { pool } = this;
    if (length !== pool.frameBytes(first) || length < ETHERNET)
      throw new VirtioError('length', length, `that of the frame, ${ETHERNET} bytes or more`, 'FrameBurst');
    if (pool.gsoType[first] === 0 && length > this.frameMax)
      throw new VirtioError(
        'length',
        length,
        `at most ${this.frameMax}, mtu and Ethernet header`,
        'virtio 1.4 §5.1.4.2',
      );
    let buffers = 0;
    for (let buffer = first; buffer !== LAST; buffer = pool.next[buffer]!) buffers++;
    const most = Math.min(this.live.entries, POLL_TX_ENTRIES);
    if (buffers > most)
      throw new VirtioError('buffers', buffers, `at most ${most} in this queue`, 'virtio 1.4 §2.7.5.3.1');
  }

  private offloadOf(first: number): NetOffload {
    const { pool, offload } = this;
    offload.flags = pool.flags[first]!;
    offload.gsoType = pool.gsoType[first]!;
    offload.hdrLen = pool.hdrLen[first]!;
    offload.gsoSize = pool.gsoSize[first]!;
    offload.csumStart = pool.csumStart[first]!;
    offload.csumOffset = pool.csumOffset[first]!;
    return offload;
  }
}

/**
 * Make a header all zeros. One that is already so is not written: its cache line then stays with the device, which read it
 * last and reads it again.
 */
function clearHeader(u32: Uint32Array, from: number, end: number): void {
  for (let word = from; word < end; word = (word + 1) | 0) if (u32[word] !== 0) u32[word] = 0;
}

/** Whether a sum of 32 bits went over their end: then it is below what was added to, both unsigned. */
const carryOf = (base: number, sum: number): number => ((sum ^ SIGN) < (base ^ SIGN) ? 1 : 0);
