import { ACCESS } from '@ringwire/guest-memory';
import { NO_PASID, VTD_REG, type VtdExplanation, type VtdMapping, vtdFaultName } from '@ringwire/iommu';
import { hex } from '@ringwire/ring-oracle';
import { columns, type Paint, painter } from './terminal.js';
import type { VtdDump } from './vtd-dump.js';

/** What was asked of the unit. */
export interface Question {
  readonly sourceId: number;
  /** NO_PASID for a request without one. */
  readonly pasid: number;
  readonly iova: bigint;
  readonly access: 'read' | 'write';
}

export interface FoundMappings {
  readonly mappings: readonly VtdMapping[];
  /** Whether the list was brought to its end. */
  readonly complete: boolean;
  /** Why the device has none at all. */
  readonly refusal: VtdExplanation | undefined;
}

/** RTADDR.TTM. */
const MODES = ['legacy mode', 'scalable mode', 'a reserved mode', 'abort mode'];

/** The explanation with the place of each entry in the dump's file. The schema's number changes when a key does. */
export function walkJson(dump: VtdDump, question: Question, explanation: VtdExplanation): string {
  const { iova, access } = question;
  return json({
    schema: 'ringwire.iommu-walk/1',
    ...asked(dump, question),
    iova: hex(iova),
    access,
    ...answer(dump, question, explanation),
  });
}

export function mappingsJson(
  dump: VtdDump,
  question: Question,
  { mappings, complete, refusal }: FoundMappings,
): string {
  return json({
    schema: 'ringwire.iommu-mappings/1',
    ...asked(dump, question),
    refused: refusal === undefined ? null : answer(dump, question, refusal),
    complete,
    mappings: mappings.map(({ iova, physical, bytes, access }) => ({
      iova: hex(iova),
      physical: hex(physical),
      bytes,
      access: rights(access),
    })),
  });
}

const json = (value: unknown): string => `${JSON.stringify(value, null, 2)}\n`;

function asked({ unit, faultCodes }: VtdDump, { sourceId, pasid }: Question): Record<string, unknown> {
  const { mode, table } = rootOf(unit);
  return {
    unit: { translating: unit.translating, mode, root: table, addressWidth: unit.hostAddressWidth, faultCodes },
    sourceId: hex(sourceId),
    pasid: pasid === NO_PASID ? null : pasid,
  };
}

function answer({ dump }: VtdDump, question: Question, explanation: VtdExplanation): Record<string, unknown> {
  const { result, reason, allowed, domain, steps } = explanation;
  return {
    result,
    reason: reason === 0 ? null : { code: reason, name: vtdFaultName(reason) },
    physical: physicalText(question, explanation),
    page: pageOf(question, explanation),
    allowed: rights(allowed),
    domain,
    steps: steps.map(({ address, ...step }) => ({
      ...step,
      address: hex(address),
      file_offset: dump.offset(BigInt(address)),
    })),
  };
}

/** The walk for people. */
export function walkText(dump: VtdDump, question: Question, explanation: VtdExplanation, color: boolean): string {
  const paint = painter(color);
  const { iova, access } = question;
  const sections = [
    [paint('bold', `${access} of ${hex(iova)} by ${requester(question)}`), unitLine(dump)],
    ...stepSection(dump, explanation, paint),
    [verdict(question, explanation, paint)],
  ];
  return text(sections);
}

/** The mappings for people. */
export function mappingsText(
  dump: VtdDump,
  question: Question,
  { mappings, complete, refusal }: FoundMappings,
  color: boolean,
): string {
  const paint = painter(color);
  const title = [paint('bold', `all mappings of ${requester(question)}`), unitLine(dump)];
  if (refusal !== undefined)
    return text([title, ...stepSection(dump, refusal, paint), [verdict(question, refusal, paint)]]);
  const rows = mappings.map(({ iova, physical, bytes, access }) => [
    hex(iova),
    hex(physical),
    sizeText(bytes),
    rights(access).join(' '),
  ]);
  const total = mappings.reduce((sum, { bytes }) => sum + bytes, 0);
  const end = `${mappings.length} range${mappings.length === 1 ? '' : 's'}, ${sizeText(total)}`;
  return text([
    title,
    ...(rows.length === 0 ? [] : [columns([['address', 'physical', 'size', 'device may'], ...rows])]),
    [
      complete
        ? paint('green', `${end}.`)
        : paint('yellow', `${end}; the tables go on without end, the list does not.`),
    ],
  ]);
}

const text = (sections: readonly (readonly string[])[]): string =>
  `${sections.map((lines) => lines.join('\n')).join('\n\n')}\n`;

function requester({ sourceId, pasid }: Question): string {
  const two = (value: number): string => value.toString(16).padStart(2, '0');
  const bdf = `${two(sourceId >>> 8)}:${two((sourceId >>> 3) & 31)}.${sourceId & 7}`;
  return `${bdf} (${hex(sourceId)})${pasid === NO_PASID ? '' : `, PASID ${pasid}`}`;
}

function rootOf(unit: VtdDump['unit']): { mode: string; table: string } {
  const value = unit.read(VTD_REG.RTADDR.at, 8);
  return { mode: MODES[Number((value >> 10n) & 3n)]!, table: hex(value & ~0xfffn) };
}

function unitLine({ unit }: VtdDump): string {
  const { mode, table } = rootOf(unit);
  const on = unit.translating ? 'on' : 'off';
  return `  translation ${on}, ${mode}, root table at ${table}, physical addresses of ${unit.hostAddressWidth} bits`;
}

/** Entries in the order they were read; long ones take several lines, two quadwords each. */
function stepSection({ dump }: VtdDump, { steps }: VtdExplanation, paint: Paint): string[][] {
  if (steps.length === 0) return [];
  const rows = steps.flatMap(({ table, level, address, raw, bits, verdict }) => {
    const name = level === 0 ? table : `${table} ${level}`;
    const place = dump.place(BigInt(address)) ?? dump.missing(BigInt(address));
    const pairs = raw.flatMap((_, i) => (i % 2 === 0 ? [raw.slice(i, i + 2).join(' ')] : []));
    const more = pairs.slice(1).map((pair) => ['', '', '', pair]);
    return [[name, hex(address), place, pairs[0] ?? '', verdict, bits.join(' ')], ...more];
  });
  const title = ['entry', 'at', 'in the dump', 'value', 'verdict', 'bits and fields'];
  return [[paint('bold', 'Walk'), ...columns([title, ...rows])]];
}

function verdict(question: Question, explanation: VtdExplanation, paint: Paint): string {
  const { result, reason, allowed, domain } = explanation;
  const from = hex(question.iova);
  const to = physicalText(question, explanation);
  const fault = `fault 0x${reason.toString(16).padStart(2, '0')} ${vtdFaultName(reason)}`;
  switch (result) {
    case 'ok': {
      const page = pageOf(question, explanation)!;
      const where = `${sizeText(page.bytes)} page ${page.iova} to ${page.physical}`;
      return paint('green', `Translated: ${from} is ${to} (${where}; ${rights(allowed).join(' ')}; domain ${domain}).`);
    }
    case 'pass-through':
      return paint('green', `Passed through: ${from} is ${to} (domain ${domain}).`);
    case 'translation-off':
      return paint('green', `Not translated: ${from} is ${to}.`);
    case 'fault':
      return paint('red', `Not translated: ${fault}.`);
    case 'blocked':
      return paint(
        'red',
        reason === 0 ? 'Blocked: the unit answers nobody.' : `Blocked: ${fault}, not recorded (FPD).`,
      );
    case 'interrupt-range':
      return paint('red', `Not translated: ${from} is in the interrupt address range, and no memory.`);
    default:
      return result satisfies never;
  }
}

function physicalText({ iova }: Question, { result, physical }: VtdExplanation): string | null {
  if (physical === undefined) return null;
  return hex(result === 'ok' ? physical : iova);
}

function pageOf(
  { iova }: Question,
  explanation: VtdExplanation,
): { iova: string; physical: string; bytes: number } | null {
  const { result, physical, pageMask } = explanation;
  if (result !== 'ok' || physical === undefined) return null;
  const bytes = pageMask + 1;
  return { iova: hex(iova - (iova % BigInt(bytes))), physical: hex(physical - (physical % bytes)), bytes };
}

const rights = (access: number): string[] => [
  ...((access & ACCESS.READ) === 0 ? [] : ['read']),
  ...((access & ACCESS.WRITE) === 0 ? [] : ['write']),
];

/** `4 KiB`; bytes where there is no round number. */
function sizeText(bytes: number): string {
  const units = ['bytes', 'KiB', 'MiB', 'GiB', 'TiB'];
  let unit = 0;
  let value = bytes;
  for (; value >= 1024 && value % 1024 === 0 && unit < units.length - 1; unit++) value /= 1024;
  return `${value} ${units[unit]}`;
}
