import { VirtioError } from '@ringwire/virtio-spec';

/** Doubles of one element: root, key, table, and one that is left empty. */
const ELEMENT = 4;
const EMPTY = -1;
const DOMAINS = 0x1_0000;
/** Tables are pages: the low bits of a table's address hold what the levels above it allow. */
const ALLOWED = 3;
/** A cache has the tables of levels 1 to 4; that of level 5 is in the context. */
const LEVELS = 4;

/** The address bits above what a table of the level covers, 32 at most. */
function prefixOf(level: number, low: number, high: number): number {
  switch (level) {
    case 1:
      return ((low >>> 21) | (high << 11)) >>> 0;
    case 2:
      return ((low >>> 30) | (high << 2)) >>> 0;
    case 3:
      return high >>> 7;
    default:
      return high >>> 16;
  }
}

const slotOf = (prefix: number, domain: number, mask: number): number =>
  ((prefix ^ (prefix >>> 9) ^ Math.imul(domain, 0x9e37)) & mask) * ELEMENT;

/**
 * Where the tables of each level lie, so that a walk begins as far down as is known (VT-d 4.0 §6.2.5 paging-structure
 * caches). Only entries that are present and well-formed, with their accessed bits set, come in.
 */
export class VtdPagingCache {
  /** Tables that gave way to others, and that were told to be void. */
  evictions = 0;
  invalidated = 0;
  /** What {@link find} found: address of the table, and `ACCESS` bits that the levels above it allow. */
  table = 0;
  allowed = 0;

  private readonly levels: readonly Float64Array[];

  /** @param capacity tables of level 1, a power of two; above each level has a quarter of the one below */
  constructor(capacity: number) {
    if (!Number.isInteger(capacity) || capacity < 1 || capacity > 2 ** 16 || (capacity & (capacity - 1)) !== 0)
      throw new VirtioError('tables', capacity, 'a power of two up to 2^16', 'VtdPagingCache');
    this.levels = Array.from({ length: LEVELS + 1 }, (_, level) =>
      new Float64Array(level === 0 ? 0 : Math.max(capacity >> (2 * (level - 1)), 1) * ELEMENT).fill(EMPTY),
    );
  }

  /**
   * The lowest table on the way to an address that is known and reached with the access.
   * @param root  tells apart walks that could differ: the top table's address and, below 4096, what else matters
   * @param below levels below which to look
   * @returns its level, or 0
   */
  find(root: number, domain: number, low: number, high: number, access: number, below: number): number {
    // The lowest level first: it has nearly all of them.
    const [, lowest] = this.levels;
    const page = prefixOf(1, low, high);
    const first = slotOf(page, domain, (lowest!.length - 1) >> 2);
    if (lowest![first] === root && lowest![first + 1] === page * DOMAINS + domain)
      return this.take(lowest![first + 2]!, access) ? 1 : 0;
    for (let level = 2; level < below; level++) {
      const elements = this.levels[level]!;
      const prefix = prefixOf(level, low, high);
      const at = slotOf(prefix, domain, (elements.length - 1) >> 2);
      if (elements[at] !== root || elements[at + 1] !== prefix * DOMAINS + domain) continue;
      return this.take(elements[at + 2]!, access) ? level : 0;
    }
    return 0;
  }

  private take(found: number, access: number): boolean {
    const allowed = (found >>> 0) & ALLOWED;
    this.table = found - allowed;
    this.allowed = allowed;
    return (access & ~allowed) === 0;
  }

  insert(root: number, domain: number, level: number, low: number, high: number, table: number, allowed: number): void {
    const elements = this.levels[level]!;
    const prefix = prefixOf(level, low, high);
    const at = slotOf(prefix, domain, (elements.length - 1) >> 2);
    const key = prefix * DOMAINS + domain;
    if (elements[at] !== EMPTY && (elements[at + 1] !== key || elements[at] !== root)) this.evictions++;
    elements[at] = root;
    elements[at + 1] = key;
    elements[at + 2] = table + allowed;
  }

  all(): void {
    for (const elements of this.levels) for (let at = 0; at < elements.length; at += ELEMENT) this.drop(elements, at);
  }

  domain(domain: number): void {
    for (const elements of this.levels)
      for (let at = 0; at < elements.length; at += ELEMENT)
        if (elements[at + 1]! % DOMAINS === domain) this.drop(elements, at);
  }

  /** Drop the tables on the way to any byte of `address` to `address + mask`. */
  pages(domain: number, address: number, mask: number): void {
    for (let level = 1; level <= LEVELS; level++) {
      const elements = this.levels[level]!;
      const bytes = 2 ** (12 + 9 * level);
      const first = Math.floor(address / bytes);
      const last = Math.floor((address + mask) / bytes);
      if (last - first < elements.length / ELEMENT) {
        for (let prefix = first; prefix <= last; prefix++) {
          const at = slotOf(prefix, domain, (elements.length - 1) >> 2);
          if (elements[at + 1] === prefix * DOMAINS + domain) this.drop(elements, at);
        }
        continue;
      }
      for (let at = 0; at < elements.length; at += ELEMENT) {
        const key = elements[at + 1]!;
        const prefix = Math.floor(key / DOMAINS);
        if (key % DOMAINS === domain && prefix >= first && prefix <= last) this.drop(elements, at);
      }
    }
  }

  private drop(elements: Float64Array, at: number): void {
    if (elements[at] === EMPTY) return;
    elements[at] = EMPTY;
    elements[at + 1] = EMPTY;
    this.invalidated++;
  }
}
