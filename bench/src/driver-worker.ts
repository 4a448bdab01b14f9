import { parentPort, workerData } from 'node:worker_threads';
import { HostMemory } from '@ringwire/guest-memory';
import { BROKEN, faultName } from '@ringwire/virtqueue';
import { queueSizeOf } from './case-plan.js';
import { announce, LAST_ROUND, WORD, waitFor } from './control-words.js';
import { DriverSide } from './driver-side.js';
import { frameSet } from './frame-set.js';
import { latencyOf, runRounds } from './round-plan.js';
import { sabotageMemory, sabotageNumbers } from './sabotage.js';
import type { FromWorker, WorkerJob } from './worker-job.js';

const job = workerData as WorkerJob;
const { plan, control } = job;
const post = (message: FromWorker): void => parentPort?.postMessage(message);

const memory = HostMemory.adopt(job.memory);
const side = new DriverSide(plan, memory, control, frameSet(plan.frames, queueSizeOf(plan)));
sabotageMemory(job.sabotage, memory);
announce(control, WORD.DRIVER_UP, 1);
waitFor(control, WORD.DEVICE_UP, 1);
post({ type: 'ready' });

let round = 0;
/** Have the device in the round, so that its waking up is not measured. */
function beginRound(frames: number, summed: boolean): void {
  round++;
  Atomics.store(control, WORD.FRAMES, frames);
  Atomics.store(control, WORD.SUMMED, summed ? 1 : 0);
  announce(control, WORD.ROUND, round);
  while (Atomics.load(control, WORD.DEVICE_IN) !== round);
}

function checkQueue(): void {
  if (side.queue.broken !== BROKEN.NONE) throw new Error(`driver queue: ${faultName(BROKEN, side.queue.broken)}`);
}

function sendSpinning(frames: number): void {
  const { queue } = side;
  const { batch } = plan;
  let left = frames;
  for (let back = 0; back < frames; ) {
    if (left > 0 && queue.free >= batch) {
      const count = Math.min(left, batch);
      side.offer(count);
      left -= count;
    }
    const taken = side.reclaim();
    if (taken === 0) checkQueue();
    back += taken;
  }
}

function sendSleeping(frames: number): void {
  let left = frames;
  for (let back = 0; back < frames; ) {
    const count = Math.min(left, plan.batch);
    const canOffer = count > 0 && side.queue.free >= count;
    if (canOffer) {
      side.offer(count);
      left -= count;
    }
    const taken = side.reclaim();
    back += taken;
    if (canOffer || taken > 0 || back === frames) continue;
    checkQueue();
    side.sleep();
  }
}

/** One frame at a time. @param samples filled with the round trips in ns */
function pingPong(samples: Float64Array): void {
  const sleeping = plan.idle === 'sleep';
  for (let i = 0; i < samples.length; i++) {
    const before = performance.now();
    side.offer(1);
    while (side.reclaim() === 0) {
      if (sleeping) side.sleep();
      checkQueue();
    }
    samples[i] = (performance.now() - before) * 1e6;
  }
}

let samples: Float64Array[] = [];
function run(frames: number, summed: boolean): number {
  beginRound(frames, summed);
  const before = process.hrtime.bigint();
  if (plan.kind === 'latency') {
    const trips = new Float64Array(frames);
    pingPong(trips);
    samples.push(trips);
  } else if (plan.idle === 'sleep') sendSleeping(frames);
  else sendSpinning(frames);
  const ns = Number(process.hrtime.bigint() - before);
  waitFor(control, WORD.DEVICE_DONE, round);
  return ns;
}

const { rounds, frames } = runRounds(plan, job.timing, run, () => {
  samples = [];
  sabotageNumbers(job.sabotage, side);
});
announce(control, WORD.ROUND, LAST_ROUND);
post({
  type: 'driver',
  report: {
    rounds,
    latency: plan.kind === 'latency' ? latencyOf(samples) : undefined,
    frames,
    notifications: side.queue.counters.notifications,
    missed: side.missed,
  },
});
