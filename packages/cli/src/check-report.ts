import type { Finding, PendingElement, Position, RingReport } from '@ringwire/ring-oracle';
import { featureName, VIRTIO_ID } from '@ringwire/virtio-spec';
import type { MemoryDump } from './memory-dump.js';
import { columns, type Paint, painter } from './terminal.js';

/** Pending elements shown without --all. */
const SHOWN = 16;

/** The report with the place of each finding in the dump's file. The schema's number changes when a key does. */
export function checkJson(report: RingReport, dump: MemoryDump): string {
  const placed = (findings: readonly Finding[]): unknown[] =>
    findings.map((finding) => ({
      ...finding,
      file_offset: finding.at === null ? null : dump.offset(BigInt(finding.at)),
    }));
  const { violations, remarks, ...rest } = report;
  return `${JSON.stringify({ schema: 'ringwire.check/1', ...rest, violations: placed(violations), remarks: placed(remarks) }, null, 2)}\n`;
}

/** The report for people. */
export function checkText(report: RingReport, dump: MemoryDump, color: boolean, all: boolean): string {
  const paint = painter(color);
  const sections = [
    [paint('bold', `${report.layout} virtqueue, size ${report.size}`), ...featureLines(report)],
    [paint('bold', 'Ring parts'), ...partLines(report, dump)],
    [paint('bold', 'Fields'), ...headerLines(report)],
    [paint('bold', 'Positions'), ...positionLines(report)],
    [paint('bold', pendingTitle(report)), ...pendingLines(report, all)],
    ...returnedSection(report, paint),
    [paint('bold', 'Why is nothing happening?'), ...whyLines(report)],
    ...findingSection('Remarks', 'yellow', report.remarks, dump, paint),
    ...findingSection('Violations', 'red', report.violations, dump, paint),
    [verdict(report, paint)],
  ];
  return `${sections.map((lines) => lines.join('\n')).join('\n\n')}\n`;
}

function featureLines({ features }: RingReport): string[] {
  if (features === null) return ['  features not given: only what is wrong with every choice of them is a violation'];
  const names: string[] = [];
  for (let bit = 0, rest = BigInt(features); rest > 0n; bit++, rest >>= 1n) {
    if ((rest & 1n) === 1n) names.push(featureName(bit, VIRTIO_ID.NET).replace(/^VIRTIO_F_/, ''));
  }
  // Device types number their own bits alike; network devices are the ones whose names are known here.
  const ring = names.filter((name) => !name.startsWith('VIRTIO_NET_F_') && !name.startsWith('feature bit'));
  return [`  features ${features}: ${ring.join(', ') || 'none that concerns the ring'}`];
}

const partLines = ({ parts }: RingReport, dump: MemoryDump): string[] =>
  columns(
    parts.map(({ name, address, bytes, state }) => [
      name,
      address,
      `${bytes} bytes`,
      state === 'saved'
        ? (dump.place(BigInt(address)) ?? '')
        : state === 'unsaved'
          ? 'not saved, or not all of it'
          : 'NOT IN RAM',
    ]),
  );

function headerLines({ header }: RingReport): string[] {
  const value = (field: number | null): string => (field === null ? 'not saved' : `${field}`);
  if (header.layout === 'split') {
    const { avail, used } = header;
    return columns([
      ['avail.flags', value(avail.flags), 'avail.idx', value(avail.idx), 'used_event', value(avail.used_event)],
      ['used.flags', value(used.flags), 'used.idx', value(used.idx), 'avail_event', value(used.avail_event)],
    ]);
  }
  const modes = ['ENABLE', 'DISABLE', 'DESC', '3 (reserved)'];
  return columns(
    (['driver', 'device'] as const).map((side) => {
      const event = header[side];
      if (event === null) return [`${side} event suppression`, 'not saved'];
      const { desc_event_flags: flags, desc_event_off: off, desc_event_wrap: wrap } = event;
      return [`${side} event suppression`, `flags ${modes[flags]}`, `desc_event_off ${off}`, `desc_event_wrap ${wrap}`];
    }),
  );
}

function positionLines({ positions, inFlight, layout }: RingReport): string[] {
  const row = (title: string, position: Position | null): string[] => {
    if (position === null) return [title, 'unknown', '', ''];
    const { index, wrap, known, how } = position;
    const place = wrap === null ? `${index}` : `slot ${index}, wrap counter ${wrap}`;
    return [title, place, known, known === 'given' ? '' : how];
  };
  const rows = columns([
    row('device takes next', positions.lastAvail),
    row('device returns next', positions.used),
    row('driver publishes next', positions.driver),
  ]);
  const noun = layout === 'split' ? 'elements' : 'descriptors';
  return inFlight === null || inFlight === 0 ? rows : [...rows, `  in flight: ${inFlight} ${noun}`];
}

function pendingTitle({ totals }: RingReport): string {
  const { elements, descriptors, readableBytes, writableBytes } = totals;
  if (elements === 0) return 'Pending: nothing';
  return `Pending: ${elements} elements, ${descriptors} buffers, ${readableBytes} bytes device-readable, ${writableBytes} device-writable`;
}

function pendingLines({ pending, layout }: RingReport, all: boolean): string[] {
  if (pending.length === 0) return [];
  const shown = all ? pending : pending.slice(0, SHOWN);
  const title = layout === 'split' ? ['index', 'head'] : ['slot', 'id'];
  const lines = columns([[...title, 'descriptor', 'address', 'length', 'device may'], ...shown.flatMap(elementRows)]);
  return shown.length === pending.length
    ? lines
    : [...lines, `  and ${pending.length - shown.length} more; --all shows them`];
}

function elementRows(element: PendingElement): string[][] {
  const { position, wrap, id, indirect, descriptors, complete } = element;
  const place = wrap === null ? `${position}` : `${position} wrap ${wrap}`;
  const rows = descriptors.map(({ place: { table, index }, address, length, access }) => [
    table === null ? `${index}` : `${indirect?.index ?? '?'}: table ${table}[${index}]`,
    address,
    `${length}`,
    access === 'readable' ? 'read' : 'write',
  ]);
  if (!complete) rows.push(['cannot be followed further']);
  return (rows.length === 0 ? [['no buffer']] : rows).map((row, i) =>
    i === 0 ? [place, `${id}`, ...row] : ['', '', ...row],
  );
}

function returnedSection({ returned, layout }: RingReport, paint: Paint): string[][] {
  if (returned.length === 0) return [];
  const newest = returned.slice(-4);
  const title = layout === 'split' ? 'Newest used elements' : 'Newest slots marked used';
  const rows = newest.map(({ position, id, length }) => [
    `${layout === 'split' ? 'index' : 'slot'} ${position}`,
    `id ${id}`,
    `${length} bytes`,
  ]);
  return [[paint('bold', `${title} (${returned.length} stand in the ring)`), ...columns(rows)]];
}

const whyLines = ({ why }: RingReport): string[] =>
  why.length === 0 ? ['  Nothing in the ring says why.'] : why.map((sentence) => `  - ${sentence}`);

function findingSection(
  title: string,
  style: 'red' | 'yellow',
  findings: readonly Finding[],
  dump: MemoryDump,
  paint: Paint,
): string[][] {
  if (findings.length === 0) return [];
  const lines = findings.flatMap(({ id, by, spec, at, part, message }) => {
    const place = at === null ? null : dump.place(BigInt(at));
    const where = at === null ? part : `${part} at ${at}${place === null ? '' : ` (${place})`}`;
    return [`  ${paint(style, id)}  ${by}, virtio 1.4 §${spec}`, `    ${where}`, `    ${message}`];
  });
  return [[paint('bold', `${title} (${findings.length})`), ...lines]];
}

function verdict({ violations, findingsOmitted }: RingReport, paint: Paint): string {
  const count = violations.length;
  if (count === 0) return paint('green', 'No violation found in what is pending.');
  const more = findingsOmitted === 0 ? '' : `, and ${findingsOmitted} more findings not listed`;
  return paint('red', `${count} violation${count === 1 ? '' : 's'}${more}.`);
}
