import { fileURLToPath } from 'node:url';
import { Worker } from 'node:worker_threads';
import { HostMemory } from '@ringwire/guest-memory';
import { build } from 'esbuild';
import { expect, test } from 'vitest';
import { BUS_WORDS } from './invalidation-bus.js';
import { Owner, PAGE, RW, SOURCE } from './testing/dma-stage.js';
import type { DmaOrder } from './testing/dma-thread.js';

const packages = fileURLToPath(new URL('../../', import.meta.url));
const PAGES = 8;
const CANARY = 0xdead_0000;
const UNMAPS = 1_000_000;

/** The worker runs the sources that the test is about. */
async function startDevice(
  order: DmaOrder,
): Promise<{ ended: Promise<{ wrote: number; blocked: number; hits: number }> }> {
  const { outputFiles } = await build({
    entryPoints: [`${packages}iommu/src/testing/dma-thread.ts`],
    bundle: true,
    write: false,
    platform: 'node',
    format: 'cjs',
    alias: Object.fromEntries(
      ['guest-memory', 'virtio-spec', 'virtqueue'].map((name) => [
        `@ringwire/${name}`,
        `${packages}${name}/src/index.ts`,
      ]),
    ),
    tsconfigRaw: { compilerOptions: { useDefineForClassFields: false } },
  });
  const worker = new Worker(outputFiles[0]!.text, { eval: true, workerData: order });
  return {
    ended: new Promise((resolve, reject) => {
      worker.once('message', resolve);
      worker.once('error', reject);
    }),
  };
}

test(`IO-19 IO-26: of ${UNMAPS} pages unmapped under the DMA of another thread, none changes once the unmap has returned`, async () => {
  const memory = HostMemory.create(0x40_0000);
  const words = new Int32Array(new SharedArrayBuffer(BUS_WORDS * 4));
  const control = new Int32Array(new SharedArrayBuffer(4));
  const owner = new Owner(memory, words);
  const domain = owner.domain(1);
  owner.requesters.attach(SOURCE, domain);
  const { root } = owner.requesters;
  const device = await startDevice({ memory: memory.wasm!, words, root, pages: PAGES, control });
  Atomics.wait(control, 0, 0, 10_000);
  const physicalOf = (i: number): number => 0x1_0000 + (i % 64) * PAGE;
  for (let page = 0; page < PAGES; page++) domain.map(page * PAGE, physicalOf(page), PAGE, RW);
  /** Pages that were unmapped lately, still to be looked at again. */
  const watched: number[] = [];
  let changed = 0;
  for (let i = 0; i < UNMAPS; i++) {
    const iova = (i % PAGES) * PAGE;
    const physical = physicalOf(i);
    domain.unmap(iova, PAGE);
    memory.u32[physical >>> 2] = CANARY;
    watched.push(physical);
    if (watched.length > 32) {
      const old = watched.shift()!;
      if (Atomics.load(memory.u32, old >>> 2) !== CANARY) changed++;
    }
    domain.map(iova, physicalOf(i + PAGES), PAGE, RW);
  }
  Atomics.store(control, 0, 2);
  const { wrote, blocked, hits } = await device.ended;
  expect(changed).toBe(0);
  // The device did write, was blocked at times, and did so from its cache too: otherwise nothing was shown.
  expect(wrote).toBeGreaterThan(1000);
  expect(blocked).toBeGreaterThan(0);
  expect(hits).toBeGreaterThan(1000);
}, 300_000);
