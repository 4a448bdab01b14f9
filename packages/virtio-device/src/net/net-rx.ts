import { DELIVERED, type Delivered, type Frame, type FrameRun } from '@ringwire/net-backend';
import { privateArrays } from '@ringwire/ring-loops';
import { VIRTIO_NET_F, VIRTIO_NET_HDR_F, VIRTIO_NET_HDR_SIZE } from '@ringwire/virtio-spec/net';
import { ChainBurst, type DeviceQueue } from '@ringwire/virtqueue';
import { copyBetween, FrameCursor } from './frame-bytes.js';
import { type FrameLoops, frameLoops } from './frame-loops.js';
import { NET_DROP } from './net-drop.js';
import { NetQueue } from './net-queue.js';
import type { NetState } from './net-state.js';
import { newRxStatistics, RX_STAT } from './net-statistics.js';
import { RxHeader } from './rx-header.js';

/** Used buffers are published after so many frames at the latest, so that a driver in another thread can go on. */
const PUBLISH_FRAMES = 64;
/** Most buffers to take in advance. */
const AHEAD_MAX = 64;
/** How soon another thread without room is asked again, in µs. */
const RETRY_USECS = 50;
const { ACCEPTED, FULL, DROPPED } = DELIVERED;
const { NEEDS_CSUM, DATA_VALID } = VIRTIO_NET_HDR_F;
const SAID_WORDS = 2;
/** num_buffers = 1, in the header's third word. */
const ONE_BUFFER = 0x1_0000;
/** In place of a frame's flags: its checksum was looked at, and is wrong. */
export const BAD_CHECKSUM = -1;
/** Of flags that are handed to another thread: all that there are, and all ones for BAD_CHECKSUM. */
const FLAGS_MASK = 0xff;

/** A frame's hash, where somebody wants to know it. */
export interface FrameHash {
  readonly hashValue: number;
  readonly hashReport: number;
}

/** The pair, flags and hash report that a frame was handed over with. */
export const handedPair = (note: number): number => note & 0xffff;
export const handedReport = (note: number): number => (note >>> 16) & 0xff;
export const handedFlags = (note: number): number => (note >>> 24 === FLAGS_MASK ? BAD_CHECKSUM : note >>> 24);

/**
 * One receive queue. Buffers are taken from the ring a few in advance: `stock` holds those that are put or to be put
 * (before `next`) and those that wait for a frame (from `next` on); {@link flush} gives the latter back.
 */
export class RxQueue extends NetQueue {
  private stock: ChainBurst = new ChainBurst(1);
  private put = 0;
  private next = 0;
  /** How many buffers to take next time: doubles as long as they are used. */
  private ahead = 1;
  /** Buffers put and not published, and the frames that lie in them. */
  private unpublished = 0;
  private frames = 0;
  private bytes = 0;
  private readonly header: RxHeader = new RxHeader();
  private readonly cursor: FrameCursor = new FrameCursor();
  private readonly loops: FrameLoops | undefined;
  /** What a loop says besides how far it came: the bytes of its frames. */
  private readonly said: Uint32Array;
  /** VIRTIO_NET_F_GUEST_CSUM is negotiated. */
  private countsChecksums = false;
  /** Without room a frame is left to whoever has it, rather than dropped. */
  private readonly holds: boolean;

  constructor(state: NetState, pair: number, holds: boolean) {
    super(state, 2 * pair, newRxStatistics(), RX_STAT.rx_interrupts);
    this.holds = holds;
    const { memory } = state;
    const arrays = privateArrays(memory);
    this.said = arrays.u32(SAID_WORDS);
    this.loops = arrays.holds(this.said) ? frameLoops.on(memory.wasm!) : undefined;
  }

  protected override open(queue: DeviceQueue): void {
    super.open(queue);
    if (this.stock.capacity !== queue.size) this.stock = new ChainBurst(queue.size, privateArrays(this.state.memory));
    this.ahead = 1;
    // Buffers are looked for when there is a frame: nobody need tell of them.
    queue.disableNotifications();
    this.countsChecksums = this.state.has(VIRTIO_NET_F.GUEST_CSUM);
  }

  override close(): void {
    super.close();
    this.forget();
  }

  /**
   * Put a frame into the next buffers, behind its header: all of it or nothing. Only header and frame are written.
   * @param flags  what the header says of the frame, as far as the driver negotiated it; BAD_CHECKSUM for none, counted
   * @param isRest of a frame that was cut up another part is in the ring: this one cannot be left to whoever has the frame
   */
  place(frame: Frame, flags: number, hash: FrameHash, isRest = false): Delivered {
    const queue = this.queue;
    const holds = this.holds && !isRest;
    if (this.isWaiting) return this.postpone(frame, holds);
    if (queue === undefined)
      return this.isOn ? this.handOver(frame, flags, hash, holds) : this.drop(frame, NET_DROP.RX_QUEUE_OFF);
    const { journal, headerBytes, memory } = this.state;
    if (journal?.wasDelivered(this.index, frame.origin) === true) return ACCEPTED;
    const { hashValue, hashReport } = hash;
    const total = headerBytes + frame.length;
    let buffers = this.gatherBuffers(queue, total);
    // A frame is held back only where there is no buffer at all: one that asks for more than the driver ever posts would
    // stop those behind it for good.
    while (buffers === 0 && holds && this.next === this.stock.count) {
      if (!this.listenAnew()) return FULL;
      buffers = this.gatherBuffers(queue, total);
    }
    if (buffers <= 0) return this.drop(frame, buffers === 0 ? NET_DROP.RX_NO_BUFFER : NET_DROP.RX_SMALL_BUFFER);
    this.header.fill(frame, headerBytes, buffers, Math.max(0, flags), hashValue, hashReport);
    if (this.countsChecksums) this.countOffloads(frame, flags);
    const { stock } = this;
    const { offset, length } = stock.segments;
    const to = stock.firstWritable[this.next]!;
    if (length[to]! >= total && frame.end === frame.first + 1) {
      this.header.write(memory, offset[to]!, 0, headerBytes);
      const from = frame.ranges.offset[frame.first]! + frame.skip;
      copyBetween(frame.memory, from, memory, offset[to]! + headerBytes, frame.length);
      stock.written[this.next++] = total;
    } else this.spread(frame, buffers, total);
    this.bytes += frame.length;
    journal?.delivered(this.index, frame.origin);
    this.stopListening();
    if (++this.frames === PUBLISH_FRAMES) this.publishFrames();
    return ACCEPTED;
  }

  /**
   * Put the first frames of a run into a buffer of one range each, as {@link place} does where there is nothing to be said
   * of them, nor any reason to look for more room.
   * @param shortest,longest bytes of a frame
   * @returns frames placed
   */
  placeRun(run: FrameRun, shortest: number, longest: number): number {
    const { queue, stock, state } = this;
    if (queue === undefined || state.headerBytes !== VIRTIO_NET_HDR_SIZE.V1) return 0;
    let done = 0;
    while (done < run.count) {
      if (this.next === stock.count && !this.refill(queue)) break;
      const part = Math.min(run.count - done, stock.count - this.next, PUBLISH_FRAMES - this.frames);
      const first = run.first + done;
      let placed = this.placePlain(run, first, part, shortest, longest);
      if (placed < part) placed += this.placeEach(run, first + placed, part - placed, shortest, longest);
      done += placed;
      if (this.frames === PUBLISH_FRAMES) this.publishFrames();
      if (placed < part) break;
    }
    if (done > 0) this.stopListening();
    if (this.countsChecksums && done > 0) this.statistics.add(RX_STAT.rx_csum_none, done);
    return done;
  }

  /** In WebAssembly, where buffers and frames lie as it finds them. @returns frames placed */
  private placePlain(run: FrameRun, first: number, most: number, shortest: number, longest: number): number {
    const { loops, stock, next, said } = this;
    const { ranges, skip } = run;
    const { segments } = stock;
    const count = Math.min(most, stock.plainWritable - next);
    if (loops === undefined || count <= 0 || run.memory !== this.state.memory) return 0;
    if (ranges.home === undefined || segments.home === undefined || stock.home === undefined) return 0;
    const placed = loops.placeFrames(
      ranges.offset.byteOffset + (first << 2),
      ranges.length.byteOffset + (first << 2),
      count,
      skip,
      segments.offset.byteOffset + (next << 2),
      segments.length.byteOffset + (next << 2),
      stock.written.byteOffset + (next << 2),
      shortest,
      longest,
      run.hasHeader ? 1 : 0,
      run.word0,
      run.word1,
      run.word2,
      run.type16,
      said.byteOffset,
    );
    this.next = next + placed;
    this.frames += placed;
    this.bytes += said[0]!;
    return placed;
  }

  /** The same, whatever memory they lie in. */
  private placeEach(run: FrameRun, first: number, most: number, shortest: number, longest: number): number {
    const { stock, state } = this;
    const { headerBytes, memory } = state;
    const { u32, u16 } = memory;
    const { memory: source } = run;
    const { hasHeader, word0, word1, word2, type16 } = run;
    const { firstWritable, written } = stock;
    const { offset: fromOffset, length: fromLength } = run.ranges;
    let i = 0;
    for (; i < most; i = (i + 1) | 0) {
      const { next } = this;
      const frameBytes = (fromLength[first + i]! - run.skip) | 0;
      const total = frameBytes + headerBytes;
      const range = firstWritable[next]!;
      const to = stock.segments.offset[range]!;
      if (frameBytes < shortest || frameBytes > longest || (to & 3) !== 0) break;
      if (range >= stock.end(next) || stock.segments.length[range]! < total) break;
      const header = to >>> 2;
      u32[header] = 0;
      u32[header + 1] = 0;
      u32[header + 2] = ONE_BUFFER;
      copyBetween(source, fromOffset[first + i]! + run.skip, memory, to + headerBytes, frameBytes);
      if (hasHeader) {
        u32[header + 3] = word0;
        u32[header + 4] = word1;
        u32[header + 5] = word2;
        u16[2 * header + 12] = type16;
      }
      written[next] = total;
      this.next = next + 1;
      this.bytes += frameBytes;
      this.frames++;
    }
    return i;
  }

  /** The end of a burst of frames: used buffers become visible, buffers that were not needed are in the ring again. */
  flush(): void {
    if (this.queue === undefined) return;
    const { stock, next } = this;
    if (stock.count - next > next) this.ahead = Math.max(1, this.ahead >> 1);
    this.emptyStock(this.queue);
    this.publishFrames();
  }

  /** The queue is another thread's. */
  private handOver(frame: Frame, flags: number, { hashValue, hashReport }: FrameHash, holds: boolean): Delivered {
    const { state } = this;
    const pair = this.index >>> 1;
    const note = pair | (hashReport << 16) | ((flags & FLAGS_MASK) << 24);
    const delivered = state.share!.handOver(frame, pair, note, hashValue, state.epoch);
    if (delivered === ACCEPTED) return ACCEPTED;
    return delivered === FULL ? this.postpone(frame, holds) : this.drop(frame, NET_DROP.RX_NO_BUFFER);
  }

  /** There is no room now, and nobody tells when there is: whoever has the frame is to ask again, if the device holds. */
  private postpone(frame: Frame, holds: boolean): Delivered {
    const { state } = this;
    if (!holds) return this.drop(frame, NET_DROP.RX_NO_BUFFER);
    state.retryAt = state.port!.now() + RETRY_USECS;
    return FULL;
  }

  /** Count a frame that is not delivered here. */
  private drop(frame: Frame, reason: number): Delivered {
    this.state.drop(reason);
    this.state.trace?.received(this.index >>> 1, frame, reason);
    this.statistics.add(RX_STAT.rx_drops, 1);
    if (reason === NET_DROP.RX_NO_BUFFER) this.statistics.add(RX_STAT.rx_drop_overruns, 1);
    return DROPPED;
  }

  /**
   * Find buffers from `next` on that hold so many bytes.
   * @returns how many, 0 when there are not enough, -1 when the next one is too small and may not be joined with others
   */
  private gatherBuffers(queue: DeviceQueue, total: number): number {
    const { stock, state, next: first } = this;
    // What nearly every frame finds: a buffer that holds it in one range.
    if (first < stock.count) {
      const range = stock.firstWritable[first]!;
      if (range < stock.end(first) && stock.segments.length[range]! >= total) return 1;
    }
    // Bad buffers are given back on the way: as many as the ring has, and no more than that.
    let looks = queue.size;
    let count = 0;
    let room = 0;
    for (;;) {
      const i = this.next + count;
      if (i === stock.count) {
        const { next } = this;
        if (looks <= 0 || !this.refill(queue)) return 0;
        if (this.next !== next) {
          // All that was there is put or in the ring again: the frame's buffers are looked for anew.
          count = 0;
          room = 0;
          continue;
        }
      }
      const first = stock.firstWritable[i]!;
      const bytes = stock.end(i) === first + 1 ? stock.segments.length[first]! : stock.writableBytes(i);
      looks--;
      if (bytes < state.headerBytes) {
        this.giveBack(i);
        count = 0;
        room = 0;
        continue;
      }
      room += bytes;
      count++;
      if (room >= total) return count;
      if (!state.mergeable) return -1;
    }
  }

  /** A buffer that is of no use, and those before it that were meant for the same frame: back with length 0. */
  private giveBack(last: number): void {
    this.state.drop(NET_DROP.RX_BAD_BUFFER);
    this.next = last + 1;
  }

  /** Take buffers in advance. @returns whether there are any */
  private refill(queue: DeviceQueue): boolean {
    const { stock } = this;
    if (this.next > 0 && (this.next === stock.count || stock.count === stock.capacity)) {
      this.emptyStock(queue);
      this.ahead = Math.min(2 * this.ahead, AHEAD_MAX);
    }
    return queue.takeBurst(stock, this.ahead) > 0;
  }

  private countOffloads({ gsoType, length }: Frame, flags: number): void {
    const { statistics } = this;
    if (flags === BAD_CHECKSUM) statistics.add(RX_STAT.rx_csum_bad, 1);
    else if ((flags & NEEDS_CSUM) !== 0) statistics.add(RX_STAT.rx_needs_csum, 1);
    else statistics.add((flags & DATA_VALID) !== 0 ? RX_STAT.rx_csum_valid : RX_STAT.rx_csum_none, 1);
    if (gsoType === 0) return;
    statistics.add(RX_STAT.rx_gso_packets, 1);
    statistics.add(RX_STAT.rx_gso_bytes, length);
  }

  /** A frame that fills several buffers, or comes from or goes to several ranges. */
  private spread(frame: Frame, buffers: number, total: number): void {
    const { stock, cursor, header } = this;
    const { headerBytes, memory } = this.state;
    const { offset, length } = stock.segments;
    cursor.start(frame);
    let done = 0;
    for (let b = 0; b < buffers; b++) {
      const i = this.next++;
      const before = done;
      for (let range = stock.firstWritable[i]!; range < stock.end(i) && done < total; range++) {
        let to = offset[range]!;
        let room = Math.min(length[range]!, total - done);
        done += room;
        const already = done - room;
        if (already < headerBytes) {
          const take = Math.min(room, headerBytes - already);
          header.write(memory, to, already, take);
          to += take;
          room -= take;
        }
        cursor.copyTo(memory, to, room);
      }
      stock.written[i] = done - before;
    }
  }

  private emptyStock(queue: DeviceQueue): void {
    const { stock, next } = this;
    this.putSpent(queue);
    for (let i = stock.count - 1; i >= next; i--) queue.untake(stock.token[i]!);
    stock.clear();
    this.put = 0;
    this.next = 0;
  }

  private putSpent(queue: DeviceQueue): void {
    const count = this.next - this.put;
    if (count === 0) return;
    queue.putUsedBurst(this.stock, this.put, count);
    this.put = this.next;
    this.unpublished += count;
  }

  private publishFrames(): void {
    const { queue, frames, statistics } = this;
    if (queue === undefined) return;
    this.putSpent(queue);
    if (this.unpublished === 0) return;
    // Buffers that went back without a frame are something to be told of, too.
    this.publish(Math.max(1, frames));
    statistics.add(RX_STAT.rx_packets, frames);
    statistics.add(RX_STAT.rx_bytes, this.bytes);
    this.unpublished = 0;
    this.frames = 0;
    this.bytes = 0;
  }

  private forget(): void {
    this.stock.clear();
    this.put = 0;
    this.next = 0;
    this.unpublished = 0;
    this.frames = 0;
    this.bytes = 0;
  }
}
