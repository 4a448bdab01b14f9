import { hasFeature } from '@ringwire/virtio-spec';
import { VIRTIO_NET_DEV_PART_CVQ_CFG, VIRTIO_NET_DEV_PART_CVQ_SELECTOR } from '@ringwire/virtio-spec/admin';
import {
  VIRTIO_NET_CTRL_ANNOUNCE,
  VIRTIO_NET_CTRL_CLASS,
  VIRTIO_NET_CTRL_MAC,
  VIRTIO_NET_CTRL_MQ,
  VIRTIO_NET_CTRL_RX,
  VIRTIO_NET_CTRL_VLAN,
  VIRTIO_NET_F,
} from '@ringwire/virtio-spec/net';
import { type DevicePart, devicePart } from '../admin/device-part.js';
import type { TypeParts } from '../device-model.js';
import type { CoalescingCommands } from './ctrl-coalescing.js';
import { moreRows } from './more-parts.js';
import type { NetDeviceParts } from './net-device-parts.js';
import { isStationMac } from './net-options.js';
import { modeWishes, tableWishes, vlanWishes } from './net-policy.js';
import { le16, type PartRow, pairsOf, u16 } from './part-row.js';
import { readHashConfig, readRssConfig } from './rss-config.js';
import { readMacTable, VLAN_IDS } from './rx-filter.js';

const F = VIRTIO_NET_F;
const CLASS = VIRTIO_NET_CTRL_CLASS;
const RX = VIRTIO_NET_CTRL_RX;
const MAC_BYTES = 6;
const SPEC = 'virtio 1.4 §5.1.8.1';

/**
 * What the driver of a network device set up by commands: parts in the form of those commands' data, one each. A table of
 * VLANs is its ids one behind the other. @see virtio 1.4 §5.1.8
 */
export class NetParts implements TypeParts {
  private readonly rows: readonly PartRow[];
  private readonly isRunning: () => boolean;

  constructor(parts: NetDeviceParts, coalescing: CoalescingCommands) {
    this.isRunning = () => parts.state.port !== undefined;
    this.rows = [...filterRows(parts), ...steeringRows(parts), ...moreRows(parts, coalescing)];
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

/** Where a policy says no to what was moved here, it holds: then the device asks for more than comes. */
function filterRows({ state, config, filter, settings, policy }: NetDeviceParts): PartRow[] {
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
          policy?.request(modeWishes(filter));
        },
      }),
    ),
    {
      class: CLASS.MAC,
      command: VIRTIO_NET_CTRL_MAC.TABLE_SET,
      feature: F.CTRL_RX,
      get: () => (state.has(F.CTRL_RX) ? filter.macTable() : undefined),
      fits: (value) => readMacTable(value) !== undefined,
      set: (value) => {
        filter.setMacTable(value);
        policy?.request(tableWishes(filter));
      },
    },
    {
      class: CLASS.MAC,
      command: VIRTIO_NET_CTRL_MAC.ADDR_SET,
      feature: F.CTRL_MAC_ADDR,
      get: () => (state.has(F.CTRL_MAC_ADDR) ? filter.own() : undefined),
      fits: (value) => value.length === MAC_BYTES && isStationMac(value),
      set: (value) => {
        filter.setOwn(value);
        policy?.request({ mac: value.slice() });
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
        policy?.request(vlanWishes(filter.vlans));
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

const idsIn = (value: Uint8Array): number[] => Array.from({ length: value.length >> 1 }, (_, at) => u16(value, 2 * at));

function idsOf(vlans: Uint32Array): Uint8Array {
  const ids = Array.from({ length: VLAN_IDS }, (_, id) => id).filter(
    (id) => ((vlans[id >>> 5]! >>> (id & 31)) & 1) === 1,
  );
  return Uint8Array.from(ids.flatMap((id) => [id & 0xff, id >>> 8]));
}
