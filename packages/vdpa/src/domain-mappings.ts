import type { HostMemory } from '@ringwire/guest-memory';
import type { InvalidationBus, IommuDomain } from '@ringwire/iommu';
import { VirtioError } from '@ringwire/virtio-spec';
import { type AsidMappings, isRange, MAPPINGS_MAX, mappingProblem } from './asid-space.js';
import { MappingList } from './mapping-list.js';
import type { VdpaMapping } from './vdpa-device.js';
import { VDPA, type VdpaOutcome } from './vdpa-outcome.js';

const PAGE_BYTES = 4096;

/** An address space that the platform's IOMMU translates: its mappings are page tables, in whole pages. */
export class DomainMappings implements AsidMappings {
  readonly memory: HostMemory;
  readonly granule: number = PAGE_BYTES;
  private readonly domain: IommuDomain;
  private readonly bus: InvalidationBus;
  private readonly list = new MappingList();

  /**
   * @param domain of which nobody else maps anything; its physical addresses are host offsets of `memory`
   * @param bus    the domain's, of this thread
   */
  constructor(memory: HostMemory, domain: IommuDomain, bus: InvalidationBus) {
    this.memory = memory;
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
      this.domain.unmapEach(pieces);
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
    this.domain.unmapEach(this.list.clear());
    return VDPA.OK;
  }
}
