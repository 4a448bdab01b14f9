import { expect, test } from 'vitest';
import { explainAmdVi } from './amdvi-explain.js';
import { AmdViBench, AT, DEVICE, mappedBench, READ, WRITE } from './testing/amdvi-bench.js';

test('each entry on the way is shown with its address, its 64 or 256 bits, its fields and what follows from it', () => {
  const bench = mappedBench();
  const { steps, outcome, physical } = explainAmdVi(bench.unit, DEVICE, 0x3abc, READ);
  expect(outcome).toBe('page of 4 KiB at 0x7000');
  expect(physical).toBe(0x7abc);
  expect(steps.map((step) => [step.table, step.level, step.address, step.verdict])).toEqual([
    ['device', 0, 0x1_0100, 'walk the page tables'],
    ['page', 3, 0x2_3000, 'table of level 2'],
    ['page', 2, 0x2_2000, 'table of level 1'],
    ['page', 1, 0x2_1018, 'page of 4 KiB at 0x7000'],
  ]);
  const none = '0x0000000000000000';
  expect(steps[0]!.raw).toEqual(['0x6000000000023603', '0x0000000000000005', none, none]);
  expect(steps[0]!.bits.join(' ')).toBe('V TV IR IW HAD=0 Mode=3 Root=0x23000 DomainID=0x5 IntCtl=0');
  expect(steps[3]!.raw).toEqual(['0x6000000000007001']);
  expect(steps[3]!.bits.join(' ')).toBe('PR IR IW NextLevel=0 Address=0x7000');
});

test('a sized page, a skipped level and a missing right are said in words', () => {
  const bench = mappedBench();
  bench.entry(2, 0, 0x6000_0000_0ff7_fe01n); // bits 18:12 are ones: 1 MiB, too small for level 2
  expect(explainAmdVi(bench.unit, DEVICE, 0x3000, READ).outcome).toBe('IO_PAGE_FAULT: no page size for level 2');
  bench.entry(2, 0, 0x6000_0000_0fdf_fe01n); // bits 20:12 are ones: 4 MiB
  expect(explainAmdVi(bench.unit, DEVICE, 0x3000, READ).outcome).toBe('page of 4 MiB at 0xfc00000');
  bench.entry(3, 0, 0x6000_0000_0002_1201n);
  expect(explainAmdVi(bench.unit, DEVICE, 0x20_3000, READ).outcome).toBe(
    'IO_PAGE_FAULT: address bits of the levels skipped before level 1 are not zero',
  );
  bench.entry(1, 3, 0x2000_0000_0000_7001n);
  expect(explainAmdVi(bench.unit, DEVICE, 0x3000, WRITE).outcome).toBe('IO_PAGE_FAULT: IW is clear here or above');
  expect(explainAmdVi(bench.unit, DEVICE, 2 ** 40, READ).outcome).toBe(
    'IO_PAGE_FAULT: the address has bits above the 39 that Mode 3 covers',
  );
});

test('entries out of reach have no bits, and requests that stop early no steps', () => {
  const bench = mappedBench();
  expect(explainAmdVi(bench.unit, 200, 0x3000, READ)).toEqual({
    steps: [],
    outcome: 'ILLEGAL_DEV_TABLE_ENTRY: the device table has 128 entries',
    physical: undefined,
  });
  bench.entry(3, 0, 0x6000_0001_0000_0401n);
  const last = explainAmdVi(bench.unit, DEVICE, 0x3000, READ).steps.at(-1);
  expect(last).toEqual({
    table: 'page',
    level: 2,
    address: 2 ** 32,
    raw: [],
    bits: [],
    verdict: 'PAGE_TAB_HARDWARE_ERROR: no memory for it there',
  });
  expect(explainAmdVi(new AmdViBench().unit, DEVICE, 0x3000, READ).outcome).toBe('not translated: the unit is off');
});

test('with HAD 3 the explanation sets neither A nor D, logs nothing and counts nothing', () => {
  const bench = mappedBench();
  bench.device(DEVICE, 0x6000_0000_0002_3783n);
  explainAmdVi(bench.unit, DEVICE, 0x3000, WRITE);
  explainAmdVi(bench.unit, DEVICE, 0x9000, WRITE);
  expect(bench.get64(AT.level(1) + 24)).toBe(0x6000_0000_0000_7001n);
  expect([bench.logged, bench.unit.counters.walks.reduce((a, b) => a + b)]).toEqual([0, 0]);
});
