import { sleepWhile, waitAsync } from './platform.js';

/** Words of shared memory that a spot takes: two cache lines. */
export const SPOT_WORDS = 32;

// Each on a line of its own: whoever wakes reads PARKED often and writes BELL rarely.
const PARKED = 0;
const BELL = 16;

/**
 * Where one thread sleeps until others have something for it, without a lost wake-up and without a system call while it
 * is awake.
 *
 * The sleeper {@link arm}s the spot, then looks for work once more, and then sleeps or, if it found some, {@link disarm}s.
 * Whoever has work first writes it down, with `Atomics`, and then calls {@link wake}. Atomics have one order that all
 * threads agree on. Say that the sleeper's look came before the work was written. Then PARKED was set before the look, so
 * `wake`, which comes after the writing, finds it set and moves BELL on. BELL was read before the look as well: either
 * it moves before the sleeper waits on its value, and the wait returns at once, or after, and the notification wakes it.
 * Otherwise the look came after the writing, and found the work. Both sides publish first and look afterwards; with
 * either order turned round there is a gap, and `parking-threads.test.ts` shows it.
 */
export class ParkingSpot {
  /** Times that {@link sleep} slept. */
  sleeps = 0;
  private readonly words: Int32Array;
  private readonly at: number;
  private heard = 0;

  /** @param at index of `SPOT_WORDS` words, zero at first */
  constructor(words: Int32Array, at: number) {
    this.words = words;
    this.at = at;
  }

  /** About to sleep: whatever is written down from now on comes with a wake-up. */
  arm(): void {
    Atomics.store(this.words, this.at + PARKED, 1);
    this.heard = Atomics.load(this.words, this.at + BELL);
  }

  /** Whether the sleeper sleeps, or is about to. Any thread. */
  get isArmed(): boolean {
    return Atomics.load(this.words, this.at + PARKED) !== 0;
  }

  disarm(): void {
    Atomics.store(this.words, this.at + PARKED, 0);
  }

  /**
   * Sleep, armed, until woken; disarmed then.
   * @param limitMs longest sleep, Infinity for none
   * @returns false when the time was up
   */
  sleep(limitMs: number): boolean {
    this.sleeps++;
    const woken = sleepWhile(this.words, this.at + BELL, this.heard, limitMs);
    this.disarm();
    return woken;
  }

  /**
   * The same for a thread with an event loop. Disarming is the caller's.
   * @returns undefined when it was woken already, or the platform has no `Atomics.waitAsync`
   */
  sleepAsync(): Promise<unknown> | undefined {
    const wait = waitAsync?.(this.words, this.at + BELL, this.heard);
    return wait?.async === true ? (wait.value as Promise<unknown>) : undefined;
  }

  /** There is something for the sleeper, written down before. Any thread. */
  wake(): void {
    if (Atomics.load(this.words, this.at + PARKED) === 0) return;
    Atomics.add(this.words, this.at + BELL, 1);
    Atomics.notify(this.words, this.at + BELL);
  }
}
