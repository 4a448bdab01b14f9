import { Worker } from 'node:worker_threads';
import { DeviceThread, ProtectedThread } from '@ringwire/device-thread';
import type { HostMemory } from '@ringwire/guest-memory';
import type { Layout } from '../case-plan.js';
import { watchOthers } from '../cpu-share.js';
import { CaseFailure } from '../measure.js';
import {
  FAILOVER_WORD,
  type FailoverJob,
  type FailoverReport,
  type FailoverTask,
  type FromGuest,
  newFailoverWords,
} from './failover-job.js';
import { type FailoverDriver, failoverConfig, failoverMemory } from './failover-layout.js';

const WORKER = new URL('../../dist/failover/failover-worker.js', import.meta.url);

/** What one run in fresh threads gave. */
export interface FailoverRun extends FailoverReport {
  /** Cores that other programs used meanwhile; undefined where it can't be known. */
  readonly otherCores: number | undefined;
}

/** A guest whose device is protected: its threads are ended when the guest says so. */
export async function runProtected(layout: Layout, driver: FailoverDriver, task: FailoverTask): Promise<FailoverRun> {
  const memory = failoverMemory();
  const words = newFailoverWords();
  const thread: ProtectedThread = new ProtectedThread(failoverConfig(memory, driver), {
    standing: (isThere) => Atomics.store(words, FAILOVER_WORD.PROTECTED, isThere ? 1 : 0),
    tookOver: () => Atomics.add(words, FAILOVER_WORD.TAKEOVERS, 1),
  });
  await thread.ready;
  try {
    return await runGuest({ layout, driver, task, place: thread.link.place, memory: wasmOf(memory), words }, (what) => {
      if (what === 'kill') thread.endThread();
      // One that does not come back is found by its guest, which waits for it.
      else thread.failBack().catch(() => {});
    });
  } finally {
    await thread.close();
  }
}

/** The same guest with the same device, in a thread that is all there is. */
export async function runPlain(layout: Layout, driver: FailoverDriver, task: FailoverTask): Promise<FailoverRun> {
  const memory = failoverMemory();
  const { keep: _, standby: __, ...config } = failoverConfig(memory, driver);
  const thread = new DeviceThread({ ...config, transport: 'pci' });
  await thread.ready;
  try {
    const job = { layout, driver, task, place: thread.link.place, memory: wasmOf(memory), words: newFailoverWords() };
    return await runGuest(job, () => {});
  } finally {
    await thread.close();
  }
}

async function runGuest(job: FailoverJob, act: (what: 'kill' | 'back') => void): Promise<FailoverRun> {
  const others = watchOthers();
  const worker = new Worker(WORKER, { workerData: job });
  try {
    const report = await new Promise<FailoverReport>((resolve, reject) => {
      worker.on('error', (error) => reject(new CaseFailure(error.message)));
      worker.on('exit', (code) => reject(new CaseFailure(`the guest ended with code ${code}`)));
      worker.on('message', (message: FromGuest) => {
        if (message.type === 'done') resolve(message.report);
        else act(message.type);
      });
    });
    return { ...report, otherCores: others() };
  } finally {
    await worker.terminate();
  }
}

function wasmOf({ wasm }: HostMemory): FailoverJob['memory'] {
  if (wasm === undefined) throw new CaseFailure('no shared memory');
  return wasm;
}
