import type { GuestRegion, HostMemory } from '@ringwire/guest-memory';
import { VirtioError } from '@ringwire/virtio-spec';

export const PAGE_BYTES = 4096;
const PAGE_WORDS = PAGE_BYTES / 4;
const HERE = 'GuestPages';

/**
 * A guest's RAM as pages with numbers, in the order of their guest-physical addresses: what a move copies. Where each page lies
 * in host memory is this host's own matter.
 */
export class GuestPages {
  readonly memory: HostMemory;
  /** By address. */
  readonly regions: readonly GuestRegion[];
  /** Pages of all regions. */
  readonly count: number;
  /** Number of each region's first page. */
  private readonly firsts: readonly number[];

  /** @throws VirtioError for regions that are not whole pages, or lie beyond the memory */
  constructor(memory: HostMemory, regions: readonly GuestRegion[]) {
    this.memory = memory;
    this.regions = [...regions].sort((a, b) => a.gpa - b.gpa);
    let count = 0;
    this.firsts = this.regions.map(({ gpa, size, host }) => {
      for (const [field, value] of Object.entries({ gpa, size, host }))
        if (!Number.isSafeInteger(value) || value < 0 || value % PAGE_BYTES !== 0)
          throw new VirtioError(field, value, 'a multiple of 4096', HERE);
      if (host + size > memory.size) throw new VirtioError('host', host, `${size} bytes within ${memory.size}`, HERE);
      const first = count;
      count += size / PAGE_BYTES;
      return first;
    });
    this.count = count;
  }

  gpaOf(page: number): number {
    const at = this.regionOf(page);
    return this.regions[at]!.gpa + (page - this.firsts[at]!) * PAGE_BYTES;
  }

  hostOf(page: number): number {
    const at = this.regionOf(page);
    return this.regions[at]!.host + (page - this.firsts[at]!) * PAGE_BYTES;
  }

  /** Number of the page at a guest-physical address, foreign; -1 where there is none, or no page begins. */
  pageAt(gpa: number): number {
    if (gpa % PAGE_BYTES !== 0) return -1;
    const at = this.regions.findIndex((region) => gpa >= region.gpa && gpa < region.gpa + region.size);
    return at < 0 ? -1 : this.firsts[at]! + (gpa - this.regions[at]!.gpa) / PAGE_BYTES;
  }

  /** Host offset of so many pages from a guest-physical address on, foreign; -1 unless all of them lie in one piece. */
  hostOfRun(gpa: number, count: number): number {
    const first = this.pageAt(gpa);
    const last = this.pageAt(gpa + (count - 1) * PAGE_BYTES);
    if (first < 0 || last !== first + count - 1) return -1;
    const host = this.hostOf(first);
    return this.hostOf(last) === host + (count - 1) * PAGE_BYTES ? host : -1;
  }

  /** Put the pages that lie in a host range into a set. @returns bytes of the range that are none of the guest's */
  gather(host: number, bytes: number, into: PageSet): number {
    let inside = 0;
    for (const [at, region] of this.regions.entries()) {
      const from = Math.max(host, region.host);
      const end = Math.min(host + bytes, region.host + region.size);
      if (from >= end) continue;
      inside += end - from;
      const first = this.firsts[at]!;
      const last = first + Math.floor((end - 1 - region.host) / PAGE_BYTES);
      for (let page = first + Math.floor((from - region.host) / PAGE_BYTES); page <= last; page++) into.add(page);
    }
    return Math.max(0, bytes - inside);
  }

  /** Guest-physical pieces of a host range, in their order; undefined when some of it is none of the guest's. */
  guestPieces(host: number, bytes: number): { readonly gpa: number; readonly bytes: number }[] | undefined {
    const pieces: { gpa: number; bytes: number }[] = [];
    for (let at = host; at < host + bytes; ) {
      const region = this.regions.find((one) => at >= one.host && at < one.host + one.size);
      if (region === undefined) return undefined;
      const take = Math.min(host + bytes, region.host + region.size) - at;
      pieces.push({ gpa: region.gpa + at - region.host, bytes: take });
      at += take;
    }
    return pieces;
  }

  /** Host offset of a guest-physical range, foreign; -1 unless it lies in one region. */
  hostAt(gpa: number, bytes: number): number {
    const region = this.regions.find((one) => gpa >= one.gpa && gpa < one.gpa + one.size);
    return region === undefined || gpa + bytes > region.gpa + region.size ? -1 : region.host + gpa - region.gpa;
  }

  isZero(page: number): boolean {
    const { u32 } = this.memory;
    const first = this.hostOf(page) >>> 2;
    for (let word = first; word < first + PAGE_WORDS; word++) if (u32[word] !== 0) return false;
    return true;
  }

  private regionOf(page: number): number {
    let at = this.firsts.length - 1;
    while (this.firsts[at]! > page) at--;
    return at;
  }
}

/** A set of page numbers. */
export class PageSet {
  size = 0;
  private readonly words: Uint32Array;
  private readonly count: number;

  constructor(count: number) {
    this.count = count;
    this.words = new Uint32Array(Math.ceil(count / 32));
  }

  add(page: number): void {
    const bit = 1 << (page & 31);
    if ((this.words[page >>> 5]! & bit) !== 0) return;
    this.words[page >>> 5]! |= bit;
    this.size++;
  }

  addAll(): void {
    for (let page = 0; page < this.count; page++) this.add(page);
  }

  /** Take the smallest number out. @returns -1 when the set is empty */
  take(): number {
    if (this.size === 0) return -1;
    for (let at = 0; at < this.words.length; at++) {
      const word = this.words[at]!;
      if (word === 0) continue;
      const bit = 31 - Math.clz32(word & -word);
      this.words[at] = (word & ~(1 << bit)) >>> 0;
      this.size--;
      return at * 32 + bit;
    }
    return -1;
  }

  /** Take a page out. @returns whether it was there */
  remove(page: number): boolean {
    const bit = 1 << (page & 31);
    if (page >= this.count || (this.words[page >>> 5]! & bit) === 0) return false;
    this.words[page >>> 5]! &= ~bit;
    this.size--;
    return true;
  }
}
