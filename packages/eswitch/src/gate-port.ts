import type { Asker } from './contender.js';
import { RateNode } from './rate-node.js';
import type { StormControl } from './storm-limits.js';

const NEVER = Number.POSITIVE_INFINITY;
/** A turn whose end nobody told of is over after so long, in ns. */
const TURN_NANOSECONDS = 50_000;

/** What a port sent, and what became of the rest. */
export interface GateCounters {
  /** Frames on the wire, and bytes there, that were let through: also those that did not leave by the wire. */
  frames: number;
  wireBytes: number;
  /** Questions that were answered by "not now". */
  turnedAway: number;
  /** Frames dropped by storm control. */
  stormDrops: number;
}

/** A port as the arbiter knows it. */
export class GatePort implements Asker {
  readonly node: RateNode;
  readonly counters: GateCounters = { frames: 0, wireBytes: 0, turnedAway: 0, stormDrops: 0 };
  storm: StormControl | undefined = undefined;
  /** When to ask again, in ns, by what was answered in the present turn. */
  askAt: number = NEVER;
  lastTurn = 0;
  private turn = 0;
  private turnAt = 0;
  private isOver = true;
  private hasAsked = false;
  /** It asked in this turn or the one before. */
  private isExpected = false;

  constructor(now: number) {
    this.node = new RateNode(now);
  }

  /** It asks. */
  begin(question: number, now: number): void {
    this.hasAsked = true;
    this.isExpected = true;
    if (!this.isOver && now - this.turnAt < TURN_NANOSECONDS) return;
    this.isOver = false;
    this.lastTurn = this.turn;
    this.turn = question;
    this.turnAt = now;
    this.askAt = NEVER;
  }

  /** It may ask at `now`, in ns, if it was told to do so later. */
  askBy(now: number): void {
    if (this.askAt < NEVER) this.askAt = Math.min(this.askAt, now);
  }

  endTurn(): void {
    if (!this.hasAsked) this.withdraw();
    this.hasAsked = false;
    this.isOver = true;
  }

  /** It waits for nothing. */
  withdraw(): void {
    if (!this.isExpected) return;
    this.isExpected = false;
    this.askAt = NEVER;
    this.node.limits.withdraw();
    this.node.wire.withdraw();
  }
}
