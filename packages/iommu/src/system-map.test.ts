import { ACCESS, HostMemory, RangeList, RESOLVE } from '@ringwire/guest-memory';
import { describe, expect, test } from 'vitest';
import { BUS_WORDS, InvalidationBus } from './invalidation-bus.js';
import { type MemoryRegion, SystemMap, type SystemRegion } from './system-map.js';

const { READ, WRITE } = ACCESS;
const PAGE = 4096;

function setUp() {
  const calls: string[] = [];
  const ram: MemoryRegion = { kind: 'memory', address: 0, size: 0x8000, host: 0 };
  const rom: MemoryRegion = { kind: 'memory', address: 0x8000, size: PAGE, host: 0x8000, readOnly: true };
  const dimm: MemoryRegion = { kind: 'memory', address: 0x1_0000_0000, size: PAGE, host: 0xc000 };
  const regions: SystemRegion[] = [
    dimm,
    {
      kind: 'window',
      address: 0xfe00_0000,
      size: 0x100,
      read: (offset, bytes) => {
        calls.push(`read ${offset} ${bytes}`);
        return 0x77;
      },
      write: (offset, bytes, value) => void calls.push(`write ${offset} ${bytes} ${value}`),
    },
    { kind: 'interrupt', address: 0xfee0_0000, size: 0x10_0000 },
    rom,
    ram,
  ];
  const memory = HostMemory.create(0x1_0000);
  const words = new Int32Array(new SharedArrayBuffer(BUS_WORDS * 4));
  const unplugged = new Int32Array(new SharedArrayBuffer(regions.length * 4));
  const another = () => new SystemMap({ memory, regions, bus: new InvalidationBus(words), unplugged });
  return { memory, calls, map: another(), another, ram, rom, dimm };
}

test('a device reaches memory, and no window, interrupt, read-only memory for writing, or hole; each is counted', () => {
  const { map, calls } = setUp();
  expect(map.resolve(0x7ffc, 4, WRITE)).toBe(0x7ffc);
  expect(map.resolve(0x7ffc, 8, READ)).toBe(0x7ffc);
  expect(map.resolve(0x1_0000_0010, 4, WRITE)).toBe(0xc010);
  expect(map.blocked).toEqual({ window: 0, interrupt: 0, readOnly: 0, nothing: 0 });
  const cases: [number, number, number][] = [
    [0xfe00_0010, 4, READ],
    [0xfe00_0000, 1, WRITE],
    [0xfee0_1000, 4, WRITE],
    [0x8010, 4, WRITE],
    [0x7ffc, 8, WRITE],
    [0x9000, 1, READ],
    [0x8ffc, 8, READ],
    [Number.NaN, 4, READ],
    [0x1_0000_0ffc, 2 ** 32 - 1, READ],
  ];
  for (const [address, length, access] of cases) expect(map.resolve(address, length, access)).toBe(RESOLVE.FAULT);
  const ranges = new RangeList();
  expect(map.resolveRanges(0xfe00_0000, 4, READ, ranges)).toBe(false);
  expect(map.resolveRanges(0, 4, READ, ranges)).toBe(true);
  expect(map.blocked).toEqual({ window: 3, interrupt: 1, readOnly: 2, nothing: 4 });
  expect(calls).toEqual([]);
});

test('the CPU reaches memory and registers', () => {
  const { map, calls, memory } = setUp();
  map.write(0x1_0000_0004, 4, 0x0403_0201);
  expect([...memory.u8.subarray(0xc004, 0xc008)]).toEqual([1, 2, 3, 4]);
  expect([map.read(0x1_0000_0004, 1), map.read(0x1_0000_0004, 2), map.read(0x1_0000_0004, 4)]).toEqual([
    1, 0x0201, 0x0403_0201,
  ]);
  map.write(0x1_0000_0004, 1, 9);
  map.write(0x1_0000_0006, 2, 0x0807);
  expect(map.read(0x1_0000_0004, 4)).toBe(0x0807_0209);
  expect(map.read(0xfe00_0010, 2)).toBe(0x77);
  map.write(0xfe00_0010, 4, 5);
  expect(calls).toEqual(['read 16 2', 'write 16 4 5']);
  // Into read-only memory, over a border, and where nothing is.
  map.write(0x8000, 4, 1);
  map.write(0xfe00_00fe, 4, 1);
  map.write(0x5000_0000, 4, 1);
  expect(map.read(0x8000, 4)).toBe(0);
  expect([map.read(0xfe00_00fe, 4), map.read(0x5000_0000, 2), map.read(0xfee0_0000, 1)]).toEqual([
    0xffff_ffff, 0xffff, 0xff,
  ]);
  expect(calls).toHaveLength(2);
});

describe('unplugged memory', () => {
  test('is out of reach at once, and in the next burst of every other thread’s map', () => {
    const { map, another, dimm } = setUp();
    const theirs = another();
    map.unplug(dimm);
    expect(map.resolve(dimm.address, 4, READ)).toBe(RESOLVE.FAULT);
    theirs.enter();
    expect(theirs.resolve(dimm.address, 4, READ)).toBe(RESOLVE.FAULT);
    theirs.leave();
    expect(theirs.blocked.nothing).toBe(1);
    expect(map.read(dimm.address, 1)).toBe(0xff);
    theirs.plug(dimm);
    map.enter();
    expect(map.resolve(dimm.address, 4, READ)).toBe(dimm.host);
    map.leave();
    theirs.close();
  });

  test('cannot be unplugged inside this thread’s own burst, and only what is of the map', () => {
    const { map, dimm } = setUp();
    map.enter();
    expect(() => map.unplug(dimm)).toThrow('no unplugging inside this thread’s own burst');
    expect(map.resolve(dimm.address, 4, READ)).toBe(dimm.host);
    map.leave();
    expect(() => map.unplug({ ...dimm })).toThrow('one of the map’s');
  });
});

test('regions that overlap or are none are the caller’s mistake', () => {
  const bus = new InvalidationBus(new Int32Array(BUS_WORDS));
  const memory = HostMemory.create(0x1_0000);
  const at = (address: number, size: number): SystemRegion => ({ kind: 'interrupt', address, size });
  const make =
    (...regions: SystemRegion[]) =>
    () =>
      new SystemMap({ memory, regions, bus });
  expect(make(at(0, 8), at(4, 8))).toThrow('address is 4, want an integer from 8 on');
  expect(make(at(0, 0))).toThrow('size is 0');
  expect(make(at(-1, 4))).toThrow('address is -1');
  expect(() => new SystemMap({ memory, regions: [at(0, 4)], bus, unplugged: new Int32Array(0) })).toThrow('unplugged');
});
