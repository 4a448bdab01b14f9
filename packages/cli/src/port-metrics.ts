import { byName, type Metric, type Sample } from './metric.js';
import { type PortCounts, portCounts, uplinkCounts } from './serve-counts.js';
import type { ServedPorts } from './serve-ports.js';

const byPort = (served: ServedPorts, samples: (port: PortCounts) => Sample[]): Sample[] =>
  portCounts(served).flatMap(samples);
const ringsOf = (served: ServedPorts) =>
  served.ports.flatMap(({ socket }) =>
    served.snapshot(socket).queues.map((queue) => ({ labels: { socket, ring: `${queue.index}` }, queue })),
  );

/** Of all that is served, be it a card or not. */
export const PORT_METRICS: readonly Metric[] = [
  {
    name: 'ringwire_port_connected',
    type: 'gauge',
    labels: ['socket'],
    help: 'Whether a front-end is connected.',
    samples: (served) => byPort(served, ({ socket, state }) => [[{ socket }, state === 'listening' ? 0 : 1]]),
  },
  {
    name: 'ringwire_port_running',
    type: 'gauge',
    labels: ['socket'],
    help: 'Whether at least one ring runs.',
    samples: (served) => byPort(served, ({ socket, state }) => [[{ socket }, state === 'running' ? 1 : 0]]),
  },
  {
    name: 'ringwire_port_frames_total',
    type: 'counter',
    labels: ['socket', 'direction'],
    help: 'Frames of the driver (tx) and for it (rx), since it started last.',
    samples: (served) =>
      byPort(served, ({ socket, txFrames, rxFrames }) =>
        byName({ socket }, { tx: txFrames, rx: rxFrames }, 'direction'),
      ),
  },
  {
    name: 'ringwire_port_bytes_total',
    type: 'counter',
    labels: ['socket', 'direction'],
    help: 'Bytes of these frames.',
    samples: (served) =>
      byPort(served, ({ socket, txBytes, rxBytes }) => byName({ socket }, { tx: txBytes, rx: rxBytes }, 'direction')),
  },
  {
    name: 'ringwire_port_drops_total',
    type: 'counter',
    labels: ['socket', 'reason'],
    help: 'Frames, buffers and commands that the device gave up.',
    samples: (served) => byPort(served, ({ socket, drops }) => byName({ socket }, drops, 'reason')),
  },
  {
    name: 'ringwire_switch_frames_total',
    type: 'counter',
    labels: ['socket', 'fate'],
    help: 'Frames that came into the switch at a port, by fate.',
    samples: (served) =>
      byPort(served, ({ socket, forwarded, flooded, filtered, lost }) =>
        byName({ socket }, { forwarded, flooded, filtered, lost }, 'fate'),
      ),
  },
  {
    name: 'ringwire_ring_running',
    type: 'gauge',
    labels: ['socket', 'ring'],
    help: 'Whether a ring runs.',
    samples: (served) => ringsOf(served).map(({ labels, queue }) => [labels, queue.enabled ? 1 : 0]),
  },
  {
    name: 'ringwire_ring_size',
    type: 'gauge',
    labels: ['socket', 'ring'],
    help: 'Descriptors of a ring.',
    samples: (served) => ringsOf(served).map(({ labels, queue }) => [labels, queue.size]),
  },
  {
    name: 'ringwire_ring_chains_total',
    type: 'counter',
    labels: ['socket', 'ring', 'step'],
    help: 'Chains that the device took and used, since the ring started last.',
    samples: (served) =>
      ringsOf(served).flatMap(({ labels, queue: { counters } }) =>
        counters === null ? [] : byName(labels, { taken: counters.taken, used: counters.used }, 'step'),
      ),
  },
  {
    name: 'ringwire_ring_notifications_total',
    type: 'counter',
    labels: ['socket', 'ring'],
    help: 'Notifications that the driver was owed, since the ring started last.',
    samples: (served) =>
      ringsOf(served).flatMap(({ labels, queue: { counters } }): Sample[] =>
        counters === null ? [] : [[labels, counters.notifications]],
      ),
  },
  {
    name: 'ringwire_uplink_frames_total',
    type: 'counter',
    labels: ['uplink', 'direction'],
    help: 'Frames that left and came by an uplink.',
    samples: (served) =>
      uplinkCounts(served).flatMap(({ uplink, sent, received }) => byName({ uplink }, { sent, received }, 'direction')),
  },
  {
    name: 'ringwire_uplink_bytes_total',
    type: 'counter',
    labels: ['uplink', 'direction'],
    help: 'Bytes of these frames.',
    samples: (served) =>
      uplinkCounts(served).flatMap(({ uplink, sentBytes, receivedBytes }) =>
        byName({ uplink }, { sent: sentBytes, received: receivedBytes }, 'direction'),
      ),
  },
  {
    name: 'ringwire_uplink_drops_total',
    type: 'counter',
    labels: ['uplink', 'reason'],
    help: 'Frames and datagrams that an uplink gave up.',
    samples: (served) => uplinkCounts(served).flatMap(({ uplink, drops }) => byName({ uplink }, drops, 'reason')),
  },
  {
    name: 'process_resident_memory_bytes',
    type: 'gauge',
    labels: [],
    help: 'Resident memory.',
    samples: () => [[{}, process.memoryUsage.rss()]],
  },
];
