/**
 * What each of two threads does that hand numbers to each other, one at a time, and sleep in between: bundled and run in a
 * worker, see `parking-threads.test.ts`.
 */
import { parentPort, workerData } from 'node:worker_threads';
import { ParkingSpot, SPOT_WORDS } from '../parking-spot.js';

/** How a side goes wrong: the look before the spot is armed and none after, or the wake-up before the number is written. */
export type Mistake = 'none' | 'looks too early' | 'wakes too early';

export interface ParkingOrder {
  readonly words: Int32Array;
  /** 0 begins, 1 answers. */
  readonly side: 0 | 1;
  readonly rounds: number;
  readonly mistake: Mistake;
  /** A sleep that lasts so long was a lost wake-up. */
  readonly limitMs: number;
}

export interface ParkingReport {
  readonly sleeps: number;
  /** Rounds that were done when a wake-up was lost; -1: none was. */
  readonly lostAt: number;
}

const LINE = 16;
/** Each side's number, then the two spots. */
const NUMBER = [0, LINE] as const;
const SPOTS = [2 * LINE, 2 * LINE + SPOT_WORDS] as const;
export const PARKING_WORDS: number = 2 * LINE + 2 * SPOT_WORDS;

const busy = new Int32Array(1);
/** Take some time, a little other each round, so that the two sides meet at every point of their ways. */
function dawdle(round: number, most: number): void {
  for (let left = Math.imul(round, 2_654_435_761) % most; left > 0; left--) Atomics.add(busy, 0, left);
}

function run({ words, side, rounds, mistake, limitMs }: ParkingOrder): ParkingReport {
  const mine = new ParkingSpot(words, SPOTS[side]);
  const others = new ParkingSpot(words, SPOTS[side === 0 ? 1 : 0]);
  const hear = NUMBER[side === 0 ? 1 : 0];
  const say = (number: number): void => {
    if (mistake === 'wakes too early') others.wake();
    // As when the thread loses its core right here.
    if (mistake === 'wakes too early') dawdle(number, 3000);
    Atomics.store(words, NUMBER[side], number);
    if (mistake !== 'wakes too early') others.wake();
  };
  /** @returns false when the wake-up was lost */
  const waitFor = (number: number): boolean => {
    for (;;) {
      const isThere = (): boolean => Atomics.load(words, hear) === number;
      if (mistake === 'looks too early') {
        if (isThere()) return true;
        mine.arm();
      } else {
        mine.arm();
        if (isThere()) {
          mine.disarm();
          return true;
        }
      }
      if (!mine.sleep(limitMs) && isThere()) return false;
    }
  };
  for (let round = 1; round <= rounds; round++) {
    if (side === 0) {
      dawdle(round, 400);
      say(round);
    }
    if (!waitFor(round)) return { sleeps: mine.sleeps, lostAt: round };
    if (side === 1) {
      dawdle(round ^ 0x5555, 400);
      say(round);
    }
  }
  return { sleeps: mine.sleeps, lostAt: -1 };
}

parentPort?.postMessage(run(workerData as ParkingOrder));
