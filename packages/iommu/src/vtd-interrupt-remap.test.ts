import { describe, expect, test } from 'vitest';
import { REG, VtdBench } from './testing/vtd-bench.js';
import { newInterruptMessage, REMAPPED } from './vtd-interrupt-remap.js';

const TABLE = 0x1_0000;
const SID = 0x0118;
const IRE = 0x0200_0000;
const out = newInterruptMessage();

/** 256 entries; entry 5 is vector 0x31 to APIC 0x12, physical, edge, for requester 01:03.0 alone. */
function remapBench(x2apic = false): VtdBench {
  const bench = new VtdBench({ capabilities: { x2apic } });
  bench.put(TABLE + 5 * 16, 0x0000_1200_0031_0001n, 0x0004_0118n);
  bench.unit.write(REG.IRTA, 8, BigInt(TABLE | 7 | (x2apic ? 0x800 : 0)));
  bench.unit.write(REG.GCMD, 4, 0x0100_0000);
  bench.unit.write(REG.GCMD, 4, IRE);
  return bench;
}

/** Remappable format: handle 14:0 in 19:5, bit 15 in 2; format 4; SHV 3. */
const address = (handle: number, shv = false): number =>
  0xfee0_0010 + ((handle & 0x7fff) << 5) + ((handle >>> 15) << 2) + (shv ? 8 : 0);

test('VT-d 4.0 §5.1.5.1: an entry makes the message', () => {
  const bench = remapBench();
  expect(bench.unit.remapInterrupt(SID, address(5), 0xdead, out)).toBe(REMAPPED.REMAPPED);
  expect(out).toEqual({ addressLow: 0xfee1_2000, addressHigh: 0, data: 0x4031 });
  // Logical, redirection hint, level-triggered, lowest priority.
  bench.put(TABLE + 5 * 16, 0x0000_ff00_0031_003dn);
  bench.unit.remapInterrupt(SID, address(5), 0, out);
  expect(out).toEqual({ addressLow: 0xfeef_f00c, addressHigh: 0, data: 0xc131 });
});

test('the subhandle is added to the handle', () => {
  const bench = remapBench();
  expect(bench.unit.remapInterrupt(SID, address(3, true), 2, out)).toBe(REMAPPED.REMAPPED);
  expect(out.data).toBe(0x4031);
});

test('x2APIC: 32 bits of destination, the upper 24 in the upper address', () => {
  const bench = remapBench(true);
  bench.put(TABLE + 5 * 16, 0x1234_5678_0031_0001n);
  expect(bench.unit.remapInterrupt(SID, address(5), 0, out)).toBe(REMAPPED.REMAPPED);
  expect(out).toEqual({ addressLow: 0xfee7_8000, addressHigh: 0x1234_5600, data: 0x4031 });
});

test('with remapping off messages pass as they are', () => {
  const bench = remapBench();
  bench.unit.write(REG.GCMD, 4, 0);
  expect(bench.unit.remapInterrupt(SID, 0xfee0_1000, 0x41, out)).toBe(REMAPPED.UNCHANGED);
  expect(out).toEqual({ addressLow: 0xfee0_1000, addressHigh: 0, data: 0x41 });
});

test('the compatibility format passes only with CFI, and never in extended mode', () => {
  const bench = remapBench();
  expect(bench.unit.remapInterrupt(SID, 0xfee0_1000, 0x41, out)).toBe(REMAPPED.BLOCKED);
  expect(bench.takeReason()).toBe(0x25);
  bench.unit.write(REG.GCMD, 4, IRE + 0x0080_0000);
  expect(bench.unit.remapInterrupt(SID, 0xfee0_1000, 0x41, out)).toBe(REMAPPED.UNCHANGED);
  const extended = remapBench(true);
  extended.unit.write(REG.GCMD, 4, IRE + 0x0080_0000);
  expect(extended.unit.remapInterrupt(SID, 0xfee0_1000, 0x41, out)).toBe(REMAPPED.BLOCKED);
});

describe('IO-31: interrupts that are blocked, each with its reason', () => {
  const entry = TABLE + 5 * 16;
  test.each<[string, number, number, bigint[] | undefined, number]>([
    ['index past the table', address(256), 0, undefined, 0x21],
    ['index past the table by its subhandle', address(255, true), 1, undefined, 0x21],
    ['index with bit 15', address(0x8005), 0, undefined, 0x21],
    ['reserved data bits with a subhandle', address(5, true), 0x1_0000, undefined, 0x20],
    ['entry not present', address(5), 0, [0x0000_1200_0031_0000n], 0x22],
    ['entry of another requester', address(5), 0, [0x0000_1200_0031_0001n, 0x0004_0119n], 0x26],
    ['entry of other buses', address(5), 0, [0x0000_1200_0031_0001n, 0x0008_0205n], 0x26],
    ['reserved bit 12', address(5), 0, [0x0000_1200_0031_1001n], 0x24],
    ['reserved bit 84', address(5), 0, [0x0000_1200_0031_0001n, 0x0014_0118n], 0x24],
    ['reserved verification type', address(5), 0, [0x0000_1200_0031_0001n, 0x000c_0118n], 0x24],
    ['destination wider than 8 bits', address(5), 0, [0x0001_1200_0031_0001n], 0x24],
    ['posted format, which is not offered', address(5), 0, [0x0000_1200_0031_8001n], 0x24],
  ])('IO-31: %s', (_, at, data, quads, reason) => {
    const bench = remapBench();
    if (quads !== undefined) bench.put(entry, ...quads);
    expect(bench.unit.remapInterrupt(SID, at, data, out)).toBe(REMAPPED.BLOCKED);
    const high = bench.unit.read(REG.FRCD + 8, 8);
    expect(high & 0xffffn).toBe(BigInt(SID));
    expect(high >> 62n).toBe(2n);
    expect(bench.takeReason()).toBe(reason);
  });

  test('IO-31: the record has the index in 63:48', () => {
    const bench = remapBench();
    bench.unit.remapInterrupt(SID, address(0x1ff), 0, out);
    expect(bench.unit.read(REG.FRCD, 8)).toBe(0x01ff_0000_0000_0000n);
  });

  test('IO-31: a table outside RAM', () => {
    const bench = remapBench();
    bench.unit.write(REG.IRTA, 8, 0x7_0000_0007n);
    bench.unit.write(REG.GCMD, 4, IRE + 0x0100_0000);
    expect(bench.unit.remapInterrupt(SID, address(5), 0, out)).toBe(REMAPPED.BLOCKED);
    expect(bench.takeReason()).toBe(0x23);
  });

  test('FPD of the entry hides its faults', () => {
    const bench = remapBench();
    bench.put(entry, 0x0000_1200_0031_0003n, 0x0004_0119n);
    expect(bench.unit.remapInterrupt(SID, address(5), 0, out)).toBe(REMAPPED.BLOCKED);
    expect(bench.takeReason()).toBe(-1);
  });
});

test.each([
  ['SQ 1: function bit 2 left out', 0x0005_0118n, [0x118, 0x11c], [0x119, 0x11a]],
  ['SQ 2: bits 2:1', 0x0006_0118n, [0x118, 0x11a, 0x11c, 0x11e], [0x119]],
  ['SQ 3: bits 2:0', 0x0007_0118n, [0x118, 0x11f], [0x120, 0x218]],
  ['SVT 2: buses 1 to 2', 0x0008_0102n, [0x100, 0x1ff, 0x2ff], [0x0ff, 0x300]],
  ['SVT 0: anybody', 0n, [0, 0xffff], []],
])('VT-d 4.0 §9.10 source id verification, %s', (_, high, yes, no) => {
  const bench = remapBench();
  bench.put(TABLE + 5 * 16 + 8, high);
  for (const sid of yes) expect(bench.unit.remapInterrupt(sid, address(5), 0, out)).toBe(REMAPPED.REMAPPED);
  for (const sid of no) expect(bench.unit.remapInterrupt(sid, address(5), 0, out)).toBe(REMAPPED.BLOCKED);
});
