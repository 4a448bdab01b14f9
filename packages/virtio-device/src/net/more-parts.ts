import {
  VIRTIO_NET_CTRL_CLASS,
  VIRTIO_NET_CTRL_COAL,
  VIRTIO_NET_CTRL_COAL_VQ,
  VIRTIO_NET_CTRL_GUEST_OFFLOADS,
  VIRTIO_NET_CTRL_HASH_TUNNEL,
  VIRTIO_NET_CTRL_NOTF_COAL,
  VIRTIO_NET_CTRL_RSS_CTX,
  VIRTIO_NET_F,
} from '@ringwire/virtio-spec/net';
import type { CoalescingCommands } from './ctrl-coalescing.js';
import { canOffload } from './guest-offloads.js';
import type { NetDeviceParts } from './net-device-parts.js';
import { le16, le32, type PartRow, pairsOf, u16, u32 } from './part-row.js';
import { type RssConfig, readRssConfig, TUNNEL_TYPES } from './rss-config.js';

const F = VIRTIO_NET_F;
const CLASS = VIRTIO_NET_CTRL_CLASS;

/** What a driver would miss as well, and the table of §5.1.8.1 leaves out. */
export function moreRows(
  { state, settings, guest, steering, dataQueues }: NetDeviceParts,
  coalescing: CoalescingCommands,
): PartRow[] {
  const { TX_SET, RX_SET, VQ_SET } = VIRTIO_NET_CTRL_NOTF_COAL;
  const directions = [
    { command: TX_SET, direction: 1 },
    { command: RX_SET, direction: 0 },
  ] as const;
  return [
    {
      class: CLASS.GUEST_OFFLOADS,
      command: VIRTIO_NET_CTRL_GUEST_OFFLOADS.SET,
      feature: F.CTRL_GUEST_OFFLOADS,
      isOurs: true,
      get: () => (state.has(F.CTRL_GUEST_OFFLOADS) ? le32(guest.low, guest.high) : undefined),
      fits: (value, features) => value.length === 8 && canOffload(u32(value, 0), u32(value, 4), features),
      set: (value) => {
        guest.set(u32(value, 0), u32(value, 4));
      },
    },
    {
      class: CLASS.HASH_TUNNEL,
      command: VIRTIO_NET_CTRL_HASH_TUNNEL.SET,
      feature: F.HASH_TUNNEL,
      isOurs: true,
      get: () => (state.has(F.HASH_TUNNEL) ? le32(steering.tunnelTypes) : undefined),
      fits: (value) => value.length === 4 && (u32(value, 0) & ~TUNNEL_TYPES) === 0,
      set: (value) => {
        steering.tunnelTypes = u32(value, 0);
      },
    },
    ...directions.map(
      ({ command, direction }): PartRow => ({
        class: CLASS.NOTF_COAL,
        command,
        feature: F.NOTF_COAL,
        isOurs: true,
        get: () =>
          state.has(F.NOTF_COAL) ? le32(coalescing.packets[direction]!, coalescing.usecs[direction]!) : undefined,
        fits: (value) => value.length === VIRTIO_NET_CTRL_COAL.SIZE,
        set: (value) => coalescing.setDirection(direction, u32(value, 0), u32(value, 4)),
      }),
    ),
    {
      // All queues with parameters of their own, one struct virtio_net_ctrl_coal_vq behind the other.
      class: CLASS.NOTF_COAL,
      command: VQ_SET,
      feature: F.VQ_NOTF_COAL,
      isOurs: true,
      get: () => {
        if (!state.has(F.VQ_NOTF_COAL)) return undefined;
        const own = dataQueues.filter((queue) => queue.queue !== undefined && !coalescing.isAsOthers(queue));
        return le32(...own.flatMap(({ index, coalescing: { maxPackets, maxUsecs } }) => [index, maxPackets, maxUsecs]));
      },
      fits: (value, features) =>
        value.length % VIRTIO_NET_CTRL_COAL_VQ.SIZE === 0 &&
        entriesOf(value, VIRTIO_NET_CTRL_COAL_VQ.SIZE).every((at) => u32(value, at) < 2 * pairsOf(settings, features)),
      set: (value) => {
        for (const at of entriesOf(value, VIRTIO_NET_CTRL_COAL_VQ.SIZE))
          dataQueues[u32(value, at)]!.coalescing.set(u32(value, at + 4), u32(value, at + 8));
      },
    },
    {
      // All contexts: le16 id, le16 bytes, struct virtio_net_rss_config.
      class: CLASS.RSS_CTX,
      command: VIRTIO_NET_CTRL_RSS_CTX.ADD,
      feature: F.RSS_CONTEXT,
      isOurs: true,
      get: () => (state.has(F.RSS_CONTEXT) ? contextBytes(steering.contexts) : undefined),
      fits: (value, features) => readContexts(value, pairsOf(settings, features), settings.rssContexts) !== undefined,
      set: (value) => {
        steering.contexts.clear();
        for (const [id, config] of readContexts(value, state.pairsMax, settings.rssContexts)!)
          steering.contexts.set(id, config);
      },
    },
  ];
}

const entriesOf = (value: Uint8Array, bytes: number): number[] =>
  Array.from({ length: value.length / bytes }, (_, entry) => entry * bytes);

function contextBytes(contexts: ReadonlyMap<number, RssConfig>): Uint8Array {
  return Uint8Array.from([...contexts].flatMap(([id, { bytes }]) => [...le16(id), ...le16(bytes.length), ...bytes]));
}

/** Foreign. @returns undefined unless each context can be, and there is no byte more */
function readContexts(value: Uint8Array, pairs: number, most: number): Map<number, RssConfig> | undefined {
  const contexts = new Map<number, RssConfig>();
  for (let at = 0; at < value.length; ) {
    if (at + 4 > value.length) return undefined;
    const [id, end] = [u16(value, at), at + 4 + u16(value, at + 2)];
    const config = end > value.length ? undefined : readRssConfig(value.subarray(at + 4, end), pairs);
    if (config?.bytes.length !== end - at - 4 || id < 1 || id > most || contexts.has(id)) return undefined;
    contexts.set(id, config);
    at = end;
  }
  return contexts;
}
