import { CACHE_LINES_TEXT } from './cache-lines.js';
import type { CaseResult } from './case-result.js';
import { peerText } from './dpdk-peer.js';
import { DISTURBED, type PeerRatio, type Results } from './run-cases.js';
import { digits } from './statistics.js';
import { wrapText } from './wrap-text.js';

export type Paint = (colour: 'cyan' | 'yellow' | 'red' | 'dim', text: string) => string;

const BAR_CELLS = 24;
const EIGHTHS = ['', '▏', '▎', '▍', '▌', '▋', '▊', '▉'];
const RIGHT_COLUMNS = { mpps: 7, ns: 9, spread: 8, gbps: 8, lines: 7, notes: 8, before: 10 } as const;
const NAME = 42;

/** A bar of `value` on a scale to `most`, in eighths of a cell; a value above 0 is never invisible. */
export function bar(value: number, most: number): string {
  const eighths = most > 0 ? Math.max(value > 0 ? 1 : 0, Math.round((value / most) * BAR_CELLS * 8)) : 0;
  return '█'.repeat(eighths >> 3) + EIGHTHS[eighths & 7]!;
}

/** The table of all cases. @param earlier nsPerFrame of an earlier run, by name */
export function formatTable({ cases, ratios }: Results, earlier: ReadonlyMap<string, number>, paint: Paint): string {
  const groups: [string, CaseResult[]][] = [
    ['ring alone, in one thread: no payload is touched', cases.filter(({ name }) => name.startsWith('ringcost/'))],
    [
      'translation alone, in one thread: an access, or a page mapped and unmapped',
      cases.filter(({ name }) => name.startsWith('iommu/')),
    ],
    ['driver and device in one thread, taking turns', cases.filter(({ name }) => name.includes('/inthread/'))],
    ['driver and device in a thread each', cases.filter(({ name }) => name.includes('/xthread/'))],
    ['a whole network device and its driver in one thread', cases.filter(({ name }) => name.includes('/inline/'))],
    [
      'a whole network device in a thread of its own',
      cases.filter(({ name, p50 }) => name.includes('/worker/') && p50 === undefined),
    ],
  ];
  const lines: string[] = [];
  for (const [title, members] of groups) {
    if (members.length === 0) continue;
    const rows = members.map((result) => ({ result, ratio: ratioOf(result, ratios) }));
    const most = Math.max(...rows.flatMap(({ result, ratio }) => [result.mpps, ratio?.dpdkMpps ?? 0]));
    lines.push(heading(title), columns(earlier));
    for (const { result, ratio } of rows) {
      lines.push(...row(result, most, earlier, paint));
      if (ratio !== undefined) lines.push(peerRow(ratio, most, paint));
    }
    lines.push('');
  }
  lines.push(...latencyTable(cases, earlier, paint));
  return `${lines.join('\n')}\n`;
}

/** What the figures are figures of: copies, checks, notes. @param compared whether an earlier run is beside */
export function formatNotes({ cases, ratios }: Results, compared: boolean): string {
  const notes: string[] = [];
  const texts = new Map<string, string[]>();
  for (const { name, copies } of cases) texts.set(copies, [...(texts.get(copies) ?? []), name]);
  for (const [text, names] of texts) {
    const shown = names.length > 3 ? `${names.slice(0, 2).join(', ')} and ${names.length - 2} more` : names.join(', ');
    notes.push(`${shown}: ${text}`);
  }
  if (ratios.length > 0) notes.push(`dpdk: ${peerText}`);
  if (cases.length > 0) {
    notes.push('frames carry their number in bytes 0–3, also those of imix (60/590/1514 B, 7:4:1) and pcap');
    notes.push(`lines: ${CACHE_LINES_TEXT}`);
    notes.push('kicks: notifications of available plus used buffers per 1000 frames');
  }
  if (compared) notes.push('before: time per frame against the last kept run');
  if (cases.some(isDisturbed)) notes.push(`!: other programs used more than ${DISTURBED} of a core meanwhile`);
  return notes.map((note) => wrapText(note, '· ')).join('');
}

function row(result: CaseResult, most: number, earlier: ReadonlyMap<string, number>, paint: Paint): string[] {
  const name = nameCell(result, paint);
  if (result.problem !== null && result.mpps === 0) return [`${name} ${paint('red', `FAILED: ${result.problem}`)}`];
  const { available, used } = result.notificationsPerFrame;
  const shown = bar(result.mpps, most);
  const cells = [
    digits(result.mpps).padStart(RIGHT_COLUMNS.mpps),
    ` ${paint('cyan', shown)}${' '.repeat(BAR_CELLS - shown.length)}`,
    digits(result.nsPerFrame).padStart(RIGHT_COLUMNS.ns),
    `${result.spread.toFixed(0)} %`.padStart(RIGHT_COLUMNS.spread),
    (result.gbps === 0 ? '–' : digits(result.gbps)).padStart(RIGHT_COLUMNS.gbps),
    digits(result.cacheLinesPerFrame).padStart(RIGHT_COLUMNS.lines),
    digits((available + used) * 1000).padStart(RIGHT_COLUMNS.notes),
    change(result, earlier).padStart(RIGHT_COLUMNS.before),
  ];
  const lines = [`${name}${cells.join('')}`.trimEnd()];
  if (result.problem !== null) lines.push(paint('red', `    FAILED: ${result.problem}`));
  return lines;
}

function peerRow({ name, dpdkMpps, dpdkSamples, ratio }: PeerRatio, most: number, paint: Paint): string {
  const shown = bar(dpdkMpps, most);
  const spread = ((Math.max(...dpdkSamples) - Math.min(...dpdkSamples)) / dpdkMpps) * 100;
  return (
    `  ${name.padEnd(NAME)}${digits(dpdkMpps).padStart(RIGHT_COLUMNS.mpps)} ${paint('yellow', shown)}` +
    `${' '.repeat(BAR_CELLS - shown.length)}${digits(1e3 / dpdkMpps).padStart(RIGHT_COLUMNS.ns)}` +
    `${`${spread.toFixed(0)} %`.padStart(RIGHT_COLUMNS.spread)}   we are at ${ratio.toFixed(2)} of it`
  );
}

function latencyTable(cases: readonly CaseResult[], earlier: ReadonlyMap<string, number>, paint: Paint): string[] {
  const members = cases.filter(
    ({ name, p50 }) => name.startsWith('latency/') || (name.startsWith('net/') && p50 !== undefined),
  );
  if (members.length === 0) return [];
  const lines = [heading('one frame to the other thread and back, ns'), latencyColumns(earlier)];
  for (const result of members) {
    if (result.p50 === undefined) {
      lines.push(...row(result, 1, earlier, paint));
      continue;
    }
    const cells = [result.p50, result.p99!, result.p999!].map((ns) => digits(ns).padStart(10));
    const spread = `${result.spread.toFixed(0)} %`.padStart(RIGHT_COLUMNS.spread);
    const before = change(result, earlier).padStart(RIGHT_COLUMNS.before);
    lines.push(`${nameCell(result, paint)}${cells.join('')}${spread}${before}`.trimEnd());
    if (result.problem !== null) lines.push(paint('red', `    FAILED: ${result.problem}`));
  }
  return [...lines, ''];
}

const latencyColumns = (earlier: ReadonlyMap<string, number>): string =>
  `${' '.repeat(NAME + 2)}${['p50', 'p99', 'p99.9'].map((title) => title.padStart(10)).join('')}` +
  `${'spread'.padStart(RIGHT_COLUMNS.spread)}${earlier.size > 0 ? 'before'.padStart(RIGHT_COLUMNS.before) : ''}`;

function columns(earlier: ReadonlyMap<string, number>): string {
  const { mpps, ns, spread, gbps, lines, notes, before } = RIGHT_COLUMNS;
  return (
    `${' '.repeat(NAME + 2)}${'Mpps'.padStart(mpps)} ${' '.repeat(BAR_CELLS)}${'ns/frame'.padStart(ns)}` +
    `${'spread'.padStart(spread)}${'Gbit/s'.padStart(gbps)}${'lines'.padStart(lines)}${'kicks'.padStart(notes)}` +
    (earlier.size > 0 ? 'before'.padStart(before) : '')
  );
}

const heading = (title: string): string => `── ${title} ${'─'.repeat(Math.max(0, 100 - title.length))}`;
const isDisturbed = ({ otherCores }: CaseResult): boolean => (otherCores ?? 0) > DISTURBED;
const ratioOf = ({ name }: CaseResult, ratios: readonly PeerRatio[]): PeerRatio | undefined =>
  ratios.find((ratio) => {
    const [bytes, layout, isNet] = ratio.name.split('/').reverse();
    return name === (isNet === 'net' ? `net/pmd/${layout}/${bytes}/worker/tx` : `ring/${layout}/xthread/${bytes}/b32`);
  });

/** With a mark where others were at work. */
function nameCell(result: CaseResult, paint: Paint): string {
  const mark = isDisturbed(result) ? paint('red', '!') : ' ';
  return `${mark} ${result.name.padEnd(NAME)}`;
}

/** Time per frame compared with an earlier run's. */
function change(result: CaseResult, earlier: ReadonlyMap<string, number>): string {
  const before = earlier.get(result.name);
  if (before === undefined) return '';
  const percent = Math.round((result.nsPerFrame / before - 1) * 100);
  return `${percent > 0 ? '+' : ''}${percent} %`;
}
