import type { RangeList } from '@ringwire/guest-memory';
import type { Frame } from '@ringwire/net-backend';
import { addSums, swapSum } from './checksum.js';

/** Walks through a frame's bytes and gives them out in parts, as ranges: nothing is copied. */
export class PieceCursor {
  /** The sum of the bytes of the last part. */
  sum = 0;
  #range = 0;
  #skip = 0;

  /** Go to a frame's byte `at`. */
  start(frame: Frame, at: number): void {
    this.#range = frame.first;
    this.#skip = frame.skip + at;
  }

  /**
   * Append the next bytes of the frame to a list of ranges, and sum them.
   * @param length bytes; the frame has that many left
   */
  take(frame: Frame, length: number, to: RangeList): void {
    const { ranges, memory } = frame;
    let left = length;
    let sum = 0;
    let odd = false;
    while (left > 0 && this.#range < frame.end) {
      const have = ranges.length[this.#range]!;
      if (have <= this.#skip) {
        this.#range++;
        this.#skip -= have;
        continue;
      }
      const bytes = Math.min(have - this.#skip, left);
      const offset = ranges.offset[this.#range]! + this.#skip;
      const part = memory.engine.checksum(offset, bytes);
      sum = addSums(sum, odd ? swapSum(part) : part);
      if ((bytes & 1) !== 0) odd = !odd;
      to.push(offset, bytes);
      this.#skip += bytes;
      left -= bytes;
    }
    this.sum = sum;
  }
}
