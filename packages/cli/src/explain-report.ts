import { type DeviceSnapshot, type QueueSnapshot, type Reason, sentence } from '@ringwire/virtio-device';
import type { MemoryDump } from './memory-dump.js';
import { columns, type Paint, painter } from './terminal.js';

/** The reasons, and for a broken clause the place in the dump's file. The schema's number changes when a key does. */
export function explainJson(snapshot: DeviceSnapshot, reasons: readonly Reason[], dump: MemoryDump): string {
  const { deviceType, status, live } = snapshot;
  const placed = reasons.map((reason) => {
    const { clause } = reason;
    if (clause === null) return reason;
    return {
      ...reason,
      clause: { ...clause, file_offset: clause.at === null ? null : dump.offset(BigInt(clause.at)) },
    };
  });
  const problems = reasons.filter(({ level }) => level === 'problem').length;
  const report = { schema: 'ringwire.explain/1', deviceType, status, live, problems, reasons: placed };
  return `${JSON.stringify(report, null, 2)}\n`;
}

/** The same for people. */
export function explainText(
  snapshot: DeviceSnapshot,
  reasons: readonly Reason[],
  dump: MemoryDump,
  color: boolean,
): string {
  const paint = painter(color);
  const problems = reasons.filter(({ level }) => level === 'problem');
  const notes = reasons.filter(({ level }) => level === 'note');
  const sections = [
    [paint('bold', title(snapshot)), ...columns(facts(snapshot))],
    [paint('bold', 'Queues'), ...columns(queueRows(snapshot))],
    ...section(`Problems (${problems.length})`, problems, dump, paint),
    ...section('How things stand', notes, dump, paint),
    [verdict(problems.length, paint)],
  ];
  return `${sections.map((lines) => lines.join('\n')).join('\n\n')}\n`;
}

const TRANSPORTS = { pci: 'PCI', mmio: 'MMIO', 'vhost-user': 'vhost-user', vdpa: 'vDPA' } as const;

const title = ({ deviceType, transport, live }: DeviceSnapshot): string =>
  `virtio ${deviceType} device over ${TRANSPORTS[transport.kind]}, ${live ? 'running' : 'not running'}`;

function facts({ status, statusNames, accepted, counters, transport }: DeviceSnapshot): string[][] {
  const { kicks, kicksIgnored, usedNotifications, configNotifications, resets } = counters;
  const rows = [
    ['status', `0x${status.toString(16)}`, statusNames.join(' | ')],
    ['features', accepted.bits, accepted.names.map((name) => name.replace(/^VIRTIO_(NET_)?F_/, '')).join(', ')],
    ['notifications in', `${kicks}`, `${kicksIgnored} ignored`],
    ['notifications out', `${usedNotifications}`, `${configNotifications} of configuration changes`],
    ['resets', `${resets}`],
  ];
  if (transport.kind === 'mmio') return [...rows, ['InterruptStatus', `${transport.interruptStatus}`]];
  if (transport.kind === 'vhost-user') return [...rows, ['memory', `${transport.regions} regions`]];
  if (transport.kind === 'vdpa') return [...rows, ['mappings', transport.mappings.join(', ')]];
  const { msix } = transport;
  if (msix === null || !msix.enabled) return [...rows, ['ISR status', `${transport.isr}`, 'MSI-X is off']];
  return [...rows, ['MSI-X', `${msix.vectors.length} vectors`, msix.functionMasked ? 'all masked' : '']];
}

function queueRows({ queues, transport }: DeviceSnapshot): string[][] {
  const names = ['queue', 'size', 'state', 'device at', 'in flight', 'taken', 'used'];
  const vectorOf = ({ index }: QueueSnapshot): string[] =>
    transport.kind === 'pci' ? [`${transport.queueVectors[index] ?? 'none'}`] : [];
  return [
    transport.kind === 'pci' ? [...names, 'vector'] : names,
    ...queues.map((queue) => {
      const { index, size, layout, inFlight, counters } = queue;
      if (layout === null) return [`${index}`, `${size}`, 'not enabled'];
      const counts = [inFlight, counters?.taken, counters?.used].map((count) => `${count ?? 'unknown'}`);
      return [`${index}`, `${size}`, queue.ringFault ?? layout, positionOf(queue), ...counts, ...vectorOf(queue)];
    }),
  ];
}

function positionOf({ position }: QueueSnapshot): string {
  if (position === null) return 'unknown';
  if (position.layout === 'split') return `${position.lastAvailIdx}`;
  return `slot ${position.lastAvailIdx}, wrap ${position.lastAvailWrapCounter}`;
}

function section(name: string, reasons: readonly Reason[], dump: MemoryDump, paint: Paint): string[][] {
  if (reasons.length === 0) return [];
  const lines = reasons.flatMap((reason) => {
    const line = `  - ${sentence(reason)}`;
    const { at } = reason.clause ?? { at: null };
    if (at === null) return [reason.level === 'problem' ? paint('red', line) : line];
    const place = dump.place(BigInt(at));
    return [paint('red', line), `    at ${at}${place === null ? '' : ` (${place})`}`];
  });
  return [[paint('bold', name), ...lines]];
}

const verdict = (problems: number, paint: Paint): string =>
  problems === 0
    ? paint('green', 'No problem found.')
    : paint('red', `${problems} problem${problems === 1 ? '' : 's'}.`);
