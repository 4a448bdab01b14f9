import { RX_ERROR, RX_STATUS } from '@ringwire/nic-spec/ixgbe';
import { FRAME, FrameBurst, type FramePool } from '../frame-pool.js';
import type { IxgbeCounters } from './ixgbe-counters.js';
import { hasBadChecksum, hashReportOf, receivedFlags } from './rx-facts.js';
import { LONGEST_FRAME } from './rx-queue.js';
import { NOTHING, type RxRing } from './rx-ring.js';

const BURST = 32;
const ETHERNET = 14;
// Plain module constants: a hot loop reads an imported object's member from memory.
const { EOP } = RX_STATUS;
const { RXE } = RX_ERROR;
const { SHIFT, DATA, LENGTH, DELTA_LO, ADDRESS_HI } = FRAME;
const NO_FRAME = -1;

/** Receive queue of a poll-mode driver: buffers go up to the application, and others from the pool take their place. */
export class IxgbePollRxQueue {
  readonly ring: RxRing;
  private readonly pool: FramePool;
  private readonly counters: IxgbeCounters;
  private readonly bufferBytes: number;
  private readonly tellsFacts: boolean;
  private readonly posted: FrameBurst = new FrameBurst(BURST);
  // The frame at hand, whose last buffer may not have come yet.
  private first = NO_FRAME;
  private last = NO_FRAME;
  private total = 0;
  private isBad = false;

  /**
   * @param bufferBytes what the card may write into a buffer, at most the pool's
   * @param tellsFacts  say what the card found of checksums and hashes
   */
  constructor(ring: RxRing, pool: FramePool, bufferBytes: number, tellsFacts: boolean, counters: IxgbeCounters) {
    this.ring = ring;
    this.pool = pool;
    this.bufferBytes = bufferBytes;
    this.tellsFacts = tellsFacts;
    this.counters = counters;
  }

  /**
   * Append frames that came in, at most `max`: they are the caller's from now on.
   * @returns frames appended
   */
  burst(frames: FrameBurst, max: number): number {
    const { ring, pool, counters, bufferBytes, tellsFacts } = this;
    const { words } = pool;
    const before = frames.count;
    const room = before + Math.min(max, frames.capacity - before);
    let bytes = 0;
    while (frames.count < room) {
      const buffer = ring.take();
      if (buffer === NOTHING) break;
      const { length, status } = ring;
      if (this.first !== NO_FRAME || this.isBad || (status & (EOP | RXE)) !== EOP || length > bufferBytes) {
        this.takePart(buffer, frames);
        continue;
      }
      if (length < ETHERNET) {
        pool.put(buffer);
        counters.rxShort++;
        continue;
      }
      words[((buffer << SHIFT) + LENGTH) | 0] = length;
      if (tellsFacts) this.tell(buffer);
      frames.push(buffer, length);
      bytes = (bytes + length) | 0;
    }
    const taken = frames.count - before;
    counters.rxFrames += taken;
    counters.rxBytes += bytes;
    if (ring.room >= BURST || ring.room * 2 >= ring.size) this.fill();
    return taken;
  }

  /** Give buffers of the pool to the card. */
  fill(): void {
    const { ring, pool, posted } = this;
    const { words } = pool;
    const { frame } = posted;
    let isAny = false;
    for (let room = ring.room; room > 0; room = ring.room) {
      posted.clear();
      const count = pool.takeBurst(posted, room);
      if (count === 0) break;
      isAny = true;
      for (let i = 0; i < count; i = (i + 1) | 0) {
        const buffer = frame[i]!;
        const word = buffer << SHIFT;
        ring.add(
          (words[(word + DATA) | 0]! + words[(word + DELTA_LO) | 0]!) | 0,
          words[(word + ADDRESS_HI) | 0]!,
          buffer,
        );
      }
    }
    if (isAny) ring.publish();
  }

  /** The card let go of the ring: all buffers go back into the pool. */
  abandon(): void {
    if (this.first !== NO_FRAME) this.pool.put(this.first);
    this.first = NO_FRAME;
    for (let buffer = this.ring.takeBack(); buffer !== NOTHING; buffer = this.ring.takeBack()) this.pool.put(buffer);
  }

  /** A buffer of a frame of several, or of one that is to be given up. */
  private takePart(buffer: number, frames: FrameBurst): void {
    const { ring, pool } = this;
    const { length, status } = ring;
    if (length === 0 || length > this.bufferBytes || this.total + length > LONGEST_FRAME) this.isBad = true;
    if (this.isBad) pool.put(buffer);
    else {
      pool.setLength(buffer, length);
      if (this.first === NO_FRAME) this.first = buffer;
      else pool.setNext(this.last, buffer);
      this.last = buffer;
      this.total += length;
    }
    if ((status & EOP) !== 0) this.endFrame(frames);
  }

  private endFrame(frames: FrameBurst): void {
    const { pool, counters, first, total } = this;
    const isDamaged = (this.ring.status & RXE) !== 0;
    if (!this.isBad && !isDamaged && total >= ETHERNET) {
      if (this.tellsFacts) this.tell(first);
      frames.push(first, total);
      counters.rxBytes += total;
    } else {
      if (first !== NO_FRAME) pool.put(first);
      if (isDamaged) counters.rxErrors++;
      else if (this.isBad) counters.rxMerge++;
      else counters.rxShort++;
    }
    this.first = NO_FRAME;
    this.total = 0;
    this.isBad = false;
  }

  private tell(first: number): void {
    const { pool, ring } = this;
    const flags = receivedFlags(ring.status);
    if (flags !== 0) pool.setOffload(first, flags, 0);
    if (hasBadChecksum(ring.status)) this.counters.rxBadChecksum++;
    pool.hashReport[first] = hashReportOf(ring.types);
    pool.hashValue[first] = ring.hash;
  }
}
