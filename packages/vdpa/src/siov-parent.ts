import type { AddressSpace, PageAllocator } from '@ringwire/guest-memory';
import {
  type InvalidationBus,
  type Iommu,
  IommuDomain,
  IommuSpace,
  Iotlb,
  type ScalableRequesterTable,
} from '@ringwire/iommu';
import { LearningSwitch, type NetBackend } from '@ringwire/net-backend';
import type { NetDeviceOptions } from '@ringwire/virtio-device';
import { VirtioError } from '@ringwire/virtio-spec';
import { DomainSpace } from './domain-space.js';
import { NetParent, type NetSeat } from './net-parent.js';
import type { VdpaHost } from './vdpa-parent.js';

/** Address spaces of a slice: its data queues', and its control queue's if that is to be another. */
const SPACES = 2;
const PAGE_BYTES = 4096;

/** One function whose queue pairs are handed out in slices, and the IOMMU that keeps them apart. */
export interface SiovOptions {
  /** Such as `pci/0000:3b:00.0`. */
  readonly name: string;
  /** The function's requester id, attached already. */
  readonly sourceId: number;
  readonly unit: Iommu;
  readonly requesters: ScalableRequesterTable;
  readonly bus: InvalidationBus;
  /** The machine's memory, whose addresses are host offsets. */
  readonly physical: AddressSpace;
  /** Where page tables go. */
  readonly tables: PageAllocator;
  /** First PASID and domain id of the slices: each takes two of both, from here on. */
  readonly firstPasid: number;
  readonly firstDomain: number;
  /** Slices, and queue pairs of each at most. */
  readonly slices: number;
  readonly pairs: number;
  /** Address of the function's doorbells: a page for each slice. */
  readonly doorbells: number;
  readonly vendorId?: number;
  /** The unit keeps dirty flags in tables of the second stage: devices tell what they wrote. False unless given. */
  readonly tracksDirty?: boolean;
  /** What the place-th slice is plugged into; unless given, a port of one switch for all. */
  readonly backend?: (place: number) => NetBackend;
  readonly device?: Partial<NetDeviceOptions>;
}

/**
 * Scalable IOV: one function has many devices, each with some of its queue pairs. All DMA has the function's requester id; a
 * PASID for each address space of each slice says what it may reach.
 */
export function siovParent(host: VdpaHost, options: SiovOptions): NetParent {
  const { name, slices, pairs, vendorId, device, firstPasid } = options;
  if (!Number.isInteger(firstPasid) || firstPasid < 1)
    throw new VirtioError('firstPasid', firstPasid, '1 or more: 0 is for requests without PASID', 'VT-d §9.4');
  const uplinks = options.backend === undefined ? new LearningSwitch(slices).ports : undefined;
  return new NetParent({
    name,
    host,
    pairs,
    devices: slices,
    seat: (place) => openSeat(host, options, place, uplinks?.[place] ?? options.backend!(place)),
    ...(vendorId === undefined ? {} : { vendorId }),
    ...(device === undefined ? {} : { device }),
  });
}

function openSeat({ memory }: VdpaHost, options: SiovOptions, place: number, backend: NetBackend): NetSeat | undefined {
  const { sourceId, unit, requesters, bus, physical, tables } = options;
  // A root table for each space, and some below.
  if (tables.available < SPACES * 8 * PAGE_BYTES) return undefined;
  const iotlb = new Iotlb(256);
  const opened = Array.from({ length: SPACES }, (_, asid) => {
    const at = place * SPACES + asid;
    const pasid = options.firstPasid + at;
    const domain = new IommuDomain({ id: options.firstDomain + at, physical, allocator: tables, sink: bus });
    requesters.attachPasid(sourceId, pasid, domain);
    const space = new IommuSpace({ unit, sourceId, pasid, physical, iotlb, bus });
    return { pasid, domain, space: new DomainSpace(memory, domain, bus, space, options.tracksDirty) };
  });
  return {
    backend,
    spaces: opened.map(({ space }) => space),
    doorbell: () => ({ address: options.doorbells + place * PAGE_BYTES, bytes: PAGE_BYTES }),
    close() {
      for (const { pasid, domain, space } of opened) {
        space.close();
        requesters.detachPasid(sourceId, pasid);
        domain.destroy();
      }
    },
  };
}
