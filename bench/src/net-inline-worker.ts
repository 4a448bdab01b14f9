import { parentPort, workerData } from 'node:worker_threads';
import { HostMemory } from '@ringwire/guest-memory';
import { InlineLink } from './device-link.js';
import { NetDeviceSide } from './net-device-side.js';
import { driveNet } from './net-rounds.js';
import type { FromWorker, WorkerJob } from './worker-job.js';

/** A network device and its driver in one thread, in turns. */
const job = workerData as WorkerJob;
const post = (message: FromWorker): void => parentPort?.postMessage(message);
const memory = HostMemory.adopt(job.memory);

let device: NetDeviceSide | undefined;
const link = new InlineLink((host) => {
  device = new NetDeviceSide(job.plan, memory, host, job.control);
  return device.virtio;
});
const report = driveNet(job, memory, link, () => post({ type: 'ready' }));
post({ type: 'driver', report });
post({ type: 'device', report: device!.report() });
