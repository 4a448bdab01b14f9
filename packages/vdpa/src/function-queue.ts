import { QueueSetup } from './queue-setup.js';
import type { VdpaStatistic } from './vdpa-device.js';

/** A queue of a function that has no counters to be read: how often it was notified is known, and how often it interrupted. */
export class FunctionQueue extends QueueSetup {
  kicks = 0;
  private calls = 0;

  /** The function says that buffers were used. */
  interrupt(): void {
    if (this.callback === undefined) return;
    this.calls++;
    this.callback();
  }

  statistics(): VdpaStatistic[] {
    return [
      { name: 'kicks', value: this.kicks },
      { name: 'interrupts', value: this.calls },
    ];
  }
}
