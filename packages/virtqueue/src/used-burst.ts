import { type ArrayMaker, homeOf, PLAIN_ARRAYS } from '@ringwire/guest-memory';
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

  /** Whose memory the arrays lie in; undefined: they are JavaScript's own. */
  readonly home: ArrayMaker | undefined;

  /**
   * @param capacity buffers, 1 ≤ capacity ≤ 32768
   * @param arrays   of the memory that its queues lie in, for those that have WebAssembly fill it
   */
  constructor(capacity: number, arrays: ArrayMaker = PLAIN_ARRAYS) {
    this.capacity = checkedCapacity(capacity);
    this.token = arrays.i32(capacity);
    this.written = arrays.u32(capacity);
    this.outcome = arrays.u8(capacity);
    this.home = homeOf(arrays, this.token, this.written, this.outcome);
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
