import type { ChainBurst } from './chain-burst.js';
import type { DeviceQueue, Take } from './device-queue.js';
import type { QueueCounters } from './queue-fault.js';
import type { QueueState } from './queue-state.js';

/** A device queue that does something more than another one: what it leaves out is done by that one as it is. */
export abstract class WrappedQueue implements DeviceQueue {
  protected readonly queue: DeviceQueue;

  constructor(queue: DeviceQueue) {
    this.queue = queue;
  }

  get layout(): 'split' | 'packed' {
    return this.queue.layout;
  }

  get size(): number {
    return this.queue.size;
  }

  get inFlight(): number {
    return this.queue.inFlight;
  }

  get ringFault(): number {
    return this.queue.ringFault;
  }

  get counters(): QueueCounters {
    return this.queue.counters;
  }

  abstract takeBurst(burst: ChainBurst, max: number): number;
  abstract takeAvailable(burst: ChainBurst): Take;

  putUsed(token: number, written: number): void {
    this.queue.putUsed(token, written);
  }

  putUsedBurst(burst: ChainBurst, from: number, count: number): void {
    this.queue.putUsedBurst(burst, from, count);
  }

  publishUsed(): boolean {
    return this.queue.publishUsed();
  }

  untake(token: number): void {
    this.queue.untake(token);
  }

  hasAvailable(): boolean {
    return this.queue.hasAvailable();
  }

  disableNotifications(): void {
    this.queue.disableNotifications();
  }

  enableNotifications(): boolean {
    return this.queue.enableNotifications();
  }

  refresh(): boolean {
    return this.queue.refresh();
  }

  save(): QueueState {
    return this.queue.save();
  }

  stop(): void {
    this.queue.stop();
  }
}
