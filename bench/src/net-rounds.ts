import type { HostMemory } from '@ringwire/guest-memory';
import { announce, WORD } from './control-words.js';
import { KernelSide } from './kernel-side.js';
import type { NetDriverSide } from './net-driver-side.js';
import type { NetLink } from './net-link.js';
import { PmdSide } from './pmd-side.js';
import { latencyOf, runRounds } from './round-plan.js';
import { sabotageNumbers } from './sabotage.js';
import type { DriverReport, NetReport, WorkerJob } from './worker-job.js';

/** How long a device that is to sleep is watched, in ms. */
const IDLE_MS = 1000;
/** From when a thread says that it goes to sleep until it certainly does, in ms. */
const FALLING_ASLEEP_MS = 0.03;

/**
 * All rounds of a network case, from the driver's side.
 * @param ready called when driver and device are up
 */
export function driveNet(job: WorkerJob, memory: HostMemory, link: NetLink, ready: () => void): DriverReport {
  const { plan, control, timing, sabotage } = job;
  const side: NetDriverSide =
    plan.net?.driver === 'kernel' ? new KernelSide(plan, memory, link) : new PmdSide(plan, memory, link);
  if (sabotage === 'damaged') side.damage();
  ready();
  const task = plan.net!.task;
  let samples: Float64Array[] = [];
  let round = 0;
  const run = (frames: number, summed: boolean): number => {
    round++;
    if (task === 'tx' || task === 'wake') beginRound(control, round, summed, link);
    side.arrivals.summing = summed;
    const before = process.hrtime.bigint();
    if (task === 'tx') side.send(frames);
    else if (task === 'loop') side.loop(frames);
    else {
      const trips = new Float64Array(frames);
      if (task === 'ping') side.ping(trips);
      else wakeUps(side, link, trips);
      samples.push(trips);
    }
    return Number(process.hrtime.bigint() - before);
  };
  const { rounds, frames } = runRounds(plan, timing, run, () => {
    samples = [];
    sabotageNumbers(sabotage, side);
  });
  return {
    rounds,
    latency: samples.length > 0 ? latencyOf(samples) : undefined,
    frames,
    notifications: 0,
    missed: side.missed,
    net: reportOf(side, task === 'wake' ? watchIdle(control, link) : undefined),
  };
}

/** Have the device know what the round is about, before it starts. */
function beginRound(control: Int32Array, round: number, summed: boolean, link: NetLink): void {
  Atomics.store(control, WORD.SUMMED, summed ? 1 : 0);
  announce(control, WORD.ROUND, round);
  while (Atomics.load(control, WORD.DEVICE_IN) !== round) link.look();
}

/** One frame at a time, each to a device that sleeps. @param samples filled with the time until its buffer is back, in ns */
function wakeUps(side: NetDriverSide, link: NetLink, samples: Float64Array): void {
  for (let i = 0; i < samples.length; i++) {
    const { sleeps } = link;
    const before = performance.now();
    side.send(1);
    samples[i] = (performance.now() - before) * 1e6;
    while (link.sleeps === sleeps);
    const asleep = performance.now() + FALLING_ASLEEP_MS;
    while (performance.now() < asleep);
  }
}

/** Nobody wants anything of the device for a while: how often does its thread wake up, and what does the process burn? */
function watchIdle(control: Int32Array, link: NetLink): NetReport['idle'] {
  const { sleeps } = link;
  const before = process.cpuUsage();
  const since = performance.now();
  Atomics.wait(control, WORD.AVAIL_NOTIFIED, Atomics.load(control, WORD.AVAIL_NOTIFIED), IDLE_MS);
  const seconds = (performance.now() - since) / 1000;
  const { user, system } = process.cpuUsage(before);
  const wakeUps = link.sleeps - sleeps;
  return { wakeUps: wakeUps / seconds, cores: (user + system) / 1e6 / seconds };
}

function reportOf({ arrivals, interrupts }: NetDriverSide, idle: NetReport['idle']): NetReport {
  const { lost, misplaced, damaged, first } = arrivals.check;
  return { faults: { lost, misplaced, damaged, first }, summed: arrivals.summed, interrupts, idle };
}
