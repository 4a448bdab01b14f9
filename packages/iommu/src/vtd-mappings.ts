import { ACCESS } from '@ringwire/guest-memory';
import { NO_PASID } from './translation.js';
import { VTD_KIND, type VtdKind } from './vtd-context-walk.js';
import { WALK } from './vtd-paging.js';
import { VTD_FAULT } from './vtd-reasons.js';
import type { VtdTable, VtdTrace } from './vtd-table-reader.js';
import { INTERRUPT_RANGE, isInterruptAddress, PAGE_MASK, VTD_FS_ENTRY } from './vtd-tables.js';
import type { VtdUnit } from './vtd-unit.js';
import type { VtdWalk } from './vtd-walk.js';

/** A stretch of a requester's addresses that is contiguous in physical memory and has one set of rights. */
export interface VtdMapping {
  readonly iova: number;
  readonly physical: number;
  readonly bytes: number;
  /** `ACCESS` bits. */
  readonly access: number;
}

/** Whose mappings are listed, and how far. */
export interface VtdMappingOptions {
  /** NO_PASID when left out. */
  readonly pasid?: number;
  /** Walks after which the list ends early: tables can refer to one another without end; 2^20. */
  readonly maxWalks?: number;
}

const PAGE = 4096;

/** Remembers how far the last walk came, which says how much of the address space a missing entry leaves out. */
class DepthTrace implements VtdTrace {
  /** Level of the last entry of the stage that divides the input addresses; 0 before the first. */
  level = 0;
  /** Under nested translation: the first stage has come to a page, and the rest was about its address. */
  atPage = false;
  private readonly stage: VtdTable;
  private readonly nested: boolean;

  constructor(kind: VtdKind) {
    this.stage = kind === VTD_KIND.SECOND_STAGE ? 'second-stage' : 'first-stage';
    this.nested = kind === VTD_KIND.NESTED;
  }

  entry(table: VtdTable, level: number, _address: number, words: Uint32Array): void {
    if (table !== this.stage) return;
    this.level = level;
    const { P, PS } = VTD_FS_ENTRY;
    this.atPage = this.nested && (words[0]! & P) !== 0 && (level === 1 || (words[0]! & PS) !== 0);
  }

  /** A table outside memory leaves out what the entry before, which leads to it, stands for. */
  unreadable(): void {}
}

/**
 * The mappings of a requester in ascending order, neighbours joined. Addresses of interrupts are no part of any.
 * @returns whether the list is complete, once it has ended
 */
export function* listMappings(
  unit: VtdUnit,
  sourceId: number,
  { pasid = NO_PASID, maxWalks = 2 ** 20 }: VtdMappingOptions = {},
): Generator<VtdMapping, boolean> {
  const everything = ACCESS.READ | ACCESS.WRITE;
  const end = 2 ** unit.hostAddressWidth;
  if (!unit.translating) return yield* direct(end, pasid, everything);
  const probe = unit.spectator();
  if (!unit.answers(sourceId) || probe.locate(sourceId, pasid) !== WALK.OK) return true;
  if (probe.kind === VTD_KIND.PASS_THROUGH) return yield* direct(end, NO_PASID, everything);
  const trace = new DepthTrace(probe.kind);
  const walk = unit.spectator(trace);
  const limit = inputLimit(probe);
  let pending: { iova: number; physical: number; bytes: number; access: number } | undefined;
  let address = 0;
  let walks = 0;
  for (; address < limit && walks < maxWalks; walks++) {
    if (pasid === NO_PASID && isInterruptAddress(address)) address = INTERRUPT_RANGE.LAST + 1;
    trace.level = 0;
    trace.atPage = false;
    // Access 0 asks for the page with whatever rights it has.
    const reason = walk.walk(sourceId, pasid, address, 0);
    if (reason !== WALK.OK) {
      address += gap(walk, trace, reason, address);
      continue;
    }
    const { physical, pageMask, allowed } = walk.paging;
    let bytes = pageMask + 1 - (address % (pageMask + 1));
    if (pasid === NO_PASID) bytes = upToInterrupts(address, bytes);
    bytes = upToInterrupts(physical, bytes);
    const joins = pending !== undefined && pending.access === allowed && pending.iova + pending.bytes === address;
    if (joins && pending!.physical + pending!.bytes === physical) pending!.bytes += bytes;
    else {
      if (pending !== undefined) yield pending;
      pending = { iova: address, physical, bytes, access: allowed };
    }
    address += bytes;
  }
  if (pending !== undefined) yield pending;
  return address >= limit;
}

/** All addresses as they are. */
function* direct(end: number, pasid: number, access: number): Generator<VtdMapping, boolean> {
  if (pasid !== NO_PASID || end <= INTERRUPT_RANGE.FIRST) {
    yield { iova: 0, physical: 0, bytes: end, access };
    return true;
  }
  const after = INTERRUPT_RANGE.LAST + 1;
  yield { iova: 0, physical: 0, bytes: INTERRUPT_RANGE.FIRST, access };
  if (end > after) yield { iova: after, physical: after, bytes: end - after, access };
  return true;
}

function inputLimit({ kind, firstStage, secondStage }: VtdWalk): number {
  if (kind === VTD_KIND.SECOND_STAGE) return secondStage.limit;
  return firstStage.levels === 5 ? 2 ** 53 : 2 ** 47;
}

/** Bytes from an address that has no page to the next one that may have. */
function gap(walk: VtdWalk, trace: DepthTrace, reason: number, address: number): number {
  if (reason === VTD_FAULT.INTERRUPT_RANGE || reason === VTD_FAULT.SM_INTERRUPT_RANGE)
    return INTERRUPT_RANGE.LAST + 1 - walk.paging.physical;
  // Not even the top table is there.
  if (trace.level === 0) return 2 ** 53;
  const mask = trace.atPage ? PAGE - 1 : PAGE_MASK[trace.level]!;
  return mask + 1 - (address % (mask + 1));
}

function upToInterrupts(address: number, bytes: number): number {
  const { FIRST } = INTERRUPT_RANGE;
  return address < FIRST && address + bytes > FIRST ? FIRST - address : bytes;
}
