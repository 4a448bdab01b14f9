import { Worker } from 'node:worker_threads';
import { closeFunctions, newFunctionPlaces } from '@ringwire/device-thread';
import { newCardMemory, stationMac } from 'bench/card';
import type { CardJob, CardResult } from './card-worker.js';
import type { GuestJob, GuestResult } from './guest-worker.js';
import { type FunctionPlan, RAM_BYTES, SAMPLES_MOST, WORD } from './topology.js';

/** What the run came to. */
export interface RunResult {
  readonly seconds: number;
  readonly card: CardResult;
  readonly guests: readonly GuestResult[];
  /** ms, and Mbit/s on the wire of every function since the sample before. */
  readonly rates: readonly { readonly at: number; readonly mbits: readonly number[] }[];
}

/** What the threads run: built files. */
export interface Workers {
  readonly card: URL;
  readonly guest: URL;
}

/** The card in a thread of its own, and a thread for each guest, for so many seconds. */
export async function runCard(plans: readonly FunctionPlan[], seconds: number, workers: Workers): Promise<RunResult> {
  const plan = { vfs: plans.map(({ kind }) => kind), now: () => 0, ramBytes: RAM_BYTES };
  const memory = newCardMemory(plan).wasm!;
  const words = new Int32Array(new SharedArrayBuffer(WORD.COUNT * 4));
  const samples = new Float64Array(new SharedArrayBuffer(SAMPLES_MOST * (plans.length + 1) * 8));
  const places = newFunctionPlaces(plans.length);
  const cardJob: CardJob = { plans, memory, places, words, samples };
  const card = new Worker(workers.card, { workerData: cardJob });
  const guests: Worker[] = [];
  try {
    await messageOf(card);
    // It says no more until the end: a thread that ends before its time ends the run.
    const last = messageOf(card) as Promise<CardResult>;
    for (const [vf, each] of plans.entries()) {
      const job: GuestJob = {
        plan: each,
        memory,
        place: places[vf]!,
        ramAt: vf * RAM_BYTES,
        mac: stationMac(1 + vf),
        neighbour: stationMac(1 + ((vf + 1) % plans.length)),
        words,
      };
      guests.push(new Worker(workers.guest, { workerData: job }));
    }
    await Promise.race([last, Promise.all(guests.map(messageOf))]);
    const results = Promise.all(guests.map((guest) => messageOf(guest) as Promise<GuestResult>));
    const all = Promise.all([last, results]);
    const begin = performance.now();
    tell(words, 1);
    await Promise.race([all, new Promise((resolve) => setTimeout(resolve, seconds * 1000))]);
    tell(words, 2);
    const elapsed = (performance.now() - begin) / 1000;
    await Promise.race([all, results]);
    closeFunctions(places);
    const [counts, counted] = await all;
    return { seconds: elapsed, card: counts, guests: counted, rates: ratesOf(words, samples, plans.length) };
  } finally {
    await Promise.all([card, ...guests].map((worker) => worker.terminate()));
  }
}

function tell(words: Int32Array, value: number): void {
  Atomics.store(words, WORD.GO, value);
  Atomics.notify(words, WORD.GO);
}

function ratesOf(words: Int32Array, samples: Float64Array, functions: number): RunResult['rates'] {
  const row = (at: number): Float64Array => samples.subarray(at * (functions + 1), (at + 1) * (functions + 1));
  const count = Atomics.load(words, WORD.SAMPLES);
  return Array.from({ length: Math.max(0, count - 1) }, (_, at) => {
    const [before, after] = [row(at), row(at + 1)];
    const ms = after[0]! - before[0]!;
    const mbits = Array.from({ length: functions }, (_, vf) => ((after[1 + vf]! - before[1 + vf]!) * 8) / (ms * 1000));
    return { at: after[0]! - samples[0]!, mbits };
  });
}

/** The next message of a thread. */
function messageOf(worker: Worker): Promise<unknown> {
  return new Promise((resolve, reject) => {
    worker.once('message', resolve);
    worker.once('error', reject);
    worker.once('exit', (code) => reject(new Error(`a thread ended with code ${code}, and said nothing`)));
  });
}
