import { parentPort, workerData } from 'node:worker_threads';
import { HostMemory } from '@ringwire/guest-memory';
import { NetDeviceSide } from './net-device-side.js';
import { InlineLink } from './net-link.js';
import { driveNet } from './net-rounds.js';
import type { FromWorker, WorkerJob } from './worker-job.js';

/** A network device and its driver in one thread, in turns. */
const job = workerData as WorkerJob;
const post = (message: FromWorker): void => parentPort?.postMessage(message);
const memory = HostMemory.adopt(job.memory);
const device = new NetDeviceSide(job.plan, memory, job.control);
const report = driveNet(job, memory, new InlineLink(device.config), () => post({ type: 'ready' }));
post({ type: 'driver', report });
post({ type: 'device', report: device.report() });
