import { parentPort, workerData } from 'node:worker_threads';
import { HostMemory } from '@ringwire/guest-memory';
import { RemoteLink } from './net-link.js';
import { driveNet } from './net-rounds.js';
import type { FromWorker, WorkerJob } from './worker-job.js';

/** The driver of a network device that is in another thread. */
const job = workerData as WorkerJob;
const post = (message: FromWorker): void => parentPort?.postMessage(message);
const link = new RemoteLink(job.place!);
const report = driveNet(job, HostMemory.adopt(job.memory), link, () => post({ type: 'ready' }));
link.close();
post({ type: 'driver', report });
