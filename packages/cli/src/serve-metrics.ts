import { portDrops } from './nic-card.js';
import { type PortCounts, portCounts, uplinkCounts } from './serve-counts.js';
import type { ServedPorts } from './serve-ports.js';

type Labels = Readonly<Record<string, string>>;
type Sample = readonly [labels: Labels, value: number];

/** Prometheus's text format, version 0.0.4. */
export const METRICS_TYPE = 'text/plain; version=0.0.4; charset=utf-8';

/** What there is to be measured now. */
export function metricsText(served: ServedPorts): string {
  const ports = portCounts(served);
  const uplinks = uplinkCounts(served);
  const byPort = (sample: (port: PortCounts) => Sample[]): Sample[] => ports.flatMap(sample);
  const of = (labels: Labels, values: Readonly<Record<string, number>>, label: string): Sample[] =>
    Object.entries(values).map(([name, value]) => [{ ...labels, [label]: name }, value]);
  const rings = served.ports.flatMap(({ socket }) =>
    served.snapshot(socket).queues.map((queue) => ({ labels: { socket, ring: `${queue.index}` }, queue })),
  );
  const card = served.card?.vfs.map((port, vf) => ({ vf: { vf: `${vf}` }, port })) ?? [];
  return [
    ...metric(
      'vf_frames_total',
      'counter',
      'Frames from (tx) and to (rx) a virtual function, dropped ones among them.',
      card.flatMap(({ vf, port: { counters } }) =>
        of(vf, { tx: counters.inFrames, rx: counters.outFrames }, 'direction'),
      ),
    ),
    ...metric(
      'vf_drops_total',
      'counter',
      'Frames that were dropped at a virtual function, by reason.',
      card.flatMap(({ vf, port }) => of(vf, portDrops(port), 'reason')),
    ),
    ...metric(
      'port_connected',
      'gauge',
      'Whether a front-end is connected.',
      byPort(({ socket, state }) => [[{ socket }, state === 'listening' ? 0 : 1]]),
    ),
    ...metric(
      'port_running',
      'gauge',
      'Whether at least one ring runs.',
      byPort(({ socket, state }) => [[{ socket }, state === 'running' ? 1 : 0]]),
    ),
    ...metric(
      'port_frames_total',
      'counter',
      'Frames of the driver (tx) and for it (rx), since it started last.',
      byPort(({ socket, txFrames, rxFrames }) => of({ socket }, { tx: txFrames, rx: rxFrames }, 'direction')),
    ),
    ...metric(
      'port_bytes_total',
      'counter',
      'Bytes of these frames.',
      byPort(({ socket, txBytes, rxBytes }) => of({ socket }, { tx: txBytes, rx: rxBytes }, 'direction')),
    ),
    ...metric(
      'port_drops_total',
      'counter',
      'Frames, buffers and commands that the device gave up.',
      byPort(({ socket, drops }) => of({ socket }, drops, 'reason')),
    ),
    ...metric(
      'switch_frames_total',
      'counter',
      'Frames that came into the switch at a port, by fate.',
      byPort(({ socket, forwarded, flooded, filtered, lost }) =>
        of({ socket }, { forwarded, flooded, filtered, lost }, 'fate'),
      ),
    ),
    ...metric(
      'ring_running',
      'gauge',
      'Whether a ring runs.',
      rings.map(({ labels, queue }) => [labels, queue.enabled ? 1 : 0]),
    ),
    ...metric(
      'ring_size',
      'gauge',
      'Descriptors of a ring.',
      rings.map(({ labels, queue }) => [labels, queue.size]),
    ),
    ...metric(
      'ring_chains_total',
      'counter',
      'Chains that the device took and used, since the ring started last.',
      rings.flatMap(({ labels, queue: { counters } }) =>
        counters === null ? [] : of(labels, { taken: counters.taken, used: counters.used }, 'step'),
      ),
    ),
    ...metric(
      'ring_notifications_total',
      'counter',
      'Notifications that the driver was owed, since the ring started last.',
      rings.flatMap(({ labels, queue: { counters } }): Sample[] =>
        counters === null ? [] : [[labels, counters.notifications]],
      ),
    ),
    ...metric(
      'uplink_frames_total',
      'counter',
      'Frames that left and came by an uplink.',
      uplinks.flatMap(({ uplink, sent, received }) => of({ uplink }, { sent, received }, 'direction')),
    ),
    ...metric(
      'uplink_bytes_total',
      'counter',
      'Bytes of these frames.',
      uplinks.flatMap(({ uplink, sentBytes, receivedBytes }) =>
        of({ uplink }, { sent: sentBytes, received: receivedBytes }, 'direction'),
      ),
    ),
    ...metric(
      'uplink_drops_total',
      'counter',
      'Frames and datagrams that an uplink gave up.',
      uplinks.flatMap(({ uplink, drops }) => of({ uplink }, drops, 'reason')),
    ),
    ...metric('process_resident_memory_bytes', 'gauge', 'Resident memory.', [[{}, process.memoryUsage.rss()]], ''),
    '',
  ].join('\n');
}

function metric(
  name: string,
  type: 'counter' | 'gauge',
  help: string,
  samples: readonly Sample[],
  prefix = 'ringwire_',
): string[] {
  if (samples.length === 0) return [];
  const full = prefix + name;
  return [
    `# HELP ${full} ${help}`,
    `# TYPE ${full} ${type}`,
    ...samples.map(([labels, value]) => `${full}${labelsText(labels)} ${value}`),
  ];
}

function labelsText(labels: Labels): string {
  const pairs = Object.entries(labels).map(([name, value]) => `${name}="${value.replace(/[\\"\n]/g, escaped)}"`);
  return pairs.length === 0 ? '' : `{${pairs.join(',')}}`;
}

const escaped = (character: string): string => (character === '\n' ? '\\n' : `\\${character}`);
