import { VirtioError } from '@ringwire/virtio-spec';

/** What an {@link Iotlb} counted since it was made. */
export interface IotlbCounters {
  hits: number;
  misses: number;
  /** Live entries that gave way to others. */
  evictions: number;
  /** Entries dropped because they were told to be void. */
  invalidated: number;
  /** Table entries that the walks after misses read. */
  entriesRead: number;
}

const NO_KEY = -1;
/** A key is tag * 2^41 + page number: exact in a double for 2048 tags and addresses below 2^53. */
const TAG_UNIT = 2 ** 41;
/** Requesters that one cache can tell apart. */
export const IOTLB_TAGS_MAX = 2048;

/**
 * A cache of translations in pieces of 4 KiB: two ways, least recently used replaced, of a fixed size. A piece remembers
 * the page that it is part of, so that an invalidation of any byte of a large page drops every piece of it.
 */
export class Iotlb {
  readonly counters: IotlbCounters = { hits: 0, misses: 0, evictions: 0, invalidated: 0, entriesRead: 0 };
  /** Most pieces that fit. */
  readonly capacity: number;

  private readonly setMask: number;
  // Way 0 of set s is element 2s, way 1 element 2s + 1; way 0 is the one used last.
  private readonly key: Float64Array;
  private readonly host: Uint32Array;
  private readonly allowed: Uint8Array;
  private readonly domain: Uint32Array;
  private readonly pageStart: Float64Array;
  private readonly pageMask: Float64Array;

  /** @param capacity pieces of 4 KiB, a power of two from 2 to 2^20 */
  constructor(capacity = 2048) {
    if (!Number.isInteger(capacity) || capacity < 2 || capacity > 2 ** 20 || (capacity & (capacity - 1)) !== 0)
      throw new VirtioError('capacity', capacity, 'a power of two from 2 to 2^20', 'Iotlb');
    this.capacity = capacity;
    this.setMask = capacity / 2 - 1;
    this.key = new Float64Array(capacity).fill(NO_KEY);
    this.host = new Uint32Array(capacity);
    this.allowed = new Uint8Array(capacity);
    this.domain = new Uint32Array(capacity);
    this.pageStart = new Float64Array(capacity);
    this.pageMask = new Float64Array(capacity);
  }

  /**
   * @param tag    the requester's, 0 ≤ tag < 2048
   * @param page   4 KiB page number of the address
   * @param access `ACCESS` bits that are wanted
   * @returns host offset of the page's first byte, or -1
   */
  lookup(tag: number, page: number, access: number): number {
    const key = tag * TAG_UNIT + page;
    const at = this.setOf(tag, page);
    if (this.key[at] === key) {
      if ((access & ~this.allowed[at]!) !== 0) return -1;
      this.counters.hits++;
      return this.host[at]!;
    }
    if (this.key[at + 1] !== key || (access & ~this.allowed[at + 1]!) !== 0) return -1;
    this.counters.hits++;
    this.swap(at);
    return this.host[at]!;
  }

  /**
   * Remember a piece after a walk.
   * @param host   host offset of the piece's first byte
   * @param start,mask the page that it is part of: first address, and bytes less one
   */
  insert(tag: number, page: number, host: number, allowed: number, domain: number, start: number, mask: number): void {
    const key = tag * TAG_UNIT + page;
    const at = this.setOf(tag, page);
    if (this.key[at] !== key) {
      // The piece may be in way 1 already, with fewer rights: then it is replaced, not doubled.
      if (this.key[at + 1] !== key && this.key[at + 1] !== NO_KEY) this.counters.evictions++;
      this.swap(at);
    }
    this.key[at] = key;
    this.host[at] = host;
    this.allowed[at] = allowed;
    this.domain[at] = domain;
    this.pageStart[at] = start;
    this.pageMask[at] = mask;
  }

  dropAll(): void {
    for (let at = 0; at < this.capacity; at++) this.drop(at);
  }

  dropDomain(domain: number): void {
    for (let at = 0; at < this.capacity; at++) if (this.domain[at] === domain) this.drop(at);
  }

  /** Drop what belongs to a page that has a byte of `address` to `address + mask`. */
  dropPages(domain: number, address: number, mask: number): void {
    for (let at = 0; at < this.capacity; at++) {
      const start = this.pageStart[at]!;
      if (this.domain[at] !== domain || start > address + mask || address > start + this.pageMask[at]!) continue;
      this.drop(at);
    }
  }

  dropTag(tag: number): void {
    for (let at = 0; at < this.capacity; at++) if (Math.floor(this.key[at]! / TAG_UNIT) === tag) this.drop(at);
  }

  private drop(at: number): void {
    if (this.key[at] === NO_KEY) return;
    this.key[at] = NO_KEY;
    this.counters.invalidated++;
  }

  private setOf(tag: number, page: number): number {
    // Rings and buffers lie in rows of pages: folding the upper bits in keeps two rows from meeting in the same sets.
    const low = page >>> 0;
    return ((low ^ (low >>> 9) ^ (tag * 37)) & this.setMask) << 1;
  }

  private swap(at: number): void {
    const other = at + 1;
    const key = this.key[at]!;
    const host = this.host[at]!;
    const allowed = this.allowed[at]!;
    const domain = this.domain[at]!;
    const pageStart = this.pageStart[at]!;
    const pageMask = this.pageMask[at]!;
    this.key[at] = this.key[other]!;
    this.host[at] = this.host[other]!;
    this.allowed[at] = this.allowed[other]!;
    this.domain[at] = this.domain[other]!;
    this.pageStart[at] = this.pageStart[other]!;
    this.pageMask[at] = this.pageMask[other]!;
    this.key[other] = key;
    this.host[other] = host;
    this.allowed[other] = allowed;
    this.domain[other] = domain;
    this.pageStart[other] = pageStart;
    this.pageMask[other] = pageMask;
  }
}
