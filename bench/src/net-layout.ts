import type { PlaceOptions } from '@ringwire/device-thread';
import { type DmaMemory, guestDma, type MsixMessage } from '@ringwire/guest-drivers';
import { type AddressSpace, type HostMemory, PageAllocator } from '@ringwire/guest-memory';
import { featureWords, VIRTIO_F } from '@ringwire/virtio-spec';
import { VIRTIO_NET_F } from '@ringwire/virtio-spec/net';
import { type CasePlan, PEER_QUEUE_SIZE } from './case-plan.js';
import { frameSet, sumWithoutNumber } from './frame-set.js';
import { guestOf, HIGH_RAM } from './guest-layout.js';

/** A queue pair and a control queue, which no driver here negotiates; MSI-X vectors for these and the configuration. */
const [QUEUES, VECTORS] = [3, 4];
/** What a device's thread and its driver's need to find each other. */
export const NET_PLACE: PlaceOptions = { transport: 'pci', doorbells: QUEUES, vectors: VECTORS };
export const MESSAGES: readonly MsixMessage[] = Array.from({ length: VECTORS }, (_, data) => ({
  addressLo: 0xfee0_0000,
  addressHi: 0,
  data,
}));
export const STATION: Uint8Array = Uint8Array.of(2, 0, 0, 0, 0, 1);
/** Descriptors of each ring: as many as DPDK's. */
export const NET_QUEUE_SIZE: number = PEER_QUEUE_SIZE;

/** What the frames of a case look like: number `n` is a prefix of `bytes`, `lengths[n % count]` long, behind its number. */
export interface NetFrames {
  readonly bytes: Uint8Array;
  readonly lengths: Uint32Array;
  /** Sums over each frame but its number, by other code than the copy engine's. */
  readonly sums: Uint32Array;
}

/** The same in whichever thread. One content for all: buffers of a pool come in an order of their own. */
export function netFrames(plan: CasePlan): NetFrames {
  const frames = frameSet(plan.frames, NET_QUEUE_SIZE);
  const bytes = frames.reduce((longest, frame) => (frame.length > longest.length ? frame : longest));
  const sumOf = new Map<number, number>();
  for (const { length } of frames)
    if (!sumOf.has(length)) sumOf.set(length, sumWithoutNumber(bytes.subarray(0, length)));
  return {
    bytes: bytes.slice(),
    lengths: Uint32Array.from(frames, ({ length }) => length),
    sums: Uint32Array.from(frames, ({ length }) => sumOf.get(length)!),
  };
}

/**
 * What the driver of a case negotiates: no offload, since its frames are whole, and no control queue. A poll-mode driver
 * has IN_ORDER, as DPDK's pair beside it.
 */
export function netFeatures(plan: CasePlan): Uint32Array {
  const bits: number[] = [VIRTIO_F.VERSION_1, VIRTIO_NET_F.MAC, VIRTIO_NET_F.STATUS, VIRTIO_NET_F.MTU];
  if (plan.layout === 'packed') bits.push(VIRTIO_F.RING_PACKED);
  if (plan.behindIommu) bits.push(VIRTIO_F.ACCESS_PLATFORM, VIRTIO_F.ORDER_PLATFORM);
  if (plan.net?.driver === 'pmd') bits.push(VIRTIO_F.IN_ORDER);
  if (plan.net?.driver === 'kernel') bits.push(VIRTIO_F.EVENT_IDX, VIRTIO_F.INDIRECT_DESC, VIRTIO_NET_F.MRG_RXBUF);
  return featureWords(bits);
}

/** All of the guest's RAM above 4 GiB, for a driver. With an IOMMU its device has the same addresses. */
export function driverDma(memory: HostMemory): DmaMemory {
  const space: AddressSpace = guestOf(memory);
  return guestDma(space, new PageAllocator(HIGH_RAM.gpa, HIGH_RAM.size));
}
