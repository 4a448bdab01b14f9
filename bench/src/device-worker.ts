import { parentPort, workerData } from 'node:worker_threads';
import { HostMemory } from '@ringwire/guest-memory';
import { faultName, RING_FAULT } from '@ringwire/virtqueue';
import { queueSizeOf } from './case-plan.js';
import { announce, LAST_ROUND, WORD, waitFor } from './control-words.js';
import { DeviceSide } from './device-side.js';
import { frameSet } from './frame-set.js';
import type { FromWorker, WorkerJob } from './worker-job.js';

const { plan, control, memory: wasm } = workerData as WorkerJob;
const frameList = frameSet(plan.frames, queueSizeOf(plan));
// The driver opens its queue first, and zeroes the ring.
waitFor(control, WORD.DRIVER_UP, 1);
const side = new DeviceSide(plan, HostMemory.adopt(wasm), control, frameList);
announce(control, WORD.DEVICE_UP, 1);

function receive(frames: number, summed: boolean): void {
  const sleeping = plan.idle === 'sleep';
  for (let got = 0; got < frames; ) {
    const taken = side.step(summed);
    got += taken;
    if (taken > 0) continue;
    const { ringFault } = side.queue;
    if (ringFault !== RING_FAULT.NONE) throw new Error(`device queue: ${faultName(RING_FAULT, ringFault)}`);
    if (sleeping) side.sleep();
  }
}

let frames = 0;
let summed = 0;
for (let round = 1; ; round++) {
  let wanted = Atomics.load(control, WORD.ROUND);
  while (wanted !== round && wanted !== LAST_ROUND) {
    Atomics.wait(control, WORD.ROUND, wanted);
    wanted = Atomics.load(control, WORD.ROUND);
  }
  if (wanted === LAST_ROUND) break;
  const count = Atomics.load(control, WORD.FRAMES);
  const isSummed = Atomics.load(control, WORD.SUMMED) === 1;
  announce(control, WORD.DEVICE_IN, round);
  receive(count, isSummed);
  side.checkSink(count);
  announce(control, WORD.DEVICE_DONE, round);
  frames += count;
  if (isSummed) summed += count;
}

const { lost, misplaced, damaged, first } = side.check;
const message: FromWorker = {
  type: 'device',
  report: {
    faults: { lost, misplaced, damaged, first },
    frames,
    summed,
    notifications: side.queue.counters.notifications,
    missed: side.missed,
  },
};
parentPort?.postMessage(message);
