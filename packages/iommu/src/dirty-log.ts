import type { GuestRegion, HostMemory, RangeList } from '@ringwire/guest-memory';
import { VirtioError } from '@ringwire/virtio-spec';

const PAGE_BYTES = 4096;
const HERE = 'DirtyLog';

/** Where a {@link DirtyLog} lies, and which memory it is about. */
export interface DirtyLogConfig {
  /** The memory that the log lies in, and the guest's pages too. */
  readonly memory: HostMemory;
  /** Host offset of the log, a multiple of 4. */
  readonly base: number;
  /** Bytes of the log, a positive multiple of 4: each is for eight pages. */
  readonly bytes: number;
  /** Where the guest's memory lies: what tells the page of a host offset. Addresses of the log are guest-physical. */
  readonly regions: readonly GuestRegion[];
}

/**
 * Which pages of a guest were written since the log was last emptied, in vhost's layout: page n, which is guest-physical
 * n × 4096, is bit n % 8 of byte n / 8. Any number of threads may mark pages, each with a log of its own over the same
 * bytes, while another one takes them.
 *
 * Mark after writing and before telling anyone: whoever takes the bit and copies the page then either has the bytes or
 * finds the bit again.
 */
export class DirtyLog {
  /** Times that something was marked. */
  marks = 0;
  /** Pages that were written and lie past the end of the log. */
  beyond = 0;
  /** Bytes that were written and lie in none of the regions. */
  outside = 0;

  /** Signed: V8 then has what an atomic operation returns without an object. */
  private readonly i32: Int32Array;
  private readonly regions: readonly GuestRegion[];
  /** Index into i32 of the first word, and words. */
  private readonly first: number;
  private readonly words: number;

  constructor(config: DirtyLogConfig) {
    const { memory, base, bytes } = config;
    if (!Number.isInteger(base) || base < 0 || base % 4 !== 0)
      throw new VirtioError('base', base, 'a multiple of 4', HERE);
    if (!Number.isInteger(bytes) || bytes < 4 || bytes % 4 !== 0 || base + bytes > memory.size)
      throw new VirtioError('bytes', bytes, `a positive multiple of 4 in the memory's ${memory.size}`, HERE);
    this.i32 = memory.i32;
    this.regions = config.regions;
    this.first = base >>> 2;
    this.words = bytes >>> 2;
  }

  /** The bytes `[gpa, gpa + length)` were written. Guest-physical. */
  mark(gpa: number, length: number): void {
    if (length > 0) this.markPages(Math.floor(gpa / PAGE_BYTES), Math.floor((gpa + length - 1) / PAGE_BYTES));
  }

  /** Addresses above 2^31 stay out of here: as arguments they would cost an object each. */
  private markPages(first: number, last: number): void {
    this.marks++;
    for (let page = first; page <= last; ) {
      const word = Math.floor(page / 32);
      if (word >= this.words) {
        this.beyond += last - page + 1;
        return;
      }
      const from = page % 32;
      const to = Math.min(31, from + last - page);
      // Always the atomic or, never a look first: it is also what keeps the page's bytes before the bit.
      Atomics.or(this.i32, this.first + word, (-1 << from) & (-1 >>> (31 - to)));
      page += to - from + 1;
    }
  }

  /** The same by host offset. Memory that a guest sees at two addresses is marked at both. */
  markHost(offset: number, length: number): void {
    const end = offset + length;
    let inside = 0;
    for (let i = 0; i < this.regions.length; i++) {
      const region = this.regions[i]!;
      const from = Math.max(offset, region.host);
      const upTo = Math.min(end, region.host + region.size);
      if (from >= upTo) continue;
      const gpa = region.gpa + (from - region.host);
      this.markPages(Math.floor(gpa / PAGE_BYTES), Math.floor((gpa + (upTo - from) - 1) / PAGE_BYTES));
      inside += upTo - from;
    }
    if (inside < length) this.outside += length - inside;
  }

  /** The same for some bytes of a list of host ranges, from its range `first` on. */
  markRanges(ranges: RangeList, first: number, count: number, bytes: number): void {
    let left = bytes;
    for (let i = first; i < first + count && left > 0; i++) {
      const length = Math.min(left, ranges.length[i]!);
      this.markHost(ranges.offset[i]!, length);
      left -= length;
    }
  }

  /**
   * Take the marks off the log.
   * @returns guest-physical addresses of the marked pages, ascending
   */
  take(): number[] {
    const pages: number[] = [];
    for (let word = 0; word < this.words; word++) {
      if (Atomics.load(this.i32, this.first + word) === 0) continue;
      let bits = Atomics.exchange(this.i32, this.first + word, 0);
      for (let page = word * 32; bits !== 0; page++, bits >>>= 1) if ((bits & 1) !== 0) pages.push(page * PAGE_BYTES);
    }
    return pages;
  }
}
