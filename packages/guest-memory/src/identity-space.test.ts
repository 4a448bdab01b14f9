import { expect, test } from 'vitest';
import { ACCESS, RESOLVE } from './address-space.js';
import { HostMemory } from './host-memory.js';
import { IdentitySpace } from './identity-space.js';
import { RangeList } from './range-list.js';

const space = new IdentitySpace(HostMemory.create(0x1_0000));

test('an address is its own host offset, up to the last byte', () => {
  expect(space.resolve(0, 0x1_0000, ACCESS.READ | ACCESS.WRITE)).toBe(0);
  expect(space.resolve(0xffff, 1, ACCESS.WRITE)).toBe(0xffff);
  expect(space.resolve(0xffff, 0, 0)).toBe(0xffff);
});

test('host offsets never become void: every burst has the same number', () => {
  expect(space.enter()).toBe(0);
  space.leave();
  expect(space.enter()).toBe(0);
  space.leave();
});

test.each([
  [0, 0x1_0001],
  [0xffff, 2],
  [0x1_0000, 0],
  [0x1_0000, 1],
  [-1, 1],
  [2 ** 32, 1],
  [2 ** 53, 1],
  [0, -1],
  [1, 2 ** 32 - 1],
  [0, 2 ** 32],
  [0.5, 1],
  [0, 0.5],
  [Number.NaN, 1],
  [0, Number.NaN],
  [Number.POSITIVE_INFINITY, 1],
])('%d + %d is a fault', (address, length) => {
  const ranges = new RangeList();
  expect(space.resolve(address, length, ACCESS.READ)).toBe(RESOLVE.FAULT);
  expect(space.resolveRanges(address, length, ACCESS.READ, ranges)).toBe(false);
  expect(ranges.count).toBe(0);
});

test('an access that does not exist is a fault', () => {
  expect(space.resolve(0, 1, 4)).toBe(RESOLVE.FAULT);
});

test('ranges are appended; an empty one is not', () => {
  const ranges = new RangeList();
  expect(space.resolveRanges(16, 32, ACCESS.READ, ranges)).toBe(true);
  expect(space.resolveRanges(64, 0, ACCESS.READ, ranges)).toBe(true);
  expect([ranges.count, ranges.offset[0], ranges.length[0]]).toEqual([1, 16, 32]);
});
