import { ACCESS, type HostMemory, IdentitySpace, PageAllocator } from '@ringwire/guest-memory';
import { Atc, deviceTlbOver } from '../atc.js';
import { IommuDomain } from '../domain.js';
import { InvalidationBus } from '../invalidation-bus.js';
import { IommuSpace } from '../iommu-space.js';
import { Iotlb } from '../iotlb.js';
import { RequesterTable } from '../requester-table.js';
import { VtdCaches } from '../vtd-caches.js';
import type { VtdInterrupt } from '../vtd-event.js';
import { VtdUnit } from '../vtd-unit.js';

export const RW: number = ACCESS.READ | ACCESS.WRITE;
export const PAGE = 4096;
/** Where tables go; below lies what is mapped. */
const TABLES = 0x20_0000;
const TABLE_BYTES = 0x20_0000;
export const SOURCE = 0x0018;
/** Two pages that several tables map, and which are themselves memory while translation is off. */
export const WINDOW = 0x1_0000;
/** Where the window leads: by the first table, by the second, and while translation is off. */
export const REGIONS: readonly number[] = [0x4_0000, 0x5_0000, WINDOW];
/** An address of its own for every fault of a device: its requester id above, the fault's number below. */
export const faultAddress = (sourceId: number, number: number): number => sourceId * 2 ** 36 + number * PAGE;
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
    this.requesters = this.newRequesters();
  }

  domain(id: number, lazy = false): IommuDomain {
    return new IommuDomain({ id, physical: this.physical, allocator: this.allocator, sink: this.bus, lazy });
  }

  /** One more root table. */
  newRequesters(): RequesterTable {
    return new RequesterTable({ physical: this.physical, allocator: this.allocator, sink: this.bus });
  }

  /** A unit whose registers software on this thread writes. */
  newUnit(faultRegisters = 1): VtdUnit {
    const capabilities = { deviceTlb: true, faultRegisters };
    return new VtdUnit({ memory: this.physical, sink: this.bus, capabilities, deviceTlb: deviceTlbOver(this.bus) });
  }
}

/** Set a unit's root table, and have it translate. */
export function translateBy(unit: VtdUnit, root: number): void {
  unit.write(RTADDR, 8, BigInt(root));
  unit.write(GCMD, 4, SRTP);
  unit.write(GCMD, 4, TE);
}

export interface DeviceOptions {
  /** Of the IOTLB and of the ATC. */
  readonly capacity?: number;
  /** Contexts and tables are cached, in caches that are small enough to overflow. */
  readonly caches?: boolean;
  readonly atc?: boolean;
  readonly sourceId?: number;
  /** The unit of another thread, to join; otherwise the device has one of its own. */
  readonly registers?: Uint32Array | undefined;
  readonly onInterrupt?: VtdInterrupt;
  /** The thread's numbers in the unit and on the bus, when it may be ended from outside. */
  readonly unitOwner?: number | undefined;
  readonly busOwner?: number | undefined;
}

export interface DeviceStage {
  readonly space: IommuSpace;
  readonly iotlb: Iotlb;
  readonly atc: Atc | undefined;
  readonly unit: VtdUnit;
  readonly caches: VtdCaches | undefined;
}

/** A device's side, on any thread, with caches of its own. @param root of the tables, for a unit that is its own */
export function deviceSpace(
  memory: HostMemory,
  words: Int32Array,
  root: number,
  options: DeviceOptions = {},
): DeviceStage {
  const { capacity = 64, sourceId = SOURCE, registers, onInterrupt, unitOwner } = options;
  const physical = new IdentitySpace(memory);
  const bus = new InvalidationBus(words, options.busOwner);
  const caches = options.caches === true ? new VtdCaches({ contexts: 2, tables: 4 }) : undefined;
  const unit = new VtdUnit({
    memory: physical,
    sink: bus,
    capabilities: { deviceTlb: true },
    ...(registers === undefined ? {} : { registers }),
    ...(caches === undefined ? {} : { caches }),
    ...(onInterrupt === undefined ? {} : { onInterrupt }),
    ...(unitOwner === undefined ? {} : { owner: unitOwner }),
  });
  if (registers === undefined) translateBy(unit, root);
  const iotlb = new Iotlb(capacity);
  const atc = options.atc === true ? new Atc(capacity) : undefined;
  const space = new IommuSpace({ unit, sourceId, physical, iotlb, bus, ...(atc === undefined ? {} : { atc }) });
  return { space, iotlb, atc, unit, caches };
}
