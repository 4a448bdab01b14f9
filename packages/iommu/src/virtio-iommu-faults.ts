import { ACCESS, type HostMemory, scatter } from '@ringwire/guest-memory';
import { VIRTIO_IOMMU_FAULT, VIRTIO_IOMMU_FAULT_F } from '@ringwire/virtio-spec/iommu';
import { ChainBurst, type DeviceQueue, TAKE } from '@ringwire/virtqueue';
import type { VirtioIommuCounters } from './virtio-iommu-counters.js';

const TWO_32 = 0x1_0000_0000;

/**
 * Fault reports on the event queue: one buffer each, which is given back at once. Without a buffer the report is
 * dropped and counted; nothing is kept for later. @see virtio 1.4 §5.13.6.9
 */
export class FaultReporter {
  private readonly burst = new ChainBurst(1);
  private readonly report = new Uint8Array(VIRTIO_IOMMU_FAULT.SIZE);
  private readonly view = new DataView(this.report.buffer);
  private readonly memory: HostMemory;
  private readonly queue: DeviceQueue;
  private readonly counters: VirtioIommuCounters;

  constructor(memory: HostMemory, queue: DeviceQueue, counters: VirtioIommuCounters) {
    this.memory = memory;
    this.queue = queue;
    this.counters = counters;
  }

  /**
   * @param reason of `VIRTIO_IOMMU_FAULT_R`
   * @param address -1 for one that is beyond 2^53: the report has none then
   * @returns true when the driver is to be notified
   */
  send(reason: number, endpoint: number, access: number, address: number): boolean {
    const { burst, queue, counters } = this;
    burst.clear();
    const taken = queue.takeAvailable(burst);
    if (taken === TAKE.EMPTY || taken === TAKE.RING_FAULT) {
      counters.reportsWithoutBuffer++;
      return false;
    }
    if (taken === TAKE.CHAIN_FAULT || burst.writableBytes(0) < VIRTIO_IOMMU_FAULT.SIZE) {
      counters.reportsUnfit++;
      queue.putUsed(burst.token[0]!, 0);
      return queue.publishUsed();
    }
    this.compose(reason, endpoint, access, address);
    const first = burst.firstWritable[0]!;
    scatter(this.memory, burst.segments, first, burst.end(0) - first, this.report);
    counters.reports++;
    queue.putUsed(burst.token[0]!, VIRTIO_IOMMU_FAULT.SIZE);
    return queue.publishUsed();
  }

  /** The reserved bytes are zero and stay so. */
  private compose(reason: number, endpoint: number, access: number, address: number): void {
    const { view } = this;
    const known = address >= 0;
    let flags = known ? VIRTIO_IOMMU_FAULT_F.ADDRESS : 0;
    if ((access & ACCESS.READ) !== 0) flags |= VIRTIO_IOMMU_FAULT_F.READ;
    if ((access & ACCESS.WRITE) !== 0) flags |= VIRTIO_IOMMU_FAULT_F.WRITE;
    view.setUint8(VIRTIO_IOMMU_FAULT.reason, reason);
    view.setUint32(VIRTIO_IOMMU_FAULT.flags, flags, true);
    view.setUint32(VIRTIO_IOMMU_FAULT.endpoint, endpoint, true);
    view.setUint32(VIRTIO_IOMMU_FAULT.address, known ? address : 0, true);
    view.setUint32(VIRTIO_IOMMU_FAULT.address + 4, known ? address / TWO_32 : 0, true);
  }
}
