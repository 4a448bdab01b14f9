import { checkedCapacity } from './capacity.js';

/** What became of one used buffer, see {@link UsedBurst.outcome}. */
export const USED = {
  /** Used as the specification says. */
  GOOD: 0,
  /** The device claims more bytes than the buffer has for it to write: give the buffer up, its length is 0 here. */
  TOO_LONG: 1,
  /** Never used: taken back by {@link DriverQueue.detachUnused} after a reset. */
  UNUSED: 2,
} as const;

/** Buffers that a driver got back, as parallel arrays: caller-owned, filled by {@link DriverQueue.takeUsed}, reused. */
export class UsedBurst {
  /** Most buffers that fit. */
  readonly capacity: number;
  count = 0;
  /**
   * What {@link DriverQueue.add} returned for the buffer, free for the next one from now on; or, as a signed number, the
   * token that it had in {@link DriverQueue.addBurst}.
   */
  readonly token: Int32Array;
  /** Bytes the device wrote, never more than the buffer's device-writable bytes; 0 for a buffer without any. */
  readonly written: Uint32Array;
  /** A `USED` code. */
  readonly outcome: Uint8Array;

  /** @param capacity buffers, 1 ≤ capacity ≤ 32768 */
  constructor(capacity: number) {
    this.capacity = checkedCapacity(capacity);
    this.token = new Int32Array(capacity);
    this.written = new Uint32Array(capacity);
    this.outcome = new Uint8Array(capacity);
  }

  clear(): void {
    this.count = 0;
  }

  push(token: number, written: number, outcome: number): void {
    const i = this.count;
    this.token[i] = token;
    this.written[i] = written;
    this.outcome[i] = outcome;
    this.count = i + 1;
  }
}
