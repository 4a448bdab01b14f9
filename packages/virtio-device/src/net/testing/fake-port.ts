import type { HostMemory } from '@ringwire/guest-memory';
import { type DeviceQueue, isRefusal, openDeviceQueue, type QueueConfig } from '@ringwire/virtqueue';
import type { DevicePort } from '../../device-model.js';

/** What a transport is to a device, for tests: queues that are opened where the test put them, and a record of calls. */
export class FakePort implements DevicePort {
  readonly memory: HostMemory;
  readonly features: Uint32Array;
  /** Virtqueue indexes notified since the test last looked. */
  readonly notifications: number[] = [];
  configChanges = 0;
  resetReason: string | undefined = undefined;
  /** µs */
  time = 0;
  /** Bursts that are open. */
  depth = 0;
  /** No queue is to be touched: suspended, or no DMA. */
  isClosed = false;
  /** Called from within `notifyUsed`, as an interrupt handler is. */
  onNotify: ((index: number) => void) | undefined;
  private readonly queues: Map<number, DeviceQueue> = new Map();

  constructor(memory: HostMemory, features: Uint32Array) {
    this.memory = memory;
    this.features = features;
  }

  open(index: number, config: QueueConfig): DeviceQueue {
    const queue = openDeviceQueue(config);
    if (isRefusal(queue)) throw new Error(queue.message);
    this.queues.set(index, queue);
    return queue;
  }

  /** The driver resets a queue. */
  close(index: number): void {
    this.queues.get(index)?.stop();
    this.queues.delete(index);
  }

  queue(index: number): DeviceQueue | undefined {
    return this.queues.get(index);
  }

  notifyUsed(index: number): void {
    this.notifications.push(index);
    this.onNotify?.(index);
  }

  configChanged(): void {
    this.configChanges++;
  }

  needsReset(reason: string): void {
    this.resetReason = reason;
  }

  enter(): boolean {
    if (this.isClosed) return false;
    this.depth++;
    return true;
  }

  leave(): void {
    this.depth--;
  }

  now(): number {
    return this.time;
  }
}
