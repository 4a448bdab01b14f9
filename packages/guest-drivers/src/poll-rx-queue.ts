import { privateArrays } from '@ringwire/ring-loops';
import { BufferList, ELEMENT_SHIFT, USED, UsedBurst } from '@ringwire/virtqueue';
import { type FrameLoops, frameLoops } from './frame-loops.js';
import { FRAME, FrameBurst, type FramePool } from './frame-pool.js';
import type { LiveQueue } from './live-queue.js';
import type { NetCounters } from './net-counters.js';
import { NetOffload } from './net-offload.js';
import type { OffloadRules } from './offload-rules.js';
import { LARGEST_FRAME, readNumBuffers, readRxHeader } from './rx-header.js';

const BURST = 32;
const ETHERNET = 14;
// Plain module constants: a hot loop reads an imported object's member from memory.
const { GOOD } = USED;
const { SHIFT, DATA, LENGTH, DELTA_LO, ADDRESS_HI } = FRAME;

/** Receive queue of a poll-mode driver: buffers go up to the application, and others from the pool take their place. */
export class PollRxQueue {
  readonly live: LiveQueue;
  private readonly pool: FramePool;
  private readonly rules: OffloadRules;
  private readonly counters: NetCounters;
  private readonly isMergeable: boolean;
  /** Nothing stands in a header that matters: it is not looked at. */
  private readonly isPlain: boolean;
  private readonly buffersMax: number;
  private readonly list: BufferList;
  private readonly posted: FrameBurst;
  private readonly used: UsedBurst;
  private readonly loops: FrameLoops | undefined;
  /** What a loop says besides how far it came: the bytes of its frames. */
  private readonly total: Uint32Array;
  private readonly offload: NetOffload = new NetOffload();
  private at = 0;

  constructor(live: LiveQueue, pool: FramePool, rules: OffloadRules, isMergeable: boolean, counters: NetCounters) {
    this.live = live;
    this.pool = pool;
    this.rules = rules;
    this.counters = counters;
    this.isMergeable = isMergeable;
    this.isPlain = !isMergeable && rules.receive.flags === 0 && rules.receive.types === 0 && !rules.hashReport;
    this.buffersMax = Math.ceil((rules.hdrBytes + LARGEST_FRAME) / pool.dataBytes);
    const arrays = privateArrays(pool.memory);
    this.list = new BufferList(BURST, arrays);
    this.posted = new FrameBurst(BURST, arrays);
    this.used = new UsedBurst(BURST, arrays);
    this.total = arrays.u32(1);
    const homes = [this.list.home, this.posted.home, this.used.home];
    const isReachable =
      pool.home !== undefined && homes.every((home) => home === pool.home) && arrays.holds(this.total);
    this.loops = isReachable ? frameLoops.on(pool.memory.wasm!) : undefined;
    live.queue.disableNotifications();
    this.fill();
  }

  /**
   * Append frames that came in, at most `max`: they are the caller's from now on.
   * @returns frames appended
   */
  burst(frames: FrameBurst, max: number): number {
    const before = frames.count;
    const room = Math.min(max, frames.capacity - before);
    if (this.isPlain) this.takePlain(frames, room);
    else for (let left = room; left > 0 && this.hasBuffer(); left--) this.takeFrame(frames);
    if (this.live.queue.free >= BURST || this.live.queue.free * 2 >= this.live.queue.size) this.refill();
    return frames.count - before;
  }

  /** The device was reset: all buffers go back into the pool. */
  abandon(): void {
    const { used, pool } = this;
    for (; this.at < used.count; this.at++) pool.put(used.token[this.at]!);
    for (;;) {
      used.clear();
      this.at = 0;
      if (this.live.queue.detachUnused(used) === 0) return;
      pool.putBurst(used.token, used.count);
      used.clear();
    }
  }

  /** Fill the ring with buffers of the pool, and show them to the device. */
  private refill(): void {
    this.fill();
    this.live.publish();
  }

  private fill(): void {
    const { pool, list, posted } = this;
    const { queue } = this.live;
    const { frame } = posted;
    for (let room = Math.min(queue.free, pool.free); room > 0; ) {
      posted.clear();
      const count = pool.takeBurst(posted, room);
      this.describe(count);
      const added = queue.addBurst(list);
      for (let i = added; i < count; i++) pool.put(frame[i]!);
      if (added < count) break;
      room -= count;
    }
  }

  /** The buffers that were taken from the pool, as elements of the list. */
  private describe(count: number): void {
    const { pool, list, posted, loops } = this;
    const { hdrBytes } = this.rules;
    const { words } = pool;
    const elements = list.words;
    const { frame } = posted;
    const length = pool.dataBytes + hdrBytes;
    list.count = count;
    list.readable = 0;
    if (loops !== undefined) {
      loops.lend(frame.byteOffset, count, words.byteOffset, hdrBytes, length, elements.byteOffset);
      return;
    }
    for (let i = 0; i < count; i = (i + 1) | 0) {
      const buffer = frame[i]!;
      const word = buffer << SHIFT;
      const element = i << ELEMENT_SHIFT;
      elements[element] = (((words[(word + DATA) | 0]! - hdrBytes) | 0) + words[(word + DELTA_LO) | 0]!) | 0;
      elements[element + 1] = words[(word + ADDRESS_HI) | 0]!;
      elements[element + 2] = length;
      elements[element + 3] = buffer;
    }
  }

  /** One buffer per frame, and no header to be read: nothing but lengths. */
  private takePlain(frames: FrameBurst, room: number): void {
    const { used } = this;
    for (let left = room; left > 0; ) {
      used.clear();
      const taken = this.live.queue.takeUsed(used, left);
      if (taken === 0) break;
      left -= taken;
      for (let i = 0; i < taken; i++) {
        i += this.takeGood(frames, i, taken - i);
        if (i < taken) this.giveUp(used.token[i]!, used.outcome[i]!);
      }
    }
  }

  /** @param first used buffer to begin with @returns frames appended, up to the first that is none */
  private takeGood(frames: FrameBurst, first: number, most: number): number {
    const { used, pool, counters, loops, total } = this;
    const { token, written, outcome } = used;
    const { hdrBytes } = this.rules;
    const { words } = pool;
    const { frame, length, count } = frames;
    let good = 0;
    let bytes = 0;
    if (loops !== undefined && frames.home === pool.home) {
      good = loops.receive(
        token.byteOffset + (first << 2),
        written.byteOffset + (first << 2),
        outcome.byteOffset + first,
        most,
        words.byteOffset,
        pool.buffers,
        hdrBytes,
        frame.byteOffset + (count << 2),
        length.byteOffset + (count << 2),
        total.byteOffset,
      );
      bytes = total[0]!;
    } else
      for (; good < most; good = (good + 1) | 0) {
        const buffer = token[first + good]!;
        const size = written[first + good]! - hdrBytes;
        if (outcome[first + good] !== GOOD || size < ETHERNET) break;
        words[((buffer << SHIFT) + LENGTH) | 0] = size;
        frame[count + good] = buffer;
        length[count + good] = size;
        bytes = (bytes + size) | 0;
      }
    frames.count = count + good;
    counters.rxFrames += good;
    counters.rxBytes += bytes;
    return good;
  }

  private hasBuffer(): boolean {
    const { used } = this;
    if (this.at < used.count) return true;
    used.clear();
    this.at = 0;
    return this.live.queue.takeUsed(used, BURST) > 0;
  }

  private takeFrame(frames: FrameBurst): void {
    const { pool, rules, used, counters } = this;
    const i = this.at++;
    const first = used.token[i]!;
    const size = used.written[i]! - rules.hdrBytes;
    if (used.outcome[i] !== GOOD || size < 0) {
      this.giveUp(first, used.outcome[i]!);
      return;
    }
    pool.setLength(first, size);
    const header = pool.dataOf(first) - rules.hdrBytes;
    const total = this.isMergeable ? this.takeRest(first, size, readNumBuffers(pool.memory, header)) : size;
    if (total < 0) pool.put(first);
    else if (total < ETHERNET) this.giveUp(first, GOOD);
    else if (!readRxHeader(pool.memory, header, rules, total, this.offload)) {
      counters.rxOffload++;
      pool.put(first);
    } else {
      this.keepOffload(first);
      counters.rxFrames++;
      counters.rxBytes += total;
      frames.push(first, total);
    }
  }

  /** @returns bytes of the whole frame, its buffers linked; -1, and counted, when it is to be given up */
  private takeRest(first: number, size: number, count: number): number {
    const { pool, used, counters } = this;
    if (count === 0 || count > this.buffersMax) {
      counters.rxNumBuffers++;
      return -1;
    }
    let isWhole = true;
    let total = size;
    for (let taken = 1, last = first; taken < count; taken++) {
      if (!this.hasBuffer()) {
        counters.rxMissing++;
        return -1;
      }
      const i = this.at++;
      const buffer = used.token[i]!;
      const written = used.outcome[i] === GOOD ? used.written[i]! : 0;
      if (written === 0) isWhole = false;
      // A buffer behind the first one has data where the first one's header is.
      pool.setData(buffer, pool.dataOf(buffer) - this.rules.hdrBytes);
      pool.setLength(buffer, written);
      pool.setNext(last, buffer);
      last = buffer;
      total += written;
    }
    if (isWhole && total <= LARGEST_FRAME) return total;
    counters.rxMerge++;
    return -1;
  }

  private keepOffload(first: number): void {
    const { pool, offload } = this;
    if ((offload.flags | offload.gsoType) !== 0) pool.setOffload(first, offload.flags, offload.gsoType);
    pool.hdrLen[first] = offload.hdrLen;
    pool.gsoSize[first] = offload.gsoSize;
    pool.csumStart[first] = offload.csumStart;
    pool.csumOffset[first] = offload.csumOffset;
    pool.hashValue[first] = offload.hashValue;
    pool.hashReport[first] = offload.hashReport;
  }

  private giveUp(buffer: number, outcome: number): void {
    if (outcome === GOOD) this.counters.rxShort++;
    else this.counters.rxTooLong++;
    this.pool.put(buffer);
  }
}
