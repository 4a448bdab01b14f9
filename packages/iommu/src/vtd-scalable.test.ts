import { ACCESS } from '@ringwire/guest-memory';
import { describe, expect, test } from 'vitest';
import { VtdBench } from './testing/vtd-bench.js';
import { MeddlingSpace } from './testing/vtd-meddling-space.js';
import { TRANSLATED } from './translation.js';
import { VTD_FAULT_STYLE } from './vtd-reasons.js';
import { VtdUnit } from './vtd-unit.js';
import type { VtdUnitConfig } from './vtd-unit-config.js';

const { READ, WRITE } = ACCESS;
const SID = 0x0018;
const FEATURES = {
  scalable: true,
  firstStage: true,
  firstStage5Level: true,
  firstStage1G: true,
  extendedAccess: true,
  nested: true,
  secondStageAccessDirty: true,
  pasidBits: 20,
  ridPasid: true,
};
const AT = { root: 0x1000, context: 0x2000, directory: 0x3000, pasids: 0x4000, ss3: 0x5000, ss2: 0x6000, ss1: 0x7000 };
/** First-stage tables of four levels; entries 0, 1, 2, 3 of them lead to the page at 0xc000. */
const FS = { l4: 0x8000, l3: 0x9000, l2: 0xa000, l1: 0xb000 };
const VA = 0x4040_3000;
/** Second stage, 39 bits: 0 to 2 MiB as they are, in small pages from ss1. */
const pasidAt = (pasid: number): number => AT.pasids + pasid * 64;

/** PASID 0 second stage, 1 first stage, 2 nested, 3 pass-through; SSADE off. */
function scalableBench(config: Partial<VtdUnitConfig> = {}): VtdBench {
  const bench = new VtdBench({ capabilities: FEATURES, ...config });
  bench.put(AT.root, 0x2001n, 0n);
  bench.put(AT.context + SID * 32, 0x3009n, 0n, 0n, 0n); // P, PASIDE
  bench.put(AT.directory, 0x4001n);
  bench.put(pasidAt(0), 0x5085n, 10n); // PGTT 2, AW 1
  bench.put(pasidAt(1), 0x0041n, 11n, 0x8000n); // PGTT 1
  bench.put(pasidAt(2), 0x50c5n, 12n, 0x8000n); // PGTT 3
  bench.put(pasidAt(3), 0x0101n, 13n); // PGTT 4
  bench.put(AT.ss3, 0x6003n);
  bench.put(AT.ss2, 0x7003n);
  for (let page = 0; page < 32; page++) bench.put(AT.ss1 + page * 8, BigInt(page * 0x1000 + 3));
  bench.put(FS.l4, 0x9007n);
  bench.put(FS.l3 + 8, 0xa007n);
  bench.put(FS.l2 + 16, 0xb007n);
  bench.put(FS.l1 + 24, 0xc007n);
  bench.start(0x1400n);
  return bench;
}

test('VT-d 4.0 §3.4.4: a request without PASID takes RID_PASID, one with PASID its own entry', () => {
  const bench = scalableBench();
  expect(bench.translate(SID, 0x1_2345, WRITE)).toBe(TRANSLATED.OK);
  expect(bench.out).toEqual({ physical: 0x1_2345, pageMask: 0xfff, allowed: 3, domain: 10, entriesRead: 7 });
  expect(bench.translate(SID, VA + 5, READ, 1)).toBe(TRANSLATED.OK);
  expect(bench.out).toMatchObject({ physical: 0xc005, domain: 11, entriesRead: 8 });
  bench.put(AT.context + SID * 32 + 8, 1n); // RID_PASID 1
  expect(bench.translate(SID, VA + 5, READ)).toBe(TRANSLATED.OK);
  expect(bench.out.domain).toBe(11);
  expect(bench.translate(SID, 0x1234, READ, 3)).toBe(TRANSLATED.PASS_THROUGH);
  expect(bench.out).toMatchObject({ physical: 0x1234, domain: 13 });
});

test('VT-d 4.0 §9.2: devices 16 to 31 of a bus have the upper context table', () => {
  const bench = scalableBench();
  bench.put(AT.root + 8, 0x1_0001n);
  bench.put(0x1_0000 + 0x18 * 32, 0x3001n);
  expect(bench.translate(0x98, 0x5000, READ)).toBe(TRANSLATED.OK);
  expect(bench.reasonOf(0x99, 0x5000, READ)).toBe(0x41);
});

describe('VT-d 4.0 §7.1.3: reasons of scalable mode', () => {
  const sid = AT.context + SID * 32;
  test.each<[string, number, bigint[], number, number]>([
    ['root half not present', AT.root, [0x2000n], 0, 0x39],
    ['root half reserved bit', AT.root, [0x2003n], 0, 0x3a],
    ['context table outside RAM', AT.root, [0x7_0000_0001n], 0, 0x40],
    ['context not present', sid, [0x3000n], 0, 0x41],
    ['context reserved bit 5', sid, [0x3021n], 0, 0x42],
    ['context reserved word 4', sid, [0x3009n, 0n, 1n], 0, 0x42],
    ['context without PASIDE, with PASID', sid, [0x3001n], 1, 0x45],
    ['PASID past the directory', sid, [0x3009n], 0x2000, 0x46],
    ['RID_PASID past the directory', sid, [0x3009n, 0x2000n], -1, 0x48],
    ['directory outside RAM', sid, [0x7_0000_0009n], 0, 0x50],
    ['directory entry not present', AT.directory, [0x4000n], 0, 0x51],
    ['directory entry reserved bit', AT.directory, [0x4005n], 0, 0x52],
    ['PASID table outside RAM', AT.directory, [0x7_0000_0001n], 0, 0x58],
    ['PASID entry not present', pasidAt(1), [0x0040n], 1, 0x59],
    ['PASID entry reserved bit', pasidAt(1), [0x0441n], 1, 0x5a],
    ['PASID entry reserved word', pasidAt(1) + 56, [1n << 63n], 1, 0x5a],
    ['PASID entry type 0', pasidAt(1), [0x0001n], 1, 0x5b],
    ['PASID entry type 5', pasidAt(1), [0x0141n], 1, 0x5b],
    ['PASID entry first-stage mode 2', pasidAt(1) + 16, [0x8008n], 1, 0x5b],
    ['PASID entry second-stage width 57', pasidAt(0), [0x508dn], 0, 0x5b],
    ['second-stage top table outside RAM', pasidAt(0), [0x7_0000_0085n], 0, 0x7b],
    ['second-stage table outside RAM', AT.ss3, [0x7_0000_0003n], 0, 0x78],
    ['second-stage entry not present', AT.ss1, [0n], 0, 0x79],
    ['second-stage reserved bit', AT.ss1, [0x803n], 0, 0x7a],
    ['second-stage entry without R', AT.ss1, [0x2n], 0, 0x86],
  ])('%s', (_, address, quads, pasid, reason) => {
    const bench = scalableBench();
    bench.put(address, ...quads);
    expect(bench.reasonOf(SID, 0x10, READ, pasid)).toBe(reason);
  });

  test.each<[string, number, bigint[], number, number]>([
    ['first-stage top table outside RAM', pasidAt(1) + 16, [0x7_0000_0000n], VA, 0x73],
    ['first-stage table outside RAM', FS.l4, [0x7_0000_0007n], VA, 0x70],
    ['first-stage entry not present', FS.l1 + 24, [0xc006n], VA, 0x71],
    ['first-stage level 4 with PS', FS.l4, [0x9087n], VA, 0x72],
    ['first-stage 2 MiB page, address bit 13', FS.l2 + 16, [0x2087n], VA, 0x72],
    ['first-stage supervisor page', FS.l2 + 16, [0xb003n], VA, 0x81],
    ['first-stage read-only page', FS.l3 + 8, [0xa005n], VA, 0x85],
    ['first-stage address not canonical', FS.l4, [0x9007n], 2 ** 47, 0x80],
  ])('%s', (_, address, quads, va, reason) => {
    const bench = scalableBench();
    bench.put(address, ...quads);
    expect(bench.reasonOf(SID, va, WRITE, 1)).toBe(reason);
  });

  test('a record of a request with PASID has it, with PP; one without has neither', () => {
    const bench = scalableBench();
    bench.translate(SID, 2 ** 47, WRITE, 1);
    // F, PV 1, reason 80h, PP, SID; FI
    expect(bench.unit.read(0x228, 8)).toBe(0x8000_0180_8000_0018n);
    expect(bench.unit.read(0x220, 8)).toBe(0x8000_0000_0000n);
    bench.takeReason();
    bench.translate(SID, 2 ** 39, READ);
    expect(bench.unit.read(0x228, 8)).toBe(0xc000_0084_0000_0018n);
  });

  test("the style of QEMU's model has the codes of legacy mode and RID_PASID with PP", () => {
    const bench = scalableBench({ faultStyle: VTD_FAULT_STYLE.QEMU });
    bench.translate(SID, 2 ** 39, READ);
    expect(bench.unit.read(0x228, 8)).toBe(0xc000_0004_8000_0018n);
    bench.takeReason();
    expect(bench.reasonOf(0x20, 0, READ)).toBe(0x02);
    bench.put(AT.directory, 0n);
    expect(bench.reasonOf(SID, 0, READ)).toBe(0x58);
  });

  test('FPD of the PASID directory and table hides what comes after', () => {
    const bench = scalableBench();
    bench.put(pasidAt(1), 0x0043n);
    bench.put(FS.l1 + 24, 0n);
    expect(bench.translate(SID, VA, READ, 1)).toBe(TRANSLATED.BLOCKED);
    bench.put(AT.directory, 0x4002n);
    expect(bench.translate(SID, VA, READ, 1)).toBe(TRANSLATED.BLOCKED);
    expect(bench.takeReason()).toBe(-1);
  });

  test('TTM 2 is reserved; TTM 3 aborts all requests without a record', () => {
    const bench = scalableBench();
    bench.start(0x1800n);
    expect(bench.reasonOf(SID, 0, READ)).toBe(0x30);
    bench.start(0x1c00n);
    expect(bench.translate(SID, 0, READ)).toBe(TRANSLATED.BLOCKED);
    expect(bench.takeReason()).toBe(-1);
  });
});

describe('VT-d 4.0 §3.6.2, §3.7.2: accessed and dirty bits', () => {
  test('the first stage sets A on the way and D of the page for a write', () => {
    const bench = scalableBench();
    bench.translate(SID, VA, READ, 1);
    expect([FS.l4, FS.l3 + 8, FS.l2 + 16, FS.l1 + 24].map((at) => bench.quad(at))).toEqual([
      0x9027n,
      0xa027n,
      0xb027n,
      0xc027n,
    ]);
    // Not to be cached as writable: the write has to come by to set D.
    expect(bench.out.allowed).toBe(READ);
    bench.translate(SID, VA, WRITE, 1);
    expect(bench.quad(FS.l1 + 24)).toBe(0xc067n);
    expect(bench.quad(FS.l2 + 16)).toBe(0xb027n);
    expect(bench.out.allowed).toBe(READ | WRITE);
  });

  test('EAFE adds the EA bit', () => {
    const bench = scalableBench();
    bench.put(pasidAt(1) + 16, 0x8080n);
    bench.translate(SID, VA, READ, 1);
    expect(bench.quad(FS.l1 + 24)).toBe(0xc427n);
  });

  test('the second stage sets them only with SSADE', () => {
    const bench = scalableBench();
    bench.translate(SID, 0x1000, WRITE);
    expect(bench.quad(AT.ss1 + 8)).toBe(0x1003n);
    bench.put(pasidAt(0), 0x5285n);
    bench.translate(SID, 0x1000, READ);
    expect([AT.ss3, AT.ss2, AT.ss1 + 8].map((at) => bench.quad(at))).toEqual([0x6103n, 0x7103n, 0x1103n]);
    expect(bench.out.allowed).toBe(READ);
    bench.translate(SID, 0x1000, WRITE);
    expect(bench.quad(AT.ss1 + 8)).toBe(0x1303n);
  });

  test('a fault sets no bit in the entry that it was found in', () => {
    const bench = scalableBench();
    bench.put(FS.l1 + 24, 0xc005n);
    expect(bench.reasonOf(SID, VA, WRITE, 1)).toBe(0x85);
    expect(bench.quad(FS.l1 + 24)).toBe(0xc005n);
  });
});

describe('software changes an entry while its bits are to be set', () => {
  /** A unit whose bench's memory is meddled with after each resolved access. */
  function meddled(bench: VtdBench, after: (address: number, access: number) => void): VtdUnit {
    const sink = { all() {}, domain() {}, pages() {}, requester() {} };
    const unit = new VtdUnit({ capabilities: FEATURES, memory: new MeddlingSpace(bench.memory, after), sink });
    unit.load([
      { offset: 0x20, size: 8, value: 0x1400n },
      { offset: 0x1c, size: 4, value: 0xc000_0000n },
    ]);
    return unit;
  }
  const leaf = FS.l1 + 24;
  const RW = READ | WRITE;

  test('the walk begins anew and takes the new entry', () => {
    const bench = scalableBench();
    let times = 0;
    const unit = meddled(bench, (address, access) => {
      if (address === leaf && access === RW && times++ === 0) bench.put(leaf, 0xe007n);
    });
    expect(unit.translate(SID, 1, VA, READ, bench.out)).toBe(TRANSLATED.OK);
    expect(bench.out.physical).toBe(0xe000);
    expect(bench.quad(leaf)).toBe(0xe027n);
    expect(times).toBe(2);
  });

  test('an entry that never stands still ends in reason 91h, and keeps what software wrote', () => {
    const bench = scalableBench();
    let times = 0;
    const unit = meddled(bench, (address, access) => {
      if (address === leaf && access === RW) bench.put(leaf, BigInt(0xe007 + (times++ % 2) * 0x1000));
    });
    bench.put(leaf, 0xd007n);
    expect(unit.translate(SID, 1, VA, READ, bench.out)).toBe(TRANSLATED.FAULT);
    expect(unit.read(0x228, 8)).toBe(0xc000_0191_8000_0018n);
    expect(times).toBe(4);
    expect(bench.quad(leaf)).toBe(0xf007n);
  });

  test('under nested translation the table may have moved between the read and the update', () => {
    const bench = scalableBench();
    const second = AT.ss1 + 0xb * 8;
    let reads = 0;
    bench.put(0x1_5000 + 24, 0xe007n);
    const unit = meddled(bench, (address) => {
      if (address === leaf && reads++ === 0) bench.put(second, 0x1_5003n);
    });
    expect(unit.translate(SID, 2, VA, READ, bench.out)).toBe(TRANSLATED.OK);
    expect(bench.out.physical).toBe(0xe000);
    expect([bench.quad(leaf), bench.quad(0x1_5000 + 24)]).toEqual([0xc007n, 0xe027n]);
  });
});

describe('VT-d 4.0 §3.8: nested translation', () => {
  test('tables and page of the first stage are addresses of the second', () => {
    const bench = scalableBench();
    // Guest page 0xb (the level 1 table) and 0xc (the page) lie elsewhere in physical memory.
    bench.put(AT.ss1 + 0xb * 8, 0x1_5003n);
    bench.put(AT.ss1 + 0xc * 8, 0x1_6001n);
    bench.put(0x1_5000 + 24, 0xc007n);
    expect(bench.translate(SID, VA + 7, READ, 2)).toBe(TRANSLATED.OK);
    expect(bench.out).toMatchObject({ physical: 0x1_6007, pageMask: 0xfff, allowed: READ, domain: 12 });
    expect(bench.quad(0x1_5000 + 24)).toBe(0xc027n);
    expect(bench.reasonOf(SID, VA, WRITE, 2)).toBe(0x85);
  });

  test('what the second stage refuses of the tables has codes of its own', () => {
    const bench = scalableBench();
    bench.put(AT.ss1 + 8 * 8, 0x8002n);
    expect(bench.reasonOf(SID, VA, READ, 2)).toBe(0x75);
    bench.put(AT.ss1 + 8 * 8, 0x8003n);
    bench.put(AT.ss1 + 0xb * 8, 0xb002n);
    expect(bench.reasonOf(SID, VA, READ, 2)).toBe(0x76);
    bench.put(AT.ss1 + 0xb * 8, 0xb001n);
    expect(bench.reasonOf(SID, VA, READ, 2)).toBe(0x77); // A has to be set there
    bench.put(AT.ss1 + 0xb * 8, 0n);
    expect(bench.reasonOf(SID, VA, READ, 2)).toBe(0x79);
    bench.put(FS.l2 + 16, 0x80_0000_b007n);
    expect(bench.reasonOf(SID, VA, READ, 2)).toBe(0x74);
  });

  test('the page is the smaller of the two stages', () => {
    const bench = scalableBench();
    bench.put(FS.l2 + 16, 0x87n); // 2 MiB at guest 0
    expect(bench.translate(SID, VA, READ, 2)).toBe(TRANSLATED.OK);
    expect(bench.out).toMatchObject({ physical: 0x3000, pageMask: 0xfff });
    bench.put(AT.ss2, 0x83n);
    expect(bench.translate(SID, VA, READ, 2)).toBe(TRANSLATED.OK);
    expect(bench.out).toMatchObject({ physical: 0x3000, pageMask: 0x1f_ffff });
  });
});

test('RID_PRIV makes a request without PASID a supervisor: U/S is not asked for, and R/W only with WPE', () => {
  const bench = scalableBench();
  bench.put(AT.context + SID * 32 + 8, 0x10_0001n);
  bench.put(FS.l1 + 24, 0xc001n);
  expect(bench.translate(SID, VA, WRITE)).toBe(TRANSLATED.OK);
  bench.put(pasidAt(1) + 16, 0x8010n);
  expect(bench.reasonOf(SID, VA, WRITE)).toBe(0x85);
});

test('five levels of first stage', () => {
  const bench = scalableBench();
  bench.put(pasidAt(1) + 16, 0x1_4004n);
  bench.put(0x1_4000 + 8, 0x8007n);
  expect(bench.translate(SID, 2 ** 48 + VA, READ, 1)).toBe(TRANSLATED.OK);
  expect(bench.out.physical).toBe(0xc000);
});
