/**
 * AMD IOMMU spec 3.x §2.2.2.1 Device Table Entry Format: 256 bits, here as eight 32-bit words. Masks are of the word that
 * their name begins with: `W1_RESERVED` are bits of word 1, which is bits 63:32 of the entry.
 */
export const AMDVI_DTE = {
  SIZE: 32,
  // Word 0, bits 31:0.
  W0_V: 1,
  W0_TV: 2,
  W0_RESERVED: 0x7c, // 6:2
  W0_HAD_SHIFT: 7, // 8:7, AMDVI_HAD
  W0_MODE_SHIFT: 9, // 11:9
  // Word 1, bits 63:32. 55:52 are PPR, GPRP, GIoV and GV, reserved in a unit without guest translation and PPR.
  W1_RESERVED: 0x80f0_0000,
  RIGHTS_SHIFT: 29, // IR 61, IW 62: in this order the bits of ACCESS
  // Word 2, bits 95:64, and word 3, bits 127:96.
  W2_DOMAIN_ID: 0xffff,
  W3_SE: 2, // 97: log the first page fault only
  W3_SA: 4, // 98: log no page fault
  W3_EX: 0x80, // 103: the exclusion range applies
  // Words 4 and 5, bits 191:128: interrupts.
  W4_IV: 1,
  W4_IG: 0x20, // 133: do not log what is not forwarded
  W5_RESERVED: 0x0030_0000, // 181:180
  W5_INTCTL_SHIFT: 28, // 189:188, AMDVI_INTCTL
  // Words 6 and 7, bits 255:192.
  W6_RESERVED: 0x7fff, // 206:192
  W7_RESERVED: 0x003f_0000, // 245:240
} as const;

/** HAD: which flags the walk sets in page-table entries. 1 sets accessed, 3 dirty too; 2 is reserved. */
export const AMDVI_HAD = { NONE: 0, ACCESSED: 1, RESERVED: 2, DIRTY: 3 } as const;

/** IntCtl: what becomes of fixed and arbitrated interrupts while IV is set. */
export const AMDVI_INTCTL = { ABORT: 0, FORWARD: 1, REMAP: 2, RESERVED: 3 } as const;

/**
 * §2.2.3 I/O Page Tables for Host Translations: one 64-bit entry as two words. Whether it is a page or leads to a table
 * depends on NextLevel alone.
 */
export const AMDVI_PTE = {
  SIZE: 8,
  // Low word.
  PR: 1,
  A: 0x20,
  D: 0x40,
  NEXT_LEVEL_SHIFT: 9, // 11:9
  // High word.
  U: 0x800_0000, // 59
  FC: 0x1000_0000, // 60
  RIGHTS_SHIFT: 29, // IR 61, IW 62: in this order the bits of ACCESS
  HIGH_RESERVED_PAGE: 0x07f0_0000, // 58:52
  HIGH_RESERVED_TABLE: 0x1ff0_0000, // 60:52
} as const;

/** NextLevel of a page of its level's default size, and of one whose size is in its address bits. */
export const AMDVI_NEXT_LEVEL = { PAGE: 0, SIZED_PAGE: 7 } as const;

/** The top level indexes address bits 63:57 and has no pages. */
export const AMDVI_TOP_LEVEL = 6;

const WORD = 0x1_0000_0000;

/** Address bits 51:12 of a device-table or page-table entry. */
export const amdViAddressOf = (low: number, high: number): number =>
  (high & 0xf_ffff) * WORD + ((low & 0xffff_f000) >>> 0);

/** Address bits below what one entry of a level maps: 12 at level 1, 21 at level 2, …; `level` 7 is past the top. */
export const amdViLevelShift = (level: number): number => 3 + 9 * level;

/**
 * Size of a page whose entry has NextLevel 7, as a power of two: one more than the position of the first zero from
 * address bit 12 on, so 13 (8 KiB) to 52. 0 when bits 51:12 are all ones, which is no size.
 */
export function amdViSizedPageShift(low: number, high: number): number {
  const zerosLow = ~low >>> 12;
  if (zerosLow !== 0) return 13 + lowestBit(zerosLow);
  const zerosHigh = ~high & 0xf_ffff;
  return zerosHigh === 0 ? 0 : 33 + lowestBit(zerosHigh);
}

/** Position of the lowest one. */
const lowestBit = (bits: number): number => 31 - Math.clz32(bits & -bits);
