import { expect, test } from 'vitest';
import { cacheLines } from './cache-lines.js';
import { ring, ringCost } from './cases.js';

const frames = (length: number): Uint8Array[] => [new Uint8Array(length)];

test('split, bursts of 32: 8 lines of descriptors, 3 of the available ring and 6 of the used ring', () => {
  // Index words lie in line 0 of each ring and entries begin at byte 4: a burst's entries straddle one line more, and
  // the first burst has the index words in lines that it needs anyway. (15 + 7 * 17) / 256.
  expect(cacheLines(ring('split', 'xthread', '64', 32), frames(64)).ring).toBe(134 / 256);
});

test('packed, bursts of 32: 8 lines of descriptors out, and the same 8 back', () => {
  expect(cacheLines(ring('packed', 'xthread', '64', 32), frames(64)).ring).toBe(16 / 32);
});

test('packed, one at a time: a line of four descriptors goes out and back for each of them', () => {
  expect(cacheLines(ring('packed', 'xthread', '64', 1), frames(64)).ring).toBe(2);
});

test('packed with IN_ORDER: one descriptor of the burst comes back', () => {
  expect(cacheLines(ring('packed', 'xthread', '64', 32, 'in_order'), frames(64)).ring).toBe(9 / 32);
});

test('packed with INDIRECT_DESC: half a line of table more per buffer', () => {
  expect(cacheLines(ring('packed', 'xthread', '64', 32, 'indirect'), frames(64)).ring).toBe(32 / 32);
});

test('payload lines are counted per frame, the last one of a frame whole', () => {
  const plan = ring('split', 'xthread', '1500', 32);
  expect(cacheLines(plan, frames(64)).payload).toBe(1);
  expect(cacheLines(plan, frames(65)).payload).toBe(2);
  expect(cacheLines(plan, frames(1500)).payload).toBe(24);
  expect(cacheLines(plan, [...frames(64), ...frames(1500)]).payload).toBe(12.5);
  expect(cacheLines(ringCost('split', 32), frames(64)).payload).toBe(0);
});
