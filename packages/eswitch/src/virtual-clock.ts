import { VirtioError } from '@ringwire/virtio-spec';

/** Steps in one moment before time goes on by itself. */
const STEPS_AT_ONCE = 256;
/** By how much it does so, in µs. */
const NUDGE = 1;
/** Steps in vain that a deadline in the past gets. */
const TRIES = 8;

/** A clock that goes on only when it is told to. */
export class VirtualClock {
  /** What it shows, in µs. To be handed on as it is, as the `now` of devices. */
  readonly now: () => number = () => this.time;
  private time = 0;

  /** @param microseconds not before {@link now} @throws VirtioError when it is */
  advanceTo(microseconds: number): void {
    if (!(microseconds >= this.time && Number.isFinite(microseconds)))
      throw new VirtioError('microseconds', microseconds, `${this.time} or later`, 'VirtualClock');
    this.time = microseconds;
  }
}

/** What is stepped: a card, a device, or several together with their drivers. */
export interface Stepped {
  /** @returns 0: nothing to do until the deadline */
  step(budget: number): number;
  /** In µs of the clock; Infinity when nothing waits. */
  deadline(): number;
}

/**
 * Step until nothing is left to be done, go on to the next deadline, and so forth: what takes time by the rates of wires and
 * limits takes just that. What could go on for ever in one moment, as unlimited senders do, gets a µs now and then.
 * @param until where the clock stands in the end, in µs; deadlines up to it are met
 * @param budget of each step
 */
export function runUntil(stepped: Stepped, clock: VirtualClock, until: number, budget = 64): void {
  let vain = 0;
  for (;;) {
    let steps = 0;
    while (steps < STEPS_AT_ONCE && stepped.step(budget) > 0) steps++;
    vain = steps > 0 ? 0 : vain + 1;
    const now = clock.now();
    let next = stepped.deadline();
    if (next > now) vain = 0;
    else if (steps === STEPS_AT_ONCE || vain > TRIES) next = now + NUDGE;
    if (steps === STEPS_AT_ONCE) next = Math.min(next, now + NUDGE);
    if (next > until) break;
    clock.advanceTo(Math.max(now, next));
  }
  clock.advanceTo(until);
}
