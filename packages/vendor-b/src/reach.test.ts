import { ACCESS, GuestMemory, HostMemory } from '@ringwire/guest-memory';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { RingReach, windowOf, within } from './reach.js';

const memory = HostMemory.create(0x2_0000);
const { READ, WRITE } = ACCESS;

test('what a window finds is what the space finds, for every address, length and access', () => {
  const bases = [0x1000, 0x7fff_f000, 0xffff_f000, 0x1_ffff_f000, 0x1_8000_0000];
  const space = new GuestMemory(
    memory,
    bases.map((gpa, i) => ({ gpa, size: 0x2000, host: i * 0x2000, ...(i === 4 ? { readOnly: true } : {}) })),
  );
  const address = fc.tuple(fc.constantFrom(...bases), fc.integer({ min: -0x1200, max: 0x3200 })).map(([a, b]) => a + b);
  fc.assert(
    fc.property(
      address,
      address,
      fc.integer({ min: 1, max: 0x2100 }),
      fc.constantFrom(READ, WRITE),
      (near, at, length, access) => {
        space.resolve(near, 1, READ);
        const host = within(windowOf(space, access), Math.floor(at / 2 ** 32), at | 0, length, access);
        if (host >= 0) expect(host).toBe(space.resolve(at, length, access));
      },
    ),
    { numRuns: 2000 },
  );
});

test('a ring across 4 GiB is found entry by entry, one that ends beyond memory up to there', () => {
  const space = new GuestMemory(memory, [{ gpa: 0xffff_ff80, size: 0x100, host: 0 }]);
  const ring = new RingReach(space, 0xffff_ff80, 16, 32, READ);
  const words = Array.from({ length: 9 }, (_, index) => ring.wordOf(index));
  expect(words).toEqual([0, 8, 16, 24, 32, 40, 48, 56, -1]);
});
