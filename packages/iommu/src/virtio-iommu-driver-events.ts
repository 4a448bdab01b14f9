import { VIRTIO_IOMMU_FAULT } from '@ringwire/virtio-spec/iommu';
import { type DriverQueue, NO_ROOM, USED, UsedBurst } from '@ringwire/virtqueue';
import { type IommuFault, parseFault } from './virtio-iommu-driver-reports.js';
import { type DriverArea, placeArea } from './virtio-iommu-driver-slots.js';

const BURST = 16;

/** The driver's buffers for fault reports: as many as the area and the event queue have room for. */
export class EventBuffers {
  private readonly queue: DriverQueue;
  private readonly area: DriverArea;
  private readonly host: number;
  /** Offset in the area, by the queue's id. */
  private readonly offsets: Map<number, number> = new Map();
  private readonly used: UsedBurst = new UsedBurst(BURST);

  constructor(queue: DriverQueue, area: DriverArea) {
    this.queue = queue;
    this.area = area;
    this.host = placeArea(area);
    for (let at = 0; at + VIRTIO_IOMMU_FAULT.SIZE <= area.bytes; at += VIRTIO_IOMMU_FAULT.SIZE) this.offer(at);
  }

  /** @see VirtioIommuDriver.pollFaults */
  poll(report: (fault: IommuFault) => void): void {
    const { used, queue, offsets } = this;
    for (;;) {
      used.clear();
      if (queue.takeUsed(used, BURST) === 0) return;
      for (let i = 0; i < used.count; i++) {
        const offset = offsets.get(used.token[i]!)!;
        offsets.delete(used.token[i]!);
        const whole = used.outcome[i] === USED.GOOD && used.written[i]! >= VIRTIO_IOMMU_FAULT.SIZE;
        const at = this.host + offset;
        // A copy: the device may still be writing.
        const bytes = this.area.space.memory.u8.slice(at, at + VIRTIO_IOMMU_FAULT.SIZE);
        const fault = whole ? parseFault(bytes) : undefined;
        this.offer(offset);
        if (fault !== undefined) report(fault);
      }
    }
  }

  private offer(offset: number): void {
    const id = this.queue.addWritable(this.area.address + offset, VIRTIO_IOMMU_FAULT.SIZE);
    if (id !== NO_ROOM) this.offsets.set(id, offset);
  }
}
