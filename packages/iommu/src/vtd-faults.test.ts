import { ACCESS } from '@ringwire/guest-memory';
import { expect, test } from 'vitest';
import { IOVA, legacyBench, REG, SID } from './testing/vtd-bench.js';
import { TRANSLATED } from './translation.js';

const { READ, WRITE } = ACCESS;

test('VT-d 4.0 §11.4.14: a record has page, requester, reason and T', () => {
  const bench = legacyBench();
  bench.translate(SID, IOVA + 0x1fff, READ);
  expect(bench.unit.read(REG.FRCD, 8)).toBe(0x40_2345_7000n);
  expect(bench.unit.read(REG.FRCD + 8, 8)).toBe(0xc000_0006_0000_0018n);
  expect(bench.unit.read(REG.FSTS, 4)).toBe(2);
  bench.unit.write(REG.FRCD + 8, 8, 1n << 63n);
  expect(bench.unit.read(REG.FSTS, 4)).toBe(0);
  expect(bench.unit.read(REG.FRCD + 8, 8)).toBe(0x4000_0006_0000_0018n);
  bench.translate(SID, 0, WRITE);
  expect(bench.unit.read(REG.FRCD + 8, 8)).toBe(0x8000_0005_0000_0018n);
});

test('IO-30: registers full: overflow bit, no overwrite, nothing recorded until it is cleared', () => {
  const bench = legacyBench({ capabilities: { faultRegisters: 4 } });
  const record = (i: number): bigint => bench.unit.read(REG.FRCD + i * 16, 8);
  for (let i = 0; i < 1000; i++) expect(bench.translate(SID, i * 0x1000, READ)).toBe(TRANSLATED.FAULT);
  expect([0, 1, 2, 3].map(record)).toEqual([0n, 0x1000n, 0x2000n, 0x3000n]);
  expect(bench.unit.read(REG.FSTS, 4)).toBe(3); // PFO, PPF, FRI 0
  expect(bench.unit.faults.counters).toEqual({ recorded: 4, overflowed: 996, hidden: 0 });
  // Two are served: PFO still stands in the way.
  bench.unit.write(REG.FRCD + 12, 4, 0x8000_0000);
  bench.unit.write(REG.FRCD + 28, 4, 0x8000_0000);
  bench.translate(SID, 0x77000, READ);
  expect([0, 1, 2, 3].map(record)).toEqual([0n, 0x1000n, 0x2000n, 0x3000n]);
  bench.unit.write(REG.FSTS, 4, 1);
  expect(bench.unit.read(REG.FSTS, 4)).toBe(2);
  bench.translate(SID, 0x88000, READ);
  expect([0, 1, 2, 3].map(record)).toEqual([0x88000n, 0x1000n, 0x2000n, 0x3000n]);
});

test('FRI is the first record since all were served', () => {
  const bench = legacyBench({ capabilities: { faultRegisters: 4 } });
  const serve = (i: number): void => bench.unit.write(REG.FRCD + i * 16 + 12, 4, 0x8000_0000);
  bench.translate(SID, 0, READ);
  bench.translate(SID, 0, READ);
  expect(bench.unit.read(REG.FSTS, 4)).toBe(2);
  serve(0);
  serve(1);
  expect(bench.unit.read(REG.FSTS, 4) & 2).toBe(0);
  bench.translate(SID, 0, READ);
  bench.translate(SID, 0, READ);
  expect(bench.unit.read(REG.FSTS, 4)).toBe(0x0202);
  serve(2);
  serve(3);
  bench.translate(SID, 0, READ);
  expect(bench.unit.read(REG.FSTS, 4)).toBe(2);
});

test('the fault event goes out for the first condition, masked or not, and not again before all are served', () => {
  const bench = legacyBench({ capabilities: { faultRegisters: 4 } });
  bench.unit.write(REG.FEDATA, 4, 0x22);
  bench.unit.write(REG.FEADDR, 4, 0xfee0_1007);
  bench.unit.write(REG.FEADDR + 4, 4, 0x100);
  expect(bench.unit.read(REG.FECTL, 4)).toBe(0x8000_0000);
  bench.translate(SID, 0, READ);
  expect(bench.unit.read(REG.FECTL, 4)).toBe(0xc000_0000);
  expect(bench.interrupts).toEqual([]);
  bench.unit.write(REG.FECTL, 4, 0);
  expect(bench.interrupts).toEqual([{ low: 0xfee0_1004, high: 0x100, data: 0x22 }]);
  bench.translate(SID, 0x1000, READ);
  expect(bench.interrupts).toHaveLength(1);
  bench.unit.write(REG.FRCD + 12, 4, 0x8000_0000);
  bench.unit.write(REG.FRCD + 28, 4, 0x8000_0000);
  bench.translate(SID, 0x2000, READ);
  expect(bench.interrupts).toHaveLength(2);
});

test('a masked event whose cause was served is no longer pending', () => {
  const bench = legacyBench();
  bench.translate(SID, 0, READ);
  bench.unit.write(REG.FRCD + 12, 4, 0x8000_0000);
  expect(bench.unit.read(REG.FECTL, 4)).toBe(0x8000_0000);
  bench.unit.write(REG.FECTL, 4, 0);
  expect(bench.interrupts).toEqual([]);
});

test('writing 0, or another bit, to a record does not clear it', () => {
  const bench = legacyBench();
  bench.translate(SID, 0, READ);
  bench.unit.write(REG.FRCD + 12, 4, 0x7fff_ffff);
  bench.unit.write(REG.FRCD + 8, 4, 0xffff_ffff);
  bench.unit.write(REG.FRCD, 8, 0xffff_ffff_ffff_ffffn);
  expect(bench.unit.read(REG.FRCD + 8, 8)).toBe(0xc000_0006_0000_0018n);
  expect(bench.unit.read(REG.FRCD, 8)).toBe(0n);
});

test('a thread that died between a record and its summary leaves no lock, and a record that software is told of', () => {
  const bench = legacyBench({ capabilities: { faultRegisters: 4 } });
  const { unit } = bench;
  unit.write(REG.FEDATA, 4, 0x22);
  unit.write(REG.FECTL, 4, 0);
  const dead = unit.newOwner();
  // As it is found then: LOCK and COMMAND_LOCK its, record 0 with F, and neither the next one's number nor FSTS moved on.
  unit.registers.state.words[0] = dead;
  unit.registers.state.words[1] = dead;
  unit.registers.set(REG.FRCD, 0x5000);
  unit.registers.set(REG.FRCD + 12, 0x8000_0006);
  unit.evict(dead);
  expect(unit.read(REG.FSTS, 4)).toBe(2);
  expect(bench.interrupts.map(({ data }) => data)).toEqual([0x22]);
  bench.translate(SID, 0x9000, READ);
  expect([unit.read(REG.FRCD, 8), unit.read(REG.FRCD + 16, 8)]).toEqual([0x5000n, 0x9000n]);
  expect(unit.faults.counters.overflowed).toBe(0);
  // What another one holds is not taken from it.
  unit.registers.state.words[1] = dead;
  unit.evict(unit.newOwner());
  expect(unit.registers.state.words[1]).toBe(dead);
});
