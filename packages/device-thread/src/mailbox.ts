import { milliseconds, sleepWhile } from './platform.js';

// Words from the mailbox's first one: the callers' line, the request's, the answer's.
const LOCK = 0;
const REQUEST = 16;
const KIND = 17;
const OFFSET = 18;
const SIZE = 19;
const VALUE = 20;
const DONE = 32;
const RESULT = 33;

/** Kinds of register access; for BARs plus 2 · BAR. Odd ones are writes. */
export const ACCESS_KIND = { MMIO_READ: 0, MMIO_WRITE: 1, CONFIG_READ: 2, CONFIG_WRITE: 3, BAR_READ: 4 } as const;

/** Looks at the answer before the caller sleeps. */
const SPINS = 2000;

/**
 * Register accesses on their way to the device's thread: one at a time, and each is over when {@link ask} returns, so
 * that what follows it, a doorbell say, finds it done. Several threads may ask.
 */
export class MailboxCaller {
  /** Accesses that were not answered in time. */
  timeouts = 0;
  private readonly words: Int32Array;
  private readonly at: number;
  /** The request that was given up last, while it is not answered. */
  private stuck: number | undefined = undefined;

  constructor(words: Int32Array, at: number) {
    this.words = words;
    this.at = at;
  }

  /**
   * @param wake    tell the device's thread that a request is there
   * @param limitMs longest wait, for other callers and for the answer; none while an answer is overdue
   * @returns what was read, 0 for a write; undefined without an answer in time. The access may happen later then: until it
   *          has, no other one is let in
   */
  ask(
    kind: number,
    offset: number,
    size: number,
    value: number,
    wake: () => void,
    limitMs: number,
  ): number | undefined {
    const { words, at } = this;
    if (Atomics.load(words, at + DONE) === this.stuck) this.stuck = undefined;
    // Whoever asks again and again is not to wait as long each time.
    const end = milliseconds() + (this.stuck === undefined ? limitMs : 0);
    while (Atomics.compareExchange(words, at + LOCK, 0, 1) !== 0) {
      const left = end - milliseconds();
      if (left <= 0) return this.giveUp();
      sleepWhile(words, at + LOCK, 1, left);
    }
    let answer: number | undefined;
    // One that was given up may still be under way.
    if (this.isAnswered(end)) {
      const request = Atomics.load(words, at + REQUEST);
      words[at + KIND] = kind;
      words[at + OFFSET] = offset;
      words[at + SIZE] = size;
      words[at + VALUE] = value;
      Atomics.store(words, at + REQUEST, (request + 1) | 0);
      wake();
      if (this.isAnswered(end)) answer = words[at + RESULT]! >>> 0;
    }
    if (answer === undefined) this.stuck = Atomics.load(words, at + REQUEST);
    Atomics.store(words, at + LOCK, 0);
    Atomics.notify(words, at + LOCK, 1);
    return answer ?? this.giveUp();
  }

  private isAnswered(end: number): boolean {
    const { words, at } = this;
    const request = Atomics.load(words, at + REQUEST);
    for (let spins = 0; ; spins++) {
      const done = Atomics.load(words, at + DONE);
      if (done === request) return true;
      if (spins < SPINS) continue;
      const left = end - milliseconds();
      if (left <= 0) return false;
      sleepWhile(words, at + DONE, done, left);
    }
  }

  private giveUp(): undefined {
    this.timeouts++;
    return undefined;
  }
}

/** Does what a request says. @returns what was read */
export type Serve = (kind: number, offset: number, size: number, value: number) => number;

/** @returns whether there was a request, which is answered now. The device's thread alone */
export function serveMailbox(words: Int32Array, at: number, serve: Serve): boolean {
  const request = Atomics.load(words, at + REQUEST);
  if (request === Atomics.load(words, at + DONE)) return false;
  const answer = serve(words[at + KIND]!, words[at + OFFSET]! >>> 0, words[at + SIZE]!, words[at + VALUE]! >>> 0);
  words[at + RESULT] = answer;
  Atomics.store(words, at + DONE, request);
  Atomics.notify(words, at + DONE);
  return true;
}

/** The device's thread is no more: a request that it left behind is answered, with all ones. */
export function abandonMailbox(words: Int32Array, at: number): void {
  serveMailbox(words, at, () => 0xffff_ffff);
}
