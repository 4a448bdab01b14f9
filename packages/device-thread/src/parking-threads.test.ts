import { fileURLToPath } from 'node:url';
import { Worker } from 'node:worker_threads';
import { build } from 'esbuild';
import { expect, test } from 'vitest';
import { type Mistake, PARKING_WORDS, type ParkingOrder, type ParkingReport } from './testing/parking-thread.js';

/** Hand-overs; each is a race of one side's sleep with the other side's wake-up, in both directions. */
const ROUNDS = 1_000_000;

/** The workers run the sources that the tests are about. */
async function bundle(): Promise<string> {
  const { outputFiles } = await build({
    entryPoints: [fileURLToPath(new URL('testing/parking-thread.ts', import.meta.url))],
    bundle: true,
    write: false,
    platform: 'node',
    format: 'cjs',
  });
  return outputFiles[0]!.text;
}

const source = bundle();

/** @returns what the side says; the other one is ended then, which may wait for ever */
async function handOver(mistake: Mistake, limitMs: number): Promise<ParkingReport[]> {
  const words = new Int32Array(new SharedArrayBuffer(PARKING_WORDS * 4));
  const code = await source;
  const workers = ([0, 1] as const).map((side) => {
    const order: ParkingOrder = { words, side, rounds: ROUNDS, mistake, limitMs };
    return new Worker(code, { eval: true, workerData: order });
  });
  const reports = workers.map(
    (worker) =>
      new Promise<ParkingReport>((resolve, reject) => {
        worker.once('message', resolve);
        worker.once('error', reject);
      }),
  );
  const isWhole = mistake === 'none';
  const ended = isWhole ? await Promise.all(reports) : [await Promise.race(reports)];
  await Promise.all(workers.map((worker) => worker.terminate()));
  return ended;
}

test(`${2 * ROUNDS} times a thread goes to sleep while another one wakes it, and no wake-up is lost`, async () => {
  const reports = await handOver('none', 20_000);
  expect(reports.map(({ lostAt }) => lostAt)).toEqual([-1, -1]);
  // They did sleep: otherwise nothing was seen of wake-ups.
  for (const { sleeps } of reports) expect(sleeps).toBeGreaterThan(ROUNDS / 1000);
}, 240_000);

test.each(['looks too early', 'wakes too early'] as const)(
  'a side that %s does lose a wake-up: the test above can fail',
  async (mistake) => {
    const [report] = await handOver(mistake, 500);
    expect(report!.lostAt).toBeGreaterThan(0);
  },
);
