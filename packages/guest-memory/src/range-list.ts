import { VirtioError } from '@ringwire/virtio-spec';
import { type ArrayMaker, homeOf, PLAIN_ARRAYS } from './array-maker.js';

const HERE = 'RangeList';

/**
 * Host byte ranges in order, as two parallel arrays: a list is made once and reused, so that a packet's ranges cost no
 * allocation. Adjacent ranges are kept apart as they were pushed. Only the first `count` elements mean anything, and
 * `offset` and `length` are replaced when the list grows: read them from the list, not from a copy of the reference.
 */
export class RangeList {
  /** Host offset of each range, in bytes. */
  offset: Uint32Array;
  /** Length of each range, in bytes. */
  length: Uint32Array;
  /** Ranges in the list. */
  count: number;
  /** Whose memory the arrays lie in; undefined: they are JavaScript's own. */
  home: ArrayMaker | undefined;
  readonly #arrays: ArrayMaker;

  /**
   * @param capacity ranges that fit before the arrays grow; they double whenever they are full
   * @param arrays   makes them: a host memory's, for ranges that WebAssembly writes
   */
  constructor(capacity = 16, arrays: ArrayMaker = PLAIN_ARRAYS) {
    if (!Number.isInteger(capacity) || capacity < 1 || capacity > 2 ** 28) {
      throw new VirtioError('capacity', capacity, 'an integer from 1 to 2^28', HERE);
    }
    this.#arrays = arrays;
    this.offset = arrays.u32(capacity);
    this.length = arrays.u32(capacity);
    this.home = homeOf(arrays, this.offset, this.length);
    this.count = 0;
  }

  /** Append one range; both numbers are 0 … 2^32-1, as an address space gives them, and are not checked again. */
  push(offset: number, length: number): void {
    const at = this.count;
    if (at === this.offset.length) this.#grow();
    this.offset[at] = offset;
    this.length[at] = length;
    this.count = at + 1;
  }

  /** Make room for `count` more ranges, so that they can be written into the arrays directly. */
  reserve(count: number): void {
    while (this.count + count > this.offset.length) this.#grow();
  }

  clear(): void {
    this.count = 0;
  }

  /** Keep the first `count` ranges: takes back what was pushed after `list.count` was read. */
  truncate(count: number): void {
    if (!Number.isInteger(count) || count < 0 || count > this.count) {
      throw new VirtioError('count', count, `an integer from 0 to ${this.count}`, HERE);
    }
    this.count = count;
  }

  /** Bytes in `count` ranges from `first` on; without arguments, in the whole list. */
  bytes(first = 0, count: number = this.count - first): number {
    this.check(first, count);
    let sum = 0;
    for (let at = first; at < first + count; at++) sum += this.length[at]!;
    return sum;
  }

  /** Throws unless the list holds `count` ranges from `first` on: past its end lie stale ones of an earlier use. */
  check(first: number, count: number): void {
    if (first >= 0 && count >= 0 && first + count <= this.count) return;
    throw new VirtioError('first + count', first + count, `0 ≤ first ≤ first + count ≤ ${this.count}`, HERE);
  }

  #grow(): void {
    const capacity = this.offset.length * 2;
    const offset = this.#arrays.u32(capacity);
    const length = this.#arrays.u32(capacity);
    offset.set(this.offset);
    length.set(this.length);
    this.offset = offset;
    this.length = length;
    this.home = homeOf(this.#arrays, offset, length);
  }
}
