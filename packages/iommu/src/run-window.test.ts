import { ACCESS, HostMemory } from '@ringwire/guest-memory';
import { expect, test } from 'vitest';
import { BUS_WORDS } from './invalidation-bus.js';
import type { IommuSpace } from './iommu-space.js';
import { newRunWindow, placeWindow } from './run-window.js';
import { deviceSpace, Owner, PAGE, RW, SOURCE } from './testing/dma-stage.js';

const { READ, WRITE } = ACCESS;
const GIB4 = 0x1_0000_0000;
const IOVA = GIB4 - 4 * PAGE;
const HOST = 0x10_0000;
const PAGES = 8;

test('a window is the part of a run whose addresses have one high word', () => {
  const window = newRunWindow(READ);
  placeWindow(window, GIB4 - 1, GIB4 - 0x3000, GIB4 + 0x2000, 0x7000);
  expect(window).toEqual({ hi: 0, lo32: -0x3000, bytes: 0x3000, host32: 0x7000, refused: ~READ });
  placeWindow(window, GIB4, GIB4 - 0x3000, GIB4 + 0x2000, 0x7000);
  expect(window).toEqual({ hi: 1, lo32: 0, bytes: 0x2000, host32: 0xa000, refused: ~READ });
  placeWindow(window, 0x8000_1000, 0x8000_0000, 0x8000_2000, 0xf000_0000);
  expect(window).toEqual({ hi: 0, lo32: -0x8000_0000, bytes: 0x2000, host32: -0x1000_0000, refused: ~READ });
});

/** Touch all pages, often enough to have a run looked for. */
function touch(space: IommuSpace, access: number): void {
  for (let i = 0; i < 64; i++) space.resolve(IOVA + (i % PAGES) * PAGE, 64, access);
}

test('what the window of a space says is what resolve says, until an invalidation ends it', () => {
  const memory = HostMemory.create(0x80_0000);
  const words = new Int32Array(new SharedArrayBuffer(BUS_WORDS * 4));
  const owner = new Owner(memory, words);
  const { space } = deviceSpace(memory, words, owner.requesters.root, {});
  const domain = owner.domain(3);
  domain.map(IOVA, HOST, PAGES * PAGE, RW);
  owner.requesters.attach(SOURCE, domain);
  space.enter();
  expect([space.windowFor(READ).bytes, space.windowFor(WRITE).bytes]).toEqual([0, 0]);
  touch(space, WRITE);
  expect(space.windowFor(READ).bytes).toBe(0);
  const { hi, lo32, bytes, host32, refused } = space.windowFor(WRITE);
  expect(bytes).toBeGreaterThan(PAGE);
  expect([refused & WRITE, refused & READ]).toEqual([0, READ]);
  for (let into = 0; into < bytes; into += 64)
    expect(space.resolve(hi * GIB4 + (lo32 >>> 0) + into, 64, WRITE)).toBe(host32 + into);
  space.leave();
  domain.unmap(IOVA, PAGE);
  space.enter();
  expect(space.windowFor(WRITE).bytes).toBe(0);
  touch(space, WRITE);
  // The page that is gone is in no window made afterwards.
  expect(space.windowFor(WRITE).hi * GIB4 + (space.windowFor(WRITE).lo32 >>> 0)).toBeGreaterThanOrEqual(IOVA + PAGE);
  space.leave();
});
