import { expect, test } from 'vitest';
import { AmdViBench, AT, DEVICE, hex, mappedBench, READ, WRITE } from './testing/amdvi-bench.js';
import { TRANSLATED } from './translation.js';

const READ_WRITE = READ | WRITE;

test('AMD IOMMU §2.2: a walk goes through the device table entry and three levels, each entry from its bytes', () => {
  // arrange: V, TV, Mode 3, root 0x23000, IR, IW; DomainID 5
  const bench = new AmdViBench().start();
  bench.memory.u8.set(hex`03360200 00000060 0500000000000000`, AT.devices + DEVICE * 32);
  // Address 0x4040_5abc = 1 GiB + 2 * 2 MiB + 5 * 4 KiB + 0xabc: index 1 at level 3, 2 at level 2, 5 at level 1
  bench.memory.u8.set(hex`01240200 00000060`, AT.level(3) + 1 * 8); // PR, NextLevel 2, 0x22000, IR, IW
  bench.memory.u8.set(hex`01120200 00000060`, AT.level(2) + 2 * 8); // PR, NextLevel 1, 0x21000, IR, IW
  bench.memory.u8.set(hex`01f00600 00000060`, AT.level(1) + 5 * 8); // PR, NextLevel 0, page 0x6f000, IR, IW
  // act
  expect(bench.translate(0x4040_5abc, WRITE)).toBe(TRANSLATED.OK);
  // assert
  expect(bench.out).toEqual({ physical: 0x6_fabc, pageMask: 0xfff, allowed: 3, domain: 5, entriesRead: 4 });
  expect(bench.logged).toBe(0);
});

test('AMD IOMMU §2.2.2.1: with V clear, all other bits are ignored and addresses pass untranslated', () => {
  const bench = new AmdViBench().start();
  bench.device(DEVICE, 0xffff_ffff_ffff_fffen, 0xffff_ffff_ffff_ffffn, 0n, 0xffff_ffff_ffff_ffffn);
  expect(bench.translate(0x1234_5678, WRITE)).toBe(TRANSLATED.PASS_THROUGH);
  expect(bench.out).toMatchObject({ physical: 0x1234_5678, allowed: 3, domain: 0 });
});

test('with IommuEn clear, addresses pass untranslated and no table is read', () => {
  const bench = mappedBench();
  bench.unit.write(0x0018, 4, 0);
  expect(bench.translate(0x3000, WRITE)).toBe(TRANSLATED.PASS_THROUGH);
  expect(bench.out).toMatchObject({ physical: 0x3000, entriesRead: 0 });
});

test('AMD IOMMU §2.2.2.1: Mode 0 switches translation off; IR and IW still decide', () => {
  const bench = new AmdViBench().start();
  bench.device(DEVICE, 0x2000_0000_0000_0003n); // V, TV, IR
  expect(bench.translate(0xabc, READ)).toBe(TRANSLATED.PASS_THROUGH);
  expect(bench.out).toMatchObject({ physical: 0xabc, allowed: READ, domain: 5 });
  expect(bench.translate(0xabc, WRITE)).toBe(TRANSLATED.FAULT);
  // IO_PAGE_FAULT, domain 5, PR, RW, PE
  expect(bench.event(0)).toEqual(hex`08000000 05007020 bc0a000000000000`);
});

test('AMD IOMMU §2.2.2.1: V without TV ends the walk with IO_PAGE_FAULT', () => {
  const bench = new AmdViBench().start();
  bench.device(DEVICE, 0x6000_0000_0002_3601n);
  expect(bench.translate(0x3000)).toBe(TRANSLATED.FAULT);
  expect(bench.event(0)).toEqual(hex`08000000 05000020 0030000000000000`);
});

test('AMD IOMMU §2.2.3: IR and IW of the device entry and of every level are ANDed', () => {
  const rights = [3n, 2n, 1n, 0n];
  for (const dte of rights)
    for (const directory of rights)
      for (const page of rights) {
        const bench = mappedBench();
        bench.device(DEVICE, (dte << 61n) | 0x0002_3603n);
        bench.entry(2, 0, (directory << 61n) | 0x0002_1201n);
        bench.entry(1, 3, (page << 61n) | 0x7001n);
        const all = Number(dte & directory & page);
        for (const access of [READ, WRITE, READ_WRITE]) {
          const expected = (access & ~all) === 0 ? TRANSLATED.OK : TRANSLATED.FAULT;
          expect(bench.translate(0x3000, access), `${dte} ${directory} ${page} for ${access}`).toBe(expected);
          if (expected === TRANSLATED.OK) expect(bench.out.allowed).toBe(all);
        }
      }
});

test('AMD IOMMU §2.2.3: an entry without PR is IO_PAGE_FAULT without PR at any level', () => {
  for (const [level, index] of [
    [3, 0],
    [2, 0],
    [1, 3],
  ] as const) {
    const bench = mappedBench();
    const address = AT.level(level) + index * 8;
    bench.put64(address, bench.get64(address) & ~1n);
    expect(bench.translate(0x3004, WRITE)).toBe(TRANSLATED.FAULT);
    expect(bench.event(0)).toEqual(hex`08000000 05002020 0430000000000000`);
  }
});

test('AMD IOMMU §2.2.3: NextLevel 0 above level 1 is a page of the level’s default size', () => {
  const bench = mappedBench();
  bench.entry(2, 1, 0x6000_0000_0040_0001n); // 2 MiB at 4 MiB
  expect(bench.translate(0x20_0000 + 0x12_3456)).toBe(TRANSLATED.OK);
  expect(bench.out).toMatchObject({ physical: 0x40_0000 + 0x12_3456, pageMask: 0x1f_ffff, entriesRead: 3 });
  bench.entry(3, 1, 0x6000_0001_0000_0001n); // 1 GiB at 4 GiB
  expect(bench.translate(0x4000_0000 + 0x1234_5678)).toBe(TRANSLATED.OK);
  expect(bench.out).toMatchObject({ physical: 0x1_1234_5678, pageMask: 0x3fff_ffff, entriesRead: 2 });
});

test('AMD IOMMU §2.2.3: Mode 4, 5 and 6 with pages of 512 GiB and 256 TiB', () => {
  const bench = new AmdViBench().start();
  bench.device(DEVICE, 0x6000_0000_0002_6c03n); // Mode 6
  bench.entry(6, 0, 0x6000_0000_0002_5a01n); // NextLevel 5
  bench.entry(5, 1, 0x6001_0000_0000_0001n); // 256 TiB at 2^48
  bench.entry(5, 0, 0x6000_0000_0002_4801n); // NextLevel 4
  bench.entry(4, 1, 0x6000_0080_0000_0001n); // 512 GiB at 2^39
  expect(bench.translate(2 ** 48 + 0x7654_3210_abcd)).toBe(TRANSLATED.OK);
  expect(bench.out).toMatchObject({ physical: 2 ** 48 + 0x7654_3210_abcd, pageMask: 2 ** 48 - 1 });
  expect(bench.translate(2 ** 39 + 0x12_3456_789a)).toBe(TRANSLATED.OK);
  expect(bench.out).toMatchObject({ physical: 2 ** 39 + 0x12_3456_789a, pageMask: 2 ** 39 - 1, entriesRead: 4 });
});

test('AMD IOMMU §2.2.3: NextLevel 7 takes the size from the address: 64 KiB of 16 equal entries', () => {
  const bench = mappedBench();
  // PR, NextLevel 7, address 0x70000 with 0x7000 for the size, IR, IW
  for (let i = 16; i < 32; i++) bench.entry(1, i, 0x6000_0000_0007_7e01n);
  for (const address of [0x1_0000, 0x1_8abc, 0x1_ffff]) {
    expect(bench.translate(address)).toBe(TRANSLATED.OK);
    expect(bench.out).toMatchObject({ physical: 0x6_0000 + address, pageMask: 0xffff });
  }
});

test('AMD IOMMU §2.2.3: sizes of NextLevel 7 lie between the default ones of the level and of the next', () => {
  const bench = mappedBench();
  const outcome = (level: number, index: number, size: number): number => {
    const ones = 2n ** BigInt(size - 1) - 0x1000n;
    bench.entry(level, index, 0x6000_0000_0000_0e01n | ones);
    return bench.translate(index * 2 ** (3 + 9 * level));
  };
  const legal = (level: number): number[] => {
    const sizes: number[] = [];
    for (let size = 13; size <= 52; size++) if (outcome(level, 4, size) === TRANSLATED.OK) sizes.push(size);
    return sizes;
  };
  expect(legal(1)).toEqual([13, 14, 15, 16, 17, 18, 19, 20]);
  expect(legal(2)).toEqual([22, 23, 24, 25, 26, 27, 28, 29]);
  expect(legal(3)).toEqual([31, 32, 33, 34, 35, 36, 37, 38]);
  // All ones from bit 12 to 51 is no size: IO_PAGE_FAULT with PR, without RZ.
  const logged = bench.logged;
  bench.entry(1, 3, 0x600f_ffff_ffff_fe01n);
  expect(bench.translate(0x3000)).toBe(TRANSLATED.FAULT);
  expect(bench.event(logged)).toEqual(hex`08000000 05001020 0030000000000000`);
});

test('AMD IOMMU §2.2.3: levels may be skipped where the skipped address bits are zero', () => {
  const bench = new AmdViBench().start();
  bench.device(DEVICE, 0x6000_0000_0002_4803n); // Mode 4
  bench.entry(4, 0, 0x6000_0000_0002_1201n); // NextLevel 1: levels 3 and 2 are skipped
  bench.entry(1, 3, 0x6000_0000_0000_7001n);
  expect(bench.translate(0x3010)).toBe(TRANSLATED.OK);
  expect(bench.out).toMatchObject({ physical: 0x7010, entriesRead: 3 });
  // Bits 38:21 belong to the skipped levels. PR, no RZ: a level that cannot be.
  expect(bench.translate(0x20_3010)).toBe(TRANSLATED.FAULT);
  expect(bench.event(0)).toEqual(hex`08000000 05001020 1030200000000000`);
  expect(bench.translate(0x40_0000_3010)).toBe(TRANSLATED.FAULT);
  bench.entry(1, 0, 0x6000_0000_0000_7001n);
  expect(bench.translate(0x20_0000)).toBe(TRANSLATED.FAULT);
  expect(bench.translate(0x1f_ffff)).toBe(TRANSLATED.FAULT);
  expect(bench.translate(0)).toBe(TRANSLATED.OK);
  // A 2 MiB page under level 4 with bits 38:30 zero is fine: NextLevel 2, then NextLevel 0.
  bench.entry(4, 1, 0x6000_0000_0002_2401n);
  bench.entry(2, 1, 0x6000_0000_0040_0001n);
  expect(bench.translate(2 ** 39 + 0x20_0000 + 5)).toBe(TRANSLATED.OK);
  expect(bench.out.physical).toBe(0x40_0005);
  expect(bench.translate(2 ** 39 + 2 ** 30 + 0x20_0000)).toBe(TRANSLATED.FAULT);
});

test('AMD IOMMU §2.2.3: address bits above what Mode covers have to be zero', () => {
  const bench = mappedBench();
  expect(bench.translate(2 ** 39 + 0x3000)).toBe(TRANSLATED.FAULT);
  expect(bench.event(0)).toEqual(hex`08000000 05001020 0030000080000000`);
});

test('an address of 2^53 or more, below 0, or none at all is a fault, never an alias', () => {
  const bench = mappedBench();
  bench.device(DEVICE, 0x6000_0000_0002_3c03n); // Mode 6 covers 64 bits
  for (const address of [2 ** 53, 2 ** 60 + 0x3000, 2 ** 64 + 0x3000, -1, Number.NaN, Number.POSITIVE_INFINITY])
    expect(bench.translate(address)).toBe(TRANSLATED.FAULT);
  expect(bench.unit.counters.walks[3]).toBe(6);
});

test('a request with a PASID is a page fault that names the PASID: the unit translates no guest addresses', () => {
  const bench = mappedBench();
  expect(bench.translate(0x3000, READ, DEVICE, 0xa_bcde)).toBe(TRANSLATED.FAULT);
  // PASID 19:16 in bits 19:16, PASID 15:0 in bits 47:32, GN
  expect(bench.event(0)).toEqual(hex`08000a00 debc0120 0030000000000000`);
});

test('AMD IOMMU §2.1.2: writes to 0xfee00000–0xfeefffff are interrupt requests, untouched by page tables', () => {
  const bench = mappedBench();
  expect(bench.translate(0xfee0_0000, WRITE)).toBe(TRANSLATED.INTERRUPT);
  expect(bench.translate(0xfeef_ffff, WRITE)).toBe(TRANSLATED.INTERRUPT);
  expect(bench.translate(0xfedf_ffff, WRITE)).toBe(TRANSLATED.FAULT);
  expect(bench.translate(0xfef0_0000, WRITE)).toBe(TRANSLATED.FAULT);
  bench.unit.write(0x0018, 4, 0);
  expect(bench.translate(0xfee0_0000, WRITE)).toBe(TRANSLATED.INTERRUPT);
});

test('AMD IOMMU §2.2.2.1: IntCtl aborts, forwards or remaps interrupts while IV is set, also with V clear', () => {
  for (const q0 of [0x6000_0000_0002_3603n, 0n]) {
    const bench = mappedBench();
    const outcome = (q2: bigint): number => {
      bench.device(DEVICE, q0, 5n, q2);
      return bench.translate(0xfee0_1004, WRITE);
    };
    expect(outcome(0x1000_0000_0000_0001n)).toBe(TRANSLATED.INTERRUPT);
    expect(outcome(0x2000_0000_0000_0001n)).toBe(TRANSLATED.INTERRUPT);
    expect(outcome(0x0000_0000_0000_0001n)).toBe(TRANSLATED.FAULT);
    // I; the domain only of a valid entry
    const domain = q0 === 0n ? hex`0000` : hex`0500`;
    expect(bench.event(0)).toEqual(Uint8Array.of(...hex`08000000`, ...domain, ...hex`0820 0410e0fe00000000`));
    // IG: not logged
    expect(outcome(0x0000_0000_0000_0021n)).toBe(TRANSLATED.BLOCKED);
    // 3 is reserved: ILLEGAL_DEV_TABLE_ENTRY with I and RZ
    expect(outcome(0x3000_0000_0000_0001n)).toBe(TRANSLATED.FAULT);
    expect(bench.event(1)).toEqual(hex`08000000 00008810 0410e0fe00000000`);
    expect(bench.logged).toBe(2);
  }
});

test('AMD IOMMU §2.5.9: a read of the interrupt window is INVALID_DEVICE_REQUEST', () => {
  const bench = mappedBench();
  expect(bench.translate(0xfee0_0000, READ)).toBe(TRANSLATED.FAULT);
  expect(bench.translate(0xfee0_0000, READ_WRITE)).toBe(TRANSLATED.FAULT);
  expect(bench.event(0)).toEqual(hex`08000000 00000080 0000e0fe00000000`);
  expect(bench.event(1)).toEqual(hex`08000000 00002080 0000e0fe00000000`);
});

test('a large page around the interrupt window is handed out by 4 KiB, so that no cache covers the window', () => {
  const bench = mappedBench();
  bench.entry(3, 3, 0x6000_0001_0000_0001n); // the fourth GiB
  expect(bench.translate(0xfed0_0123)).toBe(TRANSLATED.OK);
  expect(bench.out).toMatchObject({ physical: 0x1_3ed0_0123, pageMask: 0xfff });
  bench.entry(3, 2, 0x6000_0001_0000_0001n); // the third
  expect(bench.translate(0x8000_0000)).toBe(TRANSLATED.OK);
  expect(bench.out.pageMask).toBe(0x3fff_ffff);
});

test('AMD IOMMU §3.4 MMIO 0020h: the exclusion range passes for devices with EX, and with Allow for all', () => {
  const bench = mappedBench();
  bench.entry(2, 1, 0x6000_0000_0040_0001n);
  bench.unit.write(0x0028, 8, 0x0020_4000n);
  bench.unit.write(0x0020, 8, 0x0020_3001n); // ExEn: 0x203000 to 0x204fff
  expect(bench.translate(0x20_3000)).toBe(TRANSLATED.OK);
  bench.device(DEVICE, 0x6000_0000_0002_3603n, 0x0000_0080_0000_0005n); // EX
  expect(bench.translate(0x20_2fff)).toBe(TRANSLATED.OK);
  expect(bench.out.pageMask).toBe(0xfff); // the 2 MiB page has the range inside
  expect(bench.translate(0x20_3000, WRITE)).toBe(TRANSLATED.PASS_THROUGH);
  expect(bench.out.physical).toBe(0x20_3000);
  expect(bench.translate(0x20_4fff)).toBe(TRANSLATED.PASS_THROUGH);
  expect(bench.translate(0x20_5000)).toBe(TRANSLATED.OK);
  bench.device(DEVICE, 0x6000_0000_0002_3603n);
  bench.unit.write(0x0020, 8, 0x0020_3003n); // Allow
  expect(bench.translate(0x20_3000)).toBe(TRANSLATED.PASS_THROUGH);
});

test('AMD IOMMU §2.2.3 with HAD 3: a write sets A in every entry and D in the page’s; a read sets A only', () => {
  const bench = mappedBench();
  bench.device(DEVICE, 0x6000_0000_0002_3783n);
  expect(bench.translate(0x3000, READ)).toBe(TRANSLATED.OK);
  expect([bench.get64(AT.level(3)), bench.get64(AT.level(2)), bench.get64(AT.level(1) + 24)]).toEqual([
    0x6000_0000_0002_2421n,
    0x6000_0000_0002_1221n,
    0x6000_0000_0000_7021n,
  ]);
  // The right to write is not given out before D is set: a cache would write without setting it.
  expect(bench.out.allowed).toBe(READ);
  expect(bench.translate(0x3000, WRITE)).toBe(TRANSLATED.OK);
  expect(bench.out.allowed).toBe(READ_WRITE);
  expect(bench.get64(AT.level(1) + 24)).toBe(0x6000_0000_0000_7061n);
  expect(bench.get64(AT.level(2))).toBe(0x6000_0000_0002_1221n);
  expect(bench.translate(0x3000, READ)).toBe(TRANSLATED.OK);
  expect(bench.out.allowed).toBe(READ_WRITE);
});

test('AMD IOMMU §2.2.3 with HAD 1: only A; a denied or failing walk marks no page; HAD 0 marks nothing', () => {
  const bench = mappedBench();
  expect(bench.translate(0x3000, WRITE)).toBe(TRANSLATED.OK);
  expect(bench.get64(AT.level(1) + 24)).toBe(0x6000_0000_0000_7001n);
  bench.device(DEVICE, 0x6000_0000_0002_3683n);
  bench.entry(1, 4, 0x2000_0000_0000_8001n);
  expect(bench.translate(0x4000, WRITE)).toBe(TRANSLATED.FAULT);
  expect(bench.get64(AT.level(1) + 32)).toBe(0x2000_0000_0000_8001n);
  expect(bench.translate(0x3000, WRITE)).toBe(TRANSLATED.OK);
  expect(bench.get64(AT.level(1) + 24)).toBe(0x6000_0000_0000_7021n);
  expect(bench.out.allowed).toBe(READ_WRITE);
});
