import { ACCESS, type HostMemory, IdentitySpace, PageAllocator } from '@ringwire/guest-memory';
import { IommuDomain } from '../domain.js';
import { InvalidationBus } from '../invalidation-bus.js';
import { IommuSpace } from '../iommu-space.js';
import { Iotlb } from '../iotlb.js';
import { RequesterTable } from '../requester-table.js';
import { VtdUnit } from '../vtd-unit.js';

export const RW: number = ACCESS.READ | ACCESS.WRITE;
export const PAGE = 4096;
/** Where tables go; below lies what is mapped. */
const TABLES = 0x20_0000;
const TABLE_BYTES = 0x20_0000;
export const SOURCE = 0x0018;
const RTADDR = 0x20;
const GCMD = 0x18;
const TE = 0x8000_0000;
const SRTP = 0x4000_0000;

/** Tables, and the side that maps: one thread has it. */
export class Owner {
  readonly memory: HostMemory;
  readonly physical: IdentitySpace;
  readonly bus: InvalidationBus;
  readonly requesters: RequesterTable;
  readonly allocator: PageAllocator;

  constructor(memory: HostMemory, words: Int32Array) {
    this.memory = memory;
    this.physical = new IdentitySpace(memory);
    this.bus = new InvalidationBus(words);
    this.allocator = new PageAllocator(TABLES, TABLE_BYTES);
    this.requesters = new RequesterTable({ physical: this.physical, allocator: this.allocator, sink: this.bus });
  }

  domain(id: number, lazy = false): IommuDomain {
    return new IommuDomain({ id, physical: this.physical, allocator: this.allocator, sink: this.bus, lazy });
  }
}

/** A device's side, on any thread: its own unit over the same tables, its own cache. */
export function deviceSpace(
  memory: HostMemory,
  words: Int32Array,
  root: number,
  capacity = 64,
): { space: IommuSpace; iotlb: Iotlb; unit: VtdUnit } {
  const physical = new IdentitySpace(memory);
  const bus = new InvalidationBus(words);
  const unit = new VtdUnit({ memory: physical, sink: bus });
  unit.write(RTADDR, 8, BigInt(root));
  unit.write(GCMD, 4, SRTP);
  unit.write(GCMD, 4, TE);
  const iotlb = new Iotlb(capacity);
  return { space: new IommuSpace({ unit, sourceId: SOURCE, physical, iotlb, bus }), iotlb, unit };
}
