import { parentPort, workerData } from 'node:worker_threads';
import { serveDevice } from '@ringwire/device-thread';
import { HostMemory } from '@ringwire/guest-memory';
import { NetDeviceSide } from './net-device-side.js';
import { STEP_BUDGET } from './net-link.js';
import type { FromWorker, WorkerJob } from './worker-job.js';

/** A network device in a thread of its own, until its driver closes it. */
const { plan, control, memory, place } = workerData as WorkerJob;
/** Turns without work before the thread sleeps, and in cases that are about that. */
const SPIN_TURNS = 2000;
const FEW_TURNS = 100;

const side = new NetDeviceSide(plan, HostMemory.adopt(memory), control);
const spinTurns = plan.net?.task === 'wake' ? FEW_TURNS : SPIN_TURNS;
serveDevice(place!, { ...side.config, budget: STEP_BUDGET, spinTurns });
const message: FromWorker = { type: 'device', report: side.report() };
parentPort?.postMessage(message);
