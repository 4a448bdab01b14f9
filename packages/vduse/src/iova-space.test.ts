import { openSync, writeSync } from 'node:fs';
import { ACCESS, HostMemory, RangeList, RESOLVE } from '@ringwire/guest-memory';
import { close, newMemoryFile } from '@ringwire/linux';
import { PeerMemory } from '@ringwire/peer-memory';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { IovaSpace } from './iova-space.js';
import type { Region } from './node.js';

const { READ, WRITE } = ACCESS;
const PAGE = 0x1000;
const BASE = 0x1_0000_0000;

let file: number;
let peers: PeerMemory;
let space: IovaSpace;
/** What the kernel has, without descriptors. */
let regions: Omit<Region, 'fd'>[];
let asked: [bigint, bigint][];
let open: number;

beforeEach(() => {
  file = newMemoryFile('ram', 16 * PAGE);
  for (let page = 0; page < 16; page++) writeSync(file, Uint8Array.of(page + 1), 0, 1, page * PAGE);
  const memory = HostMemory.create(0x200_0000);
  peers = new PeerMemory(memory, 0, memory.size);
  regions = [];
  asked = [];
  open = 0;
  space = new IovaSpace(peers, {
    region: (first, last) => {
      asked.push([first, last]);
      const found = regions.find((one) => one.first <= last && one.last >= first);
      if (found === undefined) return 'EINVAL';
      open++;
      return { fd: openSync(`/proc/self/fd/${file}`, 'r+'), ...found };
    },
    closeFile: (fd) => {
      open--;
      close(fd);
    },
  });
});

afterEach(() => {
  space.clear();
  expect([peers.inUse, open]).toEqual([0, 0]);
  close(file);
});

/** Pages of the file at an address. */
function region(page: number, pages: number, at: number, access: number = READ | WRITE): Omit<Region, 'fd'> {
  const first = BigInt(at);
  return { offset: BigInt(page * PAGE), first, last: first + BigInt(pages * PAGE) - 1n, access };
}

const byteAt = (address: number): number => space.memory.u8[space.resolve(address, 1, READ)]!;

test('a region is asked for when it is first met, and once', () => {
  regions = [region(3, 2, BASE)];
  expect([byteAt(BASE), byteAt(BASE + PAGE)]).toEqual([4, 5]);
  expect([asked, space.count]).toEqual([[[BigInt(BASE), BigInt(BASE)]], 1]);
  const window = space.windowFor();
  expect([window.hi, window.lo32, window.bytes, window.refused & WRITE]).toEqual([1, 0, 2 * PAGE, 0]);
});

test('a stretch over several regions comes in pieces; with a hole in it, or before it, it is a fault', () => {
  regions = [region(3, 1, BASE), region(9, 1, BASE + PAGE), region(1, 1, BASE + 3 * PAGE)];
  expect(space.resolve(BASE + 1, 2 * PAGE - 1, READ)).toBe(RESOLVE.SPLIT);
  const ranges = new RangeList();
  expect(space.resolveRanges(BASE + 1, 2 * PAGE - 1, READ, ranges)).toBe(true);
  expect([...ranges.length.subarray(0, ranges.count)]).toEqual([PAGE - 1, PAGE]);
  expect(ranges.offset[1]).toBe(space.resolve(BASE + PAGE, 1, READ));
  expect([space.faults, space.count]).toEqual([0, 2]);
  expect(space.resolve(BASE + PAGE, PAGE + 1, READ)).toBe(RESOLVE.FAULT);
  expect(space.resolve(BASE + 2 * PAGE, 2 * PAGE, READ)).toBe(RESOLVE.FAULT);
  expect(space.resolveRanges(BASE + 2 * PAGE, 2 * PAGE, READ, ranges)).toBe(false);
  expect([space.faults, space.count, ranges.count]).toEqual([3, 2, 2]);
  expect(byteAt(BASE + 3 * PAGE)).toBe(2);
});

test('what may only be read is not written, and what may only be written is not reached', () => {
  regions = [region(3, 1, BASE, READ), region(4, 1, BASE + PAGE, WRITE)];
  expect(byteAt(BASE)).toBe(4);
  expect(space.resolve(BASE, 1, WRITE)).toBe(RESOLVE.FAULT);
  expect(space.resolve(BASE + PAGE, 1, WRITE)).toBe(RESOLVE.FAULT);
  expect(space.problem).toBe('the region from 0x100001000 to 0x100001fff cannot be read');
});

test.each([-1, 0.5, Number.NaN, 2 ** 53, Number.POSITIVE_INFINITY])(
  '%d is no address, and nobody is asked',
  (address) => {
    regions = [{ offset: 0n, first: 0n, last: 2n ** 64n - 1n, access: READ }];
    expect(space.resolve(address, 1, READ)).toBe(RESOLVE.FAULT);
    expect(space.resolve(0, address, READ)).toBe(RESOLVE.FAULT);
    expect(asked).toEqual([]);
  },
);

test('a region that is larger than there is room, or lies beyond 2^53, is not reached, and it is known why', () => {
  regions = [{ offset: 0n, first: 0n, last: 2n ** 40n, access: READ }];
  expect(space.resolve(5, 1, READ)).toBe(RESOLVE.FAULT);
  expect(space.problem).toMatch(/^the region from 0x0 to 0x10000000000: no room for/);
  regions = [{ offset: 2n ** 60n, first: 0n, last: BigInt(PAGE - 1), access: READ }];
  expect(space.resolve(5, 1, READ)).toBe(RESOLVE.FAULT);
  expect(space.problem).toBe('the region from 0x0 to 0xfff lies beyond 2^53');
  expect(peers.inUse).toBe(0);
});

test('VU-22: a region that overlaps another one is not reached until that is gone', () => {
  regions = [region(3, 2, BASE)];
  expect(byteAt(BASE)).toBe(4);
  regions = [region(8, 3, BASE + PAGE)];
  expect(space.resolve(BASE + 2 * PAGE, 1, READ)).toBe(RESOLVE.FAULT);
  expect(space.problem).toBe('the region from 0x100001000 to 0x100003fff overlaps another one');
  space.drop(BigInt(BASE), BigInt(BASE));
  expect([byteAt(BASE + 2 * PAGE), byteAt(BASE + PAGE)]).toEqual([10, 9]);
});

test('what is dropped is not mapped any more, a new burst knows it, and all else stays', () => {
  regions = [region(3, 1, BASE), region(4, 1, BASE + PAGE)];
  expect([byteAt(BASE), byteAt(BASE + PAGE)]).toEqual([4, 5]);
  const before = space.enter();
  space.leave();
  space.drop(0n, BigInt(BASE) - 1n);
  expect([space.enter(), space.count]).toEqual([before, 2]);
  space.leave();
  regions = [region(4, 1, BASE + PAGE)];
  space.drop(BigInt(BASE), BigInt(BASE));
  expect(space.count).toBe(1);
  expect(space.enter()).not.toBe(before);
  expect([space.resolve(BASE, 1, READ), byteAt(BASE + PAGE)]).toEqual([RESOLVE.FAULT, 5]);
  space.leave();
});

test('regions are bounded in number: when there are too many, all are asked for anew', () => {
  regions = Array.from({ length: 1025 }, (_, at) => region(at % 16, 1, BASE + 2 * at * PAGE));
  const memory = HostMemory.create(0x1_0000_0000 - 0x1_0000);
  const room = new PeerMemory(memory, 0, memory.size);
  const many = new IovaSpace(room, {
    region: (first, last) => {
      const found = regions.find((one) => one.first <= last && one.last >= first)!;
      return { fd: openSync(`/proc/self/fd/${file}`, 'r+'), ...found };
    },
    closeFile: close,
  });
  for (const { first } of regions) expect(many.resolve(Number(first), 1, READ)).toBeGreaterThanOrEqual(0);
  expect(many.count).toBe(1025);
  many.enter();
  expect([many.count, room.inUse]).toEqual([0, 0]);
  many.leave();
});
