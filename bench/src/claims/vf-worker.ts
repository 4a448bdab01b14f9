import { parentPort, workerData } from 'node:worker_threads';
import { type PairPlan, VfToVf } from './vf-to-vf.js';

/** What a worker is to measure: pairs of functions, by turns, so that all of them see the same machine. */
export interface VfJob {
  readonly pairs: readonly PairPlan[];
  readonly seconds: number;
  readonly rounds: number;
}

/** Of each pair: ns per frame of every round, by the clock and of processor time, this process's. */
export interface VfReport {
  readonly rounds: readonly (readonly number[])[];
  readonly processor: readonly (readonly number[])[];
}

const WARM_FRAMES = 300_000;
const FRAMES = 20_000;

const { pairs: plans, seconds, rounds } = workerData as VfJob;
const pairs = plans.map((plan) => {
  const pair = new VfToVf(plan);
  pair.run(WARM_FRAMES, true);
  return { pair, found: [] as number[], used: [] as number[] };
});
for (let round = 0; round < rounds; round++)
  for (const { pair, found, used } of pairs) {
    const before = process.cpuUsage();
    const begin = performance.now();
    let frames = 0;
    let now = begin;
    for (; now < begin + seconds * 1000; now = performance.now()) {
      pair.run(FRAMES, false);
      frames += FRAMES;
    }
    const { user, system } = process.cpuUsage(before);
    found.push(((now - begin) * 1e6) / frames);
    used.push(((user + system) * 1000) / frames);
  }
for (const { pair } of pairs) {
  pair.run(WARM_FRAMES, true);
  if (pair.wrong > 0) throw new Error(`${pair.wrong} frames are out of turn or damaged`);
}
const report: VfReport = { rounds: pairs.map(({ found }) => found), processor: pairs.map(({ used }) => used) };
parentPort?.postMessage(report);
