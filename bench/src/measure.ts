import { Worker } from 'node:worker_threads';
import { newLinkPlace } from '@ringwire/device-thread';
import type { CasePlan, Timing } from './case-plan.js';
import { newControl } from './control-words.js';
import { watchOthers } from './cpu-share.js';
import { newHostMemory } from './guest-layout.js';
import { NET_PLACE } from './net-layout.js';
import type { DeviceReport, DriverReport, FromWorker, Sabotage, WorkerJob } from './worker-job.js';

/** What one run of a case in fresh workers gave. */
export interface CaseRun {
  /** From before the first worker was made until both sides had opened their queues. */
  readonly startMs: number;
  readonly driver: DriverReport;
  readonly device: DeviceReport;
  /** Cores that other programs used meanwhile; undefined where it can't be known. */
  readonly otherCores: number | undefined;
}

/** What the bench could not measure, in words: a worker died, or never came to an end. */
export class CaseFailure extends Error {
  override readonly name = 'CaseFailure';
}

/** A case that takes as many times its planned time hangs. */
const PATIENCE = 10;
const PATIENCE_SECONDS = 10;

/** Workers are built code, also when a test runs the sources: threads start from files. */
const WORKERS = {
  inthread: [new URL('../dist/inthread-worker.js', import.meta.url)],
  xthread: [new URL('../dist/driver-worker.js', import.meta.url), new URL('../dist/device-worker.js', import.meta.url)],
} as const;
const NET_WORKERS = {
  inthread: [new URL('../dist/net-inline-worker.js', import.meta.url)],
  xthread: [
    new URL('../dist/net-driver-worker.js', import.meta.url),
    new URL('../dist/net-device-worker.js', import.meta.url),
  ],
} as const;

/** Run a case in workers of its own. This thread sleeps meanwhile: the machine may have two cores only. */
export async function runCase(plan: CasePlan, timing: Timing, sabotage?: Sabotage): Promise<CaseRun> {
  const memory = newHostMemory().wasm;
  if (memory === undefined) throw new CaseFailure('no shared memory');
  const isRemote = plan.kind === 'net' && plan.threads === 'xthread';
  const place = isRemote ? newLinkPlace(NET_PLACE) : undefined;
  const job: WorkerJob = { plan, timing, memory, control: newControl(), place, sabotage };
  const others = watchOthers();
  const before = performance.now();
  const files = (plan.kind === 'net' ? NET_WORKERS : WORKERS)[plan.threads];
  const workers = files.map((file) => new Worker(file, { workerData: job }));
  try {
    const { startMs, driver, device } = await reports(workers, before, timing);
    return { startMs, driver, device, otherCores: others() };
  } finally {
    await Promise.all(workers.map((worker) => worker.terminate()));
  }
}

function reports(workers: readonly Worker[], before: number, timing: Timing): Promise<Omit<CaseRun, 'otherCores'>> {
  const seconds = PATIENCE_SECONDS + PATIENCE * (timing.warmSeconds + timing.seconds * (timing.repeats + 1));
  return new Promise((resolve, reject) => {
    const timer = setTimeout(() => reject(new CaseFailure(`no end after ${seconds.toFixed(0)} s`)), seconds * 1000);
    let startMs = Number.NaN;
    let driver: DriverReport | undefined;
    let device: DeviceReport | undefined;
    const fail = (reason: string): void => {
      clearTimeout(timer);
      reject(new CaseFailure(reason));
    };
    for (const worker of workers) {
      worker.on('error', (error) => fail(error.message));
      worker.on('exit', (code) => {
        if (code !== 0) fail(`a worker ended with code ${code}`);
      });
      worker.on('message', (message: FromWorker) => {
        if (message.type === 'ready') startMs = performance.now() - before;
        else if (message.type === 'driver') driver = message.report;
        else device = message.report;
        if (driver === undefined || device === undefined) return;
        clearTimeout(timer);
        resolve({ startMs, driver, device });
      });
    }
  });
}
