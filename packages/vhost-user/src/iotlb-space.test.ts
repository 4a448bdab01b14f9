import { ACCESS, HostMemory, RangeList, RESOLVE } from '@ringwire/guest-memory';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { IotlbMisses } from './iotlb-misses.js';
import { IotlbSpace } from './iotlb-space.js';

const PAGE = 4096;
const BASE = 0x1_0000_0000;
const memory = HostMemory.create(0x10_0000);
const { READ, WRITE } = ACCESS;

test('whatever comes and goes: what is translated resolves, all else does not', () => {
  const change = fc.record({
    page: fc.nat(15),
    pages: fc.integer({ min: 1, max: 6 }),
    /** Which of two places in host memory; or none. */
    place: fc.constantFrom(0, 1, undefined),
    access: fc.constantFrom(1, 2, 3),
  });
  const look = fc.record({ at: fc.nat(20 * PAGE), length: fc.nat(5 * PAGE), access: fc.constantFrom(1, 2, 3) });
  const hostOf = (page: number, place: number): number => (place * 64 + page) * PAGE;
  fc.assert(
    fc.property(fc.array(change, { maxLength: 20 }), fc.array(look, { maxLength: 20 }), (changes, looks) => {
      const space = new IotlbSpace(memory);
      const model = new Map<number, { place: number; access: number }>();
      for (const { page, pages, place, access } of changes) {
        const here = Array.from({ length: pages }, (_, at) => page + at);
        if (place === undefined) {
          space.remove(BASE + page * PAGE, BASE + (page + pages) * PAGE);
          for (const at of here) model.delete(at);
          continue;
        }
        const fits = here.every((at) => (model.get(at)?.place ?? place) === place);
        expect(space.add(BASE + page * PAGE, pages * PAGE, hostOf(page, place), access)).toBe(fits);
        if (fits) for (const at of here) model.set(at, { place, access });
      }
      for (const { at, length, access } of looks) {
        const first = Math.floor(at / PAGE);
        const last = Math.floor((at + Math.max(length, 1) - 1) / PAGE);
        const there = Array.from({ length: last - first + 1 }, (_, n) => model.get(first + n));
        const resolved = space.resolve(BASE + at, length, access);
        const ranges = new RangeList();
        const isThere = there.every((one) => one !== undefined && (access & ~one.access) === 0);
        expect(space.resolveRanges(BASE + at, length, access, ranges)).toBe(isThere);
        if (!isThere) {
          expect([resolved, ranges.count]).toEqual([RESOLVE.FAULT, 0]);
          continue;
        }
        const isOne = there.every((one) => one!.place === there[0]!.place);
        expect(resolved).toBe(isOne ? hostOf(first, there[0]!.place) + (at % PAGE) : RESOLVE.SPLIT);
        let done = at;
        for (let range = 0; range < ranges.count; range++) {
          expect(ranges.offset[range]).toBe(
            hostOf(Math.floor(done / PAGE), model.get(Math.floor(done / PAGE))!.place) + (done % PAGE),
          );
          done += ranges.length[range]!;
        }
        expect(done).toBe(at + length);
      }
    }),
    { numRuns: 500 },
  );
});

test.each([-1, 0.5, Number.NaN, 2 ** 53, Number.POSITIVE_INFINITY])(
  '%d is no address, and nobody is asked',
  (address) => {
    const space = new IotlbSpace(memory);
    space.add(0, PAGE, 0, READ | WRITE);
    expect(space.resolve(address, 1, READ)).toBe(RESOLVE.FAULT);
    expect(space.resolve(0, address, READ)).toBe(RESOLVE.FAULT);
    expect(space.misses.next()).toBeUndefined();
  },
);

test('VU-22: translations are bounded in number: an old one makes room, and is asked for again', () => {
  const space = new IotlbSpace(memory);
  for (let page = 0; page < 2049; page++) space.add(2 * page * PAGE, PAGE, 0, READ);
  expect(space.resolve(2 * PAGE, 1, READ)).toBe(0);
  expect(space.resolve(4096 * PAGE, 1, READ)).toBe(0);
  expect(space.misses.count).toBe(0);
  expect(space.resolve(0, 1, READ)).toBe(RESOLVE.FAULT);
  expect(space.misses.next()).toMatchObject({ iova: 0, access: READ });
});

test('VU-23: what is asked for is bounded in number, each page once, and what was left out is asked for later', () => {
  const misses = new IotlbMisses();
  for (let round = 0; round < 3; round++) for (let page = 0; page < 1000; page++) misses.note(page * PAGE + 7, READ);
  const asked: number[] = [];
  for (let miss = misses.next(); miss !== undefined; miss = misses.next()) {
    asked.push(miss.iova / PAGE);
    misses.told(miss);
  }
  expect(asked).toEqual(Array.from({ length: 64 }, (_, page) => page));
  expect(misses.settle(0, 10 * PAGE)).toBe(READ);
  misses.note(70 * PAGE, WRITE);
  expect(misses.next()).toMatchObject({ iova: 70 * PAGE, access: WRITE });
});

test('a failed access is told once, and again when it happens again', () => {
  const misses = new IotlbMisses();
  for (let round = 0; round < 2; round++) {
    for (let access = 0; access < 1000; access++) misses.noteFailure(PAGE + access, WRITE);
    const miss = misses.next()!;
    expect(miss).toMatchObject({ kind: 4, iova: PAGE, access: WRITE });
    misses.told(miss);
    expect(misses.next()).toBeUndefined();
  }
});
