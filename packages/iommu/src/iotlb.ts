import { ACCESS } from '@ringwire/guest-memory';
import { VirtioError } from '@ringwire/virtio-spec';
import { type InvalidationSink, NO_PASID } from './translation.js';

/** What an {@link Iotlb} counted since it was made. */
export interface IotlbCounters {
  readonly hits: number;
  readonly misses: number;
  /** Live entries that gave way to others. */
  readonly evictions: number;
  /** Entries dropped because they were told to be void. */
  readonly invalidated: number;
  /** Table entries that the walks after misses read. */
  readonly entriesRead: number;
}

const PIECE_BYTES = 4096;
/** Requesters that one cache can tell apart. */
const IOTLB_TAGS_MAX = 2048;
const ANY = -1;
/** Keys of an element: for reads, for writes. */
const KEYS = 2;
const { READ, WRITE } = ACCESS;
const RW = READ | WRITE;
/** No key: addresses are not negative, and a page that would be has a key further down. */
const NOTHING = -1;

/** Bits of an address past the page's offset that pick a set, with the requester's tag. */
const hash = (low: number, tag: number): number => (low >>> 12) ^ (low >>> 21) ^ Math.imul(tag, 37);

/**
 * A cache of translations in pieces of 4 KiB: two ways, least recently used replaced, of a fixed size. A piece remembers
 * the page that it is part of, so that an invalidation of any byte of a large page drops every piece of it.
 */
export class Iotlb implements InvalidationSink {
  /** Most pieces that fit. */
  readonly capacity: number;
  /** Changes with everything that it is told to forget: what others keep of its answers is void then. */
  generation = 0;
  /** Its users count what it cannot see: the hits on what they keep, misses, and what walks read. */
  hits = 0;
  misses = 0;
  entriesRead = 0;

  private evictions = 0;
  private invalidated = 0;
  private readonly setMask: number;
  /**
   * Element e of set e >> 1 has the keys 2e for reads and 2e + 1 for writes: the piece's address plus the requester's tag
   * where that is allowed, else NOTHING. A set is half a cache line.
   */
  private readonly keys: Float64Array;
  private readonly host: Uint32Array;
  private readonly domains: Uint32Array;
  private readonly pageStart: Float64Array;
  private readonly pageMask: Float64Array;
  /** Of each set, the way used last. */
  private readonly recent: Uint8Array;
  /** Live pieces of pages larger than one. */
  private largePieces = 0;
  /** Requester and PASID of each tag that was given out. */
  private readonly owners: ({ readonly sourceId: number; readonly pasid: number } | undefined)[] = [];

  /** @param capacity pieces of 4 KiB, a power of two from 2 to 2^20 */
  constructor(capacity = 2048) {
    if (!Number.isInteger(capacity) || capacity < 2 || capacity > 2 ** 20 || (capacity & (capacity - 1)) !== 0)
      throw new VirtioError('capacity', capacity, 'a power of two from 2 to 2^20', 'Iotlb');
    this.capacity = capacity;
    this.setMask = capacity / 2 - 1;
    this.keys = new Float64Array(capacity * KEYS).fill(NOTHING);
    this.host = new Uint32Array(capacity);
    this.domains = new Uint32Array(capacity);
    this.pageStart = new Float64Array(capacity);
    this.pageMask = new Float64Array(capacity);
    this.recent = new Uint8Array(capacity / 2);
  }

  get counters(): IotlbCounters {
    const { hits, misses, evictions, invalidated, entriesRead } = this;
    return { hits, misses, evictions, invalidated, entriesRead };
  }

  /**
   * A tag for one more requester: what tells its pieces apart from others'. Two that name the same requester get two.
   * @throws VirtioError when 2048 are in use
   */
  claim(sourceId: number, pasid: number = NO_PASID): number {
    const free = this.owners.indexOf(undefined);
    const tag = free < 0 ? this.owners.length : free;
    if (tag === IOTLB_TAGS_MAX) throw new VirtioError('tags', tag + 1, `at most ${IOTLB_TAGS_MAX}`, 'Iotlb');
    this.owners[tag] = { sourceId, pasid };
    return tag;
  }

  /** Give a tag back, and forget what it had. */
  release(tag: number): void {
    this.owners[tag] = undefined;
    this.scan(tag, ANY, 0, Number.MAX_SAFE_INTEGER);
  }

  /**
   * @param tag    as claimed
   * @param access `ACCESS` bits that are wanted
   * @returns host offset of `[address, address + length)`, or -1 unless all of it lies in one piece that is known; for an
   *          address, length or access that is none too
   */
  lookup(tag: number, address: number, length: number, access: number): number {
    const low = address >>> 0;
    const into = low & (PIECE_BYTES - 1);
    // Exact whatever the address is; only an integer below 2^53 can equal a key.
    const key = address - into + tag;
    const set = hash(low, tag) & this.setMask;
    if (into + length > PIECE_BYTES || length >>> 0 !== length || (access & RW) !== access) return -1;
    const { keys } = this;
    let at = set * 2;
    let found = at * KEYS + (access === WRITE ? 1 : 0);
    if (keys[found] !== key) {
      at++;
      found += KEYS;
      if (keys[found] !== key) return -1;
    }
    if (access === RW && keys[found + 1] !== key) return -1;
    this.recent[set] = at & 1;
    this.hits++;
    return this.host[at]! + into;
  }

  /**
   * The same without being counted or used.
   * @param address of a piece's first byte
   * @param access  READ or WRITE
   */
  peek(tag: number, address: number, access: number): number {
    const set = hash(address >>> 0, tag) & this.setMask;
    const found = set * (2 * KEYS) + access - READ;
    if (this.keys[found] === address + tag) return this.host[set * 2]!;
    return this.keys[found + KEYS] === address + tag ? this.host[set * 2 + 1]! : -1;
  }

  /**
   * Remember a piece after a walk.
   * @param address of the piece's first byte
   * @param host    host offset of that byte
   * @param allowed `ACCESS` bits; nothing is remembered without any
   * @param start,mask the page that it is part of: first address, and bytes less one
   */
  insert(
    tag: number,
    address: number,
    host: number,
    allowed: number,
    domain: number,
    start: number,
    mask: number,
  ): void {
    if (allowed === 0) return;
    const { keys, recent } = this;
    const key = address + tag;
    const set = hash(address >>> 0, tag) & this.setMask;
    let at = set * 2;
    // A piece that is there with fewer rights is replaced, not doubled.
    const first = this.keyOf(at);
    const second = this.keyOf(at + 1);
    const isFree = first === key || (first === NOTHING && second !== key);
    if (!isFree && (second === key || second === NOTHING || recent[set] === 0)) at++;
    const before = this.keyOf(at);
    if (before !== NOTHING) {
      if (before !== key) this.evictions++;
      if (this.pageMask[at]! >= PIECE_BYTES) this.largePieces--;
    }
    recent[set] = at & 1;
    keys[at * KEYS] = (allowed & READ) !== 0 ? key : NOTHING;
    keys[at * KEYS + 1] = (allowed & WRITE) !== 0 ? key : NOTHING;
    this.host[at] = host;
    this.domains[at] = domain;
    this.pageStart[at] = start;
    this.pageMask[at] = mask;
    if (mask >= PIECE_BYTES) this.largePieces++;
  }

  all(): void {
    this.forgot();
    for (let at = 0; at < this.capacity; at++) this.drop(at);
  }

  domain(domain: number): void {
    this.scan(ANY, domain, 0, Number.MAX_SAFE_INTEGER);
  }

  /** Drop what belongs to a page that has a byte of `address` to `address + mask`. */
  pages(domain: number, address: number, mask: number): void {
    this.forgot();
    const { owners } = this;
    const pieces = (mask + 1) / PIECE_BYTES;
    // A large page may have pieces anywhere.
    if (this.largePieces > 0 || pieces * owners.length > this.capacity / 4) {
      this.scan(ANY, domain, address, mask);
      return;
    }
    for (let tag = 0; tag < owners.length; tag++) {
      if (owners[tag] === undefined) continue;
      for (let i = 0; i < pieces; i++) {
        const piece = address + i * PIECE_BYTES;
        const at = (hash(piece >>> 0, tag) & this.setMask) * 2;
        for (let way = at; way < at + 2; way++)
          if (this.keyOf(way) === piece + tag && this.domains[way] === domain) this.drop(way);
      }
    }
  }

  requester(sourceId: number): void {
    this.stretch(sourceId, NO_PASID, 0, Number.MAX_SAFE_INTEGER);
  }

  /**
   * Drop what a requester has of a stretch of addresses.
   * @param pasid NO_PASID for all of its PASIDs
   * @returns whether it has a tag
   */
  stretch(sourceId: number, pasid: number, address: number, mask: number): boolean {
    let found = false;
    this.owners.forEach((owner, tag) => {
      if (owner?.sourceId !== sourceId || (pasid !== NO_PASID && owner.pasid !== pasid)) return;
      this.scan(tag, ANY, address, mask);
      found = true;
    });
    return found;
  }

  /** Drop what has the tag and the domain, where they are not ANY, and a byte of `address` to `address + mask`. */
  private scan(tag: number, domain: number, address: number, mask: number): void {
    this.forgot();
    const last = address + mask;
    for (let at = 0; at < this.capacity; at++) {
      const key = this.keyOf(at);
      if (key === NOTHING || (domain !== ANY && this.domains[at] !== domain)) continue;
      if (tag !== ANY && key % PIECE_BYTES !== tag) continue;
      const start = this.pageStart[at]!;
      if (start <= last && address <= start + this.pageMask[at]!) this.drop(at);
    }
  }

  /** The one key of an element, or NOTHING. */
  private keyOf(at: number): number {
    return Math.max(this.keys[at * KEYS]!, this.keys[at * KEYS + 1]!);
  }

  private forgot(): void {
    this.generation = (this.generation + 1) | 0;
  }

  private drop(at: number): void {
    if (this.keyOf(at) === NOTHING) return;
    this.keys.fill(NOTHING, at * KEYS, at * KEYS + KEYS);
    if (this.pageMask[at]! >= PIECE_BYTES) this.largePieces--;
    this.invalidated++;
  }
}
