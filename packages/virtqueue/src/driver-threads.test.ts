import { fileURLToPath } from 'node:url';
import { Worker } from 'node:worker_threads';
import { HostMemory } from '@ringwire/guest-memory';
import { build } from 'esbuild';
import { expect, test } from 'vitest';
import { F } from './testing/driver-bench.js';
import type { ThreadOrder } from './testing/ring-threads.js';

const packages = fileURLToPath(new URL('../../', import.meta.url));

/** The workers run the sources that the tests are about, not what was built of them some time ago. */
async function bundle(): Promise<string> {
  const { outputFiles } = await build({
    entryPoints: [`${packages}virtqueue/src/testing/ring-threads.ts`],
    bundle: true,
    write: false,
    platform: 'node',
    format: 'cjs',
    alias: {
      '@ringwire/guest-memory': `${packages}guest-memory/src/index.ts`,
      '@ringwire/virtio-spec': `${packages}virtio-spec/src/index.ts`,
    },
    tsconfigRaw: { compilerOptions: { useDefineForClassFields: false } },
  });
  return outputFiles[0]!.text;
}

const source = bundle();

/** @returns times that the side slept */
async function start(order: ThreadOrder): Promise<number> {
  const worker = new Worker(await source, { eval: true, workerData: order });
  try {
    return await new Promise((resolve, reject) => {
      worker.once('message', resolve);
      worker.once('error', reject);
      worker.once('exit', (code) => reject(new Error(`${order.side} ended with ${code}`)));
    });
  } finally {
    await worker.terminate();
  }
}

test.each([
  ['split', 64, []],
  ['packed', 100, [F.RING_PACKED]],
  ['packed, in order', 64, [F.RING_PACKED, F.IN_ORDER]],
] as const)(
  '200000 buffers between two threads that sleep, %s: each once, in order, with its bytes',
  async (_, size, features) => {
    const memory = HostMemory.create(0x2_0000);
    const order = { memory: memory.wasm!, features: [F.EVENT_IDX, ...features], size, count: 200_000 };
    const sleeps = await Promise.all([start({ ...order, side: 'driver' }), start({ ...order, side: 'device' })]);
    // They did sleep: otherwise nothing was seen of notifications.
    expect(sleeps[0]! + sleeps[1]!).toBeGreaterThan(0);
  },
  60_000,
);
