import { type Limit, UNLIMITED } from './limit.js';

/** {@link Contender.ask}: it may go. */
export const GO = -1;

/** Where rounds are counted anew: far from where adding 1 changes nothing. */
const ROUNDS_MAX = 2 ** 50;

/** Rounds of those that share with one another. */
interface Turns {
  rounds: number;
}

/** What the one who asks has asked so far. Questions have numbers, from 1 on. */
export interface Asker {
  /** Its first question in the turn before this one: whoever did not ask since then has let a turn of its own pass. */
  readonly lastTurn: number;
}

/**
 * One of those that share what is theirs together: a port, a group of ports, or, at the top, the wire. Deficit round robin
 * between the children of each: in a round each may send its quantum, and as a frame goes whole, what was too much is
 * missing in later rounds. What came of rounds that passed is added when somebody looks, so that nobody's idleness costs
 * anything; and it is a quantum at most, so that nobody saves.
 *
 * Nobody is called: each asks when it has something to send. Who asked is expected again: at once if it was let through, or
 * when it was told to come. Until then nobody without credit is let past it while it has some. Who does not come is passed
 * over, and so is whoever cannot send for a limit of its own. Those with a higher priority come first as long as they send.
 */
export class Contender {
  limit: Limit = UNLIMITED;
  /** Whether its children have to take turns at all: it, or something above it, has a limit. */
  isScarce = true;
  /** Bytes of a round; above 0. */
  quantum = 1;
  private parent: Contender | undefined = undefined;
  /** Those with a higher one go first, as long as they have anything to send. */
  private priority = 0;
  /** Rounds are shared with siblings of the same priority. */
  private turns: Turns = { rounds: 0 };
  private credit = 0;
  /** The round of those up to which credit was given. */
  private round = 0;
  /** The last question. */
  private heard = 0;
  /** When it was told to ask again, in ns. */
  private askAt = 0;
  /** In the parent's list, or -1. */
  private place = -1;
  /** As a parent: turns by priority, and the children that are expected and could send as far as their own limits go. */
  private readonly turnsOf: Map<number, Turns> = new Map();
  private readonly expected: Contender[] = [];
  /** Whose limit, or whose children's turns, the last question ended at. */
  private stop: Contender = this;

  /** Share with others from now on. */
  join(parent: Contender): void {
    this.leave();
    this.parent = parent;
    this.takeTurns();
  }

  /** Go before those with a lower one from now on. */
  setPriority(priority: number): void {
    if (priority === this.priority) return;
    this.priority = priority;
    this.takeTurns();
  }

  /** Share with nobody any more. */
  part(): void {
    this.leave();
    this.parent = undefined;
  }

  /**
   * Ask for this one and all above it.
   * @param bytes    on the wire
   * @param question its number
   * @returns GO, with nothing taken yet; or when to ask again, in ns
   */
  ask(bytes: number, now: number, question: number, asker: Asker): number {
    for (let one: Contender | undefined = this; one !== undefined; one = one.parent) {
      one.heard = question;
      const ready = one.limit.readyAt(bytes, now);
      if (ready > now) {
        this.stop = one;
        this.waitBelow(one, ready, question);
        one.leave();
        return ready;
      }
      if (one.parent === undefined) return GO;
      const again = one.parent.isScarce ? one.turnAt(one.parent, now, asker) : GO;
      if (again !== GO) {
        this.stop = one.parent;
        this.waitBelow(one.parent, again, question);
        return again;
      }
    }
    return GO;
  }

  /** It goes. @param now and @param question as it asked */
  take(bytes: number, now: number, question: number): void {
    for (let one: Contender = this; ; one = one.parent) {
      one.credit -= bytes;
      one.limit.take(bytes);
      if (one.parent === undefined) return;
      one.expect(one.parent, now, question);
    }
  }

  /** Whether what it was turned away by is common to all, not a limit of its own or its group's. */
  get waitsForAll(): boolean {
    return this.stop.parent === undefined;
  }

  /** It comes later than it was expected, if it was. @param askAt ns */
  delay(askAt: number, question: number): void {
    for (let one: Contender = this; one.place >= 0; one = one.parent!) {
      one.heard = question;
      one.askAt = askAt;
    }
  }

  /** It is not expected here. */
  withdraw(): void {
    for (let one: Contender | undefined = this; one !== undefined && one.expected.length === 0; one = one.parent)
      one.leave();
  }

  private waitBelow(top: Contender, askAt: number, question: number): void {
    for (let one: Contender = this; one !== top; one = one.parent!) one.expect(one.parent!, askAt, question);
  }

  private expect(parent: Contender, askAt: number, question: number): void {
    this.heard = question;
    this.askAt = askAt;
    this.enter(parent);
  }

  /** @returns GO when it is its turn among its parent's children, or when to ask again */
  private turnAt(parent: Contender, now: number, { lastTurn }: Asker): number {
    const { expected } = parent;
    const { turns } = this;
    this.settle();
    for (let i = expected.length - 1; i >= 0; i--) {
      const other = expected[i]!;
      if (other.priority <= this.priority) continue;
      if (!other.isMissing(now, lastTurn)) return Math.max(now, other.askAt);
      other.leave();
    }
    while (this.credit <= 0) {
      let rounds = this.roundsMissing();
      for (let i = expected.length - 1; i >= 0; i--) {
        const other = expected[i]!;
        if (other === this || other.priority < this.priority) continue;
        other.settle();
        if (other.credit <= 0) rounds = Math.min(rounds, other.roundsMissing());
        else if (other.isMissing(now, lastTurn)) other.leave();
        else return Math.max(now, other.askAt);
      }
      turns.rounds = turns.rounds < ROUNDS_MAX ? turns.rounds + rounds : 0;
      this.settle();
    }
    return GO;
  }

  /** It was to come, and did not. @param lastTurn of the one who asks */
  private isMissing(now: number, lastTurn: number): boolean {
    return this.heard < lastTurn && this.askAt <= now;
  }

  /** Rounds after which there is credit again. */
  private roundsMissing(): number {
    return Math.floor(-this.credit / this.quantum) + 1;
  }

  private takeTurns(): void {
    const { parent, priority } = this;
    let turns = parent?.turnsOf.get(priority);
    if (turns === undefined) {
      turns = { rounds: 0 };
      parent?.turnsOf.set(priority, turns);
    }
    this.turns = turns;
    this.round = turns.rounds;
    this.credit = this.quantum;
  }

  private settle(): void {
    const { rounds } = this.turns;
    const passed = rounds - this.round;
    if (passed === 0) return;
    this.round = rounds;
    // Rounds began anew: those before count for nothing.
    if (passed < 0) return;
    this.credit = Math.min(this.quantum, this.credit + passed * this.quantum);
  }

  private enter({ isScarce, expected }: Contender): void {
    if (this.place >= 0 || !isScarce) return;
    this.place = expected.length;
    expected.push(this);
  }

  private leave(): void {
    const { place, parent } = this;
    if (place < 0) return;
    const last = parent!.expected.pop()!;
    if (last !== this) {
      parent!.expected[place] = last;
      last.place = place;
    }
    this.place = -1;
  }
}
