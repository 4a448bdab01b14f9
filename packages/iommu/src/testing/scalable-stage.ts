import { HostMemory, IdentitySpace, PageAllocator } from '@ringwire/guest-memory';
import { IommuDomain, type IommuDomainConfig } from '../domain.js';
import { BUS_WORDS, InvalidationBus } from '../invalidation-bus.js';
import { IommuSpace } from '../iommu-space.js';
import { Iotlb } from '../iotlb.js';
import { ScalableRequesterTable } from '../scalable-requester-table.js';
import { VtdCaches } from '../vtd-caches.js';
import { VtdUnit } from '../vtd-unit.js';

const TABLES = 0x20_0000;
const TABLE_BYTES = 0x20_0000;

/** Scalable mode with everything that marks pages and nests stages. */
const FEATURES = {
  scalable: true,
  firstStage: true,
  nested: true,
  secondStageAccessDirty: true,
  pasidBits: 20,
} as const;

/** 4 MiB of machine with a VT-d unit in scalable mode, tables from 2 MiB on; what is below is for the test. */
export class ScalableStage {
  readonly memory: HostMemory;
  readonly words: Int32Array;
  readonly physical: IdentitySpace;
  readonly bus: InvalidationBus;
  readonly allocator = new PageAllocator(TABLES, TABLE_BYTES);
  readonly requesters: ScalableRequesterTable;
  readonly unit: VtdUnit;

  constructor() {
    this.memory = HostMemory.create(0x40_0000);
    this.words = new Int32Array(new SharedArrayBuffer(BUS_WORDS * 4));
    this.physical = new IdentitySpace(this.memory);
    this.bus = new InvalidationBus(this.words);
    this.requesters = new ScalableRequesterTable({
      physical: this.physical,
      allocator: this.allocator,
      sink: this.bus,
    });
    this.unit = scalableUnit(this.physical, this.bus, this.requesters.rtaddr);
  }

  domain(id: number, options: Partial<IommuDomainConfig> = {}): IommuDomain {
    return new IommuDomain({ id, physical: this.physical, allocator: this.allocator, sink: this.bus, ...options });
  }

  space(sourceId: number, capacity = 64): IommuSpace {
    const { unit, physical, bus } = this;
    return new IommuSpace({ unit, sourceId, physical, iotlb: new Iotlb(capacity), bus });
  }
}

/** A unit over tables that are there, another thread's for one, with caches of contexts and tables. */
export function scalableUnit(physical: IdentitySpace, bus: InvalidationBus, rtaddr: bigint): VtdUnit {
  const unit = new VtdUnit({ memory: physical, sink: bus, capabilities: FEATURES, caches: new VtdCaches() });
  unit.write(0x20, 8, rtaddr);
  unit.write(0x18, 4, 0x4000_0000);
  unit.write(0x18, 4, 0x8000_0000);
  return unit;
}
