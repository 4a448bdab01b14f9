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

const PIECE_BYTES = 4096;
/** Start of an element that holds nothing: no address is that large. */
const NOWHERE = Number.POSITIVE_INFINITY;
/** `meta` is tag << 2 | allowed `ACCESS` bits. */
const ALLOWED = 3;
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
  private readonly start: Float64Array;
  private readonly meta: Uint16Array;
  private readonly host: Uint32Array;
  private readonly domain: Uint32Array;
  private readonly pageStart: Float64Array;
  private readonly pageMask: Float64Array;
  /** All of them, for moving an element. */
  private readonly tables: readonly (Float64Array | Uint32Array | Uint16Array)[];

  /** @param capacity pieces of 4 KiB, a power of two from 2 to 2^20 */
  constructor(capacity = 2048) {
    if (!Number.isInteger(capacity) || capacity < 2 || capacity > 2 ** 20 || (capacity & (capacity - 1)) !== 0)
      throw new VirtioError('capacity', capacity, 'a power of two from 2 to 2^20', 'Iotlb');
    this.capacity = capacity;
    this.setMask = capacity / 2 - 1;
    this.start = new Float64Array(capacity).fill(NOWHERE);
    this.meta = new Uint16Array(capacity);
    this.host = new Uint32Array(capacity);
    this.domain = new Uint32Array(capacity);
    this.pageStart = new Float64Array(capacity);
    this.pageMask = new Float64Array(capacity);
    this.tables = [this.start, this.meta, this.host, this.domain, this.pageStart, this.pageMask];
  }

  /**
   * @param tag    the requester's, 0 ≤ tag < 2048
   * @param access `ACCESS` bits that are wanted
   * @returns host offset of `[address, address + length)`, or -1 unless all of it lies in one piece that is known
   */
  lookup(tag: number, address: number, length: number, access: number): number {
    const at = this.setOf(tag, address);
    const into = address - this.start[at]!;
    const meta = this.meta[at]!;
    if (into >= 0 && into + length <= PIECE_BYTES && meta >>> 2 === tag && (access & ~meta & ALLOWED) === 0) {
      this.counters.hits++;
      return this.host[at]! + into;
    }
    return this.lookupOlder(at + 1, tag, address, length, access);
  }

  /**
   * Remember a piece after a walk.
   * @param page 4 KiB page number
   * @param host   host offset of the piece's first byte
   * @param start,mask the page that it is part of: first address, and bytes less one
   */
  insert(tag: number, page: number, host: number, allowed: number, domain: number, start: number, mask: number): void {
    const address = page * PIECE_BYTES;
    const at = this.setOf(tag, address);
    if (!this.holds(at, tag, address)) {
      // The piece may be in way 1 already, with fewer rights: then it is replaced, not doubled.
      if (!this.holds(at + 1, tag, address) && this.start[at + 1] !== NOWHERE) this.counters.evictions++;
      this.swap(at);
    }
    this.start[at] = address;
    this.meta[at] = (tag << 2) | allowed;
    this.host[at] = host;
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
    for (let at = 0; at < this.capacity; at++) if (this.meta[at]! >>> 2 === tag) this.drop(at);
  }

  private drop(at: number): void {
    if (this.start[at] === NOWHERE) return;
    this.start[at] = NOWHERE;
    this.counters.invalidated++;
  }

  private holds(at: number, tag: number, address: number): boolean {
    return this.start[at] === address && this.meta[at]! >>> 2 === tag;
  }

  private lookupOlder(at: number, tag: number, address: number, length: number, access: number): number {
    const into = address - this.start[at]!;
    const meta = this.meta[at]!;
    if (!(into >= 0 && into + length <= PIECE_BYTES) || meta >>> 2 !== tag || (access & ~meta & ALLOWED) !== 0)
      return -1;
    this.counters.hits++;
    this.swap(at - 1);
    return this.host[at - 1]! + into;
  }

  private setOf(tag: number, address: number): number {
    // Rings and buffers lie in rows of pages: folding the upper bits in keeps two rows from meeting in the same sets.
    const low = (address / PIECE_BYTES) >>> 0;
    return ((low ^ (low >>> 9) ^ (tag * 37)) & this.setMask) << 1;
  }

  private swap(at: number): void {
    const { tables } = this;
    for (let t = 0; t < tables.length; t++) {
      const table = tables[t]!;
      const newer = table[at]!;
      table[at] = table[at + 1]!;
      table[at + 1] = newer;
    }
  }
}
