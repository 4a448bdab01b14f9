import { HostMemory, IdentitySpace } from '@ringwire/guest-memory';
import { expect, test } from 'vitest';
import { Gart, gartEntry } from './gart.js';
import { DEVICE, hex, mappedBench, READ, RecordingSink, WRITE } from './testing/amdvi-bench.js';
import { NO_PASID, newTranslation, TRANSLATED, type Translated, type Translation } from './translation.js';

const READ_WRITE = READ | WRITE;

class GartBench {
  readonly memory: HostMemory = HostMemory.create(0x10_0000);
  readonly sink: RecordingSink = new RecordingSink();
  readonly gart: Gart = new Gart(new IdentitySpace(this.memory), this.sink);
  readonly out: Translation = newTranslation();

  /** An aperture of 64 MiB at 0x8000_0000, its table at 0x4_0000. */
  constructor() {
    this.gart.write(0x94, 0x8000_0000 / 0x200_0000);
    this.gart.write(0x98, 0x4_0000 / 256);
    this.gart.write(0x90, 0x3);
    this.sink.said.length = 0;
  }

  translate(address: number, access: number = READ, source: number = DEVICE): Translated {
    return this.gart.translate(source, NO_PASID, address, access, this.out);
  }
}

test('AMD64 GART: an entry’s bits 31:12 are address bits 31:12 and its bits 11:4 are address bits 39:32', () => {
  const bench = new GartBench();
  // Page 3 of the aperture: valid, coherent, address 0xab_1234_5000
  bench.memory.u8.set(hex`b35a3412`, 0x4_0000 + 3 * 4);
  expect(bench.translate(0x8000_3678, WRITE)).toBe(TRANSLATED.OK);
  expect(bench.out).toEqual({
    physical: 0xab_1234_5678,
    pageMask: 0xfff,
    allowed: READ_WRITE,
    domain: 0,
    entriesRead: 1,
  });
});

test('AMD64 GART: gartEntry writes that format, and takes no address that it cannot hold', () => {
  expect(gartEntry(0xab_1234_5000)).toBe(0x1234_5ab3);
  expect(gartEntry(0xff_ffff_f000)).toBe(0xffff_fff3);
  expect(() => gartEntry(2 ** 40)).toThrow('physical is 1099511627776, want a multiple of 4096 below 2^40');
  expect(() => gartEntry(0x1001)).toThrow('want a multiple of 4096');
});

test('AMD64 GART: the aperture has 32 MiB << n at its base; before and behind it addresses pass', () => {
  const bench = new GartBench();
  bench.memory.u32.fill(gartEntry(0x7000), 0x4_0000 / 4, 0x5_0000 / 4); // 0x4000 entries: 64 MiB
  expect(bench.translate(0x7fff_ffff)).toBe(TRANSLATED.PASS_THROUGH);
  expect(bench.out).toMatchObject({ physical: 0x7fff_ffff, pageMask: 0x1ff_ffff });
  expect(bench.translate(0x8000_0000)).toBe(TRANSLATED.OK);
  expect(bench.translate(0x83ff_ffff)).toBe(TRANSLATED.OK);
  expect(bench.out.physical).toBe(0x7fff);
  expect(bench.translate(0x8400_0000)).toBe(TRANSLATED.PASS_THROUGH);
  bench.gart.write(0x90, 0x1); // n = 0
  expect(bench.translate(0x8200_0000)).toBe(TRANSLATED.PASS_THROUGH);
  expect(bench.translate(0x81ff_ffff)).toBe(TRANSLATED.OK);
  for (const off of [0x0, 0x21, 0xf]) {
    bench.gart.write(0x90, off); // GartEn clear; DisGartIo; n = 7, reserved
    expect(bench.translate(0x8000_0000)).toBe(TRANSLATED.PASS_THROUGH);
  }
});

test('AMD64 GART: a page without a valid entry, or a table outside memory, is a fault and sets GartPteErr', () => {
  const bench = new GartBench();
  expect(bench.translate(0x8000_0000)).toBe(TRANSLATED.FAULT);
  expect(bench.gart.read(0x9c)).toBe(2);
  bench.gart.write(0x9c, 0);
  expect(bench.gart.read(0x9c)).toBe(2);
  bench.gart.write(0x9c, 2);
  expect(bench.gart.read(0x9c)).toBe(0);
  bench.gart.write(0x98, 0xffff_ffff);
  expect(bench.gart.read(0x98)).toBe(0xffff_fff0);
  expect(bench.translate(0x8000_0000)).toBe(TRANSLATED.FAULT);
  expect(bench.gart.read(0x9c)).toBe(2);
});

test('AMD64 GART: InvGart and every change of the aperture void what is cached; InvGart reads 0', () => {
  const bench = new GartBench();
  bench.gart.write(0x9c, 1);
  expect([bench.gart.read(0x9c), bench.sink.said]).toEqual([0, ['all']]);
  bench.gart.write(0x90, 0x1);
  bench.gart.write(0x94, 0x20);
  bench.gart.write(0x98, 0x4000);
  expect(bench.sink.said).toHaveLength(4);
  bench.gart.write(0xa0, 0xffff_ffff);
  expect([bench.gart.read(0xa0), bench.gart.read(0x94), bench.sink.said.length]).toEqual([0, 0x20, 4]);
});

test('interrupt requests are told apart, and no cached stretch covers their window', () => {
  const bench = new GartBench();
  expect(bench.translate(0xfee0_0000, WRITE)).toBe(TRANSLATED.INTERRUPT);
  expect(bench.translate(0xfed0_0000, WRITE)).toBe(TRANSLATED.PASS_THROUGH);
  expect(bench.out.pageMask).toBe(0xfff);
});

test('GART translates and does not protect: side by side with AMD-Vi, which does both', () => {
  // arrange: both map one page of bus addresses to physical 0x7000 – for device 8, says AMD-Vi
  const old = new GartBench();
  old.memory.u32[0x4_0000 / 4] = gartEntry(0x7000);
  const amdvi = mappedBench();
  amdvi.device(9, 0x1n);
  amdvi.entry(1, 3, 0x2000_0000_0000_7001n); // read only
  // Both translate the mapped page.
  expect(old.translate(0x8000_0010)).toBe(TRANSLATED.OK);
  expect(amdvi.translate(0x3010)).toBe(TRANSLATED.OK);
  expect([old.out.physical, amdvi.out.physical]).toEqual([0x7010, 0x7010]);
  // Another device: the GART's table is everybody's.
  expect(old.translate(0x8000_0010, READ, 9)).toBe(TRANSLATED.OK);
  expect(amdvi.translate(0x3010, READ, 9)).toBe(TRANSLATED.FAULT);
  // A write to what is only to be read: the GART has no such page.
  expect(old.translate(0x8000_0010, WRITE)).toBe(TRANSLATED.OK);
  expect(amdvi.translate(0x3010, WRITE)).toBe(TRANSLATED.FAULT);
  // An address that nobody mapped – any byte of memory: the GART lets it pass as it is.
  expect(old.translate(0x9_0000, READ_WRITE)).toBe(TRANSLATED.PASS_THROUGH);
  expect(old.out).toMatchObject({ physical: 0x9_0000, allowed: READ_WRITE });
  expect(amdvi.translate(0x9_0000, READ_WRITE)).toBe(TRANSLATED.FAULT);
});
