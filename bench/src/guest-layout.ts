import { type AddressSpace, GuestMemory, type GuestRegion, HostMemory } from '@ringwire/guest-memory';
import { featureWords, VIRTIO_F } from '@ringwire/virtio-spec';
import type { IndirectTables, QueueConfig } from '@ringwire/virtqueue';
import { type CasePlan, queueSizeOf } from './case-plan.js';

const MIB = 0x10_0000;

/** Where the guest's RAM above 4 GiB begins: addresses need both words, and translation is a real one. */
const GUEST_RAM = 0x1_0000_0000;
const LOW_RAM = { gpa: 0, size: 0xa_0000, host: 0 };
/** The guest's RAM above 4 GiB, in which everything lies. */
export const HIGH_RAM: GuestRegion = { gpa: GUEST_RAM, size: 8 * MIB, host: MIB };

/** Offsets of things in the guest's RAM. */
const AT = { desc: 0x1_0000, driver: 0xa_0000, device: 0x10_0000, tables: 0x18_0000, buffers: 0x20_0000 } as const;

/**
 * Bytes from one buffer to the next: 35 cache lines, like an mbuf with its headroom. At a power of two the first lines
 * of all buffers would compete for a few sets of the cache.
 */
export const BUFFER_PITCH = 2240;
/** Buffers that fit. */
export const MOST_BUFFERS: number = Math.floor((HIGH_RAM.size - AT.buffers) / BUFFER_PITCH);

/** Frames that the device keeps: it writes over the oldest, whose lines are still in its cache. A power of two. */
export const SINK_FRAMES = 32;
/** Host offset of the device's own copies; no guest address leads there. */
export const SINK: number = HIGH_RAM.host + HIGH_RAM.size;
/** Host offsets of the page tables of cases with an IOMMU. */
export const IOMMU_TABLES: { readonly start: number; readonly bytes: number } = { start: SINK + MIB, bytes: MIB };
/** Host offsets of what a network device has for itself, and of the frames on its cable. */
export const NET_SCRATCH: number = IOMMU_TABLES.start + IOMMU_TABLES.bytes;
export const NET_CABLE: { readonly start: number; readonly bytes: number } = { start: NET_SCRATCH + MIB, bytes: MIB };
const HOST_BYTES = NET_CABLE.start + NET_CABLE.bytes;

/** Guest-physical address and host offset of a buffer. */
export const bufferGpa = (slot: number): number => GUEST_RAM + AT.buffers + slot * BUFFER_PITCH;
export const bufferHost = (slot: number): number => HIGH_RAM.host + AT.buffers + slot * BUFFER_PITCH;

export const newHostMemory = (): HostMemory => HostMemory.create(HOST_BYTES);

export function guestOf(memory: HostMemory): GuestMemory {
  return new GuestMemory(memory, [LOW_RAM, HIGH_RAM]);
}

/** Tables of two entries, for the cases with INDIRECT_DESC. */
export const TABLES: IndirectTables = { address: GUEST_RAM + AT.tables, entries: 2 };

const VARIANT_BIT = {
  event_idx: VIRTIO_F.EVENT_IDX,
  indirect: VIRTIO_F.INDIRECT_DESC,
  in_order: VIRTIO_F.IN_ORDER,
} as const;

export function queueConfig(plan: CasePlan, space: AddressSpace): QueueConfig {
  const bits: number[] = [VIRTIO_F.VERSION_1];
  if (plan.layout === 'packed') bits.push(VIRTIO_F.RING_PACKED);
  if (plan.behindIommu) bits.push(VIRTIO_F.ACCESS_PLATFORM);
  if (plan.variant !== undefined) bits.push(VARIANT_BIT[plan.variant]);
  return {
    space,
    size: queueSizeOf(plan),
    desc: GUEST_RAM + AT.desc,
    driver: GUEST_RAM + AT.driver,
    device: GUEST_RAM + AT.device,
    features: featureWords(bits),
  };
}
