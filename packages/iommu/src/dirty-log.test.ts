import { HostMemory, RangeList } from '@ringwire/guest-memory';
import { describe, expect, test } from 'vitest';
import { DirtyLog } from './dirty-log.js';

const PAGE = 4096;
const BASE = 0x8000;

function setUp(bytes = 8, regions = [{ gpa: 0, size: 0x4_0000, host: 0 }]) {
  const memory = HostMemory.create(0x4_0000);
  const log = new DirtyLog({ memory, base: BASE, bytes, regions });
  return { memory, log, bytes: () => [...memory.u8.subarray(BASE - 1, BASE + bytes + 1)] };
}

test('F23: page n is bit n % 8 of byte n / 8, and nothing beside the log is touched', () => {
  const { log, bytes } = setUp();
  log.mark(0, 1);
  log.mark(9 * PAGE + 4095, 1);
  log.mark(63 * PAGE, PAGE);
  expect(bytes()).toEqual([0, 1, 2, 0, 0, 0, 0, 0, 0x80, 0]);
  expect(log.marks).toBe(3);
});

test('a range marks every page that it has a byte of, over the borders of words', () => {
  const { log, bytes } = setUp();
  log.mark(30 * PAGE + 4095, 3 * PAGE + 2);
  // 30 to 34.
  expect(bytes()).toEqual([0, 0, 0, 0, 0xc0, 0x07, 0, 0, 0, 0]);
  expect(log.take()).toEqual([30, 31, 32, 33, 34].map((page) => page * PAGE));
  log.mark(5 * PAGE, 0);
  log.mark(0, 64 * PAGE);
  expect(bytes().slice(1, 9)).toEqual(Array(8).fill(0xff));
});

test('taking clears, and gives what was marked since', () => {
  const { log, bytes } = setUp();
  log.mark(PAGE, 1);
  expect(log.take()).toEqual([PAGE]);
  expect(log.take()).toEqual([]);
  expect(bytes().every((byte) => byte === 0)).toBe(true);
  log.mark(PAGE, 1);
  expect(log.take()).toEqual([PAGE]);
});

test('pages past the log’s end are counted', () => {
  const { log, bytes } = setUp(4);
  log.mark(31 * PAGE, 3 * PAGE);
  log.mark(2 ** 52, PAGE);
  expect(log.beyond).toBe(3);
  expect(bytes()).toEqual([0, 0, 0, 0, 0x80, 0]);
});

describe('by host offset', () => {
  const regions = [
    { gpa: 0, size: 2 * PAGE, host: 0x1_0000 },
    { gpa: 8 * PAGE, size: 2 * PAGE, host: 0x1_0000 + 2 * PAGE },
    // The second region's first page once more.
    { gpa: 20 * PAGE, size: PAGE, host: 0x1_0000 + 2 * PAGE, readOnly: true },
  ];

  test('pages are those of the guest, each address of the same bytes is marked', () => {
    const { log } = setUp(8, regions);
    log.markHost(0x1_0000 + PAGE + 100, PAGE);
    expect(log.take()).toEqual([PAGE, 8 * PAGE, 20 * PAGE]);
    expect(log.outside).toBe(0);
  });

  test('bytes that are none of the guest’s are counted', () => {
    const { log } = setUp(8, regions);
    log.markHost(0x1_0000 - 8, 16);
    log.markHost(0x3_0000, 4);
    expect(log.take()).toEqual([0]);
    expect(log.outside).toBe(12);
  });

  test('of a list of ranges, as many bytes as were written', () => {
    const { log } = setUp(8, regions);
    const ranges = new RangeList();
    ranges.push(0x1_0000, PAGE);
    ranges.push(0x1_0000 + 3 * PAGE, PAGE);
    log.markRanges(ranges, 0, 2, PAGE);
    expect(log.take()).toEqual([0]);
    log.markRanges(ranges, 0, 2, PAGE + 1);
    expect(log.take()).toEqual([0, 9 * PAGE]);
    log.markRanges(ranges, 1, 1, Number.POSITIVE_INFINITY);
    expect(log.take()).toEqual([9 * PAGE]);
  });
});

test('a log that cannot be is the caller’s mistake', () => {
  const memory = HostMemory.create(0x1_0000);
  const at = (base: number, bytes: number) => () => new DirtyLog({ memory, base, bytes, regions: [] });
  expect(at(2, 4)).toThrow('base is 2');
  expect(at(-4, 4)).toThrow('base is -4');
  expect(at(0, 6)).toThrow('bytes is 6');
  expect(at(0, 0)).toThrow('bytes is 0');
  expect(at(0xfffc, 8)).toThrow('bytes is 8');
});
