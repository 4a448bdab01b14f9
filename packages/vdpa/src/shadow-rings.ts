import { ACCESS, GuestMemory, PageAllocator } from '@ringwire/guest-memory';
import {
  hasFeature,
  isVirtqSize,
  PVIRTQ_EVENT_SUPPRESS,
  pvirtqDescBytes,
  VIRTIO_F,
  VirtioError,
  virtqAvailBytes,
  virtqDescBytes,
  virtqUsedBytes,
} from '@ringwire/virtio-spec';
import { featuresBehind } from './shadow-features.js';
import type { ShadowBack } from './shadow-queue.js';
import type { VdpaDevice, VdpaQueueAddresses } from './vdpa-device.js';
import { VDPA, vdpaOutcomeName } from './vdpa-outcome.js';

const HERE = 'ShadowVdpa';
const PAGE_BYTES = 4096;
/** Where the device finds the rings that are its own: a driver's mappings end before it. */
export const RINGS_IOVA: number = 2 ** 46;
const RINGS_BYTES = 0x1000_0000;
const RW = ACCESS.READ | ACCESS.WRITE;

/** A ring of the device's own. */
export interface ShadowRing {
  readonly size: number;
  /** Where the device has it. */
  readonly areas: VdpaQueueAddresses;
  /** As its driver has it, which is the shadow queue. */
  readonly back: ShadowBack;
  readonly host: number;
  readonly iova: number;
  readonly bytes: number;
  /** The address space that it is mapped in. */
  readonly asid: number;
}

/** The rings that a device behind shadow queues has: their memory, their addresses, and what the device accepts for them. */
export class ShadowRings {
  readonly isPacked: boolean;
  private readonly device: VdpaDevice;
  private readonly pages: PageAllocator;
  private readonly iovas = new PageAllocator(RINGS_IOVA, RINGS_BYTES);

  /** @throws VirtioError for a device that does not have such rings, or no addresses for them */
  constructor(device: VdpaDevice, pages: PageAllocator, rings: 'split' | 'packed') {
    this.isPacked = rings === 'packed';
    if (this.isPacked && !hasFeature(device.deviceFeatures, VIRTIO_F.RING_PACKED))
      throw new VirtioError('rings', rings, 'ones that the device has', HERE);
    if (device.iovaRange.last < RINGS_IOVA + RINGS_BYTES - 1)
      throw new VirtioError('iovaRange.last', device.iovaRange.last, `addresses from ${RINGS_IOVA} on`, HERE);
    this.device = device;
    this.pages = pages;
  }

  /** What the device accepts, by what its driver in front does. */
  featuresFor(driver: Uint32Array): Uint32Array {
    return featuresBehind(driver, this.device.deviceFeatures, this.isPacked);
  }

  /**
   * A ring of zeros, for a queue of `size` in front.
   * @param features what the driver in front accepted
   * @returns why there is none, in words, where there is no room
   */
  make(index: number, size: number, features: Uint32Array): ShadowRing | string {
    const { device, pages, iovas } = this;
    const { memory } = device;
    // A split ring has a power of two, as many as a packed one in front may not.
    const own = this.isPacked || isVirtqSize(size) ? size : 2 ** Math.ceil(Math.log2(size));
    const bytes = this.bytesOf(own);
    const host = roomIn(pages, bytes);
    const iova = roomIn(iovas, bytes);
    if (host === undefined || iova === undefined) {
      if (host !== undefined) pages.free(host);
      if (iova !== undefined) iovas.free(iova);
      return `there is no memory for the ring of queue ${index}: ${bytes} bytes`;
    }
    memory.engine.fill(host, 0, bytes);
    const space = new GuestMemory(memory, [{ gpa: iova, size: bytes, host }]);
    const areas = this.areasAt(iova, own);
    const back = { queue: { space, size: own, ...areas, features: this.featuresFor(features) } };
    const asid = device.groupSpace(device.queueGroup(index));
    const ring = { size: own, areas, back, host, iova, bytes, asid };
    const mapped = device.map(asid, { iova, bytes, host, access: RW });
    if (mapped === VDPA.OK) return ring;
    this.free(ring);
    return `the ring of queue ${index} is not mapped: ${vdpaOutcomeName(mapped)}`;
  }

  free({ host, iova, bytes, asid }: ShadowRing): void {
    // A reset may have taken the mapping away.
    this.device.unmap(asid, iova, bytes);
    this.iovas.free(iova);
    this.pages.free(host);
  }

  private areasAt(iova: number, size: number): VdpaQueueAddresses {
    const driver = iova + up(this.isPacked ? pvirtqDescBytes(size) : virtqDescBytes(size));
    const device = driver + up(this.isPacked ? PVIRTQ_EVENT_SUPPRESS.SIZE : virtqAvailBytes(size));
    return { desc: iova, driver, device };
  }

  private bytesOf(size: number): number {
    const last = this.isPacked ? PVIRTQ_EVENT_SUPPRESS.SIZE : virtqUsedBytes(size);
    return Math.ceil((this.areasAt(0, size).device + last) / PAGE_BYTES) * PAGE_BYTES;
  }
}

/** @returns undefined where there is not as much in one piece */
function roomIn(pages: PageAllocator, bytes: number): number | undefined {
  try {
    return pages.allocate(bytes);
  } catch (error) {
    if (error instanceof VirtioError) return undefined;
    throw error;
  }
}

const up = (bytes: number): number => Math.ceil(bytes / 64) * 64;
