import { HostMemory } from '@ringwire/guest-memory';
import { expect, test } from 'vitest';
import { BUS_WORDS } from './invalidation-bus.js';
import { Owner, PAGE, RW, SOURCE } from './testing/dma-stage.js';
import type { Broken, DmaOrder, DmaOutcome } from './testing/dma-thread.js';
import { startThread } from './testing/start-thread.js';

const PAGES = 8;
const CANARY = 0xdead_0000;
const UNMAPS = 1_000_000;
/** Each page has tables of its own, which go with it. */
const APART = 0x20_0000;

interface Scene {
  readonly unmaps: number;
  readonly pitch: number;
  readonly caches: boolean;
  readonly atc: boolean;
  readonly broken?: Broken;
}

/** Unmap pages under the DMA of another thread. @returns how many changed after that, and what the device saw */
async function unmapUnderDma(scene: Scene): Promise<DmaOutcome & { changed: number }> {
  const { unmaps, pitch, caches, atc, broken } = scene;
  const memory = HostMemory.create(0x40_0000);
  const words = new Int32Array(new SharedArrayBuffer(BUS_WORDS * 4));
  const control = new Int32Array(new SharedArrayBuffer(4));
  const owner = new Owner(memory, words);
  const domain = owner.domain(1);
  owner.requesters.attach(SOURCE, domain, atc);
  const { root } = owner.requesters;
  const order: DmaOrder = { memory: memory.wasm!, words, root, pages: PAGES, pitch, caches, atc, broken, control };
  const physicalOf = (i: number): number => 0x1_0000 + (i % 64) * PAGE;
  for (let page = 0; page < PAGES; page++) domain.map(page * pitch, physicalOf(page), PAGE, RW);
  const device = await startThread<DmaOutcome>('dma-thread.ts', order);
  Atomics.wait(control, 0, 0, 10_000);
  /** Pages that were unmapped lately, still to be looked at again. */
  const watched: number[] = [];
  let changed = 0;
  for (let i = 0; i < unmaps && (broken === undefined || changed === 0); i++) {
    const iova = (i % PAGES) * pitch;
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
  return { changed, ...(await device.ended) };
}

test(`IO-19 IO-26: of ${UNMAPS} pages unmapped under the DMA of another thread, none changes once the unmap has returned`, async () => {
  const seen = await unmapUnderDma({ unmaps: UNMAPS, pitch: PAGE, caches: false, atc: false });
  expect(seen.changed).toBe(0);
  // The device did write, was blocked at times, and did so from its cache too: otherwise nothing was shown.
  expect(seen.wrote).toBeGreaterThan(1000);
  expect(seen.blocked).toBeGreaterThan(0);
  expect(seen.hits).toBeGreaterThan(1000);
}, 300_000);

test(`IO-19 IO-26: the same for ${UNMAPS} pages with an ATC and cached tables`, async () => {
  const seen = await unmapUnderDma({ unmaps: UNMAPS, pitch: PAGE, caches: true, atc: true });
  expect(seen.changed).toBe(0);
  for (const count of [seen.wrote, seen.hits, seen.tableHits]) expect(count).toBeGreaterThan(1000);
  expect(seen.blocked).toBeGreaterThan(0);
}, 300_000);

test.each([false, true])(
  'IO-19 IO-26: tables that are freed with the last page in them, and used again, lead nowhere from caches (ATC: %s)',
  async (atc) => {
    const seen = await unmapUnderDma({ unmaps: 100_000, pitch: APART, caches: true, atc });
    expect(seen.changed).toBe(0);
    for (const count of [seen.wrote, seen.tableHits]) expect(count).toBeGreaterThan(1000);
    expect(seen.blocked).toBeGreaterThan(0);
  },
  300_000,
);

test.each<[Broken, boolean]>([
  ['deaf', false],
  ['deaf', true],
  ['hasty', false],
  ['hasty', true],
])(
  'the pages do change under a device that is broken on purpose: %s, with all caches: %s',
  async (broken, all) => {
    const seen = await unmapUnderDma({ unmaps: UNMAPS, pitch: PAGE, caches: all, atc: all, broken });
    expect(seen.changed).toBeGreaterThan(0);
  },
  300_000,
);
