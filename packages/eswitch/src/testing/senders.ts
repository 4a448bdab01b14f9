import { DELIVERED } from '@ringwire/net-backend';
import type { TransmitArbiter } from '../transmit-arbiter.js';
import { FRAME_KIND, type FrameKind } from '../transmit-gate.js';
import { runUntil, type Stepped, type VirtualClock } from '../virtual-clock.js';
import { wireBytes } from '../wire/wire-bytes.js';

/** What a sender has to send. */
export interface SenderPlan {
  readonly port: number;
  /** Bytes of each frame from the destination address on, or of all segments of a large one. */
  readonly bytes: number;
  /** Frames on the wire that each becomes; 1 unless given. */
  readonly frames?: number;
  readonly toWire?: boolean;
  readonly kind?: FrameKind;
  /** How many it has; Infinity unless given. */
  readonly count?: number;
  /** Asks in each turn, however often it was turned away; 1 unless given. */
  readonly asks?: number;
}

/** One that was let through. */
export interface Sent {
  readonly at: number;
  readonly port: number;
  readonly wireBytes: number;
}

/** A port that always has frames to send, as a device with a full ring has. */
export class Sender {
  readonly plan: Required<SenderPlan>;
  left: number;
  wireBytes = 0;
  dropped = 0;
  /** Whether it is stepped at all. */
  isStepped = true;

  constructor(plan: SenderPlan) {
    this.plan = {
      frames: 1,
      toWire: true,
      kind: FRAME_KIND.UNICAST,
      count: Number.POSITIVE_INFINITY,
      asks: 1,
      ...plan,
    };
    this.left = this.plan.count;
  }
}

/** Senders in front of an arbiter, stepped one behind the other as a card steps its functions. */
export class Senders implements Stepped {
  readonly senders: readonly Sender[];
  readonly sent: Sent[] = [];
  private readonly arbiter: TransmitArbiter;
  private readonly clock: VirtualClock;

  constructor(arbiter: TransmitArbiter, clock: VirtualClock, plans: readonly SenderPlan[]) {
    this.arbiter = arbiter;
    this.clock = clock;
    this.senders = plans.map((plan) => new Sender(plan));
  }

  step(budget: number): number {
    let done = 0;
    for (const sender of this.senders) if (sender.isStepped) done += this.turn(sender, budget);
    return done;
  }

  deadline(): number {
    return Math.min(
      ...this.senders.map(({ isStepped, plan }) => (isStepped ? this.arbiter.deadline(plan.port) : Infinity)),
    );
  }

  /** @param until µs */
  run(until: number): void {
    runUntil(this, this.clock, until);
  }

  /** Bytes on the wire of each sender since the last call. */
  take(): number[] {
    return this.senders.map((sender) => {
      const { wireBytes } = sender;
      sender.wireBytes = 0;
      return wireBytes;
    });
  }

  private turn(sender: Sender, budget: number): number {
    const { port, bytes, frames, toWire, kind, asks } = sender.plan;
    let done = 0;
    let refusals = 0;
    while (done < budget && sender.left > 0 && refusals < asks) {
      const answer = this.arbiter.admit(port, frames, bytes, toWire, kind);
      if (answer === DELIVERED.FULL) {
        refusals++;
        continue;
      }
      done++;
      sender.left--;
      if (answer === DELIVERED.DROPPED) {
        sender.dropped++;
        continue;
      }
      const cost = wireBytes(frames, bytes);
      sender.wireBytes += cost;
      this.sent.push({ at: this.clock.now(), port, wireBytes: cost });
    }
    this.arbiter.endTurn(port);
    return done;
  }
}

/** Jain's index of fairness: 1 when all are equal, 1 / n when one has it all. */
export function jain(shares: readonly number[]): number {
  const sum = shares.reduce((total, share) => total + share, 0);
  return sum ** 2 / (shares.length * shares.reduce((total, share) => total + share ** 2, 0));
}
