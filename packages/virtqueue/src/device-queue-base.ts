import type { ChainBurst } from './chain-burst.js';
import { TAKE, type Take } from './device-queue.js';
import { CHAIN_FAULT, newQueueCounters, type QueueCounters, RING_FAULT } from './queue-fault.js';

/** What a device's queue is in either format: running until a ring fault or {@link stop}, and counting. */
export abstract class DeviceQueueBase {
  readonly counters: QueueCounters = newQueueCounters();
  inFlight = 0;
  ringFault = 0;
  /** Of the chains in flight, those that are to be given up. */
  protected faultsInFlight = 0;
  #stopped = false;

  abstract takeBurst(burst: ChainBurst, max: number): number;
  abstract putUsed(token: number, written: number): void;

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
