import type { HostMemory } from '@ringwire/guest-memory';
import type { InvalidationBus, IommuDomain, Mapping } from '@ringwire/iommu';
import { VirtioError } from '@ringwire/virtio-spec';
import { type AsidMappings, isRange, MAPPINGS_MAX, mappingProblem } from './asid-space.js';
import { MappingList } from './mapping-list.js';
import type { HostRange, VdpaMapping } from './vdpa-device.js';
import { VDPA, type VdpaOutcome } from './vdpa-outcome.js';
import { WrittenPages } from './written-pages.js';

const PAGE_BYTES = 4096;

/** An address space that the platform's IOMMU translates: its mappings are page tables, in whole pages. */
export class DomainMappings implements AsidMappings {
  readonly memory: HostMemory;
  readonly granule: number = PAGE_BYTES;
  private readonly domain: IommuDomain;
  private readonly bus: InvalidationBus;
  readonly tracksDirty: boolean;
  private readonly list = new MappingList();
  /** While writes are noted: pages that were written, and unmapped before anybody asked. */
  private gone: WrittenPages | undefined = undefined;

  /**
   * @param domain of which nobody else maps anything in these addresses; its physical addresses are host offsets of `memory`
   * @param bus    the domain's, of this thread
   * @param tracksDirty the unit keeps dirty flags in the domain's tables, as VT-d does in scalable mode
   */
  constructor(memory: HostMemory, domain: IommuDomain, bus: InvalidationBus, tracksDirty = false) {
    this.memory = memory;
    this.tracksDirty = tracksDirty;
    this.domain = domain;
    this.bus = bus;
  }

  get mappings(): readonly VdpaMapping[] {
    return this.list.all;
  }

  map(mapping: VdpaMapping): VdpaOutcome {
    const { iova, bytes, host, access } = mapping;
    const problem = mappingProblem(mapping, PAGE_BYTES, this.memory.size);
    if (problem !== VDPA.OK) return problem;
    if (iova + bytes > this.domain.tables.end) return VDPA.INVALID;
    if (this.list.overlaps(iova, bytes)) return VDPA.EXISTS;
    if (this.list.all.length >= MAPPINGS_MAX) return VDPA.NO_ROOM;
    try {
      this.domain.map(iova, host, bytes, access);
    } catch (error) {
      // Everything else was looked at before: what is left is an allocator that is used up.
      if (error instanceof VirtioError) return VDPA.NO_ROOM;
      throw error;
    }
    this.list.add(mapping);
    return VDPA.OK;
  }

  unmap(iova: number, bytes: number): VdpaOutcome {
    if (!isRange(iova, bytes, PAGE_BYTES)) return VDPA.INVALID;
    if (this.bus.inBurst) return VDPA.BUSY;
    const pieces = this.list.cut(iova, bytes);
    try {
      this.take(pieces);
      return VDPA.OK;
    } catch (error) {
      // A large page of which a part is to stay needs a table.
      if (!(error instanceof VirtioError)) throw error;
      for (const piece of pieces) this.list.add(piece);
      return VDPA.NO_ROOM;
    }
  }

  clear(): VdpaOutcome {
    if (this.bus.inBurst) return VDPA.BUSY;
    this.take(this.list.clear());
    return VDPA.OK;
  }

  trackDirty(isOn: boolean): VdpaOutcome {
    if (!this.tracksDirty) return VDPA.UNSUPPORTED;
    if (this.bus.inBurst) return VDPA.BUSY;
    if (isOn === (this.gone !== undefined)) return VDPA.OK;
    try {
      if (isOn) this.domain.trackDirty();
      else this.domain.untrackDirty();
    } catch (error) {
      // Pages of 4 KiB need more tables.
      if (error instanceof VirtioError) return VDPA.NO_ROOM;
      throw error;
    }
    this.gone = isOn ? new WrittenPages(this.memory) : undefined;
    return VDPA.OK;
  }

  takeDirty(): readonly HostRange[] {
    if (this.gone === undefined) return [];
    const gone = this.gone.take();
    const mapped = this.list.all.flatMap(({ iova, bytes }) => this.domain.takeDirty(iova, bytes));
    return [...gone, ...mapped.map(({ physical, bytes }) => ({ host: physical, bytes }))];
  }

  /** Take mappings out of the tables, and note what of them was written. */
  private take(pieces: readonly VdpaMapping[]): void {
    const written: Mapping[] = [];
    try {
      this.domain.unmapEach(pieces, written);
    } finally {
      for (const { physical, bytes } of written) this.gone?.note(physical, bytes);
    }
  }
}
