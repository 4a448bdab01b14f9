import { VirtioError } from '@ringwire/virtio-spec';
import fc from 'fast-check';
import { beforeEach, expect, test } from 'vitest';
import { HostMemory } from './host-memory.js';
import { copyRanges, gather, scatter } from './range-copy.js';
import { RangeList } from './range-list.js';

const memory = HostMemory.create(0x1_0000);

beforeEach(() => {
  for (let at = 0; at < memory.size; at++) memory.u8[at] = (at * 7 + (at >> 8)) & 0xff;
});

function listOf(...ranges: [number, number][]): RangeList {
  const list = new RangeList(1);
  for (const [offset, length] of ranges) list.push(offset, length);
  return list;
}

test('bytes flow across different cuts until the shorter side ends', () => {
  const from = listOf([0, 3], [100, 0], [10, 5]);
  const to = listOf([1000, 1], [2000, 4], [3000, 9]);
  memory.u8.set([1, 2, 3], 0);
  memory.u8.set([4, 5, 6, 7, 8], 10);
  const behind = memory.u8[3003];
  expect(copyRanges(memory, to, 0, 3, from, 0, 3)).toBe(8);
  expect(memory.u8[1000]).toBe(1);
  expect([...memory.u8.slice(2000, 2004)]).toEqual([2, 3, 4, 5]);
  expect([...memory.u8.slice(3000, 3003)]).toEqual([6, 7, 8]);
  expect(memory.u8[3003]).toBe(behind);
});

test('only the named ranges take part', () => {
  const from = listOf([0, 4], [16, 4], [32, 4]);
  const to = listOf([1000, 4], [1016, 4]);
  memory.u8.set([9, 9, 9, 9], 16);
  expect(copyRanges(memory, to, 1, 1, from, 1, 1)).toBe(4);
  expect([...memory.u8.slice(1016, 1020)]).toEqual([9, 9, 9, 9]);
  expect(copyRanges(memory, to, 0, 0, from, 0, 3)).toBe(0);
  expect(copyRanges(memory, to, 0, 2, from, 3, 0)).toBe(0);
});

test('ranges that are not in the list, or not in the memory, are refused', () => {
  const list = listOf([0, 4]);
  const outside = listOf([memory.size - 4, 5]);
  const many = new Uint8Array(100);
  expect(() => copyRanges(memory, list, 0, 2, list, 0, 1)).toThrow(VirtioError);
  expect(() => copyRanges(memory, list, 0, 1, list, 1, 1)).toThrow(VirtioError);
  expect(() => copyRanges(memory, list, 0, 1, list, 0, 1, -1)).toThrow('toSkip is -1');
  expect(() => copyRanges(memory, outside, 0, 1, listOf([0, 9]), 0, 1)).toThrow(VirtioError);
  expect(() => gather(memory, list, 0, 2, many)).toThrow(VirtioError);
  expect(() => gather(memory, outside, 0, 1, many)).toThrow(VirtioError);
  expect(() => scatter(memory, list, -1, 1, many)).toThrow(VirtioError);
  expect(() => scatter(memory, outside, 0, 1, many)).toThrow(VirtioError);
  expect(() => scatter(memory, list, 0, 1, many, Number.NaN)).toThrow('skip is NaN');
});

/** Host offsets of the bytes of a list, one by one. */
function bytesOf(ranges: readonly [number, number][]): number[] {
  return ranges.flatMap(([offset, length]) => Array.from({ length }, (_, at) => offset + at));
}

const anyRanges = (base: number): fc.Arbitrary<[number, number][]> =>
  fc.array(fc.tuple(fc.integer({ min: base, max: base + 3000 }), fc.oneof(fc.nat(8), fc.nat(200))), { maxLength: 8 });

test('copyRanges agrees with one byte at a time', () => {
  fc.assert(
    fc.property(anyRanges(0x8000), anyRanges(0), fc.nat(40), fc.nat(40), (to, from, toSkip, fromSkip) => {
      const targets = bytesOf(to).slice(toSkip);
      const sources = bytesOf(from).slice(fromSkip);
      const want = memory.u8.slice();
      const count = Math.min(targets.length, sources.length);
      for (let at = 0; at < count; at++) want[targets[at]!] = want[sources[at]!]!;
      const toList = listOf([1, 1], ...to);
      const fromList = listOf(...from, [1, 1]);
      const copied = copyRanges(memory, toList, 1, to.length, fromList, 0, from.length, toSkip, fromSkip);
      expect(copied).toBe(count);
      expect(Buffer.compare(memory.u8, want)).toBe(0);
    }),
    { numRuns: 500 },
  );
});

test('gather and scatter agree with one byte at a time', () => {
  fc.assert(
    fc.property(anyRanges(0), fc.uint8Array({ maxLength: 500 }), fc.nat(40), (ranges, bytes, skip) => {
      const list = listOf(...ranges);
      const places = bytesOf(ranges).slice(skip, skip + bytes.length);
      const out = bytes.slice();
      expect(gather(memory, list, 0, list.count, out, skip)).toBe(places.length);
      const gathered = [...places.map((place) => memory.u8[place]!), ...bytes.slice(places.length)];
      expect([...out]).toEqual(gathered);
      const want = memory.u8.slice();
      places.forEach((place, at) => {
        want[place] = bytes[at]!;
      });
      expect(scatter(memory, list, 0, list.count, bytes, skip)).toBe(places.length);
      expect(Buffer.compare(memory.u8, want)).toBe(0);
    }),
    { numRuns: 500 },
  );
});
