import { ACCESS } from '@ringwire/guest-memory';

/**
 * VT-d 4.0 §7.1.3, §7.2: fault reasons as they stand in FRCD.FR. Legacy mode and interrupt remapping have one code per
 * condition; scalable mode has codes of its own from 30h on.
 */
export const VTD_FAULT = {
  ROOT_P: 0x01,
  CONTEXT_P: 0x02,
  CONTEXT_INVALID: 0x03,
  ADDRESS_WIDTH: 0x04,
  WRITE: 0x05,
  READ: 0x06,
  PAGING_ACCESS: 0x07,
  ROOT_ACCESS: 0x08,
  CONTEXT_ACCESS: 0x09,
  ROOT_RESERVED: 0x0a,
  CONTEXT_RESERVED: 0x0b,
  PAGING_RESERVED: 0x0c,
  TRANSLATION_REQUEST: 0x0d,
  INTERRUPT_RANGE: 0x0e,
  // Interrupt remapping
  IR_REQUEST_RESERVED: 0x20,
  IR_INDEX: 0x21,
  IR_ENTRY_P: 0x22,
  IR_TABLE_ACCESS: 0x23,
  IR_ENTRY_RESERVED: 0x24,
  IR_COMPATIBILITY: 0x25,
  IR_SOURCE_ID: 0x26,
  // Scalable mode
  RTADDR_TTM: 0x30,
  LEGACY_WITH_PASID: 0x31,
  SM_ROOT_ACCESS: 0x38,
  SM_ROOT_P: 0x39,
  SM_ROOT_RESERVED: 0x3a,
  SM_CONTEXT_ACCESS: 0x40,
  SM_CONTEXT_P: 0x41,
  SM_CONTEXT_RESERVED: 0x42,
  SM_DEVICE_TLB: 0x44,
  SM_PASID_DISABLED: 0x45,
  SM_PASID_LARGE: 0x46,
  SM_RID_PASID: 0x48,
  PASID_DIRECTORY_ACCESS: 0x50,
  PASID_DIRECTORY_P: 0x51,
  PASID_DIRECTORY_RESERVED: 0x52,
  PASID_TABLE_ACCESS: 0x58,
  PASID_TABLE_P: 0x59,
  PASID_TABLE_RESERVED: 0x5a,
  PASID_TABLE_INVALID: 0x5b,
  FS_ACCESS: 0x70,
  FS_P: 0x71,
  FS_RESERVED: 0x72,
  FS_ROOT_ACCESS: 0x73,
  NESTED_ADDRESS_WIDTH: 0x74,
  NESTED_ROOT_READ: 0x75,
  NESTED_TABLE_READ: 0x76,
  NESTED_TABLE_WRITE: 0x77,
  SS_ACCESS: 0x78,
  SS_P: 0x79,
  SS_RESERVED: 0x7a,
  SS_ROOT_ACCESS: 0x7b,
  FS_CANONICAL: 0x80,
  FS_USER: 0x81,
  SM_ADDRESS_WIDTH: 0x84,
  SM_WRITE: 0x85,
  SM_READ: 0x86,
  SM_INTERRUPT_RANGE: 0x87,
  FS_BIT_UPDATE: 0x91,
} as const;

/** Name of a code as in {@link VTD_FAULT}, or the code in hex. */
export function vtdFaultName(code: number): string {
  const found = Object.entries(VTD_FAULT).find(([, value]) => value === code);
  return found === undefined ? `0x${code.toString(16)}` : found[0];
}

/**
 * Whose fault records a unit writes.
 *
 * The oracle of recorded images is QEMU's model, which differs from the specification in scalable mode: it reports
 * root, context and second-stage faults with the codes of legacy mode, and PASID table faults all as 58h; it records a
 * request without PASID as one with RID_PASID once that is known (PP set); and FPD does not hide a reserved context
 * field or a PASID table fault.
 */
export const VTD_FAULT_STYLE = { SPECIFICATION: 0, QEMU: 1 } as const;
/** One of {@link VTD_FAULT_STYLE}. */
export type VtdFaultStyle = (typeof VTD_FAULT_STYLE)[keyof typeof VTD_FAULT_STYLE];

const F = VTD_FAULT;

/** Codes of a second-stage walk in legacy mode, by the code of scalable mode. */
const LEGACY_PAGING: readonly (readonly [scalable: number, legacy: number])[] = [
  [F.SS_ACCESS, F.PAGING_ACCESS],
  [F.SS_RESERVED, F.PAGING_RESERVED],
  // The top table's address stands in the context entry, which is then called invalid.
  [F.SS_ROOT_ACCESS, F.CONTEXT_INVALID],
  [F.SM_ADDRESS_WIDTH, F.ADDRESS_WIDTH],
  [F.SM_WRITE, F.WRITE],
  [F.SM_READ, F.READ],
  [F.SM_INTERRUPT_RANGE, F.INTERRUPT_RANGE],
];

const LEGACY_TABLES: readonly (readonly [scalable: number, legacy: number])[] = [
  [F.SM_ROOT_ACCESS, F.ROOT_ACCESS],
  [F.SM_ROOT_P, F.ROOT_P],
  [F.SM_ROOT_RESERVED, F.ROOT_RESERVED],
  [F.SM_CONTEXT_ACCESS, F.CONTEXT_ACCESS],
  [F.SM_CONTEXT_P, F.CONTEXT_P],
  [F.SM_CONTEXT_RESERVED, F.CONTEXT_RESERVED],
  [F.PASID_DIRECTORY_ACCESS, F.PASID_TABLE_ACCESS],
  [F.PASID_DIRECTORY_P, F.PASID_TABLE_ACCESS],
  [F.PASID_DIRECTORY_RESERVED, F.PASID_TABLE_ACCESS],
  [F.PASID_TABLE_P, F.PASID_TABLE_ACCESS],
  [F.PASID_TABLE_RESERVED, F.PASID_TABLE_ACCESS],
  [F.PASID_TABLE_INVALID, F.PASID_TABLE_ACCESS],
];

function codeMap(pairs: readonly (readonly [number, number])[]): Uint8Array {
  const map = Uint8Array.from({ length: 256 }, (_, code) => code);
  for (const [from, to] of pairs) map[from] = to;
  return map;
}

const LEGACY = codeMap(LEGACY_PAGING);
const QEMU_SCALABLE = codeMap([...LEGACY_PAGING.filter(([from]) => from !== F.SM_INTERRUPT_RANGE), ...LEGACY_TABLES]);

/** A second-stage entry without R and W: legacy mode has no code for that, only for what the request lacked. */
const notPresent = (access: number): number => ((access & ACCESS.WRITE) === 0 ? F.READ : F.WRITE);

/** The code that a walk of legacy mode reports, from the walk's own. */
export function legacyReason(reason: number, access: number): number {
  return reason === F.SS_P ? notPresent(access) : LEGACY[reason]!;
}

/** The code that QEMU's model reports in scalable mode. */
export function qemuScalableReason(reason: number, access: number): number {
  return reason === F.SS_P ? notPresent(access) : QEMU_SCALABLE[reason]!;
}

/**
 * Whether FPD in a context or PASID entry that was read keeps the fault from being recorded (§7.1.3 qualified faults).
 * Faults met before such an entry never ask.
 */
export const isQualified = (code: number, style: VtdFaultStyle): boolean =>
  style === VTD_FAULT_STYLE.SPECIFICATION || (code !== F.CONTEXT_RESERVED && code !== F.PASID_TABLE_ACCESS);

/** Codes that say that a page is absent or does not allow an access: to a translation request that is an answer. */
const RIGHTS: readonly number[] = [F.WRITE, F.READ, F.FS_P, F.FS_USER, F.SS_P, F.SM_WRITE, F.SM_READ];
export const isMissingRight = (code: number): boolean => RIGHTS.includes(code);
