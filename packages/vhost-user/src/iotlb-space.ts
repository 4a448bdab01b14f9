import { type AddressSpace, type HostMemory, type RangeList, RESOLVE } from '@ringwire/guest-memory';
import { IotlbMisses } from './iotlb-misses.js';

/** Translations that are kept at most: an older one makes room, and is asked for again. */
const ENTRIES_MAX = 2048;

/** One translation. */
interface Entry {
  readonly iova: number;
  /** One behind its last address. */
  readonly end: number;
  readonly host: number;
  /** Bits of `ACCESS` that are allowed. */
  readonly access: number;
  /** Bits that were asked for, and are not. */
  readonly denied: number;
  /** When it came: a number that grows. */
  readonly age: number;
}

const NO_ENTRY: Entry = { iova: 0, end: 0, host: 0, access: 0, denied: 0, age: 0 };

/**
 * I/O virtual addresses as a front-end translates them, page by page as they are asked for. An address without a
 * translation faults here and is noted in {@link misses}: whoever gets the fault looks whether it is one that ends.
 * Nothing is resolved for longer than a turn of the device, so a translation that is taken away is gone at once.
 */
export class IotlbSpace implements AddressSpace {
  readonly memory: HostMemory;
  readonly misses: IotlbMisses = new IotlbMisses();
  /** By address, without overlaps. */
  private entries: Entry[] = [];
  private last: Entry = NO_ENTRY;
  private age = 0;

  constructor(memory: HostMemory) {
    this.memory = memory;
  }

  enter(): number {
    return 0;
  }

  leave(): void {}

  resolve(address: number, length: number, access: number): number {
    const { last } = this;
    const at = address - last.iova;
    if (at >= 0 && address < last.end && length <= last.end - address && (access & ~last.access) === 0) {
      const offset = last.host + at;
      if (offset >>> 0 === offset && length >>> 0 === length) return offset;
    }
    return this.walk(address, length, access, undefined);
  }

  resolveRanges(address: number, length: number, access: number, ranges: RangeList): boolean {
    const offset = this.resolve(address, length, access);
    if (offset === RESOLVE.FAULT) return false;
    if (offset === RESOLVE.SPLIT) this.walk(address, length, access, ranges);
    else if (length > 0) ranges.push(offset, length);
    return true;
  }

  /**
   * Add a translation, in place of what says the same of the same addresses. Addresses are below 2^53.
   * @returns false where it contradicts one that was not taken away
   */
  add(iova: number, size: number, host: number, access: number): boolean {
    const end = iova + size;
    const from = this.firstBehind(iova);
    let to = from;
    const left: Entry[] = [];
    for (let entry = this.entries[to]; entry !== undefined && entry.iova < end; entry = this.entries[++to]) {
      if (entry.host - entry.iova !== host - iova) return false;
      left.push(...partsOutside(entry, iova, end));
    }
    const denied = this.misses.settle(iova, end) & ~access;
    left.push({ iova, end, host, access, denied, age: this.age++ });
    this.entries.splice(from, to - from, ...left.sort((a, b) => a.iova - b.iova));
    while (this.entries.length > ENTRIES_MAX) this.dropOldest();
    this.last = NO_ENTRY;
    return true;
  }

  /** Take away what translates these addresses. */
  remove(iova: number, end: number): void {
    const from = this.firstBehind(iova);
    let to = from;
    const left: Entry[] = [];
    for (let entry = this.entries[to]; entry !== undefined && entry.iova < end; entry = this.entries[++to])
      left.push(...partsOutside(entry, iova, end));
    this.entries.splice(from, to - from, ...left);
    this.misses.settle(iova, end);
    this.last = NO_ENTRY;
  }

  clear(): void {
    this.entries = [];
    this.last = NO_ENTRY;
    this.misses.clear();
  }

  /** `resolve` from the beginning; pushes the ranges, when a list is given, of what is known to be reachable. */
  private walk(address: number, length: number, access: number, ranges: RangeList | undefined): number {
    if (!Number.isSafeInteger(address) || address < 0 || length >>> 0 !== length) return RESOLVE.FAULT;
    const end = address + Math.max(length, 1);
    if (end > 2 ** 53) return RESOLVE.FAULT;
    let index = this.firstBehind(address);
    let start = 0;
    let runs = 0;
    let run = 0;
    let runEnd = -1;
    for (let at = address; at < end; index++) {
      const entry = this.entries[index];
      if (entry === undefined || entry.iova > at) return this.miss(at, access);
      const refused = access & ~entry.access;
      if ((refused & entry.denied) !== 0) {
        this.misses.noteFailure(at, access);
        return RESOLVE.FAULT;
      }
      if (refused !== 0) return this.miss(at, access);
      const offset = entry.host + at - entry.iova;
      if (runs === 0) start = offset;
      if (offset !== runEnd) {
        if (runs > 0) ranges?.push(run, runEnd - run);
        runs++;
        run = offset;
      }
      const take = Math.min(end, entry.end) - at;
      runEnd = offset + take;
      at += take;
      this.last = entry;
    }
    if (length > 0) ranges?.push(run, runEnd - run);
    return runs === 1 ? start : RESOLVE.SPLIT;
  }

  private miss(address: number, access: number): number {
    this.misses.note(address, access);
    return RESOLVE.FAULT;
  }

  /** Index of the first entry that ends behind an address. */
  private firstBehind(address: number): number {
    let low = 0;
    let high = this.entries.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if (this.entries[middle]!.end <= address) low = middle + 1;
      else high = middle;
    }
    return low;
  }

  private dropOldest(): void {
    const { entries } = this;
    let oldest = 0;
    for (let at = 1; at < entries.length; at++) if (entries[at]!.age < entries[oldest]!.age) oldest = at;
    entries.splice(oldest, 1);
  }
}

/** What is left of a translation when addresses are taken out of it. */
function partsOutside(entry: Entry, from: number, to: number): Entry[] {
  const parts: Entry[] = [];
  if (entry.iova < from) parts.push({ ...entry, end: from });
  if (entry.end > to) parts.push({ ...entry, iova: to, host: entry.host + to - entry.iova });
  return parts;
}
