import type { RegisterRow, TableOf } from '@ringwire/virtio-spec';

/** One 64-bit register. Bits that are not `writable` keep their value; Status has bits that are written with 1 to clear. */
export interface AmdViRegisterRow extends RegisterRow {
  readonly writable: readonly [low: number, high: number];
}

/**
 * AMD IOMMU spec 3.x §3.4 MMIO registers, those of a unit without guest translation, PPR log and guest virtual APIC:
 * what is not in the table reads 0 and ignores writes.
 */
export const AMDVI_REGISTERS = {
  DeviceTableBase: { at: 0x0000, bytes: 8, access: 'rw', writable: [0xffff_f1ff, 0x000f_ffff] }, // Size 8:0, base 51:12
  CommandBufferBase: { at: 0x0008, bytes: 8, access: 'rw', writable: [0xffff_f000, 0x0f0f_ffff] }, // ComLen 59:56
  EventLogBase: { at: 0x0010, bytes: 8, access: 'rw', writable: [0xffff_f000, 0x0f0f_ffff] }, // EventLen 59:56
  Control: { at: 0x0018, bytes: 8, access: 'rw', writable: [0x0000_1fff, 0] }, // AMDVI_CONTROL
  ExclusionBase: { at: 0x0020, bytes: 8, access: 'rw', writable: [0xffff_f003, 0x000f_ffff] }, // ExEn, Allow, base 51:12
  ExclusionLimit: { at: 0x0028, bytes: 8, access: 'rw', writable: [0xffff_f000, 0x000f_ffff] }, // its last page, 51:12
  ExtendedFeature: { at: 0x0030, bytes: 8, access: 'ro', writable: [0, 0] }, // AMDVI_FEATURE
  // Offsets from the base of the buffer or log, in bytes: bits 18:4.
  CommandBufferHead: { at: 0x2000, bytes: 8, access: 'rw', writable: [0x0007_fff0, 0] },
  CommandBufferTail: { at: 0x2008, bytes: 8, access: 'rw', writable: [0x0007_fff0, 0] },
  EventLogHead: { at: 0x2010, bytes: 8, access: 'rw', writable: [0x0007_fff0, 0] },
  EventLogTail: { at: 0x2018, bytes: 8, access: 'rw', writable: [0x0007_fff0, 0] },
  Status: { at: 0x2020, bytes: 8, access: 'rw', writable: [0, 0] }, // AMDVI_STATUS
} as const;

/** Name of a register in {@link AMDVI_REGISTERS}. */
export type AmdViRegister = keyof TableOf<AmdViRegisterRow, typeof AMDVI_REGISTERS>;

/** Bytes of the MMIO range without performance counters. */
export const AMDVI_MMIO_BYTES = 0x4000;

/** §3.4 MMIO 0018h, bits of the low word. */
export const AMDVI_CONTROL = {
  IommuEn: 1,
  HtTunEn: 2,
  EventLogEn: 4,
  EventIntEn: 8,
  ComWaitIntEn: 0x10,
  CmdBufEn: 0x1000,
} as const;

/** §3.4 MMIO 0020h, bits of the low word. */
export const AMDVI_EXCLUSION = { ExEn: 1, Allow: 2 } as const;

/** §3.4 MMIO 2020h, bits of the low word. The first three are cleared by writing 1; the last two are read-only. */
export const AMDVI_STATUS = {
  EventOverflow: 1,
  EventLogInt: 2,
  ComWaitInt: 4,
  EventLogRun: 8,
  CmdBufRun: 0x10,
} as const;

/** §3.4 MMIO 0030h, by word. HATS: host address translation size, 0 for 4 levels, 1 for 5, 2 for 6. */
export const AMDVI_FEATURE = {
  low: { IASup: 0x40, HATS_SHIFT: 10 },
  high: { HASup: 0x2_0000, HDSup: 0x10_0000 },
} as const;

/** ComLen and EventLen: 2^n entries, from 256 on; smaller values are reserved. */
export const AMDVI_MIN_LENGTH = 8;
/** Commands and events have the same size. */
export const AMDVI_ENTRY_BYTES = 16;
