import { type AddressSpace, GuestMemory, type HostMemory, IdentitySpace, PageAllocator } from '@ringwire/guest-memory';

import { IommuDomain } from '../domain.js';
import { FIRST_STAGE } from '../domain-tables.js';
import { GuestInvalidations } from '../guest-invalidations.js';
import { BUS_WORDS, InvalidationBus } from '../invalidation-bus.js';
import { IommuSpace } from '../iommu-space.js';
import { Iotlb } from '../iotlb.js';
import { HostStage, NestedSpace } from '../nested-space.js';
import { RequesterTable } from '../requester-table.js';
import { VtdCaches } from '../vtd-caches.js';
import { VtdUnit } from '../vtd-unit.js';
import { ScalableStage, scalableUnit } from './scalable-stage.js';

const RW = 3;
export const SOURCE = 0x18;
/** The requester as the guest knows it, where it has an IOMMU of its own. */
const GUEST_SOURCE = 0x28;
/** 1 MiB of guest memory, whose halves are swapped on the host. */
const REGIONS = [
  { gpa: 0, size: 0x8_0000, host: 0x18_0000 },
  { gpa: 0x8_0000, size: 0x8_0000, host: 0x10_0000 },
] as const;
/** The upper quarter of the guest's memory is for its tables. */
const TABLES = { gpa: 0xc_0000, bytes: 0x4_0000 } as const;
const HOST_DOMAIN = 3;

export const hostOf = (gpa: number): number => (gpa < 0x8_0000 ? gpa + 0x18_0000 : gpa + 0x8_0000);

/** What another thread needs to do the same DMA. */
export interface DeviceSide {
  readonly kind: 'nested' | 'composed';
  readonly words: Int32Array;
  readonly guestWords: Int32Array;
  readonly rtaddr: bigint;
  /** The guest's root table; only composed. */
  readonly guestRoot: number;
}

/** A guest with an IOMMU, its host, and a device behind both: in one of the two ways in which that is done. */
export interface ViommuStage {
  readonly memory: HostMemory;
  readonly guest: GuestMemory;
  /** I/O addresses to guest-physical, the guest's own tables. */
  readonly guestDomain: IommuDomain;
  /** Guest-physical to physical. */
  readonly hostDomain: IommuDomain;
  readonly hostUnit: VtdUnit;
  readonly side: DeviceSide;
}

export function viommuStage(kind: DeviceSide['kind']): ViommuStage {
  const stage = new ScalableStage();
  const { memory, requesters } = stage;
  const guest = new GuestMemory(memory, REGIONS);
  const guestAllocator = new PageAllocator(TABLES.gpa, TABLES.bytes);
  const guestWords = new Int32Array(new SharedArrayBuffer(BUS_WORDS * 4));
  const isNested = kind === 'nested';
  const hostDomain = stage.domain(HOST_DOMAIN, { isOuter: isNested });
  for (const { gpa, size, host } of REGIONS) hostDomain.map(gpa, host, size, RW);
  const guestBus = new InvalidationBus(guestWords);
  const guestDomain = new IommuDomain({
    id: 77,
    physical: guest,
    allocator: guestAllocator,
    sink: isNested ? new GuestInvalidations(stage.bus, HOST_DOMAIN) : guestBus,
    ...(isNested ? { format: FIRST_STAGE } : {}),
  });
  let guestRoot = 0;
  if (isNested) requesters.attachNested(SOURCE, hostDomain, { root: guestDomain.tables.root, levels: 4 });
  else {
    requesters.attach(SOURCE, hostDomain);
    const table = new RequesterTable({ physical: guest, allocator: guestAllocator, sink: guestBus });
    table.attach(GUEST_SOURCE, guestDomain);
    guestRoot = table.root;
  }
  const side = { kind, words: stage.words, guestWords, rtaddr: requesters.rtaddr, guestRoot };
  return { memory, guest, guestDomain, hostDomain, hostUnit: stage.unit, side };
}

/** The device's side of it, on any thread. */
export function viommuSpace(
  memory: HostMemory,
  { kind, words, guestWords, rtaddr, guestRoot }: DeviceSide,
  capacity = 32,
): { space: AddressSpace; iotlb: Iotlb; hostUnit: VtdUnit; guestUnit: VtdUnit | undefined } {
  const physical = new IdentitySpace(memory);
  const bus = new InvalidationBus(words);
  const hostUnit = scalableUnit(physical, bus, rtaddr);
  const iotlb = new Iotlb(capacity);
  const hostTlb = kind === 'nested' ? iotlb : new Iotlb(capacity);
  const host = new IommuSpace({ unit: hostUnit, sourceId: SOURCE, physical, iotlb: hostTlb, bus });
  if (kind === 'nested') return { space: host, iotlb, hostUnit, guestUnit: undefined };
  const stage = new HostStage(host);
  const guestBus = new InvalidationBus(guestWords);
  const guestUnit = new VtdUnit({ memory: stage, sink: guestBus, caches: new VtdCaches() });
  guestUnit.write(0x20, 8, BigInt(guestRoot));
  guestUnit.write(0x18, 4, 0x4000_0000);
  guestUnit.write(0x18, 4, 0x8000_0000);
  const guest = { unit: guestUnit, sourceId: GUEST_SOURCE, bus: guestBus };
  const space = new NestedSpace({ guest, host: { stage, bus }, iotlb });
  return { space, iotlb, hostUnit, guestUnit };
}
