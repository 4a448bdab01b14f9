import { ACCESS, type AddressSpace, type PageAllocator } from '@ringwire/guest-memory';
import { VirtioError } from '@ringwire/virtio-spec';
import { DomainTables, type Leaf, levelBytes, type TableFormat } from './domain-tables.js';
import type { InvalidationSink } from './translation.js';

const PAGE_BYTES = 4096;
const HERE = 'IommuDomain';

/** What an {@link IommuDomain} writes its tables with. */
export interface IommuDomainConfig {
  /** What caches tag this domain's translations with; what context entries name. */
  readonly id: number;
  /** The machine's memory: tables are written there, and mappings point there. */
  readonly physical: AddressSpace;
  /** Where tables are put. */
  readonly allocator: PageAllocator;
  /** Told of every mapping that ends, before it counts as ended. */
  readonly sink: InvalidationSink;
  /** 39, 48 or 57 bits of address. */
  readonly addressBits?: 39 | 48 | 57;
  /** The largest page: 4096, 2 MiB or 1 GiB. */
  readonly largestPage?: number;
  /**
   * Strict (false): an unmap returns when no DMA can reach the page any more. Lazy: it returns at once, and the page stays
   * within reach until {@link IommuDomain.flush}; {@link IommuDomain.stale} says how much does.
   */
  readonly lazy?: boolean;
  /** How entries are written: SECOND_STAGE unless given. */
  readonly format?: TableFormat;
  /**
   * The domain is the outer stage of a nested translation: its addresses are those of a guest, which caches of the whole
   * translation don't know. Whatever ends in it, everything of the domain is invalidated.
   */
  readonly isOuter?: boolean;
}

/** One mapping as it was asked for. */
export interface Mapping {
  readonly iova: number;
  readonly physical: number;
  readonly bytes: number;
  readonly access: number;
}

/**
 * The addresses that one or more devices see: mappings from IOVA to physical, kept as page tables that the IOMMU walks.
 * Wrong arguments, overlaps and unmaps of what is not mapped are the caller's mistakes and throw a VirtioError; nothing is
 * changed then.
 */
export class IommuDomain {
  readonly id: number;
  readonly tables: DomainTables;
  /** Bytes mapped now. */
  mappedBytes = 0;
  /** Unmapped, and in lazy mode still within reach: mappings and bytes. */
  readonly stale = { mappings: 0, bytes: 0 };

  readonly lazy: boolean;

  private readonly sink: InvalidationSink;
  private readonly isOuter: boolean;
  /** The largest level that may have pages, by configuration and now. */
  private readonly configuredLevel: number;
  private largestLevel: number;

  constructor(config: IommuDomainConfig) {
    const largest = config.largestPage ?? levelBytes(3);
    this.configuredLevel = [1, 2, 3].find((level) => levelBytes(level) === largest) ?? 0;
    this.largestLevel = this.configuredLevel;
    if (this.configuredLevel === 0) throw new VirtioError('largestPage', largest, '4 KiB, 2 MiB or 1 GiB', HERE);
    this.id = config.id;
    this.sink = config.sink;
    this.lazy = config.lazy ?? false;
    this.isOuter = config.isOuter ?? false;
    const levels = ((config.addressBits ?? 48) - 12) / 9;
    this.tables = new DomainTables(config.physical, config.allocator, levels, config.format);
  }

  /**
   * Map a range, with the largest pages that its addresses allow.
   * @throws VirtioError when any byte of it is mapped, or the allocator has no room for tables
   */
  map(iova: number, physical: number, bytes: number, access: number): void {
    this.checkRange(iova, bytes);
    if (physical % PAGE_BYTES !== 0 || !(physical >= 0) || !Number.isSafeInteger(physical + bytes))
      throw new VirtioError('physical', physical, 'a multiple of 4096 below 2^53', HERE);
    if ((access & ~(ACCESS.READ | ACCESS.WRITE)) !== 0 || access === 0)
      throw new VirtioError('access', access, 'READ, WRITE or both', HERE);
    for (const leaf of this.leaves(iova, bytes))
      throw new VirtioError('iova', iova, `a free range: ${leaf.iova} is mapped`, HERE);
    let done = 0;
    try {
      while (done < bytes) {
        const level = this.levelFor(iova + done, physical + done, bytes - done);
        this.tables.set(iova + done, physical + done, level, access);
        done += levelBytes(level);
      }
    } catch (noRoom) {
      if (done > 0) {
        for (const leaf of this.leaves(iova, done)) this.tables.clear(leaf);
        this.announce(iova, done);
      }
      throw noRoom;
    }
    this.mappedBytes += bytes;
  }

  /**
   * End every mapping in a range, all of which is mapped; a large page that reaches out of it is split.
   * @param dirty takes the pages that a device wrote and nobody asked for yet
   */
  unmap(iova: number, bytes: number, dirty?: Mapping[]): void {
    this.unmapEach([{ iova, bytes }], dirty);
  }

  /** The same for several ranges, in ascending order, with one invalidation for all. */
  unmapEach(ranges: readonly { readonly iova: number; readonly bytes: number }[], dirty?: Mapping[]): void {
    if (!this.lazy) this.checkBurst();
    let end = 0;
    for (const { iova, bytes } of ranges) {
      this.checkRange(iova, bytes);
      if (iova < end) throw new VirtioError('iova', iova, `an address past ${end}, the range before`, HERE);
      this.checkMapped(iova, bytes);
      end = iova + bytes;
    }
    for (const { iova, bytes } of ranges) {
      this.splitAt(iova);
      this.splitAt(iova + bytes);
      for (const leaf of this.leaves(iova, bytes)) if (this.tables.clear(leaf)) dirty?.push(leaf);
      this.mappedBytes -= bytes;
      if (!this.lazy) continue;
      this.stale.mappings++;
      this.stale.bytes += bytes;
    }
    if (this.lazy || ranges.length === 0) return;
    this.announce(ranges[0]!.iova, end - ranges[0]!.iova);
    this.tables.release();
  }

  /** Change the rights of a range, all of which is mapped. Rights that are taken away are gone when it returns. */
  protect(iova: number, bytes: number, access: number): void {
    this.checkBurst();
    this.checkRange(iova, bytes);
    if ((access & ~(ACCESS.READ | ACCESS.WRITE)) !== 0 || access === 0)
      throw new VirtioError('access', access, 'READ, WRITE or both', HERE);
    this.checkMapped(iova, bytes);
    this.splitAt(iova);
    this.splitAt(iova + bytes);
    for (const leaf of this.leaves(iova, bytes)) this.tables.protect(leaf, access);
    this.announce(iova, bytes);
  }

  /** Lazy mode: put everything that was unmapped out of reach. */
  flush(): void {
    this.sink.domain(this.id);
    this.tables.release();
    this.stale.mappings = 0;
    this.stale.bytes = 0;
  }

  /** Mappings in a range as pages joined where addresses and rights go on. */
  *mappings(iova = 0, bytes: number = this.tables.end - iova): Generator<Mapping> {
    let last: { iova: number; physical: number; bytes: number; access: number } | undefined;
    for (const leaf of this.leaves(iova, bytes)) {
      const goesOn =
        last !== undefined &&
        last.iova + last.bytes === leaf.iova &&
        last.physical + last.bytes === leaf.physical &&
        last.access === leaf.access;
      if (goesOn) last!.bytes += leaf.bytes;
      else {
        if (last !== undefined) yield last;
        last = { iova: leaf.iova, physical: leaf.physical, bytes: leaf.bytes, access: leaf.access };
      }
    }
    if (last !== undefined) yield last;
  }

  /** Pages that a device wrote since they were last asked for; their dirty flags are cleared, caches told. */
  takeDirty(iova: number, bytes: number): Mapping[] {
    const dirty: Mapping[] = [];
    for (const leaf of this.leaves(iova, bytes)) if (leaf.dirty && this.tables.takeDirty(leaf)) dirty.push(leaf);
    // A cached right to write would not mark the page again.
    if (dirty.length > 0) this.announce(iova, bytes);
    return dirty;
  }

  /**
   * From now on every page is of 4 KiB, those mapped before too, so that a dirty flag stands for 4 KiB; and no page is
   * dirty. Whoever copies memory begins after this: what was written before is not told apart.
   * @throws VirtioError when the allocator has no room for the tables; then pages are not tracked
   */
  trackDirty(): void {
    for (let at = 0; at < this.tables.end; ) {
      const leaf = this.tables.find(at);
      if (leaf === undefined) at = this.tables.nextPossible(at);
      else if (leaf.bytes > PAGE_BYTES) this.tables.split(leaf);
      else {
        this.tables.takeDirty(leaf);
        at = leaf.iova + leaf.bytes;
      }
    }
    this.largestLevel = 1;
    this.sink.domain(this.id);
  }

  /** Later mappings take large pages again. */
  untrackDirty(): void {
    this.largestLevel = this.configuredLevel;
  }

  /** End all mappings and free the tables. No requester may be attached any more. */
  destroy(): void {
    this.sink.domain(this.id);
    this.tables.destroy();
    this.mappedBytes = 0;
  }

  private *leaves(iova: number, bytes: number): Generator<Leaf> {
    const end = iova + bytes;
    for (let at = iova; at < end; ) {
      const leaf = this.tables.find(at);
      if (leaf !== undefined) {
        yield leaf;
        at = leaf.iova + leaf.bytes;
      } else at = this.tables.nextPossible(at);
    }
  }

  private levelFor(iova: number, physical: number, bytes: number): number {
    for (let level = this.largestLevel; level > 1; level--) {
      const size = levelBytes(level);
      if (bytes >= size && iova % size === 0 && physical % size === 0) return level;
    }
    return 1;
  }

  private splitAt(iova: number): void {
    for (;;) {
      const leaf = iova < this.tables.end ? this.tables.find(iova) : undefined;
      if (leaf === undefined || leaf.iova === iova) return;
      this.tables.split(leaf);
    }
  }

  private announce(iova: number, bytes: number): void {
    if (this.isOuter) {
      this.sink.domain(this.id);
      return;
    }
    // The smallest aligned block that holds the range: what one page-selective invalidation can name.
    let size = PAGE_BYTES;
    while (Math.floor(iova / size) !== Math.floor((iova + bytes - 1) / size)) size *= 2;
    this.sink.pages(this.id, Math.floor(iova / size) * size, size - 1);
  }

  /** Before anything changes: half an unmap would leave caches with what is gone. */
  private checkBurst(): void {
    if (this.sink.inBurst === true) throw new VirtioError('burst', 1, 'no unmap inside this thread’s own burst', HERE);
  }

  private checkRange(iova: number, bytes: number): void {
    if (!Number.isSafeInteger(iova) || iova < 0 || iova % PAGE_BYTES !== 0)
      throw new VirtioError('iova', iova, 'a multiple of 4096', HERE);
    if (!Number.isSafeInteger(bytes) || bytes < PAGE_BYTES || bytes % PAGE_BYTES !== 0)
      throw new VirtioError('bytes', bytes, 'a positive multiple of 4096', HERE);
    if (iova + bytes > this.tables.end) throw new VirtioError('iova', iova + bytes, `at most ${this.tables.end}`, HERE);
  }

  private checkMapped(iova: number, bytes: number): void {
    let at = iova;
    for (const leaf of this.leaves(iova, bytes)) {
      if (leaf.iova > at) break;
      at = leaf.iova + leaf.bytes;
    }
    if (at < iova + bytes) throw new VirtioError('iova', at, 'a mapped address', HERE);
  }
}
