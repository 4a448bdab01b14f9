import type { ChainBurst, DeviceQueue, QueueCounters, QueueState, Take } from '@ringwire/virtqueue';
import { TAKE } from '@ringwire/virtqueue';
import type { DeviceTrace } from './device-trace.js';

/** A queue that tells a trace what is done with it. A device that is not traced has the queue itself. */
export class TracedQueue implements DeviceQueue {
  private readonly inner: DeviceQueue;
  private readonly index: number;
  private readonly trace: DeviceTrace;

  constructor(inner: DeviceQueue, index: number, trace: DeviceTrace) {
    this.inner = inner;
    this.index = index;
    this.trace = trace;
  }

  get layout(): 'split' | 'packed' {
    return this.inner.layout;
  }

  get size(): number {
    return this.inner.size;
  }

  get inFlight(): number {
    return this.inner.inFlight;
  }

  get ringFault(): number {
    return this.inner.ringFault;
  }

  get counters(): QueueCounters {
    return this.inner.counters;
  }

  takeBurst(burst: ChainBurst, max: number): number {
    const taken = this.inner.takeBurst(burst, max);
    if (taken > 0) this.trace.taken(this.index, taken);
    return taken;
  }

  takeAvailable(burst: ChainBurst): Take {
    const take = this.inner.takeAvailable(burst);
    if (take === TAKE.CHAIN || take === TAKE.CHAIN_FAULT) this.trace.taken(this.index, 1);
    return take;
  }

  putUsed(token: number, written: number): void {
    this.inner.putUsed(token, written);
    this.trace.put(this.index, 1);
  }

  putUsedBurst(burst: ChainBurst, from: number, count: number): void {
    this.inner.putUsedBurst(burst, from, count);
    if (count > 0) this.trace.put(this.index, count);
  }

  publishUsed(): boolean {
    const isOwed = this.inner.publishUsed();
    this.trace.published(this.index, isOwed);
    return isOwed;
  }

  untake(token: number): void {
    this.inner.untake(token);
    this.trace.givenBack(this.index);
  }

  hasAvailable(): boolean {
    return this.inner.hasAvailable();
  }

  disableNotifications(): void {
    this.inner.disableNotifications();
  }

  enableNotifications(): boolean {
    return this.inner.enableNotifications();
  }

  refresh(): boolean {
    return this.inner.refresh();
  }

  save(): QueueState {
    return this.inner.save();
  }

  stop(): void {
    this.inner.stop();
  }
}
