import { ACCESS } from '@ringwire/guest-memory';
import { describe, expect, test } from 'vitest';
import { AT, IOVA, legacyBench, SID } from './testing/vtd-bench.js';
import { MeddlingSpace } from './testing/vtd-meddling-space.js';
import { NO_PASID, newTranslation, TRANSLATED } from './translation.js';
import { VTD_FAULT_STYLE } from './vtd-reasons.js';
import { VtdUnit } from './vtd-unit.js';

const { READ, WRITE } = ACCESS;
const entryOf = { root: AT.root, context: AT.context + SID * 16, leaf: AT.ss1 + 0x56 * 8 };

test('VT-d 4.0 §3.4.3: root, context and four levels of second-stage entries lead to the page', () => {
  const bench = legacyBench();
  expect(bench.translate(SID, IOVA + 0x123, READ | WRITE)).toBe(TRANSLATED.OK);
  expect(bench.out).toEqual({ physical: 0x9123, pageMask: 0xfff, allowed: 3, domain: 5, entriesRead: 6 });
});

test('VT-d 4.0 §3.4.3: two requesters with the same address reach different pages', () => {
  const bench = legacyBench();
  bench.put(AT.context + 0x20 * 16, 0x10001n, 0x0601n); // 39 bits
  bench.put(0x10000 + 0x100 * 8, 0x80083n); // 1 GiB page needs an aligned base: reserved bits set
  expect(bench.reasonOf(0x20, IOVA, READ)).toBe(0x0c);
  bench.put(0x10000 + 0x100 * 8, 0x4000_0083n);
  expect(bench.translate(0x20, IOVA, WRITE)).toBe(TRANSLATED.OK);
  expect(bench.out).toEqual({ physical: 0x6345_6000, pageMask: 0x3fff_ffff, allowed: 3, domain: 6, entriesRead: 3 });
});

describe('IO-21: root or context table outside RAM', () => {
  test.each([
    ['root table outside RAM', 0x8000_0000n, 0x2001n, 0x08],
    ['root table past 2^53', 0xfff0_0000_0000_0000n, 0x2001n, 0x08],
    ['context table outside RAM', 0x1000n, 0x7_0000_0001n, 0x09],
    ['root entry with low address bits (misaligned context table)', 0x1000n, 0x2801n, 0x0a],
  ])('IO-21: %s blocks all DMA', (_, rtaddr, root, reason) => {
    const bench = legacyBench();
    bench.put(AT.root, root, 0n);
    bench.start(rtaddr);
    expect(bench.translate(SID, IOVA, READ)).toBe(TRANSLATED.FAULT);
    expect(bench.takeReason()).toBe(reason);
    expect(bench.reasonOf(0x19, IOVA, WRITE)).toBe(reason);
  });

  test('IO-21: a second-stage table outside RAM has reason 7, the top one makes the context entry invalid', () => {
    const bench = legacyBench();
    bench.put(AT.ss3 + 0x100 * 8, 0x7_0000_0003n);
    expect(bench.reasonOf(SID, IOVA, READ)).toBe(0x07);
    bench.put(entryOf.context, 0x7_0000_0001n);
    expect(bench.reasonOf(SID, IOVA, READ)).toBe(0x03);
  });

  test('IO-21: a root address with low bits set is cut to its page, as the register has no such bits', () => {
    const bench = legacyBench();
    bench.start(0x13ffn);
    expect(bench.unit.read(0x20, 8)).toBe(0x1000n);
    expect(bench.translate(SID, IOVA, READ)).toBe(TRANSLATED.OK);
  });
});

test('IO-22: an entry that points back to its own table ends the walk after the number of levels', () => {
  const bench = legacyBench();
  // Index 0 of the top table leads to the top table: at level 1 it is a page.
  bench.put(AT.ss4, BigInt(AT.ss4 | 3));
  expect(bench.translate(SID, 0x123, WRITE)).toBe(TRANSLATED.OK);
  expect(bench.out).toMatchObject({ physical: AT.ss4 + 0x123, pageMask: 0xfff, entriesRead: 6 });
  // With index 511 elsewhere the same table has nothing there.
  expect(bench.reasonOf(SID, 0x1f_f000, READ)).toBe(0x06);
});

describe('IO-23: reserved bits', () => {
  test.each<[string, number, bigint[], number]>([
    ['root entry bit 1', entryOf.root, [0x2003n, 0n], 0x0a],
    ['root entry upper half', entryOf.root, [0x2001n, 0x8000_0000_0000_0000n], 0x0a],
    ['root entry address past the host width', entryOf.root, [0x1_0000_0000_2001n, 0n], 0x0a],
    ['context entry bit 4', entryOf.context, [0x3011n, 0x0502n], 0x0b],
    ['context entry bit 71', entryOf.context, [0x3001n, 0x0582n], 0x0b],
    ['context entry bit 127', entryOf.context, [0x3001n, 0x8000_0000_0000_0502n], 0x0b],
    ['level 4 entry PS: no such page', AT.ss4, [0x4083n], 0x0c],
    ['level 3 entry SNP', AT.ss3 + 0x100 * 8, [0x5803n], 0x0c],
    ['level 3 page with address bit 29', AT.ss3 + 0x100 * 8, [0x2000_0083n], 0x0c],
    ['level 2 page with address bit 20', AT.ss2 + 0x11a * 8, [0x10_0083n], 0x0c],
    ['level 2 entry TM', AT.ss2 + 0x11a * 8, [0x4000_0000_0000_6003n], 0x0c],
    ['leaf SNP without snoop control', entryOf.leaf, [0x9803n], 0x0c],
    ['leaf TM without device TLB', entryOf.leaf, [0x4000_0000_0000_9003n], 0x0c],
    ['leaf address past the host width', entryOf.leaf, [0x0001_0000_0000_9003n], 0x0c],
  ])('IO-23: %s', (_, address, quads, reason) => {
    const bench = legacyBench();
    bench.put(address, ...quads);
    expect(bench.translate(SID, IOVA, READ)).toBe(TRANSLATED.FAULT);
    expect(bench.takeReason()).toBe(reason);
  });

  test('IO-23: what capabilities offer is not reserved, and ignored bits are ignored', () => {
    const features = { deviceTlb: true, snoopControl: true };
    const bench = legacyBench({ capabilities: features });
    bench.put(entryOf.leaf, 0xfff0_0000_0000_9ffbn); // all ignored bits, SNP, TM, EMT, PS at level 1
    expect(bench.translate(SID, IOVA, WRITE)).toBe(TRANSLATED.OK);
    expect(bench.out.physical).toBe(0x9000);
  });

  test('IO-23: large pages that the unit does not offer are reserved bits', () => {
    const bench = legacyBench({ capabilities: { largePages: [] } });
    bench.put(AT.ss2 + 0x11a * 8, 0x20_0083n);
    expect(bench.reasonOf(SID, IOVA, READ)).toBe(0x0c);
    bench.put(AT.ss3 + 0x100 * 8, 0x4000_0083n);
    expect(bench.reasonOf(SID, IOVA, READ)).toBe(0x0c);
  });

  test('IO-23: an entry without R and W is not present: its other bits are not looked at', () => {
    const bench = legacyBench();
    bench.put(entryOf.leaf, 0x4fff_ffff_ffff_fffcn);
    expect(bench.reasonOf(SID, IOVA, READ)).toBe(0x06);
    expect(bench.reasonOf(SID, IOVA, WRITE)).toBe(0x05);
  });
});

describe('IO-24: address widths', () => {
  test.each([0, 3, 4, 5, 6, 7])(
    'IO-24: a context entry with AW %i, which is not offered, blocks with reason 3',
    (aw) => {
      const bench = legacyBench();
      bench.put(entryOf.context, 0x3001n, 0x0500n | BigInt(aw));
      expect(bench.reasonOf(SID, IOVA, READ)).toBe(0x03);
    },
  );

  test('IO-24: addresses end where the context entry says, not where the unit could go', () => {
    const bench = legacyBench();
    bench.put(entryOf.context, 0x4001n, 0x0501n);
    expect(bench.translate(SID, IOVA, READ)).toBe(TRANSLATED.OK);
    expect(bench.reasonOf(SID, 2 ** 39 + IOVA, READ)).toBe(0x04);
    bench.put(entryOf.context, 0x3001n, 0x0502n);
    expect(bench.reasonOf(SID, 2 ** 48 + IOVA, READ)).toBe(0x04);
    expect(bench.reasonOf(SID, 2 ** 60, READ)).toBe(0x04);
  });

  test('IO-24: 57 bits have a fifth level', () => {
    const bench = legacyBench({ capabilities: { addressWidths: [39, 48, 57] } });
    bench.put(entryOf.context, 0x10001n, 0x0503n);
    bench.put(0x10000 + 3 * 8, 0x3003n);
    expect(bench.translate(SID, 3 * 2 ** 48 + IOVA, READ)).toBe(TRANSLATED.OK);
    expect(bench.out).toMatchObject({ physical: 0x9000, entriesRead: 7 });
  });
});

test('IO-25: each entry is read once, and an edit before the read is seen, one behind it is not', () => {
  const bench = legacyBench();
  const leaf = AT.ss1 + 0x56 * 8;
  // While the level 2 entry is fetched, software redirects the leaf; while the leaf is, the level 3 entry.
  const space = new MeddlingSpace(bench.memory, (address) => {
    if (address === AT.ss2 + 0x11a * 8) bench.put(leaf, 0xa001n);
    if (address === leaf) bench.put(AT.ss3 + 0x100 * 8, 0n);
  });
  const sink = { all() {}, domain() {}, pages() {}, requester() {} };
  const unit = new VtdUnit({ memory: space, sink });
  unit.load([
    { offset: 0x20, size: 8, value: 0x1000n },
    { offset: 0x1c, size: 4, value: 0xc000_0000n },
  ]);
  const out = newTranslation();
  expect(unit.translate(SID, NO_PASID, IOVA, READ, out)).toBe(TRANSLATED.OK);
  expect(out).toMatchObject({ physical: 0xa000, allowed: READ });
  expect([...space.reads.values()]).toEqual([1, 1, 1, 1, 1, 1]);
  expect(unit.translate(SID, NO_PASID, IOVA, READ, out)).toBe(TRANSLATED.FAULT);
});

test('DM-09: a device that writes its own page tables is answered by what memory holds at the next walk', () => {
  const bench = legacyBench();
  // The leaf maps the table that it stands in.
  bench.put(entryOf.leaf, 0x6003n);
  expect(bench.translate(SID, IOVA + 0x56 * 8, WRITE)).toBe(TRANSLATED.OK);
  expect(bench.out.physical).toBe(entryOf.leaf);
  bench.put(bench.out.physical, 0xb001n); // the device's own write
  expect(bench.translate(SID, IOVA, READ)).toBe(TRANSLATED.OK);
  expect(bench.out).toMatchObject({ physical: 0xb000, allowed: READ });
  expect(bench.reasonOf(SID, IOVA, WRITE)).toBe(0x05);
  bench.put(entryOf.leaf, 0n);
  expect(bench.reasonOf(SID, IOVA, READ)).toBe(0x06);
});

describe('VT-d 4.0 §9.3 translation types and what is around translation', () => {
  test('pass-through is refused where the unit does not offer it, and reserved everywhere for type 3', () => {
    const bench = legacyBench({ capabilities: { passThrough: false } });
    bench.put(entryOf.context, 0x3009n);
    expect(bench.reasonOf(SID, IOVA, READ)).toBe(0x03);
    bench.put(entryOf.context, 0x300dn);
    expect(bench.reasonOf(SID, IOVA, READ)).toBe(0x03);
  });

  test('pass-through gives the address itself and the domain', () => {
    const bench = legacyBench();
    bench.put(entryOf.context, 0x3009n);
    expect(bench.translate(SID, 0x1234_5678, WRITE)).toBe(TRANSLATED.PASS_THROUGH);
    expect(bench.out).toMatchObject({ physical: 0x1234_5678, domain: 5, allowed: 3 });
  });

  test('the interrupt address range is never memory: a write is a request, a read goes nowhere', () => {
    const bench = legacyBench();
    for (const address of [0xfee0_0000, 0xfeef_ffff]) {
      expect(bench.translate(SID, address, WRITE)).toBe(TRANSLATED.INTERRUPT);
      expect(bench.translate(SID, address, READ)).toBe(TRANSLATED.BLOCKED);
    }
    expect(bench.reasonOf(SID, 0xfedf_ffff, READ)).toBe(0x06);
    expect(bench.reasonOf(SID, 0xfef0_0000, READ)).toBe(0x06);
  });

  test('an output in the interrupt address range is blocked with reason Eh, its neighbours in the same page are not', () => {
    const bench = legacyBench();
    bench.put(AT.ss2 + 0x11a * 8, 0xfee0_0083n);
    expect(bench.reasonOf(SID, IOVA, WRITE)).toBe(0x0e); // fee5_6000
    expect(bench.translate(SID, IOVA + 0x10_0000, WRITE)).toBe(TRANSLATED.OK);
    expect(bench.out.physical).toBe(0xfef5_6000);
  });

  test('FPD hides what was found from its entry on, and nothing before', () => {
    const bench = legacyBench();
    bench.put(entryOf.context, 0x3003n);
    bench.put(entryOf.leaf, 0n);
    expect(bench.translate(SID, IOVA, READ)).toBe(TRANSLATED.BLOCKED);
    expect(bench.takeReason()).toBe(-1);
    expect(bench.unit.faults.counters).toEqual({ recorded: 0, overflowed: 0, hidden: 1 });
    bench.put(entryOf.root, 0n, 0n);
    expect(bench.reasonOf(SID, IOVA, READ)).toBe(0x01);
  });

  test("QEMU's model records a reserved context field in spite of FPD", () => {
    const bench = legacyBench({ faultStyle: VTD_FAULT_STYLE.QEMU });
    bench.put(entryOf.context, 0x3013n);
    expect(bench.reasonOf(SID, IOVA, READ)).toBe(0x0b);
    const strict = legacyBench();
    strict.put(entryOf.context, 0x3013n);
    expect(strict.translate(SID, IOVA, READ)).toBe(TRANSLATED.BLOCKED);
  });

  test('with translation off every address passes; a requester id past 16 bits is nobody', () => {
    const bench = legacyBench();
    expect(bench.translate(SID + 0x1_0000, IOVA, READ)).toBe(TRANSLATED.BLOCKED);
    bench.unit.write(0x18, 4, 0);
    expect(bench.translate(SID, 0x77, READ)).toBe(TRANSLATED.PASS_THROUGH);
    expect(bench.out.physical).toBe(0x77);
  });

  test('a request with PASID has no place in legacy mode', () => {
    const bench = legacyBench();
    expect(bench.reasonOf(SID, IOVA, READ, 1)).toBe(0x31);
  });
});
