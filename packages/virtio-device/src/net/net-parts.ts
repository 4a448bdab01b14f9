import { hasFeature } from '@ringwire/virtio-spec';
import { VIRTIO_NET_DEV_PART_CVQ_CFG, VIRTIO_NET_DEV_PART_CVQ_SELECTOR } from '@ringwire/virtio-spec/admin';
import {
  VIRTIO_NET_CTRL_ANNOUNCE,
  VIRTIO_NET_CTRL_CLASS,
  VIRTIO_NET_CTRL_COAL,
  VIRTIO_NET_CTRL_COAL_VQ,
  VIRTIO_NET_CTRL_GUEST_OFFLOADS,
  VIRTIO_NET_CTRL_HASH_TUNNEL,
  VIRTIO_NET_CTRL_MAC,
  VIRTIO_NET_CTRL_MQ,
  VIRTIO_NET_CTRL_NOTF_COAL,
  VIRTIO_NET_CTRL_RSS_CTX,
  VIRTIO_NET_CTRL_RX,
  VIRTIO_NET_CTRL_VLAN,
  VIRTIO_NET_F,
} from '@ringwire/virtio-spec/net';
import { type DevicePart, devicePart } from '../admin/device-part.js';
import type { TypeParts } from '../device-model.js';
import type { CoalescingCommands } from './ctrl-coalescing.js';
import { canOffload } from './guest-offloads.js';
import type { NetDeviceParts } from './net-device-parts.js';
import { isStationMac, type NetDeviceSettings } from './net-options.js';
import { type RssConfig, readHashConfig, readRssConfig, TUNNEL_TYPES } from './rss-config.js';
import { readMacTable, VLAN_IDS } from './rx-filter.js';

const F = VIRTIO_NET_F;
const CLASS = VIRTIO_NET_CTRL_CLASS;
const RX = VIRTIO_NET_CTRL_RX;
const MAC_BYTES = 6;
const SPEC = 'virtio 1.4 §5.1.8.1';

/** One selector: the command that a part is the data of. */
interface PartRow {
  readonly class: number;
  readonly command: number;
  readonly feature: number;
  /** Not in the table of §5.1.8.1: other devices do without it. */
  readonly isOurs?: boolean;
  /** The command's data as it would make the device be what it is, or undefined when there is nothing to be said. */
  get(): Uint8Array | undefined;
  /** Whether the value can be; its command is negotiated. */
  fits(value: Uint8Array, features: Uint32Array): boolean;
  set(value: Uint8Array): void;
}

/**
 * What the driver of a network device set up by commands: parts in the form of those commands' data, one each. A table of
 * VLANs is its ids one behind the other. @see virtio 1.4 §5.1.8
 */
export class NetParts implements TypeParts {
  private readonly rows: readonly PartRow[];
  private readonly isRunning: () => boolean;

  constructor(parts: NetDeviceParts, coalescing: CoalescingCommands) {
    this.isRunning = () => parts.state.port !== undefined;
    this.rows = [...filterRows(parts), ...steeringRows(parts), ...ourRows(parts, coalescing)];
  }

  get(): readonly DevicePart[] {
    if (!this.isRunning()) return [];
    return this.rows.flatMap((row) => {
      const value = row.get();
      if (value === undefined) return [];
      const selector = Uint8Array.of(row.class, row.command, 0, 0, 0, 0, 0, 0);
      return [devicePart(VIRTIO_NET_DEV_PART_CVQ_CFG, value, { selector, isOptional: row.isOurs === true })];
    });
  }

  problem(part: DevicePart, features: Uint32Array): string | undefined {
    const row = this.rowOf(part);
    if (row === undefined) {
      return part.isOptional ? undefined : `part 0x${part.type.toString(16)} is of no command of this device (${SPEC})`;
    }
    const name = `the part of command ${row.class}.${row.command}`;
    if (!hasFeature(features, row.feature)) return `${name} is of a feature that was not negotiated (${SPEC})`;
    return row.fits(part.value, features) ? undefined : `${name} has data that the command refuses (${SPEC})`;
  }

  set(part: DevicePart): void {
    this.rowOf(part)?.set(part.value);
  }

  private rowOf({ type, selector }: DevicePart): PartRow | undefined {
    if (type !== VIRTIO_NET_DEV_PART_CVQ_CFG) return undefined;
    const at = VIRTIO_NET_DEV_PART_CVQ_SELECTOR;
    return this.rows.find((row) => row.class === selector[at.class] && row.command === selector[at.command]);
  }
}

function filterRows({ state, config, filter, settings }: NetDeviceParts): PartRow[] {
  const modes = [
    { command: RX.PROMISC, mode: 'promisc', feature: F.CTRL_RX },
    { command: RX.ALLMULTI, mode: 'allmulti', feature: F.CTRL_RX },
    { command: RX.ALLUNI, mode: 'alluni', feature: F.CTRL_RX_EXTRA },
    { command: RX.NOMULTI, mode: 'nomulti', feature: F.CTRL_RX_EXTRA },
    { command: RX.NOUNI, mode: 'nouni', feature: F.CTRL_RX_EXTRA },
    { command: RX.NOBCAST, mode: 'nobcast', feature: F.CTRL_RX_EXTRA },
  ] as const;
  return [
    ...modes.map(
      ({ command, mode, feature }): PartRow => ({
        class: CLASS.RX,
        command,
        feature,
        get: () => (state.has(feature) ? Uint8Array.of(filter[mode] ? 1 : 0) : undefined),
        fits: (value) => value.length === 1 && value[0]! <= 1,
        set: (value) => {
          filter[mode] = value[0] === 1;
        },
      }),
    ),
    {
      class: CLASS.MAC,
      command: VIRTIO_NET_CTRL_MAC.TABLE_SET,
      feature: F.CTRL_RX,
      get: () => (state.has(F.CTRL_RX) ? filter.macTable() : undefined),
      fits: (value) => readMacTable(value) !== undefined,
      set: (value) => filter.setMacTable(value),
    },
    {
      class: CLASS.MAC,
      command: VIRTIO_NET_CTRL_MAC.ADDR_SET,
      feature: F.CTRL_MAC_ADDR,
      get: () => (state.has(F.CTRL_MAC_ADDR) ? filter.own() : undefined),
      fits: (value) => value.length === MAC_BYTES && isStationMac(value),
      set: (value) => {
        filter.setOwn(value);
        config.setMac(state.has(F.MAC) ? value : settings.mac);
      },
    },
    {
      class: CLASS.VLAN,
      command: VIRTIO_NET_CTRL_VLAN.ADD,
      feature: F.CTRL_VLAN,
      get: () => (state.has(F.CTRL_VLAN) ? idsOf(filter.vlans) : undefined),
      fits: (value) =>
        value.length % 2 === 0 && value.length <= 2 * VLAN_IDS && idsIn(value).every((id) => id < VLAN_IDS),
      set: (value) => {
        filter.vlans.fill(0);
        for (const id of idsIn(value)) filter.vlans[id >>> 5]! |= 1 << (id & 31);
      },
    },
    {
      class: CLASS.ANNOUNCE,
      command: VIRTIO_NET_CTRL_ANNOUNCE.ACK,
      feature: F.GUEST_ANNOUNCE,
      // Whether to ask for an announcement is for whoever moves the device to decide, anew each time.
      get: () => undefined,
      fits: (value) => value.length === 0,
      set: () => {},
    },
  ];
}

function steeringRows({ state, steering, settings }: NetDeviceParts): PartRow[] {
  return [
    {
      class: CLASS.MQ,
      command: VIRTIO_NET_CTRL_MQ.VQ_PAIRS_SET,
      feature: F.MQ,
      get: () => (state.has(F.MQ) && steering.rssBytes === undefined ? le16(steering.txPairs) : undefined),
      fits: (value, features) => value.length === 2 && u16(value) >= 1 && u16(value) <= pairsOf(settings, features),
      set: (value) => steering.setPairs(u16(value)),
    },
    {
      class: CLASS.MQ,
      command: VIRTIO_NET_CTRL_MQ.RSS_CONFIG,
      feature: F.RSS,
      get: () => steering.rssBytes,
      fits: (value, features) => readRssConfig(value, pairsOf(settings, features))?.bytes.length === value.length,
      set: (value) => steering.setRss(readRssConfig(value, state.pairsMax)!),
    },
    {
      class: CLASS.MQ,
      command: VIRTIO_NET_CTRL_MQ.HASH_CONFIG,
      feature: F.HASH_REPORT,
      get: () => steering.hashBytes,
      fits: (value) => readHashConfig(value)?.bytes.length === value.length,
      set: (value) => steering.setHash(readHashConfig(value)!),
    },
  ];
}

/** What a driver would miss as well, and the table of §5.1.8.1 leaves out. */
function ourRows(
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

/** Queue pairs that a device has with these features. */
const pairsOf = ({ pairs }: NetDeviceSettings, features: Uint32Array): number =>
  hasFeature(features, F.MQ) || hasFeature(features, F.RSS) ? pairs : 1;

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

const u16 = (value: Uint8Array, at = 0): number => value[at]! | (value[at + 1]! << 8);
const u32 = (value: Uint8Array, at: number): number => (u16(value, at) | (u16(value, at + 2) << 16)) >>> 0;
const le16 = (value: number): Uint8Array => Uint8Array.of(value & 0xff, value >>> 8);

function le32(...values: number[]): Uint8Array {
  const bytes = new Uint8Array(4 * values.length);
  for (const [at, value] of values.entries()) new DataView(bytes.buffer).setUint32(4 * at, value, true);
  return bytes;
}

const idsIn = (value: Uint8Array): number[] => Array.from({ length: value.length >> 1 }, (_, at) => u16(value, 2 * at));

function idsOf(vlans: Uint32Array): Uint8Array {
  const ids = Array.from({ length: VLAN_IDS }, (_, id) => id).filter(
    (id) => ((vlans[id >>> 5]! >>> (id & 31)) & 1) === 1,
  );
  return Uint8Array.from(ids.flatMap((id) => [id & 0xff, id >>> 8]));
}
