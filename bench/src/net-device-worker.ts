import { parentPort, workerData } from 'node:worker_threads';
import { HostMemory } from '@ringwire/guest-memory';
import { runDeviceThread, ThreadEvents, threadedPci } from '@ringwire/virtio-device';
import { WORD } from './control-words.js';
import { NetDeviceSide } from './net-device-side.js';
import type { FromWorker, WorkerJob } from './worker-job.js';

/** A network device in a thread of its own, until its driver stops it. */
const { plan, control, memory, place } = workerData as WorkerJob;
/** Turns without work before the thread sleeps, in the cases in which it is to. */
const SOON = 100;

const side = new NetDeviceSide(plan, HostMemory.adopt(memory), new ThreadEvents(place!), control);
runDeviceThread(place!, threadedPci(side.virtio), {
  ...(plan.net?.task === 'wake' ? { spinBudget: SOON } : {}),
  // The thread asks for the time before it sleeps, and at no other time.
  now: () => {
    Atomics.add(control, WORD.PARKED, 1);
    return performance.now() * 1000;
  },
});
const message: FromWorker = { type: 'device', report: side.report() };
parentPort?.postMessage(message);
