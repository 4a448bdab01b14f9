import type { HostMemory } from '@ringwire/guest-memory';
import { Arrivals } from '../arrivals.js';
import type { CasePlan } from '../case-plan.js';
import { netFrames } from '../net-layout.js';
import { FailoverPeer } from './failover-peer.js';

/**
 * A guest and the peer of its device, in one thread. Frames of both directions are numbered, and of each the number, the length
 * and, while it is asked for, the sum over all bytes are compared where it comes in.
 */
export abstract class FailoverGuest {
  /** What came to the guest; what the guest sent is the peer's. */
  readonly arrivals: Arrivals;
  readonly peer: FailoverPeer;
  sent = 0;

  constructor(memory: HostMemory, plan: CasePlan) {
    this.arrivals = new Arrivals(memory, netFrames(plan));
    this.peer = new FailoverPeer(memory, plan);
  }

  /** Frames that the guest sent and the peer has not had. */
  get leaving(): number {
    return (this.sent - this.peer.arrivals.count) | 0;
  }

  /** Frames that the peer sent and the guest has not had. */
  get coming(): number {
    return (this.peer.sent - this.arrivals.count) | 0;
  }

  set summing(on: boolean) {
    this.arrivals.summing = on;
    this.peer.arrivals.summing = on;
  }

  /** Send a burst of frames, of those that there is room for. @returns how many */
  abstract send(count: number): number;
  /** Take what came to the guest. @returns frames */
  abstract take(): number;
  /** Nothing moved: wait a little for what the device has to tell. */
  abstract rest(): void;
  /** @returns what the device did wrong, if it is not to be believed any more */
  abstract check(): string | undefined;
  abstract close(): void;
}
