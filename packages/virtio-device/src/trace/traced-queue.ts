import { type ChainBurst, type DeviceQueue, TAKE, type Take, WrappedQueue } from '@ringwire/virtqueue';
import type { DeviceTrace } from './device-trace.js';

/** A queue that tells a trace what is done with it. A device that is not traced has the queue itself. */
export class TracedQueue extends WrappedQueue {
  private readonly index: number;
  private readonly trace: DeviceTrace;

  constructor(queue: DeviceQueue, index: number, trace: DeviceTrace) {
    super(queue);
    this.index = index;
    this.trace = trace;
  }

  override takeBurst(burst: ChainBurst, max: number): number {
    const taken = this.queue.takeBurst(burst, max);
    if (taken > 0) this.trace.taken(this.index, taken);
    return taken;
  }

  override takeAvailable(burst: ChainBurst): Take {
    const take = this.queue.takeAvailable(burst);
    if (take === TAKE.CHAIN || take === TAKE.CHAIN_FAULT) this.trace.taken(this.index, 1);
    return take;
  }

  override putUsed(token: number, written: number): void {
    this.queue.putUsed(token, written);
    this.trace.put(this.index, 1);
  }

  override putUsedBurst(burst: ChainBurst, from: number, count: number): void {
    this.queue.putUsedBurst(burst, from, count);
    if (count > 0) this.trace.put(this.index, count);
  }

  override publishUsed(): boolean {
    const isOwed = this.queue.publishUsed();
    this.trace.published(this.index, isOwed);
    return isOwed;
  }

  override untake(token: number): void {
    this.queue.untake(token);
    this.trace.givenBack(this.index);
  }
}
