import type { ChainBurst } from './chain-burst.js';
import { TAKE, type Take } from './device-queue.js';
import { CHAIN_FAULT, newQueueCounters, type QueueCounters, RING_FAULT } from './queue-fault.js';
import type { QueueLayout } from './queue-layout.js';

/** What a device's queue is in either format: running until a ring fault or {@link stop}, and counting. */
export abstract class DeviceQueueBase {
  readonly counters: QueueCounters = newQueueCounters();
  inFlight = 0;
  ringFault = 0;
  protected abstract ring: QueueLayout;
  /** Of the chains in flight, those that have to be put one by one: to be given up, or with a token that is not their place. */
  protected oddInFlight = 0;
  #stopped = false;

  abstract takeBurst(burst: ChainBurst, max: number): number;
  abstract putUsed(token: number, written: number): void;

  /**
   * Put chains one after the other, up to the first that is not as it should be: {@link putUsed} says what is wrong.
   * IN_ORDER: only those that were not used completely, which stand for themselves alone.
   * @returns chains put
   */
  protected abstract putPlain(burst: ChainBurst, from: number, count: number): number;
  /**
   * IN_ORDER: put chains that were used completely, up to the first other one; what is written will stand for them all.
   * @returns chains put
   */
  protected abstract putComplete(burst: ChainBurst, from: number, count: number): number;
  /** IN_ORDER: write what stands for chains and may not stand for later ones, too. @returns whether nothing is left that may */
  protected abstract settleBatch(): boolean;

  putUsedBurst(burst: ChainBurst, from: number, count: number): void {
    const { inOrder } = this.ring;
    let done = 0;
    while (done < count) {
      if (!this.halted() && this.oddInFlight === 0) {
        if (inOrder) done += this.putComplete(burst, from + done, count - done);
        if (!inOrder || this.settleBatch()) done += this.putPlain(burst, from + done, count - done);
      }
      if (done < count) this.putOne(burst, from + done++);
    }
  }

  takeAvailable(burst: ChainBurst): Take {
    if (this.takeBurst(burst, 1) === 0) return this.ringFault === RING_FAULT.NONE ? TAKE.EMPTY : TAKE.RING_FAULT;
    return burst.fault[burst.count - 1] === CHAIN_FAULT.NONE ? TAKE.CHAIN : TAKE.CHAIN_FAULT;
  }

  stop(): void {
    this.#stopped = true;
  }

  /** Whether guest memory is not to be touched any more. */
  protected halted(): boolean {
    return this.#stopped || this.ringFault !== RING_FAULT.NONE;
  }

  protected stopRing(fault: number): false {
    this.ringFault = fault;
    this.counters.ringFaults[fault]!++;
    return false;
  }

  /** A chain goes back to the ring: its fault, if it has one, counts when it is taken for good. */
  protected uncountFault(fault: number): void {
    if (fault !== CHAIN_FAULT.NONE) this.counters.chainFaults[fault]!--;
  }

  /** Put chain `i` of a burst by itself. */
  protected putOne(burst: ChainBurst, i: number): void {
    const written = burst.written[i]!;
    burst.written[i] = 0;
    this.putUsed(burst.token[i]!, written);
  }
}
