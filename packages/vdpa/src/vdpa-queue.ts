import type { DeviceQueue } from '@ringwire/virtqueue';
import { QueueSetup } from './queue-setup.js';
import type { VdpaStatistic } from './vdpa-device.js';

/** A queue as its bus driver has set it up, and what a queue of ours has counted. */
export class VdpaQueue extends QueueSetup {
  /** The queue that counts now. */
  private live: DeviceQueue | undefined = undefined;
  private taken = 0;
  private used = 0;

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

  override reset(): void {
    this.end();
    super.reset();
  }

  /** Buffers that the device took, and gave back: the names that Linux's mlx5 has for them. */
  statistics(): VdpaStatistic[] {
    return [
      { name: 'received_desc', value: this.taken + (this.live?.counters.taken ?? 0) },
      { name: 'completed_desc', value: this.used + (this.live?.counters.used ?? 0) },
    ];
  }
}
