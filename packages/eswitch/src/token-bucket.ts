import { VirtioError } from '@ringwire/virtio-spec';
import type { Limit } from './limit.js';
import { BYTE_MILLIBITS } from './nanoseconds.js';

/** How long a bucket fills, unless its size is given. */
const FILL_NANOSECONDS = 50_000;
/** Of the longest frame of an ordinary MTU on the wire, tag included. */
const FRAME_WIRE_BYTES = 1542;

/**
 * Lets so many bytes pass per time: a bucket that fills at the rate, up to its size, and that a frame empties by its
 * length. What is in it is counted in whole millibits, so that nothing is lost or gained by rounding.
 *
 * A frame that is larger than the bucket passes when the bucket is full, and leaves a debt: so none waits for ever. In any
 * window of time pass at most rate · time, and the bucket's size or one frame more, whichever is larger.
 */
export class TokenBucket implements Limit {
  private rate = 0;
  private size = 0;
  /** Millibits; below 0: debt. */
  private level = 0;
  /** When the level was as it is, in ns. */
  private at = 0;

  /** Unlimited until {@link set}. @param now ns */
  constructor(now: number) {
    this.at = now;
  }

  get isLimited(): boolean {
    return this.rate > 0;
  }

  /**
   * A new rate from now on. A bucket that becomes limited is full.
   * @param rate Mbit/s from 0 on; 0: unlimited. What is more than any wire's is as good as unlimited
   * @param burst the bucket's size in bytes; what comes in 50 µs, one frame at least, unless given
   * @throws VirtioError for what is no rate or no size
   */
  set(rate: number, burst: number | undefined, now: number): void {
    if (!(rate >= 0)) throw new VirtioError('rate', rate, 'Mbit/s, 0 or more', 'TokenBucket');
    if (burst !== undefined && !(Number.isSafeInteger(burst) && burst > 0))
      throw new VirtioError('burst', burst, 'bytes, 1 or more', 'TokenBucket');
    this.settle(now);
    const wasLimited = this.isLimited;
    this.rate = Number.isFinite(rate) ? rate : 0;
    this.size =
      burst === undefined
        ? Math.max(FRAME_WIRE_BYTES * BYTE_MILLIBITS, rate * FILL_NANOSECONDS)
        : burst * BYTE_MILLIBITS;
    this.level = wasLimited ? Math.min(this.level, this.size) : this.size;
  }

  /** When so many bytes may pass: `now`, or a later time. ns */
  readyAt(bytes: number, now: number): number {
    if (this.rate === 0) return now;
    this.settle(now);
    const missing = Math.min(bytes * BYTE_MILLIBITS, this.size) - this.level;
    return missing <= 0 ? now : now + Math.ceil(missing / this.rate);
  }

  /** So many bytes pass, at the time of the last {@link readyAt}. */
  take(bytes: number): void {
    if (this.rate > 0) this.level -= bytes * BYTE_MILLIBITS;
  }

  private settle(now: number): void {
    if (now > this.at && this.rate > 0) this.level = Math.min(this.size, this.level + this.rate * (now - this.at));
    this.at = Math.max(this.at, now);
  }
}
