import { ACCESS, type AddressSpace, RESOLVE } from '@ringwire/guest-memory';
import { VirtioError } from '@ringwire/virtio-spec';
import type { IommuDomain, Mapping } from './domain.js';
import type { PinAccount, PinMap } from './pin-map.js';
import type { Requesters } from './requester-table.js';
import { MappingList, type PinnedMapping } from './vfio-mapping-list.js';
import { INTERRUPT_RANGE } from './vtd-tables.js';

const PAGE_BYTES = 4096;
const RW = ACCESS.READ | ACCESS.WRITE;
/** Mappings at a time: what Linux's dma_entry_limit is. */
const MAPPINGS_MAX = 65_535;
/** Pages of one bitmap: 1 TiB. */
const BITMAP_PAGES_MAX = 2 ** 28;
/** A longer range than this is looked at in pieces: lengths of an address space are 32 bits. */
const PIECE_BYTES = 0x4000_0000;

/** What became of a request to a {@link VfioContainer}. In brackets the errno that Linux has for it. */
export const VFIO = {
  OK: 0,
  /** The container has no group, and so no domain (EINVAL). */
  NO_GROUP: 1,
  /** The group is in a container, or one of its requesters in another domain (EBUSY). */
  BUSY: 2,
  /** Not whole pages, no rights or unknown ones, past the last address, or in the interrupt window (EINVAL). */
  INVALID: 3,
  /** A byte of it is mapped (EEXIST). */
  EXISTS: 4,
  /** It would leave part of a mapping (EINVAL). */
  SPLITS: 5,
  /** Not memory, or not for writing (EFAULT). */
  NOT_MEMORY: 6,
  /** More than the account may pin (ENOMEM). */
  OVER_LIMIT: 7,
  /** As many mappings as there may be (ENOSPC). */
  TOO_MANY: 8,
  /** No room for page tables (ENOMEM). */
  NO_TABLES: 9,
} as const;
/** One of {@link VFIO}. */
export type VfioOutcome = (typeof VFIO)[keyof typeof VFIO];

/** Requesters that cannot be kept apart: they come into a container together, see `isolationGroups`. */
export class VfioGroup {
  readonly id: number;
  /** Source ids. */
  readonly requesters: readonly number[];
  /** The container that it is in. */
  container: VfioContainer | undefined = undefined;

  constructor(id: number, requesters: readonly number[]) {
    if (requesters.length === 0) throw new VirtioError('requesters', 0, 'one or more', 'VfioGroup');
    this.id = id;
    this.requesters = [...requesters];
  }
}

/** What a {@link VfioContainer} maps for its groups. */
export interface VfioContainerConfig {
  readonly domain: IommuDomain;
  readonly requesters: Requesters;
  /** The machine's memory: what is mapped lies in it. */
  readonly physical: AddressSpace;
  readonly pins: PinMap;
  /** Who pays for what is pinned. */
  readonly account: PinAccount;
  /** Mappings at a time; 65535. */
  readonly maxMappings?: number;
}

/** What a request took away or looked at. */
export interface VfioBitmap {
  readonly outcome: VfioOutcome;
  /** Bytes of the mappings in the range. */
  readonly bytes: number;
  /**
   * Pages that may have been written: bit n % 32 of word n / 32 is the n-th page of the range. Undefined unless asked for.
   * Where the IOMMU marks no pages, all that was mapped for writing.
   */
  readonly dirty: Uint32Array | undefined;
}

/**
 * A domain in the hands of whoever drives devices from user space: groups come in and go, and memory is mapped for all of
 * them, pinned as long as one of them can reach it. Requests are outcomes, not exceptions: a guest or another process
 * asks for them. Behaves as VFIO's type 1 version 2: an unmap takes whole mappings, several if need be, and no part of one.
 */
export class VfioContainer {
  readonly domain: IommuDomain;

  private readonly requesters: Requesters;
  private readonly physical: AddressSpace;
  private readonly pins: PinMap;
  private readonly account: PinAccount;
  private readonly maxMappings: number;
  private readonly held = new Set<VfioGroup>();
  private readonly list = new MappingList();
  private isTracking = false;

  constructor(config: VfioContainerConfig) {
    this.domain = config.domain;
    this.requesters = config.requesters;
    this.physical = config.physical;
    this.pins = config.pins;
    this.account = config.account;
    this.maxMappings = config.maxMappings ?? MAPPINGS_MAX;
  }

  get groups(): readonly VfioGroup[] {
    return [...this.held];
  }

  /** Mappings as they were asked for, by address. */
  get mappings(): readonly Mapping[] {
    return this.list.all;
  }

  /** Give every requester of a group the container's domain. */
  attach(group: VfioGroup): VfioOutcome {
    if (group.container !== undefined) return VFIO.BUSY;
    if (group.requesters.some((sourceId) => this.requesters.domainOf(sourceId) !== undefined)) return VFIO.BUSY;
    for (const sourceId of group.requesters) this.requesters.attach(sourceId, this.domain);
    group.container = this;
    this.held.add(group);
    return VFIO.OK;
  }

  /** Take a group out. With the last one all mappings go, and their pins. */
  detach(group: VfioGroup): VfioOutcome {
    if (!this.held.delete(group)) return VFIO.INVALID;
    group.container = undefined;
    for (const sourceId of group.requesters) this.requesters.detach(sourceId);
    if (this.held.size === 0) {
      this.remove(this.list.takeAll(), undefined);
      this.stopDirtyTracking();
    }
    return VFIO.OK;
  }

  /**
   * Pin memory and map it.
   * @param access `ACCESS` bits of the devices
   * @param label  stands in the pin map
   */
  map(iova: number, physical: number, bytes: number, access: number, label: string): VfioOutcome {
    if (this.held.size === 0) return VFIO.NO_GROUP;
    if (!this.isRange(iova, bytes) || !isPages(physical, bytes)) return VFIO.INVALID;
    if (access === 0 || (access & ~RW) !== 0) return VFIO.INVALID;
    if (iova <= INTERRUPT_RANGE.LAST && iova + bytes > INTERRUPT_RANGE.FIRST) return VFIO.INVALID;
    if (this.list.overlaps(iova, bytes)) return VFIO.EXISTS;
    if (this.list.all.length >= this.maxMappings) return VFIO.TOO_MANY;
    if (!this.isMemory(physical, bytes, access)) return VFIO.NOT_MEMORY;
    const pin = this.pins.pin(this.account, physical, bytes, label);
    if (pin === undefined) return VFIO.OVER_LIMIT;
    try {
      this.domain.map(iova, physical, bytes, access);
    } catch (error) {
      this.pins.unpin(pin);
      // Everything else was looked at before: what is left is an allocator that is used up.
      if (error instanceof VirtioError) return VFIO.NO_TABLES;
      throw error;
    }
    this.list.insert({ iova, physical, bytes, access, pin });
    return VFIO.OK;
  }

  /**
   * End all mappings in a range. When it returns, no DMA reaches their memory, and it is pinned no more.
   * @param withDirty whether to tell which pages devices wrote, to the very last
   */
  unmap(iova: number, bytes: number, withDirty = false): VfioBitmap {
    const refusal = this.refuses(iova, bytes, withDirty);
    if (refusal !== VFIO.OK) return { outcome: refusal, bytes: 0, dirty: undefined };
    const dirty = withDirty ? newBitmap(bytes) : undefined;
    const taken = this.list.take(iova, bytes);
    return { outcome: VFIO.OK, bytes: this.remove(taken, dirty, iova), dirty };
  }

  /** End all mappings there are. @returns their bytes */
  unmapAll(): number {
    return this.remove(this.list.takeAll(), undefined);
  }

  /** From now on tell which pages devices write. What is mapped now counts as clean: copy it after this. */
  startDirtyTracking(): VfioOutcome {
    if (this.held.size === 0) return VFIO.NO_GROUP;
    if (this.requesters.tracksDirty && !this.isTracking) {
      try {
        this.domain.trackDirty();
      } catch (error) {
        if (error instanceof VirtioError) return VFIO.NO_TABLES;
        throw error;
      }
    }
    this.isTracking = true;
    return VFIO.OK;
  }

  /** Pages are told apart no more; later mappings take large pages again. */
  stopDirtyTracking(): void {
    this.isTracking = false;
    this.domain.untrackDirty();
  }

  /** Pages of the range that were written since they were last asked for; the range splits no mapping. */
  takeDirty(iova: number, bytes: number): VfioBitmap {
    const refusal = this.refuses(iova, bytes, true);
    if (refusal !== VFIO.OK) return { outcome: refusal, bytes: 0, dirty: undefined };
    const dirty = newBitmap(bytes);
    const found = this.list.within(iova, bytes);
    if (this.requesters.tracksDirty) for (const page of this.domain.takeDirty(iova, bytes)) mark(dirty, iova, page);
    else for (const mapping of found) markWritable(dirty, iova, mapping);
    return { outcome: VFIO.OK, bytes: found.reduce((sum, mapping) => sum + mapping.bytes, 0), dirty };
  }

  /** The first reason why a range cannot be unmapped or asked about. */
  private refuses(iova: number, bytes: number, withBitmap: boolean): VfioOutcome {
    if (this.held.size === 0) return VFIO.NO_GROUP;
    if (!this.isRange(iova, bytes)) return VFIO.INVALID;
    if (withBitmap && (!this.isTracking || bytes / PAGE_BYTES > BITMAP_PAGES_MAX)) return VFIO.INVALID;
    return this.list.splits(iova, bytes) ? VFIO.SPLITS : VFIO.OK;
  }

  /** @returns bytes of the mappings */
  private remove(taken: readonly PinnedMapping[], dirty: Uint32Array | undefined, base = 0): number {
    const wrote: Mapping[] = [];
    this.domain.unmapEach(taken, dirty === undefined ? undefined : wrote);
    // In lazy mode the memory stays within reach, and so pinned, until here.
    if (this.domain.lazy) this.domain.flush();
    let bytes = 0;
    for (const mapping of taken) {
      this.pins.unpin(mapping.pin);
      bytes += mapping.bytes;
      if (dirty !== undefined && !this.requesters.tracksDirty) markWritable(dirty, base, mapping);
    }
    if (dirty !== undefined) for (const page of wrote) mark(dirty, base, page);
    return bytes;
  }

  private isRange(iova: number, bytes: number): boolean {
    return isPages(iova, bytes) && iova + bytes <= this.domain.tables.end;
  }

  private isMemory(physical: number, bytes: number, access: number): boolean {
    for (let at = 0; at < bytes; at += PIECE_BYTES) {
      const offset = this.physical.resolve(physical + at, Math.min(PIECE_BYTES, bytes - at), access);
      if (offset === RESOLVE.FAULT) return false;
    }
    return true;
  }
}

const isPages = (address: number, bytes: number): boolean =>
  Number.isSafeInteger(address) &&
  address >= 0 &&
  address % PAGE_BYTES === 0 &&
  Number.isSafeInteger(bytes) &&
  bytes > 0 &&
  bytes % PAGE_BYTES === 0 &&
  Number.isSafeInteger(address + bytes);

const newBitmap = (bytes: number): Uint32Array => new Uint32Array(Math.ceil(bytes / PAGE_BYTES / 32));

function markWritable(bitmap: Uint32Array, base: number, mapping: Mapping): void {
  if ((mapping.access & ACCESS.WRITE) !== 0) mark(bitmap, base, mapping);
}

function mark(bitmap: Uint32Array, base: number, { iova, bytes }: Mapping): void {
  const first = (iova - base) / PAGE_BYTES;
  for (let page = first; page < first + bytes / PAGE_BYTES; page++)
    bitmap[page >>> 5] = bitmap[page >>> 5]! | (1 << (page & 31));
}
