import { expect, test } from 'vitest';
import { COMMAND, MEMORY_AND_MASTER, started, testFunction } from './testing/test-function.js';

test('PCIe 5.0 §7.5.1: the header before anything is written', () => {
  const { pci } = testFunction();
  expect(pci.configRead(0x00, 4)).toBe(0x1041_1af4);
  expect(pci.configRead(0x04, 4)).toBe(0x0010_0000); // Status: Capabilities List
  expect(pci.configRead(0x08, 4)).toBe(0x0200_0001);
  expect(pci.configRead(0x0c, 4)).toBe(0);
  expect(pci.configRead(0x10, 4)).toBe(0x0000_000c); // 64-bit, prefetchable
  expect(pci.configRead(0x18, 4)).toBe(0);
  expect(pci.configRead(0x1c, 4)).toBe(1); // I/O
  expect(pci.configRead(0x2c, 4)).toBe(0x1100_1af4);
  expect(pci.configRead(0x30, 4)).toBe(0);
  expect(pci.configRead(0x34, 1)).toBe(0x40);
  expect(pci.configRead(0x3c, 4)).toBe(0x0000_0100);
});

test('PCIe 5.0 §7.5.1.1.3: of Command, what the function has can be written', () => {
  const { pci } = testFunction();
  pci.configWrite(COMMAND, 2, 0xffff);
  expect(pci.configRead(COMMAND, 2)).toBe(0x0547);
  const bare = testFunction({ interruptPin: 0, bars: [], capabilities: [] });
  bare.pci.configWrite(COMMAND, 2, 0xffff);
  expect(bare.pci.configRead(COMMAND, 2)).toBe(0x0144);
});

test('PCIe 5.0 §7.5.1.1.4: error bits of Status go by writing 1, the others are read-only', () => {
  const { pci } = testFunction();
  pci.config.set16(6, 0xf910);
  pci.configWrite(6, 2, 0x8001);
  expect(pci.configRead(6, 2)).toBe(0x7910);
  pci.configWrite(7, 1, 0xff);
  expect(pci.configRead(6, 2)).toBe(0x0010);
});

test('ids, class, pin and the expansion ROM, which is not there, are read-only; Interrupt Line and Cache Line Size are not', () => {
  const { pci } = testFunction();
  const before = pci.config.bytes.slice(0, 0x40);
  for (let at = 0; at < 0x40; at++) if (at !== 4 && at !== 5 && (at < 0x10 || at >= 0x28)) pci.configWrite(at, 1, 0xff);
  before[0x0c] = 0xff;
  before[0x3c] = 0xff;
  expect(pci.config.bytes.slice(0, 0x40)).toEqual(before);
});

test('PC-21: sizing with all ones while running gives the mask, moves nothing to where RAM may be, and the address comes back', () => {
  const { pci, events } = started();
  expect([pci.barAddress(0), pci.barAddress(2), pci.barAddress(3)]).toEqual([0x10_fe00_0000, 0xfd00_0000, 0xc040]);
  const low = pci.configRead(0x10, 4);
  const high = pci.configRead(0x14, 4);
  pci.configWrite(0x14, 4, 0xffff_ffff);
  pci.configWrite(0x10, 4, 0xffff_ffff);
  expect([pci.configRead(0x10, 4), pci.configRead(0x14, 4)]).toEqual([0xffff_c00c, 0xffff_ffff]);
  expect(pci.barAt(0x10_fe00_0000, false)).toBe(-1);
  pci.configWrite(0x10, 4, low);
  pci.configWrite(0x14, 4, high);
  expect(events).toEqual(['bar 0 off', 'bar 0 10fe000000']);
  expect(pci.barAt(0x10_fe00_3fff, false)).toBe(0);
  expect(pci.barAt(0x10_fe00_4000, false)).toBe(-1);
  pci.configWrite(0x18, 4, 0xffff_ffff);
  expect(pci.configRead(0x18, 4)).toBe(0xffff_f000);
  expect(pci.barAddress(2)).toBe(-1);
  pci.configWrite(0x1c, 4, 0xffff_ffff);
  expect(pci.configRead(0x1c, 4)).toBe(0xffff_ffc1);
  expect(pci.barAddress(3)).toBe(-1);
});

test('BAR sizing works byte by byte', () => {
  const { pci } = testFunction();
  for (let i = 0; i < 8; i++) pci.configWrite(0x10 + i, 1, 0xff);
  expect([0, 1, 2, 3, 4, 5, 6, 7].map((i) => pci.configRead(0x10 + i, 1))).toEqual([
    0x0c, 0xc0, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff,
  ]);
});

test('a 64-bit BAR of 8 GiB is sized in its high half', () => {
  const { pci } = testFunction({
    capabilities: [],
    bars: [{ index: 4, space: 'memory64', size: 2 ** 33, regions: [] }],
  });
  pci.configWrite(0x20, 4, 0xffff_ffff);
  pci.configWrite(0x24, 4, 0xffff_ffff);
  expect([pci.configRead(0x20, 4), pci.configRead(0x24, 4)]).toEqual([0x0000_0004, 0xffff_fffe]);
});

test('PC-19: without memory or I/O space, BARs read as all ones and writes vanish', () => {
  const { pci, accesses, events, registers } = started();
  registers[0] = 0x5a;
  expect(pci.barRead(0, 0x100, 4)).toBe(0x5a);
  pci.configWrite(COMMAND, 2, 0x0005);
  expect(pci.barRead(0, 0x100, 4)).toBe(0xffff_ffff);
  pci.barWrite(0, 0x100, 4, 1);
  expect(pci.barRead(3, 0, 2)).toBe(0);
  pci.configWrite(COMMAND, 2, 0x0006);
  expect(pci.barRead(3, 0, 2)).toBe(0xffff);
  expect(pci.barRead(0, 0x100, 1)).toBe(0x5a);
  expect(accesses).toEqual(['r4@0', 'r2@0', 'r1@0']);
  expect(events).toEqual(['bar 0 off', 'bar 2 off', 'bar 0 10fe000000', 'bar 2 fd000000', 'bar 3 off']);
});

test('PC-09: accesses of every size and alignment arrive as aligned pieces and read back what was written', () => {
  const { pci, accesses, registers } = started();
  for (const size of [1, 2, 3, 4])
    for (let at = 0; at < 9; at++) {
      accesses.length = 0;
      const value = [0x81, 0x8281, 0x83_8281, 0x8483_8281][size - 1]!;
      registers.fill(0);
      pci.barWrite(0, 0x100 + at, size, value);
      expect(pci.barRead(0, 0x100 + at, size)).toBe(value);
      expect([...registers.subarray(at, at + size)]).toEqual([0x81, 0x82, 0x83, 0x84].slice(0, size));
      for (const access of accesses) {
        const [, width, where] = /^[rw](\d)@([0-9a-f]+)/.exec(access)!;
        expect(Number.parseInt(where!, 16) % Number(width)).toBe(0);
      }
    }
});

test('PC-09: straddling the end of a region reaches what is in it, the rest reads as 0; sizes that are none do nothing', () => {
  const { pci, accesses, registers } = started();
  registers[0xfe] = 0x11;
  registers[0xff] = 0x22;
  expect(pci.barRead(0, 0x1fe, 4)).toBe(0x2211);
  pci.barWrite(0, 0xfe, 4, 0x4433_2211);
  expect(registers[0]).toBe(0x33);
  accesses.length = 0;
  for (const size of [0, 5, 8, -1, 1.5, Number.NaN]) {
    expect(pci.barRead(0, 0x100, size)).toBe(0xffff_ffff);
    pci.barWrite(0, 0x100, size, 0);
    expect(pci.configRead(0, size)).toBe(0xffff_ffff);
    pci.configWrite(COMMAND, size, 0);
  }
  for (const offset of [-1, 0x3ffd, 0x4000, 0x1_0000_0000, 0.5, Number.NaN]) {
    expect(pci.barRead(0, offset, 4)).toBe(0xffff_ffff);
    pci.barWrite(0, offset, 4, 0);
  }
  for (const bar of [-1, 1, 4, 6, 7, 0.5]) expect(pci.barRead(bar, 0, 4)).toBe(0xffff_ffff);
  expect(accesses).toEqual([]);
  expect(pci.configRead(COMMAND, 2)).toBe(MEMORY_AND_MASTER | 1);
});

test('PC-23: configuration accesses at the end of the space touch nothing past it', () => {
  const { pci } = testFunction();
  expect(pci.config.size).toBe(0x1000);
  expect(pci.configRead(0xfff, 4)).toBe(0xffff_ff00);
  expect(pci.configRead(0xffe, 3)).toBe(0xff_0000);
  expect(pci.configRead(0x1000, 4)).toBe(0xffff_ffff);
  const before = pci.config.bytes.slice();
  pci.configWrite(0xfff, 4, 0x1234_5678);
  pci.configWrite(0x1000, 4, 0);
  pci.configWrite(-2, 4, 0);
  expect(pci.config.bytes).toEqual(before);
  const conventional = testFunction({ capabilities: [], bars: [] });
  expect(conventional.pci.configRead(0xfe, 4)).toBe(0xffff_0000);
  expect(conventional.pci.configRead(0x100, 4)).toBe(0xffff_ffff);
});
