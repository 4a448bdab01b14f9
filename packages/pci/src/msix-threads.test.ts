import { fileURLToPath } from 'node:url';
import { Worker } from 'node:worker_threads';
import { build } from 'esbuild';
import { expect, test } from 'vitest';
import { MsixTable, msixWords } from './msix-table.js';
import type { MsixOrder } from './testing/msix-thread.js';

const packages = fileURLToPath(new URL('../../', import.meta.url));
const VECTORS = 3;
const ROUNDS = 20_000;

test(`PC-13: ${ROUNDS} events raised by one thread while another masks and unmasks: one message each, none lost`, async () => {
  const { outputFiles } = await build({
    entryPoints: [`${packages}pci/src/testing/msix-thread.ts`],
    bundle: true,
    write: false,
    platform: 'node',
    format: 'cjs',
    alias: { '@ringwire/virtio-spec': `${packages}virtio-spec/src/index.ts` },
    tsconfigRaw: { compilerOptions: { useDefineForClassFields: false } },
  });
  const words = new Int32Array(new SharedArrayBuffer(msixWords(VECTORS) * 4));
  const counts = new Int32Array(new SharedArrayBuffer(12));
  const table = new MsixTable(VECTORS, () => Atomics.add(counts, 0, 1), words);
  table.reset();
  table.setGate(true, false);
  const entries = table.tableRegion(0);
  for (let vector = 0; vector < VECTORS; vector++) entries.write(vector * 16 + 12, 4, 0);
  const order: MsixOrder = { vectors: VECTORS, words, counts, rounds: ROUNDS };
  const worker = new Worker(outputFiles[0]!.text, { eval: true, workerData: order });
  const ended = new Promise((resolve, reject) => {
    worker.once('message', resolve);
    worker.once('error', reject);
  });
  let masked = 0;
  let wrong = 0;
  for (let i = 1; i <= ROUNDS; i++) {
    // Now the vector is masked, now the function; from before the event on, or from about then on.
    const at = (i % VECTORS) * 16 + 12;
    const mask = (on: boolean): void => (i % 2 === 0 ? table.setGate(true, on) : entries.write(at, 4, on ? 1 : 0));
    if (i % 4 < 2) mask(true);
    Atomics.store(counts, 1, i);
    if (i % 4 >= 2) mask(true);
    for (let wait = (i >> 2) % 64; wait > 0 && !table.isPending(i % VECTORS); wait--);
    if (table.isPending(i % VECTORS)) masked++;
    mask(false);
    while (Atomics.load(counts, 2) < i);
    if (Atomics.load(counts, 0) !== i) wrong++;
    Atomics.store(counts, 0, i);
  }
  await ended;
  await worker.terminate();
  expect(wrong).toBe(0);
  // Some events did meet a mask: otherwise nothing was seen of pending bits.
  expect(masked).toBeGreaterThan(0);
});
