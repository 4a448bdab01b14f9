import { expect, test } from 'vitest';
import { amdViAddressOf, amdViLevelShift, amdViSizedPageShift } from './amdvi-tables.js';

test('AMD IOMMU §2.2.3: levels 1 to 6 index from address bits 12, 21, 30, 39, 48 and 57', () => {
  expect([1, 2, 3, 4, 5, 6].map(amdViLevelShift)).toEqual([12, 21, 30, 39, 48, 57]);
});

test('AMD IOMMU §2.2.3: an entry’s address is its bits 51:12', () => {
  expect(amdViAddressOf(0xffff_ffff, 0xffff_ffff)).toBe(0xf_ffff_ffff_f000);
  expect(amdViAddressOf(0x0000_0fff, 0xfff0_0000)).toBe(0);
  expect(amdViAddressOf(0x8000_0601, 0x6000_0001)).toBe(0x1_8000_0000);
});

test('AMD IOMMU §2.2.3, page size encodings: the first zero from bit 12 on is half the page', () => {
  const shift = (entry: bigint): number => amdViSizedPageShift(Number(entry & 0xffff_ffffn), Number(entry >> 32n));
  expect(shift(0x0000_0000_0000_0000n)).toBe(13); // 8 KiB
  expect(shift(0x0000_0000_0000_1000n)).toBe(14); // 16 KiB
  expect(shift(0x0000_0000_0000_7000n)).toBe(16); // 64 KiB
  expect(shift(0x0000_0000_0007_f000n)).toBe(20); // 1 MiB
  expect(shift(0x0000_0000_001f_f000n)).toBe(22); // 4 MiB
  expect(shift(0x0000_0000_7fff_f000n)).toBe(32); // 4 GiB
  expect(shift(0x0000_0000_ffff_f000n)).toBe(33); // 8 GiB
  expect(shift(0x0000_0001_ffff_f000n)).toBe(34);
  expect(shift(0x0007_ffff_ffff_f000n)).toBe(52);
  // Bits above the first zero are address.
  expect(shift(0x000f_ffff_ffff_e000n)).toBe(13);
  expect(shift(0x000f_fffe_ffff_f000n)).toBe(33);
  // No zero at all is no size; bits outside 51:12 do not count.
  expect(shift(0x000f_ffff_ffff_f000n)).toBe(0);
  expect(shift(0x7000_0000_0000_0e01n)).toBe(13);
});
