import { ACCESS } from '@ringwire/guest-memory';
import { inInterruptWindow } from './amdvi-interrupt-window.js';
import { AMDVI_CONTROL, AMDVI_EXCLUSION, AMDVI_REGISTERS } from './amdvi-registers.js';
import {
  AMDVI_DTE,
  AMDVI_HAD,
  AMDVI_NEXT_LEVEL,
  AMDVI_PTE,
  AMDVI_TOP_LEVEL,
  amdViAddressOf,
  amdViLevelShift,
  amdViSizedPageShift,
} from './amdvi-tables.js';
import type { AmdViUnit } from './amdvi-unit.js';

/** One entry that a walk reads, or cannot read. */
export interface AmdViStep {
  readonly table: 'device' | 'page';
  /** Of a page-table entry: 1 to 6; else 0. */
  readonly level: number;
  /** Physical address of the entry. */
  readonly address: number;
  /** Its quadwords in hex, lowest first; empty when it cannot be read. */
  readonly raw: readonly string[];
  /** Bits that are set, then fields with their values, by the specification's names. */
  readonly bits: readonly string[];
  /** What follows from the entry for this request. */
  readonly verdict: string;
}

/** Why a request of a device behind an AMD-Vi unit ended as it did, entry by entry. */
export interface AmdViExplanation {
  readonly steps: readonly AmdViStep[];
  /** Where the request goes, or why it goes nowhere. */
  readonly outcome: string;
  /** Physical address, when the request gets one. */
  readonly physical: number | undefined;
}

const DTE = AMDVI_DTE;
const PTE = AMDVI_PTE;
const READ_WRITE = ACCESS.READ | ACCESS.WRITE;

/**
 * Why a request without a PASID goes where it goes: each entry on its way, decoded. For tools: it reads the same tables
 * as `translate`, allocates, and changes nothing – no event, no A or D bit, no counter.
 */
export function explainAmdVi(unit: AmdViUnit, sourceId: number, address: number, access: number): AmdViExplanation {
  const trail = new Trail(unit, address, access);
  return { outcome: trail.deviceTable(sourceId), steps: trail.steps, physical: trail.physical };
}

class Trail {
  readonly steps: AmdViStep[] = [];
  physical: number | undefined;
  private readonly unit: AmdViUnit;
  private readonly address: number;
  private readonly access: number;

  constructor(unit: AmdViUnit, address: number, access: number) {
    this.unit = unit;
    this.address = address;
    this.access = access;
  }

  /** @returns the outcome */
  deviceTable(sourceId: number): string {
    const { registers } = this.unit;
    const interrupt = inInterruptWindow(this.address) && this.access === ACCESS.WRITE;
    if ((registers.control & AMDVI_CONTROL.IommuEn) === 0)
      return interrupt ? 'interrupt request: the unit is off' : this.untranslated('the unit is off');
    const row = AMDVI_REGISTERS.DeviceTableBase;
    const entries = (((registers.word(row.at) & 0x1ff) + 1) * 4096) / DTE.SIZE;
    if (sourceId >= entries) return `ILLEGAL_DEV_TABLE_ENTRY: the device table has ${entries} entries`;
    const at = registers.address(row) + sourceId * DTE.SIZE;
    const words = this.words(at, DTE.SIZE);
    if (words === undefined) return this.step('device', 0, at, [], [], 'DEV_TAB_HARDWARE_ERROR: not readable memory');
    const verdict = interrupt ? this.interruptVerdict(words) : this.deviceVerdict(words);
    this.step('device', 0, at, words, deviceBits(words), verdict);
    if (verdict !== 'walk the page tables') return verdict;
    const [w0, w1] = [words[0]!, words[1]!];
    return this.tables(amdViAddressOf(w0, w1), (w0 >>> DTE.W0_MODE_SHIFT) & 7, rightsOf(w1), hadOf(w0));
  }

  private deviceVerdict(words: readonly number[]): string {
    const [w0, w1, , w3] = [words[0]!, words[1]!, words[2]!, words[3]!];
    if ((w0 & DTE.W0_V) === 0) return this.untranslated('V is clear');
    if (hasReserved(words)) return 'ILLEGAL_DEV_TABLE_ENTRY: reserved bits';
    if (inInterruptWindow(this.address)) return 'INVALID_DEVICE_REQUEST: a read of the interrupt window';
    if (this.isExcluded((w3 & DTE.W3_EX) !== 0)) return this.untranslated('the exclusion range');
    if ((w0 & DTE.W0_TV) === 0) return 'IO_PAGE_FAULT: TV is clear';
    const mode = (w0 >>> DTE.W0_MODE_SHIFT) & 7;
    if (mode > this.unit.levels)
      return `ILLEGAL_DEV_TABLE_ENTRY: Mode ${mode}, the unit has ${this.unit.levels} levels`;
    const denied = this.denied(rightsOf(w1));
    if (denied !== '') return denied;
    if (mode === 0) return this.untranslated('Mode is 0');
    if (this.address >= 2 ** amdViLevelShift(mode + 1))
      return `IO_PAGE_FAULT: the address has bits above the ${amdViLevelShift(mode + 1)} that Mode ${mode} covers`;
    return 'walk the page tables';
  }

  private interruptVerdict(words: readonly number[]): string {
    const [w0, w4, w5] = [words[0]!, words[4]!, words[5]!];
    if ((w0 & DTE.W0_V) !== 0 && hasReserved(words)) return 'ILLEGAL_DEV_TABLE_ENTRY: reserved bits';
    if ((w4 & DTE.W4_IV) === 0) return 'interrupt request: IV is clear';
    const control = (w5 >>> DTE.W5_INTCTL_SHIFT) & 3;
    if ((w5 & DTE.W5_RESERVED) !== 0 || control === 3) return 'ILLEGAL_DEV_TABLE_ENTRY: reserved bits';
    return control === 0 ? 'IO_PAGE_FAULT: IntCtl aborts interrupts' : 'interrupt request';
  }

  private tables(top: number, mode: number, rights: number, had: number): string {
    let table = top;
    let allowed = rights;
    // Each step goes to a lower level, so there are at most `mode` of them.
    for (let level = mode; ; ) {
      const index = Math.floor(this.address / 2 ** amdViLevelShift(level)) % 512;
      const at = table + index * PTE.SIZE;
      const words = this.words(at, PTE.SIZE, had === AMDVI_HAD.NONE ? ACCESS.READ : READ_WRITE);
      if (words === undefined)
        return this.step('page', level, at, [], [], 'PAGE_TAB_HARDWARE_ERROR: no memory for it there');
      const [low, high] = [words[0]!, words[1]!];
      allowed &= rightsOf(high);
      const verdict = this.pageVerdict(low, high, level, allowed);
      this.step('page', level, at, words, pageBits(low, high), verdict);
      if (!verdict.startsWith('table of level')) return verdict;
      table = amdViAddressOf(low, high);
      level = (low >>> PTE.NEXT_LEVEL_SHIFT) & 7;
    }
  }

  private pageVerdict(low: number, high: number, level: number, allowed: number): string {
    const next = (low >>> PTE.NEXT_LEVEL_SHIFT) & 7;
    const isPage = next === AMDVI_NEXT_LEVEL.PAGE || next === AMDVI_NEXT_LEVEL.SIZED_PAGE;
    if ((low & PTE.PR) === 0) return 'IO_PAGE_FAULT: not present';
    if ((high & (isPage ? PTE.HIGH_RESERVED_PAGE : PTE.HIGH_RESERVED_TABLE)) !== 0)
      return 'IO_PAGE_FAULT: reserved bits';
    const ownShift = amdViLevelShift(level);
    if (!isPage) {
      if (next >= level) return `IO_PAGE_FAULT: NextLevel ${next} is not below level ${level}`;
      if (this.address % 2 ** ownShift >= 2 ** amdViLevelShift(next + 1))
        return `IO_PAGE_FAULT: address bits of the levels skipped before level ${next} are not zero`;
      return this.denied(allowed) || `table of level ${next}`;
    }
    if (level === AMDVI_TOP_LEVEL) return `IO_PAGE_FAULT: level ${level} has no pages`;
    const sized = next === AMDVI_NEXT_LEVEL.SIZED_PAGE;
    const shift = sized ? amdViSizedPageShift(low, high) : ownShift;
    if (sized && (shift <= ownShift || shift >= amdViLevelShift(level + 1)))
      return `IO_PAGE_FAULT: no page size for level ${level}`;
    const denied = this.denied(allowed);
    if (denied !== '') return denied;
    const bytes = 2 ** shift;
    const target = amdViAddressOf(low, high);
    this.physical = target - (target % bytes) + (this.address % bytes);
    return `page of ${sizeName(shift)} at 0x${(target - (target % bytes)).toString(16)}`;
  }

  private denied(allowed: number): string {
    const missing = this.access & ~allowed;
    if (missing === 0) return '';
    return `IO_PAGE_FAULT: ${(missing & ACCESS.READ) !== 0 ? 'IR' : 'IW'} is clear here or above`;
  }

  private isExcluded(byEntry: boolean): boolean {
    const { registers } = this.unit;
    const low = registers.word(AMDVI_REGISTERS.ExclusionBase.at);
    if ((low & AMDVI_EXCLUSION.ExEn) === 0 || !(byEntry || (low & AMDVI_EXCLUSION.Allow) !== 0)) return false;
    const last = registers.address(AMDVI_REGISTERS.ExclusionLimit) + 0xfff;
    return this.address >= registers.address(AMDVI_REGISTERS.ExclusionBase) && this.address <= last;
  }

  private untranslated(why: string): string {
    this.physical = this.address;
    return `not translated: ${why}`;
  }

  private words(at: number, bytes: number, access: number = ACCESS.READ): readonly number[] | undefined {
    const { memory } = this.unit;
    const offset = memory.resolve(at, bytes, access);
    if (offset < 0 || offset % 4 !== 0) return undefined;
    return Array.from(memory.memory.u32.subarray(offset / 4, (offset + bytes) / 4));
  }

  /** @returns the verdict */
  private step(
    table: 'device' | 'page',
    level: number,
    address: number,
    words: readonly number[],
    bits: readonly string[],
    verdict: string,
  ): string {
    const raw: string[] = [];
    for (let i = 0; i < words.length; i += 2) raw.push(`0x${hex32(words[i + 1]!)}${hex32(words[i]!)}`);
    this.steps.push({ table, level, address, raw, bits, verdict });
    return verdict;
  }
}

const rightsOf = (high: number): number => (high >>> PTE.RIGHTS_SHIFT) & READ_WRITE;
const hadOf = (w0: number): number => (w0 >>> DTE.W0_HAD_SHIFT) & 3;

function hasReserved(words: readonly number[]): boolean {
  const [w0, w1, w6, w7] = [words[0]!, words[1]!, words[6]!, words[7]!];
  const masked = (w0 & DTE.W0_RESERVED) | (w1 & DTE.W1_RESERVED) | (w6 & DTE.W6_RESERVED) | (w7 & DTE.W7_RESERVED);
  return masked !== 0 || hadOf(w0) === AMDVI_HAD.RESERVED;
}

function deviceBits(words: readonly number[]): string[] {
  const [w0, w1, w2, w3, w4, w5] = [words[0]!, words[1]!, words[2]!, words[3]!, words[4]!, words[5]!];
  const set = {
    V: w0 & DTE.W0_V,
    TV: w0 & DTE.W0_TV,
    IR: rightsOf(w1) & ACCESS.READ,
    IW: rightsOf(w1) & ACCESS.WRITE,
    SE: w3 & DTE.W3_SE,
    SA: w3 & DTE.W3_SA,
    EX: w3 & DTE.W3_EX,
    IV: w4 & DTE.W4_IV,
    IG: w4 & DTE.W4_IG,
  };
  return [
    ...namesOf(set),
    `HAD=${hadOf(w0)}`,
    `Mode=${(w0 >>> DTE.W0_MODE_SHIFT) & 7}`,
    `Root=${hex(amdViAddressOf(w0, w1))}`,
    `DomainID=${hex(w2 & DTE.W2_DOMAIN_ID)}`,
    `IntCtl=${(w5 >>> DTE.W5_INTCTL_SHIFT) & 3}`,
  ];
}

function pageBits(low: number, high: number): string[] {
  const set = {
    PR: low & PTE.PR,
    A: low & PTE.A,
    D: low & PTE.D,
    U: high & PTE.U,
    FC: high & PTE.FC,
    IR: rightsOf(high) & ACCESS.READ,
    IW: rightsOf(high) & ACCESS.WRITE,
  };
  const next = (low >>> PTE.NEXT_LEVEL_SHIFT) & 7;
  return [...namesOf(set), `NextLevel=${next}`, `Address=${hex(amdViAddressOf(low, high))}`];
}

const namesOf = (bits: Readonly<Record<string, number>>): string[] =>
  Object.keys(bits).filter((name) => bits[name] !== 0);
const hex = (value: number): string => `0x${value.toString(16)}`;
const hex32 = (word: number): string => word.toString(16).padStart(8, '0');

/** 4 KiB, 2 MiB, 512 GiB, … */
function sizeName(shift: number): string {
  const units = ['', 'KiB', 'MiB', 'GiB', 'TiB', 'PiB'];
  return `${2 ** (shift % 10)} ${units[Math.floor(shift / 10)]}`;
}
