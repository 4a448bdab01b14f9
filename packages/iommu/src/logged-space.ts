import { ACCESS, type AddressSpace, type HostMemory, RangeList } from '@ringwire/guest-memory';
import type { DirtyLog } from './dirty-log.js';

/**
 * An address space that logs what its device may have written: all that was resolved for writing in a burst is marked
 * when the burst ends. That is more than was written, where a device resolves what it leaves alone. Rings, which a queue
 * resolves once and writes ever after, are for `LoggedQueue`.
 */
export class LoggedSpace implements AddressSpace {
  readonly memory: HostMemory;

  private readonly inner: AddressSpace;
  private readonly log: DirtyLog;
  /** Resolved for writing in this burst. */
  private readonly written = new RangeList(256);

  constructor(inner: AddressSpace, log: DirtyLog) {
    this.memory = inner.memory;
    this.inner = inner;
    this.log = log;
  }

  enter(): number {
    return this.inner.enter();
  }

  leave(): void {
    const { written } = this;
    this.log.markRanges(written, 0, written.count, Number.POSITIVE_INFINITY);
    written.clear();
    // After the marks: whoever waits for the end of the burst finds them.
    this.inner.leave();
  }

  resolve(address: number, length: number, access: number): number {
    const offset = this.inner.resolve(address, length, access);
    if (offset >= 0 && length > 0 && (access & ACCESS.WRITE) !== 0) this.written.push(offset, length);
    return offset;
  }

  resolveRanges(address: number, length: number, access: number, ranges: RangeList): boolean {
    const before = ranges.count;
    if (!this.inner.resolveRanges(address, length, access, ranges)) return false;
    if ((access & ACCESS.WRITE) === 0) return true;
    for (let i = before; i < ranges.count; i++) this.written.push(ranges.offset[i]!, ranges.length[i]!);
    return true;
  }
}
