import { ACCESS } from '@ringwire/guest-memory';
import type { VtdCaches } from './vtd-caches.js';
import type { VtdCapabilities } from './vtd-capabilities.js';
import { VTD_FAULT } from './vtd-reasons.js';
import { BIT_UPDATE, type VtdTableReader } from './vtd-table-reader.js';
import { LEAF, PAGE_MASK, tableIndex, VTD_FS_ENTRY, VTD_SS_ENTRY, type VtdReserved } from './vtd-tables.js';

const READ = ACCESS.READ;
const WRITE = ACCESS.WRITE;
const WORD = 0x1_0000_0000;
const SS = VTD_SS_ENTRY;
const FS = VTD_FS_ENTRY;
const F = VTD_FAULT;

/** A walk's answer besides a fault code: all right, and "an entry changed under the update of its bits: walk again". */
export const WALK = { OK: 0, RESTART: -1 } as const;

/** What a first-stage walk is to do, from a PASID table entry. */
export interface FirstStage {
  base: number;
  domain: number;
  levels: number;
  /** Every entry has to have U/S set. */
  user: boolean;
  /** Supervisor writes need R/W too. */
  writeProtect: boolean;
  extendedAccess: boolean;
}

/** What a second-stage walk is to do, from a context entry or PASID table entry. */
export interface SecondStage {
  base: number;
  domain: number;
  /** 3, 4 or 5. */
  levels: number;
  /** First address that is too large. */
  limit: number;
  accessDirty: boolean;
}

export const newFirstStage = (): FirstStage => ({
  base: 0,
  domain: 0,
  levels: 4,
  user: true,
  writeProtect: true,
  extendedAccess: false,
});

export const newSecondStage = (): SecondStage => ({ base: 0, domain: 0, levels: 3, limit: 0, accessDirty: false });

/** A stage as caches tell it apart: the top table's address and, in bits that it has not, how its entries are read. */
const secondRoot = (stage: SecondStage): number => stage.base + stage.levels * 128 + (stage.accessDirty ? 1 : 0);
const firstRoot = (stage: FirstStage): number =>
  stage.base +
  stage.levels * 128 +
  (8 + (stage.user ? 16 : 0) + (stage.writeProtect ? 32 : 0) + (stage.extendedAccess ? 64 : 0));

/**
 * Walks of the two kinds of paging tables. Answers are codes of scalable mode; the fields hold the result of the walk
 * that ended last. At most one entry per level is read, so a table that points to itself ends like any other.
 */
export class VtdPaging {
  /** Where the address leads. */
  physical: number;
  /** Bytes less one of the page. */
  pageMask: number;
  /** `ACCESS` bits that all levels grant. */
  allowed: number;
  /** The same less WRITE while the page's dirty bit is clear: a cached write would leave it so. */
  cacheable: number;
  /** Whether a walk may begin at a table that is cached. */
  shortened: boolean;

  private readonly caches: VtdCaches | undefined;
  private readonly reader: VtdTableReader;
  private readonly reserved: VtdReserved;
  private readonly large2M: boolean;
  private readonly large1G: boolean;
  private readonly firstLarge1G: boolean;

  constructor(
    reader: VtdTableReader,
    reserved: VtdReserved,
    capabilities: VtdCapabilities,
    caches: VtdCaches | undefined,
  ) {
    this.physical = 0;
    this.pageMask = 0;
    this.allowed = 0;
    this.cacheable = 0;
    this.shortened = false;
    this.caches = caches;
    this.reader = reader;
    this.reserved = reserved;
    this.large2M = capabilities.secondStage2M;
    this.large1G = capabilities.secondStage1G;
    this.firstLarge1G = capabilities.firstStage1G;
  }

  /** VT-d 4.0 §3.7 second-stage translation. Permissions are those of all levels together, checked at each. */
  second(stage: SecondStage, address: number, access: number): number {
    if (!(address >= 0 && address < stage.limit)) return F.SM_ADDRESS_WIDTH;
    const reader = this.reader;
    const words = reader.words;
    const low = address >>> 0;
    const high = Math.floor(address / WORD);
    const caches = this.caches;
    let table = stage.base;
    let allowed = READ | WRITE;
    let level = stage.levels;
    if (caches !== undefined && this.shortened) {
      const known = this.findTable(caches, secondRoot(stage), stage.domain, low, high, access, level);
      if (known > 0) {
        level = known;
        table = caches.tables.table;
        allowed = caches.tables.allowed;
      }
    }
    for (; level > 0; level--) {
      const at = table + tableIndex(level, low, high) * 8;
      if (!reader.readQuad('second-stage', level, at)) return level === stage.levels ? F.SS_ROOT_ACCESS : F.SS_ACCESS;
      const entry = words[0]!;
      const upper = words[1]!;
      // R and W are the two bits of ACCESS.
      if ((entry & 3) === 0) return F.SS_P;
      allowed &= entry;
      if ((access & ~allowed) !== 0) return (access & WRITE & ~allowed) !== 0 ? F.SM_WRITE : F.SM_READ;
      const leaf =
        level === 1 || ((entry & SS.PS) !== 0 && ((level === 2 && this.large2M) || (level === 3 && this.large1G)));
      const kind = leaf ? LEAF + level : level;
      if ((entry & this.reserved.secondLow[kind]!) !== 0 || (upper & this.reserved.secondHigh[kind]!) !== 0)
        return F.SS_RESERVED;
      if (stage.accessDirty) {
        const bits = leaf && (access & WRITE) !== 0 ? SS.A | SS.D : SS.A;
        const update = reader.setBits(at, entry, bits);
        if (update !== BIT_UPDATE.SET) return update === BIT_UPDATE.CHANGED ? WALK.RESTART : F.SS_ACCESS;
      }
      if (leaf) {
        if (allowed === 0) return F.SM_READ;
        const clean = stage.accessDirty && (access & WRITE) === 0 && (entry & SS.D) === 0;
        this.finish(entry, upper, PAGE_MASK[level]!, low, allowed, clean);
        return WALK.OK;
      }
      table = tableBase(entry, upper);
      if (caches !== undefined)
        caches.tables.insert(secondRoot(stage), stage.domain, level - 1, low, high, table, allowed);
    }
    return F.SS_ACCESS;
  }

  /**
   * VT-d 4.0 §3.6 first-stage translation; with `outer`, tables and result are addresses that the second stage translates
   * (§3.8 nested translation).
   */
  first(stage: FirstStage, outer: SecondStage | undefined, address: number, access: number): number {
    // The upper half of the canonical addresses lies above 2^53 and cannot be asked for.
    if (!(address >= 0 && address < (stage.levels === 5 ? 2 ** 53 : 2 ** 47))) return F.FS_CANONICAL;
    const reader = this.reader;
    const words = reader.words;
    const low = address >>> 0;
    const high = Math.floor(address / WORD);
    // Nested tables lie at addresses of the second stage, whose own tables are what is cached.
    const caches = outer === undefined ? this.caches : undefined;
    let table = stage.base;
    let writable = true;
    let level = stage.levels;
    if (caches !== undefined && this.shortened) {
      const known = this.findTable(caches, firstRoot(stage), stage.domain, low, high, access, level);
      if (known > 0) {
        level = known;
        table = caches.tables.table;
        writable = (caches.tables.allowed & WRITE) !== 0;
      }
    }
    for (; level > 0; level--) {
      const top = level === stage.levels;
      const guest = table + tableIndex(level, low, high) * 8;
      let at = guest;
      if (outer !== undefined) {
        const reason = this.tableAddress(outer, guest, READ, top);
        if (reason !== WALK.OK) return reason;
        at = this.physical;
      }
      if (!reader.readQuad('first-stage', level, at)) return top ? F.FS_ROOT_ACCESS : F.FS_ACCESS;
      const entry = words[0]!;
      const upper = words[1]!;
      if ((entry & FS.P) === 0) return F.FS_P;
      if (stage.user && (entry & FS.US) === 0) return F.FS_USER;
      if ((entry & FS.RW) === 0 && (stage.user || stage.writeProtect)) writable = false;
      if ((access & WRITE) !== 0 && !writable) return F.SM_WRITE;
      const leaf = level === 1 || ((entry & FS.PS) !== 0 && (level === 2 || (level === 3 && this.firstLarge1G)));
      const kind = leaf ? LEAF + level : level;
      if ((entry & this.reserved.firstLow[kind]!) !== 0 || (upper & this.reserved.addressHigh) !== 0)
        return F.FS_RESERVED;
      const accessed = stage.extendedAccess ? FS.A | FS.EA : FS.A;
      const bits = leaf && (access & WRITE) !== 0 ? accessed | FS.D : accessed;
      if ((entry & bits) !== bits) {
        const reason = this.updateFirst(outer, guest, at, entry, bits);
        if (reason !== WALK.OK) return reason;
      }
      if (leaf) {
        const clean = (access & WRITE) === 0 && (entry & FS.D) === 0;
        this.finish(entry, upper, PAGE_MASK[level]!, low, writable ? READ | WRITE : READ, clean);
        return outer === undefined ? WALK.OK : this.outerPage(outer, access);
      }
      table = tableBase(entry, upper);
      if (caches !== undefined) {
        const rights = writable ? READ | WRITE : READ;
        caches.tables.insert(firstRoot(stage), stage.domain, level - 1, low, high, table, rights);
      }
    }
    return F.FS_ACCESS;
  }

  /** @returns the level of the table in `caches.tables`, or 0 */
  private findTable(
    caches: VtdCaches,
    root: number,
    domain: number,
    low: number,
    high: number,
    access: number,
    levels: number,
  ): number {
    const level = caches.tables.find(root, domain, low, high, access, levels);
    if (level > 0) caches.tableHits++;
    else caches.tableMisses++;
    return level;
  }

  /** @param clean the page's dirty bit is clear */
  private finish(entry: number, upper: number, mask: number, low: number, allowed: number, clean: boolean): void {
    // No leaf is larger than 1 GiB. Of the entry's bits below the page's size one is not address: PAT.
    this.physical = (upper & 0x000f_ffff) * WORD + (((entry & ~mask) | (low & mask)) >>> 0);
    this.pageMask = mask;
    this.allowed = allowed;
    this.cacheable = clean ? allowed & ~WRITE : allowed;
  }

  /** Set accessed and dirty bits of a first-stage entry; under a second stage that has to grant the write. */
  private updateFirst(outer: SecondStage | undefined, guest: number, at: number, entry: number, bits: number): number {
    if (outer !== undefined) {
      const reason = this.tableAddress(outer, guest, WRITE, false);
      if (reason !== WALK.OK) return reason;
      if (this.physical !== at) return WALK.RESTART;
    }
    const update = this.reader.setBits(at, entry, bits);
    if (update === BIT_UPDATE.SET) return WALK.OK;
    return update === BIT_UPDATE.CHANGED ? WALK.RESTART : F.FS_BIT_UPDATE;
  }

  /** Translate the address of a first-stage entry; what it lacks has codes of its own. */
  private tableAddress(outer: SecondStage, guest: number, access: number, top: boolean): number {
    const reason = this.second(outer, guest, access);
    if (reason === F.SM_ADDRESS_WIDTH) return F.NESTED_ADDRESS_WIDTH;
    if (reason === F.SM_READ) return top ? F.NESTED_ROOT_READ : F.NESTED_TABLE_READ;
    return reason === F.SM_WRITE ? F.NESTED_TABLE_WRITE : reason;
  }

  /** Take the result of the first stage through the second. */
  private outerPage(outer: SecondStage, access: number): number {
    const { allowed, cacheable, pageMask } = this;
    const reason = this.second(outer, this.physical, access);
    if (reason === F.SM_ADDRESS_WIDTH) return F.NESTED_ADDRESS_WIDTH;
    if (reason !== WALK.OK) return reason;
    this.pageMask = Math.min(this.pageMask, pageMask);
    this.allowed &= allowed;
    this.cacheable &= cacheable;
    return WALK.OK;
  }
}

/** Address bits 51:12 of an entry. Those past the host address width have been found zero. */
export const tableBase = (low: number, high: number): number =>
  (high & 0x000f_ffff) * WORD + ((low & 0xffff_f000) >>> 0);
