import { ACCESS, type AddressSpace, type HostMemory, IdentitySpace, PageAllocator } from '@ringwire/guest-memory';
import {
  BUS_WORDS,
  InvalidationBus,
  IommuDomain,
  IommuSpace,
  Iotlb,
  RequesterTable,
  VTD_REG,
  VtdCaches,
  VtdUnit,
} from '@ringwire/iommu';
import type { CasePlan } from './case-plan.js';
import { guestOf, HIGH_RAM, IOMMU_TABLES } from './guest-layout.js';

/** Requester 00:03.0. */
export const SOURCE_ID = 0x18;
const PAGE_BYTES = 4096;
const SET_ROOT = 0x4000_0000;
const ENABLE = 0x8000_0000;

/** How the device of a case reaches memory: the guest's regions, or a VT-d unit with the same addresses in pages of 4 KiB. */
export function deviceSpace(plan: CasePlan, memory: HostMemory): AddressSpace {
  return plan.behindIommu ? behindIommu(memory) : guestOf(memory);
}

function behindIommu(memory: HostMemory): AddressSpace {
  const physical = new IdentitySpace(memory);
  const bus = new InvalidationBus(new Int32Array(new SharedArrayBuffer(BUS_WORDS * 4)));
  const allocator = new PageAllocator(IOMMU_TABLES.start, IOMMU_TABLES.bytes);
  const domain = new IommuDomain({ id: 1, physical, allocator, sink: bus, largestPage: PAGE_BYTES });
  domain.map(HIGH_RAM.gpa, HIGH_RAM.host, HIGH_RAM.size, ACCESS.READ | ACCESS.WRITE);
  const requesters = new RequesterTable({ physical, allocator, sink: bus });
  requesters.attach(SOURCE_ID, domain);
  const unit = vtdUnit(physical, bus, requesters.root, new VtdCaches());
  return new IommuSpace({ unit, sourceId: SOURCE_ID, physical, iotlb: new Iotlb(), bus });
}

/** A unit that translates by a root table. @param caches if it is to have any beside the IOTLB */
export function vtdUnit(
  physical: AddressSpace,
  bus: InvalidationBus,
  root: number,
  caches: VtdCaches | undefined,
): VtdUnit {
  const unit = new VtdUnit({ memory: physical, sink: bus, ...(caches === undefined ? {} : { caches }) });
  unit.write(VTD_REG.RTADDR.at, 8, BigInt(root));
  unit.write(VTD_REG.GCMD.at, 4, SET_ROOT);
  unit.write(VTD_REG.GCMD.at, 4, ENABLE);
  return unit;
}
