import type { RegisterRow, TableOf } from '@ringwire/virtio-spec';

/** Bits of a 64-bit register by 32-bit word. */
type VtdWords = readonly [low: number, high: number];

/** One register: which bits software changes by writing, and which it clears by writing 1. */
export interface VtdRegisterRow extends RegisterRow {
  readonly writable: VtdWords;
  readonly writeClear?: VtdWords;
}

/**
 * VT-d 4.0 §11.4 register descriptions, offsets from the unit's register base. Registers that act on being written
 * (GCMD, CCMD, IQT, IOTLB) are described by what stays in them. Page requests, performance monitoring and enhanced
 * commands are not there: those offsets read 0 and ignore writes, as their capability bits say.
 */
export const VTD_REG = {
  VER: { at: 0x00, bytes: 4, access: 'ro', writable: [0, 0] }, // major 7:4, minor 3:0
  CAP: { at: 0x08, bytes: 8, access: 'ro', writable: [0, 0] }, // vtd-capabilities.ts
  ECAP: { at: 0x10, bytes: 8, access: 'ro', writable: [0, 0] },
  GCMD: { at: 0x18, bytes: 4, access: 'wo', writable: [0, 0] }, // VTD_GCMD
  GSTS: { at: 0x1c, bytes: 4, access: 'ro', writable: [0, 0] },
  RTADDR: { at: 0x20, bytes: 8, access: 'rw', writable: [0xffff_fc00, 0xffff_ffff] }, // TTM 11:10, RTA 63:12
  CCMD: { at: 0x28, bytes: 8, access: 'rw', writable: [0xffff_ffff, 0xe000_0003] }, // VTD_CCMD
  FSTS: { at: 0x34, bytes: 4, access: 'rw', writable: [0, 0], writeClear: [0x71, 0] }, // VTD_FSTS
  FECTL: { at: 0x38, bytes: 4, access: 'rw', writable: [0x8000_0000, 0] }, // VTD_EVENT_CTL
  FEDATA: { at: 0x3c, bytes: 4, access: 'rw', writable: [0xffff_ffff, 0] },
  FEADDR: { at: 0x40, bytes: 4, access: 'rw', writable: [0xffff_fffc, 0] },
  FEUADDR: { at: 0x44, bytes: 4, access: 'rw', writable: [0xffff_ffff, 0] },
  AFLOG: { at: 0x58, bytes: 8, access: 'ro', writable: [0, 0] }, // CAP.AFL is 0
  PMEN: { at: 0x64, bytes: 4, access: 'ro', writable: [0, 0] }, // CAP.PLMR and CAP.PHMR are 0
  IQH: { at: 0x80, bytes: 8, access: 'ro', writable: [0, 0] }, // 18:4, byte offset into the queue
  IQT: { at: 0x88, bytes: 8, access: 'rw', writable: [0x0007_fff0, 0] },
  IQA: { at: 0x90, bytes: 8, access: 'rw', writable: [0xffff_f807, 0xffff_ffff] }, // QS 2:0, DW 11, address 63:12
  ICS: { at: 0x9c, bytes: 4, access: 'rw', writable: [0, 0], writeClear: [0x01, 0] }, // IWC
  IECTL: { at: 0xa0, bytes: 4, access: 'rw', writable: [0x8000_0000, 0] }, // VTD_EVENT_CTL
  IEDATA: { at: 0xa4, bytes: 4, access: 'rw', writable: [0xffff_ffff, 0] },
  IEADDR: { at: 0xa8, bytes: 4, access: 'rw', writable: [0xffff_fffc, 0] },
  IEUADDR: { at: 0xac, bytes: 4, access: 'rw', writable: [0xffff_ffff, 0] },
  IQERCD: { at: 0xb0, bytes: 8, access: 'ro', writable: [0, 0] }, // IQEI 3:0, ITESID 47:32, ICESID 63:48
  IRTA: { at: 0xb8, bytes: 8, access: 'rw', writable: [0xffff_f80f, 0xffff_ffff] }, // S 3:0, EIME 11, address 63:12
} as const;

/** Name of a register in {@link VTD_REG}. */
export type VtdRegister = keyof TableOf<VtdRegisterRow, typeof VTD_REG>;

/** §11.4.8: the two IOTLB registers, offsets from where ECAP.IRO says. */
export const VTD_IOTLB_REG = {
  IVA: { at: 0, bytes: 8, access: 'wo', writable: [0xffff_f07f, 0xffff_ffff] }, // AM 5:0, IH 6, ADDR 63:12
  IOTLB: { at: 8, bytes: 8, access: 'rw', writable: [0, 0xb003_ffff] }, // VTD_IOTLB
} as const;

/** Name of one of the two IOTLB registers, in `VTD_IOTLB_REG`. */
export type VtdIotlbRegister = keyof TableOf<VtdRegisterRow, typeof VTD_IOTLB_REG>;

/** §11.4.14: one fault recording register, offsets from where CAP.FRO says. */
export const VTD_FRCD = { LOW: 0, HIGH: 8, SIZE: 16 } as const;

/** Fault recording register: bits of its four 32-bit words. FI, the page of the fault, is 63:12 of the first two. */
export const VTD_FRCD_BITS = {
  word2: { SID: 0xffff, PP: 0x8000_0000 },
  word3: { FR: 0xff, PV_SHIFT: 8, AT_SHIFT: 28, T: 0x4000_0000, F: 0x8000_0000 },
} as const;

/** Address type of the request in a fault record. */
export const VTD_ADDRESS_TYPE = { UNTRANSLATED: 0, TRANSLATION_REQUEST: 1 } as const;

/** §11.4.4 GCMD and GSTS, each bit in the same place. SRTP, SFL, WBF and SIRTP ask for something once. */
export const VTD_GCMD = {
  CFI: 0x80_0000,
  SIRTP: 0x100_0000,
  IRE: 0x200_0000,
  QIE: 0x400_0000,
  WBF: 0x800_0000,
  EAFL: 0x1000_0000,
  SFL: 0x2000_0000,
  SRTP: 0x4000_0000,
  TE: 0x8000_0000,
} as const;

/** §11.4.5 RTADDR.TTM, the translation table mode. */
export const VTD_TTM = { LEGACY: 0, SCALABLE: 1, RESERVED: 2, ABORT: 3 } as const;

/** §11.4.6 CCMD, bits of the high word; DID is 15:0 and SID 31:16 of the low one. */
export const VTD_CCMD = { FM: 3, CAIG_SHIFT: 27, CIRG_SHIFT: 29, ICC: 0x8000_0000 } as const;

/** §11.4.8 IOTLB_REG, bits of the high word. */
export const VTD_IOTLB = { DID: 0xffff, IAIG_SHIFT: 25, IIRG_SHIFT: 28, IVT: 0x8000_0000 } as const;

/** Granularities of CCMD and IOTLB_REG, in what is asked for and in what was done (0: refused). */
export const VTD_GRANULARITY = { GLOBAL: 1, DOMAIN: 2, FINE: 3 } as const;

/** §11.4.9 FSTS. */
export const VTD_FSTS = {
  PFO: 1,
  PPF: 0x2,
  IQE: 0x10,
  ICE: 0x20,
  ITE: 0x40,
  FRI_SHIFT: 8,
} as const;

/** §11.4.10 FECTL, IECTL: interrupt mask and interrupt pending. */
export const VTD_EVENT_CTL = { IM: 0x8000_0000, IP: 0x4000_0000 } as const;

/** IQA and IRTA, bits of the low word. */
export const VTD_IQA = { QS: 7, DW: 0x800 } as const;
export const VTD_IRTA = { S: 0xf, EIME: 0x800 } as const;

/** §11.4.9.9 IQERCD.IQEI: why the invalidation queue stopped. */
export const VTD_IQEI = { TAIL: 1, FETCH: 2, TYPE: 3, RESERVED: 4, ALIGNMENT: 6 } as const;
