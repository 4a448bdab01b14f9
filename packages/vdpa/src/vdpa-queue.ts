import type { DeviceQueue, QueueState } from '@ringwire/virtqueue';
import type { VdpaQueueAddresses, VdpaStatistic } from './vdpa-device.js';

/** What a bus driver has set up of one queue, and what the queue has counted. */
export class VdpaQueue {
  size: number;
  addresses: VdpaQueueAddresses | undefined = undefined;
  /** Where it goes on once it becomes ready; at its start unless set. */
  position: QueueState | undefined = undefined;
  callback: (() => void) | undefined = undefined;
  private readonly sizeMax: number;
  /** The queue that counts now. */
  private live: DeviceQueue | undefined = undefined;
  private taken = 0;
  private used = 0;

  constructor(sizeMax: number) {
    this.sizeMax = sizeMax;
    this.size = sizeMax;
  }

  /** The queue was started. */
  begin(queue: DeviceQueue): void {
    this.end();
    this.live = queue;
  }

  /** It was stopped: what it counted stays. */
  end(): void {
    this.taken += this.live?.counters.taken ?? 0;
    this.used += this.live?.counters.used ?? 0;
    this.live = undefined;
  }

  /** As after a device reset; the counters stay. */
  reset(): void {
    this.end();
    this.size = this.sizeMax;
    this.addresses = undefined;
    this.position = undefined;
    this.callback = undefined;
  }

  /** Buffers that the device took, and gave back: the names that Linux's mlx5 has for them. */
  statistics(): VdpaStatistic[] {
    return [
      { name: 'received_desc', value: this.taken + (this.live?.counters.taken ?? 0) },
      { name: 'completed_desc', value: this.used + (this.live?.counters.used ?? 0) },
    ];
  }
}

/** The start of a queue. virtio 1.4 §2.7, §2.8.1 */
export const startOf = (isPacked: boolean): QueueState =>
  isPacked
    ? { layout: 'packed', lastAvailIdx: 0, lastAvailWrapCounter: 1, usedIdx: 0, usedWrapCounter: 1 }
    : { layout: 'split', lastAvailIdx: 0, usedIdx: 0 };
