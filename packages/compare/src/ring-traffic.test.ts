import { expect, test } from 'vitest';
import { ringTraffic } from './ring-traffic.js';

const SIZE = 256;

test('split, bursts of 32: descriptors, available entries and their index are read, used elements and theirs written', () => {
  const { lines, transactions, bytes } = ringTraffic({ layout: 'split', size: SIZE, burst: 32 });
  expect([lines, transactions]).toEqual([134 / SIZE, 5 / 32]);
  // 16 of a descriptor, 2 of the available ring, 8 of the used ring; two indexes for a burst.
  expect(bytes).toBe(26 + 4 / 32);
});

test('packed, bursts of 32: one read and one write of the same descriptors', () => {
  expect(ringTraffic({ layout: 'packed', size: SIZE, burst: 32 })).toEqual({
    lines: 16 / 32,
    transactions: 2 / 32,
    bytes: 32,
  });
});

test('one at a time: five transactions with a split ring, two with a packed one', () => {
  expect(ringTraffic({ layout: 'split', size: SIZE, burst: 1 }).transactions).toBe(5);
  expect(ringTraffic({ layout: 'packed', size: SIZE, burst: 1 }).transactions).toBe(2);
});

test('a table is read for each buffer; with IN_ORDER one element stands for a burst', () => {
  expect(ringTraffic({ layout: 'packed', size: SIZE, burst: 32, variant: 'indirect' })).toEqual({
    lines: 32 / 32,
    transactions: 34 / 32,
    bytes: 64,
  });
  expect(ringTraffic({ layout: 'split', size: SIZE, burst: 32, variant: 'in_order' })).toMatchObject({
    transactions: 5 / 32,
    bytes: 18 + 12 / 32,
  });
});
