import { ChainBurst, type DeviceQueue, TAKE, type Take, WrappedQueue } from '@ringwire/virtqueue';
import type { IotlbMisses } from './iotlb-misses.js';

/** Chains to know translations of in advance, and how few of them are left when it looks for more. */
const AHEAD = 64;
const AHEAD_LEAST = 32;

/**
 * A queue whose chains wait for translations: one that has an address without, and those behind it, stay in the ring, and
 * are looked at again when the device looks for chains the next time. Nothing is held meanwhile, so other rings and other
 * devices go on.
 */
export class WaitingQueue extends WrappedQueue {
  private readonly misses: IotlbMisses;
  /** The next chain waits: there is no use in looking for it before a translation comes. */
  private waits = false;
  /** Leading chains that were translated when it looked ahead. */
  private known = 0;
  private readonly ahead: ChainBurst = new ChainBurst(AHEAD);

  constructor(queue: DeviceQueue, misses: IotlbMisses) {
    super(queue);
    this.misses = misses;
  }

  override takeBurst(burst: ChainBurst, max: number): number {
    const { misses } = this;
    this.waits = false;
    const before = misses.count;
    const taken = this.queue.takeBurst(burst, max);
    if (misses.count === before) return this.settled(burst, taken);
    // Some chain of these waits: all go back, and come again one by one up to it.
    for (let left = taken; left > 0; left--) this.giveBack(burst);
    let done = 0;
    while (done < taken && this.takeOne(burst)) done++;
    return this.settled(burst, done);
  }

  /**
   * Ask for translations of the chains that come next: a received frame does not wait for those of its buffer. What
   * changes in between is met again when a chain is taken.
   */
  lookAhead(): void {
    if (this.known >= AHEAD_LEAST || this.queue.inFlight > 0) return;
    const { ahead, misses } = this;
    const before = misses.count;
    ahead.clear();
    misses.isAhead = true;
    const taken = this.queue.takeBurst(ahead, AHEAD);
    misses.isAhead = false;
    for (let left = taken; left > 0; left--) this.giveBack(ahead);
    this.known = misses.count === before ? taken : 0;
  }

  override takeAvailable(burst: ChainBurst): Take {
    if (this.takeBurst(burst, 1) === 0) return this.ringFault === 0 ? TAKE.EMPTY : TAKE.RING_FAULT;
    return burst.fault[burst.count - 1] === 0 ? TAKE.CHAIN : TAKE.CHAIN_FAULT;
  }

  override hasAvailable(): boolean {
    return !this.waits && this.queue.hasAvailable();
  }

  override enableNotifications(): boolean {
    return this.queue.enableNotifications() && !this.waits;
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

  /** Chains were taken for good, among them those that can't be translated, as faulty ones: the next one asks again. */
  private settled(burst: ChainBurst, taken: number): number {
    this.known = Math.max(0, this.known - taken);
    if (burst.faults > 0) this.misses.forgetRefused();
    return taken;
  }
}
