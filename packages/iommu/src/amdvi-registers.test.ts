import { expect, test } from 'vitest';
import { AMDVI_MMIO_BYTES, AMDVI_REGISTERS } from './amdvi-registers.js';
import { AmdViBench } from './testing/amdvi-bench.js';

test('AMD IOMMU §3.4: every register is 8 aligned bytes of its own, at the offset that drivers use', () => {
  const rows = Object.entries(AMDVI_REGISTERS);
  expect(rows.map(([name, row]) => `${row.at.toString(16).padStart(4, '0')} ${name}`)).toEqual([
    '0000 DeviceTableBase',
    '0008 CommandBufferBase',
    '0010 EventLogBase',
    '0018 Control',
    '0020 ExclusionBase',
    '0028 ExclusionLimit',
    '0030 ExtendedFeature',
    '2000 CommandBufferHead',
    '2008 CommandBufferTail',
    '2010 EventLogHead',
    '2018 EventLogTail',
    '2020 Status',
  ]);
  for (const [, row] of rows) expect([row.bytes, row.at % 8, row.at < AMDVI_MMIO_BYTES]).toEqual([8, 0, true]);
});

test('AMD IOMMU §3.4: ones written to every register stay only where software may write', () => {
  const { unit } = new AmdViBench();
  const kept = (offset: number): bigint => {
    unit.write(offset, 8, 0xffff_ffff_ffff_ffffn);
    return unit.read(offset, 8);
  };
  expect(kept(0x0000)).toBe(0x000f_ffff_ffff_f1ffn);
  expect(kept(0x0008)).toBe(0x0f0f_ffff_ffff_f000n);
  expect(kept(0x0010)).toBe(0x0f0f_ffff_ffff_f000n);
  expect(kept(0x0020)).toBe(0x000f_ffff_ffff_f003n);
  expect(kept(0x0028)).toBe(0x000f_ffff_ffff_f000n);
  expect(kept(0x2010)).toBe(0x0007_fff0n);
  expect(kept(0x2018)).toBe(0x0007_fff0n);
  expect(kept(0x2000)).toBe(0x0007_fff0n);
  expect(kept(0x2008)).toBe(0x0007_fff0n);
  expect(kept(0x2020)).toBe(0n);
  expect(kept(0x0018)).toBe(0x1fffn);
  // Registers of features that the unit has not: PPR log, guest virtual APIC log.
  expect(kept(0x0038)).toBe(0n);
  expect(kept(0x00e0)).toBe(0n);
});

test('AMD IOMMU §3.4 MMIO 0030h: IASup, HASup, HDSup, and HATS 0, 1, 2 for 4, 5, 6 levels; read-only', () => {
  const features = ([4, 5, 6] as const).map((levels) => {
    const { unit } = new AmdViBench(levels);
    unit.write(0x30, 8, 0n);
    return unit.read(0x30, 8);
  });
  expect(features).toEqual([0x0012_0000_0000_0040n, 0x0012_0000_0000_0440n, 0x0012_0000_0000_0840n]);
});

test('registers are reached by 4 and by 8 aligned bytes; what is neither reads 0 and changes nothing', () => {
  const { unit } = new AmdViBench();
  unit.write(0x0004, 4, 0x12);
  unit.write(0x0000, 4, 0x3456_7000);
  expect(unit.read(0x0000, 8)).toBe(0x12_3456_7000n);
  expect([unit.read(0x0000, 4), unit.read(0x0004, 4)]).toEqual([0x3456_7000, 0x12]);
  unit.write(0x0002, 4, 0xffff_ffff);
  unit.write(0x0004, 8, 0xffff_ffff_ffff_ffffn);
  unit.write(-8, 8, 0xffff_ffff_ffff_ffffn);
  unit.write(0x4000, 4, 0xffff_ffff);
  expect(unit.read(0x0000, 8)).toBe(0x12_3456_7000n);
  expect([unit.read(0x0002, 4), unit.read(0x4000, 4), unit.read(-4, 4)]).toEqual([0, 0, 0]);
  expect([unit.read(0x0004, 8), unit.read(0x4000, 8)]).toEqual([0n, 0n]);
});

test('AMD IOMMU §3.4: writing the base of the command buffer or event log resets its head and tail', () => {
  const { unit } = new AmdViBench();
  for (const [base, head, tail] of [
    [0x0008, 0x2000, 0x2008],
    [0x0010, 0x2010, 0x2018],
  ] as const) {
    unit.write(head, 4, 0x40);
    unit.write(tail, 4, 0x50);
    expect([unit.read(head, 4), unit.read(tail, 4)]).toEqual([0x40, 0x50]);
    unit.write(base, 8, 0x0800_0000_0000_8000n);
    expect([unit.read(head, 4), unit.read(tail, 4)]).toEqual([0, 0]);
  }
});

test('AMD IOMMU §3.4: the head of the command buffer is the unit’s while commands are read', () => {
  const bench = new AmdViBench().start();
  bench.unit.write(0x2000, 4, 0x80);
  expect(bench.unit.read(0x2000, 4)).toBe(0);
  bench.unit.write(0x0018, 4, 0x0005);
  bench.unit.write(0x2000, 4, 0x80);
  expect(bench.unit.read(0x2000, 4)).toBe(0x80);
});

test('AMD IOMMU §3.4 MMIO 2020h: the run bits follow Control, and fall when the unit is switched off', () => {
  const bench = new AmdViBench();
  bench.unit.write(0x0008, 8, 0x0800_0000_0000_8000n);
  bench.unit.write(0x0010, 8, 0x0800_0000_0000_9000n);
  bench.unit.write(0x0018, 4, 0x1004);
  expect(bench.status).toBe(0);
  bench.unit.write(0x0018, 4, 0x1005);
  expect(bench.status).toBe(0x18);
  bench.unit.write(0x0018, 4, 0x1004);
  expect(bench.status).toBe(0);
});

test('a change of the device table, the exclusion range or IommuEn voids every cached translation', () => {
  const bench = new AmdViBench().start();
  bench.unit.write(0x0018, 4, 0x101c);
  bench.unit.write(0x0018, 4, 0x101d);
  bench.unit.write(0x0000, 4, 0x1_1000);
  bench.unit.write(0x0020, 4, 0x5003);
  bench.unit.write(0x0028, 4, 0x5000);
  expect(bench.sink.said).toEqual(['all', 'all', 'all', 'all', 'all']);
  bench.unit.write(0x0018, 4, 0x1015);
  expect(bench.sink.said).toHaveLength(5);
});

test('a unit of 3 levels is a mistake of its maker', () => {
  expect(() => new AmdViBench(3 as 4)).toThrow('levels is 3, want 4, 5 or 6');
});
