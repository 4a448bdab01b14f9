import {
  type ChainBurst,
  type DeviceQueue,
  type QueueCounters,
  type QueueState,
  TAKE,
  type Take,
} from '@ringwire/virtqueue';
import type { IotlbMisses } from './iotlb-misses.js';

/**
 * A queue whose chains wait for translations: one that has an address without, and those behind it, stay in the ring, and
 * are looked at again when the device looks for chains the next time. Nothing is held meanwhile, so other rings and other
 * devices go on.
 */
export class WaitingQueue implements DeviceQueue {
  private readonly queue: DeviceQueue;
  private readonly misses: IotlbMisses;
  /** The next chain waits: there is no use in looking for it before a translation comes. */
  private waits = false;

  constructor(queue: DeviceQueue, misses: IotlbMisses) {
    this.queue = queue;
    this.misses = misses;
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

  takeBurst(burst: ChainBurst, max: number): number {
    const { misses } = this;
    this.waits = false;
    const before = misses.count;
    const taken = this.queue.takeBurst(burst, max);
    if (misses.count === before) return this.settled(taken);
    // Some chain of these waits: all go back, and come again one by one up to it.
    for (let left = taken; left > 0; left--) this.giveBack(burst);
    let done = 0;
    while (done < taken && this.takeOne(burst)) done++;
    return this.settled(done);
  }

  takeAvailable(burst: ChainBurst): Take {
    if (this.takeBurst(burst, 1) === 0) return this.ringFault === 0 ? TAKE.EMPTY : TAKE.RING_FAULT;
    return burst.fault[burst.count - 1] === 0 ? TAKE.CHAIN : TAKE.CHAIN_FAULT;
  }

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
    return !this.waits && this.queue.hasAvailable();
  }

  disableNotifications(): void {
    this.queue.disableNotifications();
  }

  enableNotifications(): boolean {
    return this.queue.enableNotifications() && !this.waits;
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

  /** @returns false where the chain waits, or there is none */
  private takeOne(burst: ChainBurst): boolean {
    const before = this.misses.count;
    if (this.queue.takeBurst(burst, 1) === 0) return false;
    if (this.misses.count === before) return true;
    this.giveBack(burst);
    this.waits = true;
    return false;
  }

  private giveBack(burst: ChainBurst): void {
    this.queue.untake(burst.token[burst.count - 1]!);
    burst.dropLast();
  }

  /** Chains of which the front-end said that they can't be translated were taken, as faulty ones. */
  private settled(taken: number): number {
    if (taken > 0) this.misses.forgetGivenUp();
    return taken;
  }
}
