import { ACCESS, type AddressSpace } from '@ringwire/guest-memory';
import { AMDVI_EVENT_FLAG } from './amdvi-events.js';
import { inInterruptWindow, meetsInterruptWindow } from './amdvi-interrupt-window.js';
import type { AmdViRegisterFile } from './amdvi-register-file.js';
import { AMDVI_CONTROL, AMDVI_EXCLUSION, AMDVI_REGISTERS } from './amdvi-registers.js';
import {
  AMDVI_DTE,
  AMDVI_HAD,
  AMDVI_INTCTL,
  AMDVI_NEXT_LEVEL,
  AMDVI_PTE,
  AMDVI_TOP_LEVEL,
  amdViAddressOf,
  amdViLevelShift,
  amdViSizedPageShift,
} from './amdvi-tables.js';
import type { Translation } from './translation.js';

/** How a walk ended. */
export const AMDVI_WALK = {
  /** A page. */
  PAGE: 0,
  /** The address is a physical one: unit off, V clear, Mode 0, or in the exclusion range. */
  UNTRANSLATED: 1,
  INTERRUPT: 2,
  /** Event IO_PAGE_FAULT. */
  PAGE_FAULT: 3,
  /** Event ILLEGAL_DEV_TABLE_ENTRY. */
  ILLEGAL_ENTRY: 4,
  /** Event DEV_TAB_HARDWARE_ERROR. */
  DEVICE_TABLE_UNREACHABLE: 5,
  /** Event PAGE_TAB_HARDWARE_ERROR. */
  PAGE_TABLE_UNREACHABLE: 6,
  /** Event INVALID_DEVICE_REQUEST: a read of the interrupt window. */
  INVALID_REQUEST: 7,
} as const;
export type AmdViWalkEnd = (typeof AMDVI_WALK)[keyof typeof AMDVI_WALK];

/** What of a fault its device table entry keeps out of the log. */
export const AMDVI_SUPPRESS = { NONE: 0, AFTER_FIRST: 1, ALL: 2 } as const;

const { READ, WRITE } = ACCESS;
const READ_WRITE = READ | WRITE;
const PAGE_MASK = 0xfff;
/** Times that one walk reads an entry anew because it changed before its A and D bits were set. */
const REREADS = 8;
const MAX_ADDRESS = Number.MAX_SAFE_INTEGER;
const SHIFT: readonly number[] = [0, 1, 2, 3, 4, 5, 6, 7].map(amdViLevelShift);
/** Bytes that one entry of a level maps. */
const SPAN: readonly number[] = SHIFT.map((shift) => 2 ** shift);

const END = AMDVI_WALK;
const DTE = AMDVI_DTE;
const { PR: PTE_PR, A: PTE_A, D: PTE_D, NEXT_LEVEL_SHIFT, HIGH_RESERVED_PAGE, HIGH_RESERVED_TABLE } = AMDVI_PTE;
const RIGHTS_SHIFT = AMDVI_PTE.RIGHTS_SHIFT;
const { PAGE, SIZED_PAGE } = AMDVI_NEXT_LEVEL;
const { I, PR, RW, PE, RZ, TYPE_MASTER_ABORT } = AMDVI_EVENT_FLAG;
const DEVICE_TABLE = AMDVI_REGISTERS.DeviceTableBase;
const EXCLUSION = AMDVI_REGISTERS.ExclusionBase;
const EXCLUSION_LIMIT = AMDVI_REGISTERS.ExclusionLimit;

/**
 * AMD IOMMU spec 3.x §2.2: from a requester's device table entry through up to six levels of page tables. Nothing is
 * cached; every entry is read once (again only where another agent won the race to change it while A or D was to be set).
 * Where the specification leaves an order of checks open, an entry is looked at in this one: present, well formed, allowed.
 */
export class AmdViWalk {
  /** Flags of the event, when the walk ended in a fault. */
  flags = 0;
  /** Physical address of the entry that could not be read. */
  entryAddress = 0;
  /** DomainID of the device table entry. */
  domain = 0;
  /** `AMDVI_SUPPRESS`. */
  suppress = 0;

  private readonly registers: AmdViRegisterFile;
  private readonly memory: AddressSpace;
  private readonly levels: number;
  /** Whether the exclusion range holds for the requester of this walk. */
  private excluding = false;

  constructor(registers: AmdViRegisterFile, memory: AddressSpace, levels: number) {
    this.registers = registers;
    this.memory = memory;
    this.levels = levels;
  }

  /** @param out filled for PAGE and UNTRANSLATED; `entriesRead` always */
  run(sourceId: number, pasid: number, address: number, access: number, out: Translation): AmdViWalkEnd {
    const registers = this.registers;
    out.physical = address;
    out.pageMask = PAGE_MASK;
    out.allowed = READ_WRITE;
    out.domain = 0;
    out.entriesRead = 0;
    this.flags = (access & WRITE) === 0 ? 0 : RW;
    this.domain = 0;
    this.suppress = AMDVI_SUPPRESS.NONE;
    const inWindow = inInterruptWindow(address);
    const interrupt = inWindow && access === WRITE;
    if ((registers.control & AMDVI_CONTROL.IommuEn) === 0) return interrupt ? END.INTERRUPT : END.UNTRANSLATED;
    if (interrupt) this.flags = I;

    const size = ((registers.word(DEVICE_TABLE.at) & 0x1ff) + 1) * 4096;
    if (sourceId >>> 0 !== sourceId || sourceId * DTE.SIZE >= size) return END.ILLEGAL_ENTRY;
    const at = registers.address(DEVICE_TABLE) + sourceId * DTE.SIZE;
    const offset = this.memory.resolve(at, DTE.SIZE, READ);
    if (offset < 0 || (offset & 3) !== 0) return this.unreachable(END.DEVICE_TABLE_UNREACHABLE, at);
    const u32 = this.memory.memory.u32;
    const word = offset >>> 2;
    const w0 = u32[word]!;
    const w1 = u32[word + 1]!;
    const w2 = u32[word + 2]!;
    const w3 = u32[word + 3]!;
    const w4 = u32[word + 4]!;
    const w5 = u32[word + 5]!;
    const w6 = u32[word + 6]!;
    const w7 = u32[word + 7]!;
    out.entriesRead = 1;

    const valid = (w0 & DTE.W0_V) !== 0;
    if (valid) {
      const reserved =
        (w0 & DTE.W0_RESERVED) | (w1 & DTE.W1_RESERVED) | (w6 & DTE.W6_RESERVED) | (w7 & DTE.W7_RESERVED);
      const had = (w0 >>> DTE.W0_HAD_SHIFT) & 3;
      if (reserved !== 0 || had === AMDVI_HAD.RESERVED) return this.illegalEntry(RZ);
      this.domain = w2 & DTE.W2_DOMAIN_ID;
      out.domain = this.domain;
    }
    if (interrupt) return this.interrupt(w4, w5);
    if (!valid) return END.UNTRANSLATED;
    if (inWindow) return END.INVALID_REQUEST;
    this.suppress = (w3 & DTE.W3_SA) !== 0 ? AMDVI_SUPPRESS.ALL : (w3 & DTE.W3_SE) >>> 1;
    if (!(address >= 0 && address <= MAX_ADDRESS)) return this.pageFault(0);
    const exclusion = registers.word(EXCLUSION.at);
    this.excluding =
      (exclusion & AMDVI_EXCLUSION.ExEn) !== 0 && ((exclusion & AMDVI_EXCLUSION.Allow) !== 0 || (w3 & DTE.W3_EX) !== 0);
    if (this.excluding && this.meetsExclusion(address, address)) return END.UNTRANSLATED;
    if (pasid >= 0 || (w0 & DTE.W0_TV) === 0) return this.pageFault(0);

    const mode = (w0 >>> DTE.W0_MODE_SHIFT) & 7;
    if (mode > this.levels) return this.illegalEntry(0);
    const allowed = (w1 >>> DTE.RIGHTS_SHIFT) & READ_WRITE;
    if ((access & ~allowed) !== 0) return this.pageFault(PR | PE);
    out.allowed = allowed;
    if (mode === 0) return END.UNTRANSLATED;
    // Address bits above the top table's are those of skipped levels.
    if (address >= SPAN[mode + 1]!) return this.pageFault(PR);
    return this.tables(amdViAddressOf(w0, w1), mode, (w0 >>> DTE.W0_HAD_SHIFT) & 3, address, access, out);
  }

  private tables(
    top: number,
    mode: number,
    had: number,
    address: number,
    access: number,
    out: Translation,
  ): AmdViWalkEnd {
    const u32 = this.memory.memory.u32;
    let table = top;
    let level = mode;
    let rereads = REREADS;
    for (;;) {
      const at = table + (Math.floor(address / SPAN[level]!) % 512) * AMDVI_PTE.SIZE;
      const offset = this.memory.resolve(at, AMDVI_PTE.SIZE, had === AMDVI_HAD.NONE ? READ : READ_WRITE);
      if (offset < 0 || (offset & 3) !== 0) return this.unreachable(END.PAGE_TABLE_UNREACHABLE, at);
      const word = offset >>> 2;
      const low = had === AMDVI_HAD.NONE ? u32[word]! : Atomics.load(u32, word);
      const high = u32[word + 1]!;
      out.entriesRead++;

      if ((low & PTE_PR) === 0) return this.pageFault(0);
      const next = (low >>> NEXT_LEVEL_SHIFT) & 7;
      const isPage = next === PAGE || next === SIZED_PAGE;
      if ((high & (isPage ? HIGH_RESERVED_PAGE : HIGH_RESERVED_TABLE)) !== 0) return this.pageFault(PR | RZ);
      let shift = 0;
      if (isPage) {
        shift = next === PAGE ? SHIFT[level]! : amdViSizedPageShift(low, high);
        // A size of its own lies between the default ones of this level and of the one above.
        const fits = next === PAGE || (shift > SHIFT[level]! && shift < SHIFT[level + 1]!);
        if (!fits || level === AMDVI_TOP_LEVEL) return this.pageFault(PR);
      } else if (next >= level || address % SPAN[level]! >= SPAN[next + 1]!) return this.pageFault(PR);
      const allowed = out.allowed & (high >>> RIGHTS_SHIFT);
      if ((access & ~allowed) !== 0) return this.pageFault(PR | PE);

      if (had !== AMDVI_HAD.NONE) {
        const dirty = isPage && had === AMDVI_HAD.DIRTY && (access & WRITE) !== 0;
        const marked = (low | (dirty ? PTE_A | PTE_D : PTE_A)) >>> 0;
        if (marked !== low && Atomics.compareExchange(u32, word, low, marked) !== low) {
          if (--rereads < 0) return this.pageFault(0);
          continue;
        }
      }
      out.allowed = allowed;
      if (isPage) {
        // A cached right to write would leave D clear: it is given with the walk that sets D.
        if (had === AMDVI_HAD.DIRTY && (access & WRITE) === 0 && (low & PTE_D) === 0) out.allowed &= ~WRITE;
        const bytes = 2 ** shift;
        const target = amdViAddressOf(low, high);
        const inPage = address % bytes;
        out.physical = target - (target % bytes) + inPage;
        out.pageMask = this.cacheableMask(address - inPage, bytes - 1);
        return END.PAGE;
      }
      table = amdViAddressOf(low, high);
      level = next;
    }
  }

  private interrupt(w4: number, w5: number): AmdViWalkEnd {
    if ((w4 & DTE.W4_IV) === 0) return END.INTERRUPT;
    if ((w5 & DTE.W5_RESERVED) !== 0) return this.illegalEntry(RZ);
    const control = (w5 >>> DTE.W5_INTCTL_SHIFT) & 3;
    if (control === AMDVI_INTCTL.RESERVED) return this.illegalEntry(RZ);
    if (control !== AMDVI_INTCTL.ABORT) return END.INTERRUPT;
    this.suppress = (w4 & DTE.W4_IG) !== 0 ? AMDVI_SUPPRESS.ALL : AMDVI_SUPPRESS.NONE;
    return this.pageFault(0);
  }

  /** A page is cached whole only when no address in it means something else. */
  private cacheableMask(first: number, mask: number): number {
    const last = first + mask;
    return meetsInterruptWindow(first, last) || (this.excluding && this.meetsExclusion(first, last)) ? PAGE_MASK : mask;
  }

  private meetsExclusion(first: number, last: number): boolean {
    const registers = this.registers;
    return first <= registers.address(EXCLUSION_LIMIT) + PAGE_MASK && last >= registers.address(EXCLUSION);
  }

  private pageFault(flags: number): AmdViWalkEnd {
    this.flags |= flags;
    return END.PAGE_FAULT;
  }

  private illegalEntry(flags: number): AmdViWalkEnd {
    this.flags |= flags;
    return END.ILLEGAL_ENTRY;
  }

  private unreachable(end: AmdViWalkEnd, entryAddress: number): AmdViWalkEnd {
    this.flags |= TYPE_MASTER_ABORT;
    this.entryAddress = entryAddress;
    return end;
  }
}
