import { ACCESS, type AddressSpace, type PageAllocator } from '@ringwire/guest-memory';
import { VirtioError } from '@ringwire/virtio-spec';

const TABLE_BYTES = 4096;
const ENTRIES = 512;
const PAGE_SHIFT = 12;
const LEVEL_BITS = 9;
const WORD = 0x1_0000_0000;
const { READ, WRITE } = ACCESS;
const RW = READ | WRITE;
const HERE = 'VT-d §9.7, §9.8, paging entries';
/** A leaf above level 1; the same bit in both formats. */
const LARGE = 0x80;

/** What the low word of a paging entry says, in one of the formats that an IOMMU walks. */
export interface TableFormat {
  /** Set in every entry that leads to a table. */
  readonly table: number;
  /** Bits that make a leaf present and say what it allows, by `ACCESS` bits. */
  readonly rights: readonly [never: number, read: number, write: number, both: number];
  /** The reverse: `ACCESS` bits by bits 1:0 of a leaf; 0 is an entry that is not present. */
  readonly access: readonly [number, number, number, number];
  /** Set by the IOMMU when a device writes the page. */
  readonly dirty: number;
}

/** VT-d 4.0 §9.8: R in bit 0, W in bit 1, D in bit 9. What a host gives its requesters. */
export const SECOND_STAGE: TableFormat = { table: 3, rights: [0, 1, 2, 3], access: [0, READ, WRITE, RW], dirty: 0x200 };

/**
 * VT-d 4.0 §9.7: P in bit 0, R/W in bit 1, U/S in bit 2, D in bit 6. What a guest writes for its own devices, and what a
 * process's page tables look like. There is no page for writing alone.
 */
export const FIRST_STAGE: TableFormat = { table: 7, rights: [0, 5, 7, 7], access: [0, READ, 0, RW], dirty: 0x40 };

/** One leaf as it stands in the tables. */
export interface Leaf {
  /** First address of the page. */
  iova: number;
  physical: number;
  bytes: number;
  access: number;
  /** With access and dirty flags: whether a device wrote the page. */
  dirty: boolean;
}

/** Worked out once: every step of a walk asks. */
const LEVEL_BYTES: readonly number[] = [0, 1, 2, 3, 4, 5, 6].map(
  (level) => 2 ** (PAGE_SHIFT + (level - 1) * LEVEL_BITS),
);

/** Bytes that one entry of a level maps: level 1 is 4 KiB, 2 is 2 MiB, 3 is 1 GiB. */
export const levelBytes = (level: number): number => LEVEL_BYTES[level]!;

/**
 * Page tables as an IOMMU walks them, written into physical memory. An entry becomes present, or stops
 * being so, by one store of its low word; tables are zero before they are linked and freed only by {@link release}, once
 * no walk can be in them.
 */
export class DomainTables {
  /** Physical address of the top table. */
  readonly root: number;
  /** Levels of tables: 3, 4 or 5 for 39, 48 or 57 bits. */
  readonly levels: number;
  /** Addresses are below this. */
  readonly end: number;

  private readonly physical: AddressSpace;
  private readonly allocator: PageAllocator;
  private readonly u32: Uint32Array;
  private readonly format: TableFormat;
  /** Tables cut off and not released yet. */
  private readonly cut: number[] = [];

  constructor(physical: AddressSpace, allocator: PageAllocator, levels: number, format: TableFormat = SECOND_STAGE) {
    if (levels !== 3 && levels !== 4 && levels !== 5) throw new VirtioError('levels', levels, '3, 4 or 5', HERE);
    this.physical = physical;
    this.allocator = allocator;
    this.u32 = physical.memory.u32;
    this.format = format;
    this.levels = levels;
    this.end = Math.min(levelBytes(levels + 1), Number.MAX_SAFE_INTEGER);
    this.root = this.newTable();
  }

  /** The leaf that holds an address, or undefined. */
  find(iova: number): Leaf | undefined {
    let table = this.root;
    for (let level = this.levels; ; level--) {
      const at = this.entryAt(table, iova, level);
      const low = Atomics.load(this.u32, at);
      const access = this.format.access[low & 3]!;
      if (access === 0) return undefined;
      const target = this.targetOf(at, low);
      if (level > 1 && (low & LARGE) === 0) {
        table = target;
        continue;
      }
      const bytes = levelBytes(level);
      const dirty = (low & this.format.dirty) !== 0;
      return { iova: Math.floor(iova / bytes) * bytes, physical: target, bytes, access, dirty };
    }
  }

  /** The first address behind an unmapped one that might be mapped: nothing in between is. */
  nextPossible(iova: number): number {
    let table = this.root;
    for (let level = this.levels; ; level--) {
      const at = this.entryAt(table, iova, level);
      const low = this.u32[at]!;
      if (level === 1 || low === 0) return (Math.floor(iova / levelBytes(level)) + 1) * levelBytes(level);
      table = this.targetOf(at, low);
    }
  }

  /** Make one leaf present; its place is empty. @param level 1, 2 or 3 */
  set(iova: number, physical: number, level: number, access: number): void {
    let table = this.root;
    for (let at = this.levels; at > level; at--) {
      const entry = this.entryAt(table, iova, at);
      const low = this.u32[entry]!;
      if (low === 0) {
        table = this.newTable();
        this.store(entry, table, this.format.table);
      } else table = this.targetOf(entry, low);
    }
    this.store(this.entryAt(table, iova, level), physical, this.format.rights[access]! | (level > 1 ? LARGE : 0));
  }

  /** Change a leaf's rights. @param leaf as {@link find} gave it */
  protect(leaf: Leaf, access: number): void {
    const at = this.leafAt(leaf);
    const all = this.format.rights[RW]!;
    const rights = this.format.rights[access]!;
    // A walk may set the dirty flag at any time: it must not be lost, nor the entry absent in between.
    for (;;) {
      const low = this.u32[at]!;
      if (Atomics.compareExchange(this.u32, at, low, ((low & ~all) | rights) >>> 0) === low) return;
    }
  }

  /**
   * Make a leaf not present, and cut off the tables that are empty then.
   * @returns whether a device had written the page, up to the very end
   */
  clear(leaf: Leaf): boolean {
    const low = Atomics.exchange(this.u32, this.leafAt(leaf), 0);
    this.prune(this.root, this.levels, leaf.iova);
    return (low & this.format.dirty) !== 0;
  }

  /** Put 512 smaller leaves that say the same in the place of a large one. */
  split(leaf: Leaf): void {
    const at = this.leafAt(leaf);
    const smaller = leaf.bytes / ENTRIES;
    const table = this.newTable();
    const low = this.u32[at]! & (smaller === TABLE_BYTES ? ~LARGE : ~0);
    for (let i = 0; i < ENTRIES; i++) {
      const physical = leaf.physical + i * smaller;
      this.store(this.wordOf(table) + 2 * i, physical, low & 0xfff);
    }
    this.store(at, table, this.format.table);
  }

  /** Forget that a device wrote the page. @returns whether it had */
  takeDirty(leaf: Leaf): boolean {
    const { dirty } = this.format;
    return (Atomics.and(this.u32, this.leafAt(leaf), ~dirty >>> 0) & dirty) !== 0;
  }

  /** Free the tables that were cut off. Only after their addresses were invalidated. */
  release(): void {
    for (const table of this.cut.splice(0)) this.allocator.free(table);
  }

  /** Free everything, the top table too. */
  destroy(): void {
    this.release();
    this.freeBelow(this.root, this.levels);
  }

  private freeBelow(table: number, level: number): void {
    const word = this.wordOf(table);
    for (let i = 0; level > 1 && i < ENTRIES; i++) {
      const low = this.u32[word + 2 * i]!;
      if (low !== 0 && (low & LARGE) === 0) this.freeBelow(this.targetOf(word + 2 * i, low), level - 1);
    }
    this.allocator.free(table);
  }

  /** @returns whether the table is empty */
  private prune(table: number, level: number, iova: number): boolean {
    const at = this.entryAt(table, iova, level);
    const low = this.u32[at]!;
    if (level > 1 && low !== 0 && (low & LARGE) === 0) {
      const child = this.targetOf(at, low);
      if (!this.prune(child, level - 1, iova)) return false;
      Atomics.store(this.u32, at, 0);
      this.cut.push(child);
    }
    const word = this.wordOf(table);
    for (let i = 0; i < ENTRIES; i++) if (this.u32[word + 2 * i] !== 0) return false;
    return true;
  }

  private leafAt(leaf: Leaf): number {
    let table = this.root;
    for (let level = this.levels; levelBytes(level) > leaf.bytes; level--) {
      const at = this.entryAt(table, leaf.iova, level);
      table = this.targetOf(at, this.u32[at]!);
    }
    return this.entryAt(table, leaf.iova, Math.log2(leaf.bytes / TABLE_BYTES) / LEVEL_BITS + 1);
  }

  private newTable(): number {
    const table = this.allocator.allocate(TABLE_BYTES);
    this.u32.fill(0, this.wordOf(table), this.wordOf(table) + TABLE_BYTES / 4);
    return table;
  }

  /** Index into u32 of a table's first word. */
  private wordOf(table: number): number {
    const offset = this.physical.resolve(table, TABLE_BYTES, RW);
    if (offset < 0) throw new VirtioError('table', table, 'a page of physical memory', HERE);
    return offset >>> 2;
  }

  private entryAt(table: number, iova: number, level: number): number {
    return this.wordOf(table) + 2 * (Math.floor(iova / levelBytes(level)) % ENTRIES);
  }

  private targetOf(at: number, low: number): number {
    // Bits 11:0 are rights and flags, bits 63:52 of an entry that we wrote are 0.
    return this.u32[at + 1]! * WORD + ((low & ~0xfff) >>> 0);
  }

  /** The high word before the low one, which makes the entry present; an entry with another high word is made absent first. */
  private store(at: number, target: number, flags: number): void {
    const high = Math.floor(target / WORD);
    if (this.u32[at + 1] !== high) Atomics.store(this.u32, at, 0);
    Atomics.store(this.u32, at + 1, high);
    Atomics.store(this.u32, at, (target | flags) >>> 0);
  }
}
