import { parentPort, workerData } from 'node:worker_threads';
import { HostMemory } from '@ringwire/guest-memory';
import { queueSizeOf } from './case-plan.js';
import { DeviceSide } from './device-side.js';
import { DriverSide } from './driver-side.js';
import { frameSet } from './frame-set.js';
import { IommuCost } from './iommu-cost.js';
import { RingCost } from './ring-cost.js';
import { runRounds } from './round-plan.js';
import { sabotageMemory, sabotageNumbers } from './sabotage.js';
import type { FromWorker, WorkerJob } from './worker-job.js';

const job = workerData as WorkerJob;
const { plan, control } = job;
const post = (message: FromWorker): void => parentPort?.postMessage(message);
const memory = HostMemory.adopt(job.memory);

/** Driver and device in turns: a burst out, across, and back. */
function takeTurns(driver: DriverSide, device: DeviceSide, frames: number, summed: boolean): void {
  const { batch } = plan;
  for (let back = 0; back < frames; ) {
    const left = frames - back;
    driver.offer(Math.min(left, batch));
    device.step(summed);
    const taken = driver.reclaim();
    if (taken === 0) throw new Error(`broken ${driver.queue.broken}, ring fault ${device.queue.ringFault}`);
    back += taken;
  }
}

function timed(work: () => void): number {
  const before = process.hrtime.bigint();
  work();
  return Number(process.hrtime.bigint() - before);
}

function runRing(): void {
  const frameList = frameSet(plan.frames, queueSizeOf(plan));
  const driver = new DriverSide(plan, memory, control, frameList);
  const device = new DeviceSide(plan, memory, control, frameList);
  sabotageMemory(job.sabotage, memory);
  post({ type: 'ready' });
  let allSummed = 0;
  const run = (frames: number, summed: boolean): number => {
    const ns = timed(() => takeTurns(driver, device, frames, summed));
    device.checkSink(frames);
    if (summed) allSummed += frames;
    return ns;
  };
  const { rounds, frames } = runRounds(plan, job.timing, run, () => sabotageNumbers(job.sabotage, driver));
  const { lost, misplaced, damaged, first } = device.check;
  const { notifications } = driver.queue.counters;
  post({ type: 'driver', report: { rounds, latency: undefined, frames, notifications, missed: 0 } });
  post({
    type: 'device',
    report: {
      faults: { lost, misplaced, damaged, first },
      frames,
      summed: allSummed,
      notifications: device.queue.counters.notifications,
      missed: 0,
    },
  });
}

function runRingCost(): void {
  const ring = new RingCost(plan, memory);
  post({ type: 'ready' });
  const run = (frames: number): number => timed(() => ring.circulate(frames));
  const { rounds, frames } = runRounds(plan, job.timing, run, () => undefined);
  const faults = { lost: 0, misplaced: 0, damaged: 0, first: undefined };
  post({ type: 'driver', report: { rounds, latency: undefined, frames, notifications: 0, missed: 0 } });
  post({ type: 'device', report: { faults, frames, summed: 0, notifications: 0, missed: 0 } });
}

function runIommuCost(cost: IommuCost): void {
  post({ type: 'ready' });
  const run = (operations: number, checked: boolean): number => timed(() => cost.run(operations, checked));
  const { rounds, frames } = runRounds(plan, job.timing, run, () => undefined);
  const first = cost.wrong === 0 ? undefined : 'an access that went elsewhere than its mapping says';
  const faults = { lost: 0, misplaced: cost.wrong, damaged: 0, first };
  post({ type: 'driver', report: { rounds, latency: undefined, frames, notifications: 0, missed: 0 } });
  post({ type: 'device', report: { faults, frames, summed: 0, notifications: 0, missed: 0 } });
}

if (plan.translation !== undefined) runIommuCost(new IommuCost(plan.translation));
else if (plan.kind === 'ringcost') runRingCost();
else runRing();
