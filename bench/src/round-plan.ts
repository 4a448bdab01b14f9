import type { CasePlan, Timing } from './case-plan.js';
import { percentile } from './statistics.js';
import type { DriverReport, Percentiles, Round } from './worker-job.js';

/** Frames of the first round, and the fewest of any. */
const FEWEST_FRAMES = 2000;
/** Share of the warm-up that one round of it lasts. */
const WARM_SHARE = 0.25;
/** Share of a measured round that the last, summed one lasts in cases that otherwise only copy. */
const SUMMED_SHARE = 0.25;
const MOST_FRAMES = 2 ** 31 - 1;

/** Runs one round and says how long it took, in ns. */
export type RunRound = (frames: number, summed: boolean) => number;

const framesFor = (nsPerFrame: number, seconds: number): number =>
  Math.min(MOST_FRAMES, Math.max(FEWEST_FRAMES, Math.round((seconds * 1e9) / nsPerFrame)));

/**
 * The rounds of one case: warm-up of growing length until the code is compiled and the rate known, the measured ones,
 * and for cases that do not sum in measured rounds one that does.
 * @param beforeMeasured called once, behind the warm-up
 */
export function runRounds(
  plan: CasePlan,
  timing: Timing,
  run: RunRound,
  beforeMeasured: () => void,
): { rounds: Round[]; frames: number } {
  const summed = plan.check === 'sum';
  let frames = FEWEST_FRAMES;
  let ns = run(frames, summed);
  let total = frames;
  for (let spent = ns; spent < timing.warmSeconds * 1e9; spent += ns) {
    frames = framesFor(ns / frames, timing.warmSeconds * WARM_SHARE);
    ns = run(frames, summed);
    total += frames;
  }
  beforeMeasured();
  const rounds: Round[] = [];
  const measured = framesFor(ns / frames, timing.seconds);
  for (let repeat = 0; repeat < timing.repeats; repeat++) {
    rounds.push({ frames: measured, ns: run(measured, summed) });
    total += measured;
  }
  if (!summed) {
    const checked = Math.max(FEWEST_FRAMES, Math.round(measured * SUMMED_SHARE));
    run(checked, true);
    total += checked;
  }
  return { rounds, frames: total };
}

/** Round trips of the measured rounds, each round's percentiles and those of all. @param samples sorted in place */
export function latencyOf(rounds: readonly Float64Array[]): NonNullable<DriverReport['latency']> {
  const all = new Float64Array(rounds.reduce((sum, { length }) => sum + length, 0));
  let at = 0;
  for (const samples of rounds) {
    all.set(samples, at);
    at += samples.length;
  }
  return { rounds: rounds.map(percentilesOf), all: percentilesOf(all) };
}

function percentilesOf(samples: Float64Array): Percentiles {
  samples.sort();
  return { p50: percentile(samples, 0.5), p99: percentile(samples, 0.99), p999: percentile(samples, 0.999) };
}
