import { ACCESS } from '@ringwire/guest-memory';
import { NO_PASID } from './translation.js';
import { VTD_KIND } from './vtd-context-walk.js';
import { decodeEntry } from './vtd-decode.js';
import { WALK } from './vtd-paging.js';
import { vtdFaultName } from './vtd-reasons.js';
import type { VtdTable, VtdTrace } from './vtd-table-reader.js';
import { isInterruptAddress } from './vtd-tables.js';
import type { VtdUnit } from './vtd-unit.js';
import type { VtdWalk } from './vtd-walk.js';

/** One entry that a walk read, or could not read. */
export interface VtdStep {
  readonly table: VtdTable;
  /** Of a paging entry: 1 for 4 KiB, up to 5; else 0. */
  readonly level: number;
  /** Physical address of the entry. */
  readonly address: number;
  /** Its quadwords in hex, lowest first; empty when it lies outside memory. */
  readonly raw: readonly string[];
  /** Bits that are set and fields with their values, by the specification's names. */
  readonly bits: readonly string[];
  /** `next`, `page`, `pass-through`, `outside memory`, or the fault that was found here: `fault 0x06 READ`. */
  readonly verdict: string;
}

/** Why a request of a device behind a VT-d unit ended as it did, entry by entry. */
export interface VtdExplanation {
  readonly result: 'ok' | 'pass-through' | 'fault' | 'blocked' | 'interrupt-range' | 'translation-off';
  readonly steps: readonly VtdStep[];
  /** Fault reason as a record has it; 0 without a fault. `blocked` is a fault that FPD keeps from being recorded. */
  readonly reason: number;
  /** Undefined unless the request passes. */
  readonly physical: number | undefined;
  /** Bytes less one of the page; 0 without one. */
  readonly pageMask: number;
  /** `ACCESS` bits that all levels grant. */
  readonly allowed: number;
  readonly domain: number;
}

/** Keeps a copy of every entry. */
class StepTrace implements VtdTrace {
  readonly steps: (Omit<VtdStep, 'bits' | 'verdict'> & { words: Uint32Array })[] = [];

  entry(table: VtdTable, level: number, address: number, words: Uint32Array, count: number): void {
    const copy = words.slice(0, count);
    const raw: string[] = [];
    for (let i = 0; i < count; i += 2) raw.push(`0x${hex32(copy[i + 1]!)}${hex32(copy[i]!)}`);
    this.steps.push({ table, level, address, raw, words: copy });
  }

  unreadable(table: VtdTable, level: number, address: number): void {
    this.steps.push({ table, level, address, raw: [], words: new Uint32Array(0) });
  }
}

const hex32 = (word: number): string => word.toString(16).padStart(8, '0');
const NOTHING = { steps: [], reason: 0, pageMask: 0, allowed: 0, domain: 0 } as const;

/**
 * What the unit does with one request, entry by entry. It is the unit's own walk; nothing is recorded and no accessed or
 * dirty bit is set.
 */
export function explainWalk(
  unit: VtdUnit,
  sourceId: number,
  pasid: number,
  address: number,
  access: number,
): VtdExplanation {
  if (pasid === NO_PASID && isInterruptAddress(address))
    return { ...NOTHING, result: 'interrupt-range', physical: undefined };
  const everything = ACCESS.READ | ACCESS.WRITE;
  if (!unit.translating) return { ...NOTHING, result: 'translation-off', physical: address, allowed: everything };
  const trace = new StepTrace();
  const walk = unit.spectator(trace);
  if (!unit.answers(sourceId)) return { ...NOTHING, result: 'blocked', physical: undefined };
  const found = walk.walk(sourceId, pasid, address, access);
  const reason = found === WALK.OK ? 0 : unit.reportedReason(found, access);
  const steps = trace.steps.map(({ words, ...step }, i): VtdStep => {
    const bits = words.length === 0 ? [] : decodeEntry(step.table, walk.mode, words);
    const verdict = i === trace.steps.length - 1 ? lastVerdict(walk, reason, words.length === 0) : 'next';
    return { ...step, bits, verdict };
  });
  if (reason !== 0) {
    const result = unit.isHidden(walk, reason) ? 'blocked' : 'fault';
    return { ...NOTHING, result, steps, reason, physical: undefined, domain: walk.domain };
  }
  if (walk.kind === VTD_KIND.PASS_THROUGH)
    return { ...NOTHING, result: 'pass-through', steps, physical: address, allowed: everything, domain: walk.domain };
  const { physical, pageMask, allowed } = walk.paging;
  return { result: 'ok', steps, reason, physical, pageMask, allowed, domain: walk.domain };
}

function lastVerdict(walk: VtdWalk, reason: number, unreadable: boolean): string {
  const fault = `fault 0x${reason.toString(16).padStart(2, '0')} ${vtdFaultName(reason)}`;
  if (reason !== 0) return unreadable ? `outside memory, ${fault}` : fault;
  return walk.kind === VTD_KIND.PASS_THROUGH ? 'pass-through' : 'page';
}
