import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { ACCESS } from '@ringwire/guest-memory';
import { describe, expect, test } from 'vitest';
import { AT, IOVA, legacyBench, REG, SID, VtdBench } from './testing/vtd-bench.js';
import { hexAddress, type VtdExpectation, vtdMemory, vtdRegisterValues, vtdUnitOf } from './testing/vtd-golden-set.js';
import { NO_PASID } from './translation.js';
import { explainWalk } from './vtd-explain.js';
import { listMappings } from './vtd-mappings.js';
import type { VtdUnit } from './vtd-unit.js';

const { READ, WRITE } = ACCESS;

test('a walk is shown entry by entry, with bits by name', () => {
  const bench = legacyBench();
  const shown = explainWalk(bench.unit, SID, NO_PASID, IOVA + 4, READ);
  expect(
    shown.steps.map(({ table, level, address, raw, bits, verdict }) => [
      table,
      level,
      address,
      raw,
      bits.join(' '),
      verdict,
    ]),
  ).toEqual([
    ['root', 0, 0x1000, ['0x0000000000002001', '0x0000000000000000'], 'P CTP=0x2000', 'next'],
    [
      'context',
      0,
      0x2180,
      ['0x0000000000003001', '0x0000000000000502'],
      'P TT=untranslated AW=48 DID=5 SSPTPTR=0x3000',
      'next',
    ],
    ['second-stage', 4, 0x3000, ['0x0000000000004003'], 'R W ADDR=0x4000', 'next'],
    ['second-stage', 3, 0x4800, ['0x0000000000005003'], 'R W ADDR=0x5000', 'next'],
    ['second-stage', 2, 0x58d0, ['0x0000000000006003'], 'R W ADDR=0x6000', 'next'],
    ['second-stage', 1, 0x62b0, ['0x0000000000009003'], 'R W ADDR=0x9000', 'page'],
  ]);
  expect(shown).toMatchObject({ result: 'ok', reason: 0, physical: 0x9004, pageMask: 0xfff, allowed: 3, domain: 5 });
});

test('a fault stands at the entry that it was found in, and is not recorded', () => {
  const bench = legacyBench();
  bench.put(AT.ss1 + 0x56 * 8, 0x9001n);
  const shown = explainWalk(bench.unit, SID, NO_PASID, IOVA, WRITE);
  expect(shown).toMatchObject({ result: 'fault', reason: 5, physical: undefined });
  expect(shown.steps.at(-1)).toMatchObject({ level: 1, bits: ['R', 'ADDR=0x9000'], verdict: 'fault 0x05 WRITE' });
  bench.put(AT.root, 0x7_0000_0001n);
  const outside = explainWalk(bench.unit, SID, NO_PASID, IOVA, WRITE);
  expect(outside.steps.at(-1)).toEqual({
    table: 'context',
    level: 0,
    address: 0x7_0000_0180,
    raw: [],
    bits: [],
    verdict: 'outside memory, fault 0x09 CONTEXT_ACCESS',
  });
  expect(bench.takeReason()).toBe(-1);
});

test('what needs no walk is said without one', () => {
  const bench = legacyBench();
  expect(explainWalk(bench.unit, SID, NO_PASID, 0xfee0_1000, WRITE)).toMatchObject({
    result: 'interrupt-range',
    steps: [],
  });
  expect(explainWalk(bench.unit, 0x1_0000, NO_PASID, 0, WRITE)).toMatchObject({ result: 'blocked', steps: [] });
  bench.put(AT.context + SID * 16, 0x300bn);
  expect(explainWalk(bench.unit, SID, NO_PASID, 7, READ)).toMatchObject({ result: 'pass-through', physical: 7 });
  bench.put(AT.context + SID * 16, 0x3002n);
  expect(explainWalk(bench.unit, SID, NO_PASID, 7, READ)).toMatchObject({ result: 'blocked', reason: 2 });
  bench.unit.write(REG.GCMD, 4, 0);
  expect(explainWalk(bench.unit, SID, NO_PASID, 7, READ)).toMatchObject({ result: 'translation-off', physical: 7 });
});

test('scalable mode: PASID entries are decoded, and no accessed bit is set', () => {
  const bench = new VtdBench({ capabilities: { scalable: true, firstStage: true, pasidBits: 20 } });
  bench.put(0x1000, 0x2001n, 0n);
  bench.put(0x2000 + SID * 32, 0x3009n);
  bench.put(0x3000, 0x4001n);
  bench.put(0x4000 + 64, 0x0041n, 11n, 0x8030n);
  bench.put(0x8000, 0x9007n);
  bench.put(0x9000, 0x87n);
  bench.start(0x1400n);
  const shown = explainWalk(bench.unit, SID, 1, 0x1234, READ);
  expect(shown.steps.map(({ bits }) => bits.join(' '))).toEqual([
    'LP LCTP=0x2000 UCTP=0x0',
    'P PASIDE PDTS=0 RID_PASID=0 PASIDDIRPTR=0x3000',
    'P SMPTBLPTR=0x4000',
    'P WPE NXE PGTT=first-stage AW=reserved DID=11 SSPTPTR=0x0 FSPM=0 FSPTPTR=0x8000',
    'P RW US ADDR=0x9000',
    'P RW US PS ADDR=0x0',
  ]);
  expect(shown).toMatchObject({ result: 'fault', reason: 0x72 });
  expect(bench.quad(0x8000)).toBe(0x9007n);
});

describe('mappings', () => {
  test('neighbours are joined, rights and holes divide', () => {
    const bench = legacyBench();
    bench.put(AT.ss1 + 0x57 * 8, 0xa003n, 0xb003n, 0xc001n, 0xd001n, 0n, 0xf002n);
    bench.put(AT.ss2 + 0x11b * 8, 0x20_0083n, 0x40_0083n);
    expect([...listMappings(bench.unit, SID)]).toEqual([
      { iova: IOVA, physical: 0x9000, bytes: 0x3000, access: 3 },
      { iova: IOVA + 0x3000, physical: 0xc000, bytes: 0x2000, access: 1 },
      { iova: IOVA + 0x6000, physical: 0xf000, bytes: 0x1000, access: 2 },
      { iova: 0x40_2360_0000, physical: 0x20_0000, bytes: 0x40_0000, access: 3 },
    ]);
  });

  test('interrupt addresses are left out, as input and as output', () => {
    const bench = legacyBench();
    bench.put(AT.ss4, 0x1_0003n);
    bench.put(0x1_0000, 0xc000_0083n, 0n, 0n, 0x83n); // outputs with the range, then inputs with it
    expect([...listMappings(bench.unit, SID)]).toEqual([
      { iova: 0, physical: 0xc000_0000, bytes: 0x3ee0_0000, access: 3 },
      { iova: 0x3ef0_0000, physical: 0xfef0_0000, bytes: 0x110_0000, access: 3 },
      { iova: 0xc000_0000, physical: 0, bytes: 0x3ee0_0000, access: 3 },
      { iova: 0xfef0_0000, physical: 0x3ef0_0000, bytes: 0x110_0000, access: 3 },
    ]);
  });

  test('tables without end are given up after the walks allowed', () => {
    const bench = legacyBench();
    for (let i = 0; i < 512; i++) bench.put(AT.ss4 + i * 8, BigInt(AT.ss4 | 3));
    const list = listMappings(bench.unit, SID, { maxWalks: 1000 });
    let found = 0;
    let step = list.next();
    for (; step.done !== true; step = list.next()) found++;
    expect(step.value).toBe(false);
    expect(found).toBe(1000);
  });

  test('pass-through is everything but interrupts', () => {
    const bench = legacyBench();
    bench.put(AT.context + SID * 16, 0x3009n);
    expect([...listMappings(bench.unit, SID)]).toEqual([
      { iova: 0, physical: 0, bytes: 0xfee0_0000, access: 3 },
      { iova: 0xfef0_0000, physical: 0xfef0_0000, bytes: 2 ** 48 - 0xfef0_0000, access: 3 },
    ]);
    expect([...listMappings(bench.unit, 0x20)]).toEqual([]);
  });

  test('nested translation: pages of the first stage through those of the second', () => {
    const bench = new VtdBench({ capabilities: { scalable: true, firstStage: true, nested: true, pasidBits: 20 } });
    bench.put(0x1000, 0x2001n, 0n);
    bench.put(0x2000 + SID * 32, 0x3009n);
    bench.put(0x3000, 0x4001n);
    bench.put(0x4000, 0x50c5n, 12n, 0x8000n);
    bench.put(0x5000, 0x6003n);
    bench.put(0x6000, 0x7003n);
    for (let page = 0; page < 16; page++) bench.put(0x7000 + page * 8, BigInt(page * 0x1000 + 3));
    bench.put(0x7000 + 16 * 8, 0x2_0003n, 0x2_1001n);
    bench.put(0x8000, 0x9007n);
    bench.put(0x9000, 0xa007n);
    bench.put(0xa000, 0x87n, 0xb007n); // 2 MiB, then a table with one page
    bench.put(0xb000, 0n, 0xc005n);
    bench.start(0x1400n);
    expect([...listMappings(bench.unit, SID)]).toEqual([
      { iova: 0, physical: 0, bytes: 0x1_0000, access: 3 },
      { iova: 0x1_0000, physical: 0x2_0000, bytes: 0x1000, access: 3 },
      { iova: 0x1_1000, physical: 0x2_1000, bytes: 0x1000, access: 1 },
      { iova: 0x20_1000, physical: 0xc000, bytes: 0x1000, access: 1 },
    ]);
  });
});

describe('recorded tables', () => {
  const load = (name: string): { unit: VtdUnit; expected: VtdExpectation } => {
    const folder = fileURLToPath(new URL(`../../../golden/sets/${name}/`, import.meta.url));
    const expected: VtdExpectation = JSON.parse(readFileSync(`${folder}expected.json`, 'utf8'));
    const pages = JSON.parse(readFileSync(`${folder}pages.json`, 'utf8'));
    const files = { expected, pages, bytes: readFileSync(`${folder}pages.bin`) };
    const unit = vtdUnitOf(files, vtdMemory(files));
    unit.load(vtdRegisterValues(expected));
    return { unit, expected };
  };

  test.each(['vtd-legacy-aw39-split', 'vtd-legacy-aw48-packed', 'vtd-scalable-aw48-split'])(
    '%s: what is listed for the NIC is what its kernel had mapped, no page more',
    (name) => {
      const { unit, expected } = load(name);
      const pages = [...listMappings(unit, expected.source_id!)].flatMap(({ iova, physical, bytes }) =>
        Array.from({ length: bytes / 4096 }, (_, i) => [iova + i * 4096, physical + i * 4096]),
      );
      const live = expected.kernel_maps!.live!.map(([iova, pa]) => [hexAddress('iova', iova), hexAddress('pa', pa)]);
      expect(pages).toEqual(live.sort((a, b) => a[0]! - b[0]!));
    },
  );

  test.each(['vtd-vfio-aw39-superpages', 'vtd-vfio-scalable-superpages'])(
    '%s: what is listed is what the VFIO program mapped',
    (name) => {
      const { unit, expected } = load(name);
      const listed = [...listMappings(unit, expected.source_id!)].reduce((sum, { bytes }) => sum + bytes, 0);
      const mapped = expected.vfio_maps!.list.reduce((sum, [, , size]) => sum + hexAddress('size', size), 0);
      expect(listed).toBe(mapped);
    },
  );
});
