import { type ArrayMaker, homeOf, PLAIN_ARRAYS, RangeList } from '@ringwire/guest-memory';
import { checkedCapacity } from './capacity.js';

/**
 * Descriptor chains that a device took from one queue, as a structure of arrays: caller-owned, filled by
 * {@link DeviceQueue.takeBurst}, reused for ever. Chain `i` is described by the i-th element of each array; its bytes are
 * the segments `first[i]` ≤ s < `end(i)`, all device-readable ones before all device-writable ones.
 */
export class ChainBurst {
  /** Most chains that fit. */
  readonly capacity: number;
  /** Chains in the burst. */
  count = 0;
  /** Chains with a fault. */
  faults = 0;
  /** What {@link DeviceQueue.putUsed} wants back, per chain. */
  readonly token: Uint16Array;
  /** 0, or the `CHAIN_FAULT` for which the chain is to be given up: it has no segments; put it with length 0. */
  readonly fault: Uint8Array;
  /**
   * Bytes that the device wrote into each chain, for {@link DeviceQueue.putUsedBurst} alone, which sets it back to 0. A
   * device that puts chains one by one gives the length there and leaves this as it is.
   */
  readonly written: Uint32Array;
  /** First segment of each chain; the element behind the last chain closes it. */
  readonly first: Uint32Array;
  /** First device-writable segment of each chain. */
  readonly firstWritable: Uint32Array;
  /** Host ranges of all chains, in chain order. A buffer may be several ranges: it is contiguous only for the guest. */
  readonly segments: RangeList;

  /** Whose memory {@link token} and {@link written} lie in; undefined: they are JavaScript's own. */
  readonly home: ArrayMaker | undefined;

  /**
   * @param capacity chains, 1 ≤ capacity ≤ 32768
   * @param arrays   of the memory that its queues lie in, for those that have WebAssembly fill it
   */
  constructor(capacity: number, arrays: ArrayMaker = PLAIN_ARRAYS) {
    this.capacity = checkedCapacity(capacity);
    this.token = arrays.u16(capacity);
    this.fault = new Uint8Array(capacity);
    this.written = arrays.u32(capacity);
    this.home = homeOf(arrays, this.token, this.written);
    this.first = new Uint32Array(capacity + 1);
    this.firstWritable = new Uint32Array(capacity);
    this.segments = new RangeList(Math.max(4, capacity * 2), arrays);
  }

  /**
   * Leading elements of `first` and `firstWritable` that are, from this burst or an earlier one, as for chains of one
   * segment each, writable or not as {@link settledWritable} says.
   */
  private settled = 0;
  private settledWritable = false;

  /** One behind the last segment of chain `i`. */
  end(i: number): number {
    return this.first[i + 1]!;
  }

  /** Device-readable bytes of chain `i`. */
  readableBytes(i: number): number {
    return this.segments.bytes(this.first[i]!, this.firstWritable[i]! - this.first[i]!);
  }

  /** Device-writable bytes of chain `i`. */
  writableBytes(i: number): number {
    return this.segments.bytes(this.firstWritable[i]!, this.first[i + 1]! - this.firstWritable[i]!);
  }

  /**
   * How many chains from the first one on are one segment each that the device reads: chain `i` is segment `i` then. Nearly
   * all chains of a transmit queue are so; there may be more of them than it says.
   */
  get plainReadable(): number {
    return this.settledWritable ? 0 : Math.min(this.settled, this.count);
  }

  /** The same for chains of one segment each that the device writes. */
  get plainWritable(): number {
    return this.settledWritable ? Math.min(this.settled, this.count) : 0;
  }

  /** Empty the burst for the next turn. */
  clear(): void {
    if (this.faults > 0) {
      this.fault.fill(0);
      this.faults = 0;
    }
    this.count = 0;
    this.segments.clear();
  }

  /** Chain `i` is to be given up. */
  markFault(i: number, fault: number): void {
    this.fault[i] = fault;
    this.faults++;
  }

  /**
   * Append chains of one segment each; their tokens and segments lie behind the last ones already.
   * @param writable whether the segments are device-writable
   */
  closePlain(count: number, writable: boolean): void {
    const { first, firstWritable } = this;
    const start = this.count;
    const end = start + count;
    const shift = this.segments.count - start;
    const alike = writable === this.settledWritable;
    let i = start;
    if (shift !== 0 || (start > 0 && !alike) || start > this.settled) this.unsettle(start);
    else {
      // Bursts of a queue resemble one another: mostly all of it stands there from the one before.
      if (alike) i = this.settled;
      this.settled = alike ? Math.max(this.settled, end) : end;
      this.settledWritable = writable;
    }
    const own = writable ? 0 : 1;
    for (; i < end; i++) {
      firstWritable[i] = shift + i + own;
      first[i + 1] = shift + i + 1;
    }
    this.count = end;
    this.segments.count += count;
  }

  /** From chain `i` on, elements are written in another way. */
  unsettle(i: number): void {
    if (i < this.settled) this.settled = i;
  }

  /** Take the last chain out again. */
  dropLast(): void {
    this.count--;
    if (this.fault[this.count] !== 0) {
      this.fault[this.count] = 0;
      this.faults--;
    }
    this.segments.truncate(this.first[this.count]!);
  }
}
