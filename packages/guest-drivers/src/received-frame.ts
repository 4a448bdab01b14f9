import { type HostMemory, RangeList } from '@ringwire/guest-memory';
import { NetOffload } from './net-offload.js';

/**
 * A frame that came in: good during the call that hands it up, and reused for the next one.
 *
 * Its bytes lie in memory that the device can still write to: a device that does not keep to the rules may change them
 * under the reader. Copy them with {@link copyTo} before anything depends on what they say twice. Lengths and offload
 * fields are copies already.
 */
export class ReceivedFrame {
  readonly memory: HostMemory;
  /** Where its bytes are, from the destination address on. */
  readonly ranges: RangeList = new RangeList(32);
  /** Bytes in all ranges. */
  length = 0;
  /** Queue pair that it came in by. */
  pair = 0;
  readonly offload: NetOffload = new NetOffload();

  constructor(memory: HostMemory) {
    this.memory = memory;
  }

  /** @returns bytes copied: all, or what fits */
  copyTo(target: Uint8Array): number {
    const { offset, length, count } = this.ranges;
    let at = 0;
    for (let i = 0; i < count; i++) {
      const bytes = Math.min(length[i]!, target.length - at);
      target.set(this.memory.u8.subarray(offset[i]!, offset[i]! + bytes), at);
      at += bytes;
    }
    return at;
  }

  /** A copy of its bytes, for those to whom an allocation does not matter. */
  bytes(): Uint8Array<ArrayBuffer> {
    const copy = new Uint8Array(this.length);
    this.copyTo(copy);
    return copy;
  }
}
