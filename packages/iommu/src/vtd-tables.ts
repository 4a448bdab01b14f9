import type { VtdCapabilities } from './vtd-capabilities.js';

/** VT-d 4.0 §9.1: root entry, two of 64 bits, 256 in a table. In scalable mode each half leads to half a bus. */
export const VTD_ROOT_ENTRY = { SIZE: 16, P: 1, RESERVED_LOW: 0xffe } as const;

/** §9.3: context entry of legacy mode, by 32-bit word. */
export const VTD_CONTEXT_ENTRY = {
  SIZE: 16,
  word0: { P: 1, FPD: 2, TT_SHIFT: 2, RESERVED: 0xff0 },
  /** DID begins at 8; bits past its width are reserved with all above. */
  word2: { AW: 7, DID_SHIFT: 8, RESERVED: 0xff00_0080 },
} as const;

/** §9.3 translation type. */
export const VTD_TT = { UNTRANSLATED: 0, DEVICE_TLB: 1, PASS_THROUGH: 2 } as const;

/** §9.4: context entry of scalable mode, by 32-bit word; words 4 to 7 are reserved. */
export const VTD_SM_CONTEXT_ENTRY = {
  SIZE: 32,
  word0: { P: 1, FPD: 2, DTE: 4, PASIDE: 8, PRE: 16, PDTS_SHIFT: 9, RESERVED: 0x1e0 },
  word2: { RID_PASID: 0x000f_ffff, RID_PRIV: 0x10_0000, RESERVED: 0xffe0_0000 },
} as const;

/** §9.5: PASID directory entry; one for 64 PASIDs. */
export const VTD_PASID_DIR_ENTRY = { SIZE: 8, P: 1, FPD: 2, RESERVED: 0xffc } as const;

/** §9.6: PASID table entry, by 32-bit word; from word 6 on all is reserved. */
export const VTD_PASID_ENTRY = {
  SIZE: 64,
  word0: { P: 1, FPD: 2, AW_SHIFT: 2, PGTT_SHIFT: 6, SSADE: 0x200, RESERVED: 0xc00 },
  /** DID 15:0; memory types and snoop bits from 23 on. */
  word2: { RESERVED: 0x007f_0000 },
  word4: { SRE: 1, ERE: 2, FSPM_SHIFT: 2, WPE: 0x10, NXE: 0x20, SMEP: 0x40, EAFE: 0x80, RESERVED: 0xf00 },
  FIRST_RESERVED_WORD: 6,
} as const;

/** §9.6 PASID granular translation type. */
export const VTD_PGTT = { FIRST_STAGE: 1, SECOND_STAGE: 2, NESTED: 3, PASS_THROUGH: 4 } as const;

/** §9.8: second-stage paging entry. Bits of the low word; bit 62 is TM. X is never asked for by a device. */
export const VTD_SS_ENTRY = { R: 1, W: 2, X: 4, PS: 0x80, A: 0x100, D: 0x200, SNP: 0x800 } as const;
export const VTD_SS_ENTRY_TM_HIGH = 0x4000_0000;

/** §9.7: first-stage paging entry. Bits of the low word; bit 63 is XD. */
export const VTD_FS_ENTRY = { P: 1, RW: 2, US: 4, A: 0x20, D: 0x40, PS: 0x80, EA: 0x400 } as const;

/** §9.10: interrupt remapping table entry, remapped format, by 32-bit word. */
export const VTD_IRTE = {
  SIZE: 16,
  word0: { P: 1, FPD: 2, DM: 4, RH: 8, TM: 16, DLM_SHIFT: 5, IM: 0x8000, VECTOR_SHIFT: 16, RESERVED: 0xff00_7000 },
  word2: { SID: 0xffff, SQ_SHIFT: 16, SVT_SHIFT: 18, RESERVED: 0xfff0_0000 },
} as const;

/** Levels of a table by its AW field: 39, 48 and 57 bits; 0 for a reserved or unsupported one. */
export const levelsOfWidth = (aw: number, sagaw: number): number =>
  aw >= 1 && aw <= 3 && (sagaw & (1 << aw)) !== 0 ? aw + 2 : 0;

/** Index of an address in a table of the level, 0 to 511, from the address's two words. */
export function tableIndex(level: number, low: number, high: number): number {
  switch (level) {
    case 1:
      return (low >>> 12) & 511;
    case 2:
      return (low >>> 21) & 511;
    case 3:
      return ((low >>> 30) | (high << 2)) & 511;
    case 4:
      return (high >>> 7) & 511;
    default:
      return (high >>> 16) & 511;
  }
}

/** Bytes less one of what an entry of the level maps. */
export const PAGE_MASK: readonly number[] = [0, 0xfff, 0x1f_ffff, 0x3fff_ffff, 0x7f_ffff_ffff, 0xffff_ffff_ffff];

/** Reserved bits of every kind of entry for one unit, as masks of 32-bit words, worked out once. */
export interface VtdReserved {
  /** Address bits that entries must leave zero: from the host address width to bit 51, of the high word. */
  readonly addressHigh: number;
  /** The same to bit 63, for entries with no ignored bits on top. */
  readonly pointerHigh: number;
  /** Word 2 of a context entry: 7, and what lies above the domain id. */
  readonly contextWord2: number;
  /** Second stage: [level] of an entry that leads to a table, [8 + level] of one that maps a page. */
  readonly secondLow: Uint32Array;
  readonly secondHigh: Uint32Array;
  /** First stage, indexed alike; the high word's are `addressHigh` at every level. */
  readonly firstLow: Uint32Array;
}

/** Offset of the entries that map a page in the arrays of {@link VtdReserved}. */
export const LEAF = 8;

/** @param hostWidth host address width in bits, 32 to 52 */
export function reservedBits(capabilities: VtdCapabilities, hostWidth: number): VtdReserved {
  const pointerHigh = ~(2 ** (hostWidth - 32) - 1) >>> 0;
  const addressHigh = (pointerHigh & 0x000f_ffff) >>> 0;
  const secondLow = new Uint32Array(16);
  const secondHigh = new Uint32Array(16);
  const firstLow = new Uint32Array(16);
  const { PS, SNP } = VTD_SS_ENTRY;
  const snoop = capabilities.snoopControl ? 0 : SNP;
  const tm = capabilities.deviceTlb ? 0 : VTD_SS_ENTRY_TM_HIGH;
  for (let level = 1; level <= 5; level++) {
    secondLow[level] = SNP | (level > 3 ? PS : 0);
    secondHigh[level] = addressHigh | VTD_SS_ENTRY_TM_HIGH;
    // Address bits below the page's size.
    secondLow[LEAF + level] = snoop | (level === 2 ? 0x001f_f000 : level === 3 ? 0x3fff_f000 : 0);
    secondHigh[LEAF + level] = addressHigh | tm;
    firstLow[level] = level > 3 ? VTD_FS_ENTRY.PS : 0;
    // Bit 12 of a large page is PAT.
    firstLow[LEAF + level] = level === 2 ? 0x001f_e000 : level === 3 ? 0x3fff_e000 : 0;
  }
  if (!capabilities.secondStage2M) secondLow[2] = secondLow[2]! | PS;
  if (!capabilities.secondStage1G) secondLow[3] = secondLow[3]! | PS;
  if (!capabilities.firstStage1G) firstLow[3] = firstLow[3]! | VTD_FS_ENTRY.PS;
  return {
    addressHigh,
    pointerHigh,
    contextWord2: (VTD_CONTEXT_ENTRY.word2.RESERVED | ~(2 ** (capabilities.domainBits + 8) - 1)) >>> 0,
    secondLow,
    secondHigh,
    firstLow,
  };
}

/** VT-d 4.0 §3.14: writes there are interrupt requests. Neither a memory address nor the output of a translation. */
export const INTERRUPT_RANGE = { FIRST: 0xfee0_0000, LAST: 0xfeef_ffff } as const;

export const isInterruptAddress = (address: number): boolean =>
  address >= INTERRUPT_RANGE.FIRST && address <= INTERRUPT_RANGE.LAST;
