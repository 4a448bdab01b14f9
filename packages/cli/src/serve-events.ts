import type { PortState } from '@ringwire/vhost-user';
import { featureName, hasFeature, VIRTIO_F, VIRTIO_ID } from '@ringwire/virtio-spec';
import type { PortCounts, UplinkCounts } from './serve-counts.js';
import { columns } from './terminal.js';

/** What happens while ports are served. With `--json` each is a line of its own on stdout. */
export type ServeEvent =
  /** `plugged`: whether a VDUSE device is on the kernel's vDPA bus already. */
  | { readonly event: 'listening'; readonly socket: string; readonly mac: string; readonly plugged?: boolean }
  | { readonly event: 'uplink'; readonly uplink: string; readonly mtu: number | null; readonly fits: boolean }
  | { readonly event: 'metrics'; readonly url: string }
  | { readonly event: 'connected'; readonly socket: string }
  | {
      readonly event: 'running';
      readonly socket: string;
      readonly rings: 'split' | 'packed';
      readonly features: readonly string[];
    }
  | { readonly event: 'stopped'; readonly socket: string }
  | { readonly event: 'disconnected'; readonly socket: string; readonly reason: string }
  | { readonly event: 'problem'; readonly socket: string; readonly reason: string }
  | { readonly event: 'left'; readonly socket: string }
  | { readonly event: 'lost'; readonly what: string; readonly reason: string }
  | { readonly event: 'counters'; readonly ports: readonly PortCounts[]; readonly uplinks: readonly UplinkCounts[] };

/** A port's new state, as an event. @param before what it was in */
export function stateEvent(socket: string, state: PortState, before: PortState, features: Uint32Array): ServeEvent {
  if (state === 'running') {
    const bits = Array.from({ length: 32 * features.length }, (_, bit) => bit).filter((bit) =>
      hasFeature(features, bit),
    );
    const rings = hasFeature(features, VIRTIO_F.RING_PACKED) ? 'packed' : 'split';
    return { event: 'running', socket, rings, features: bits.map((bit) => featureName(bit, VIRTIO_ID.NET)) };
  }
  return before === 'running' ? { event: 'stopped', socket } : { event: 'connected', socket };
}

/** The same for people; undefined for what they are told otherwise. */
export function eventText(event: ServeEvent): string | undefined {
  switch (event.event) {
    case 'listening':
      if (event.plugged !== false) return undefined;
      return `${event.socket}: plug it in by "vdpa dev add name ${vduseName(event.socket)} mgmtdev vduse"`;
    case 'counters':
      return undefined;
    case 'uplink':
      return event.fits ? undefined : `${event.uplink} carries packets of ${event.mtu} bytes: want --mtu ${event.mtu}`;
    case 'metrics':
      return `metrics at ${event.url}`;
    case 'connected':
      return `${event.socket}: ${vduseName(event.socket) === undefined ? 'a front-end connected' : 'a driver is there'}`;
    case 'running':
      return `${event.socket}: running, ${event.rings} rings`;
    case 'stopped':
      return `${event.socket}: stopped`;
    case 'disconnected':
    case 'problem':
      return `${event.socket}: ${event.reason}`;
    case 'left':
      return `${event.socket}: stays on the vDPA bus; serve it again, or "vdpa dev del ${vduseName(event.socket)}"`;
    case 'lost':
      return `${event.what} is lost: ${event.reason}`;
    default:
      return event satisfies never;
  }
}

/** Of a port of the kernel's, by the name of the port; undefined for a socket. */
const vduseName = (socket: string): string | undefined => /^vduse:(.*)$/s.exec(socket)?.[1];

/** What was counted, as tables. */
export function countersText(ports: readonly PortCounts[], uplinks: readonly UplinkCounts[]): string {
  const names = ['forwarded', 'flooded', 'filtered', 'lost'] as const;
  const lines = columns(
    [[...names, 'frames from'], ...ports.map((port) => [...names.map((name) => `${port[name]}`), port.socket])],
    '',
  );
  if (uplinks.length > 0) {
    const rows = uplinks.map(({ uplink, sent, received, drops }) => [
      `${sent}`,
      `${received}`,
      dropsText(drops),
      uplink,
    ]);
    lines.push('', ...columns([['sent', 'received', 'dropped', 'uplink'], ...rows], ''));
  }
  return `${lines.join('\n')}\n`;
}

function dropsText(drops: Readonly<Record<string, number>>): string {
  const occurred = Object.entries(drops).filter(([, count]) => count > 0);
  return occurred.length === 0 ? '0' : occurred.map(([reason, count]) => `${count} ${reason}`).join(', ');
}
