import { DEVICE_STATUS, hasFeature, VIRTIO_ID } from '@ringwire/virtio-spec';
import { VIRTIO_NET_CONFIG, VIRTIO_NET_F, VIRTIO_NET_S } from '@ringwire/virtio-spec/net';
import { macText } from './net-attributes.js';
import { shownFeatures } from './shown-features.js';
import type { VdpaBus, VdpaBusDevice } from './vdpa-bus.js';
import type { VdpaDevice } from './vdpa-device.js';
import { VDPA } from './vdpa-outcome.js';
import { refusal, type VdpaParent, type VdpaRefusal } from './vdpa-parent.js';

/** What one object of iproute2's `vdpa` shows, with its keys in their order. */
export type Shown = Readonly<Record<string, string | number | boolean | readonly (string | number)[]>>;
/** A section: by the name of what is shown. */
export type ShownSection = Readonly<Record<string, Readonly<Record<string, Shown>>>>;

/** Names of classes of parents, and of types of devices; iproute2 has no others. */
const CLASSES: ReadonlyMap<number, string> = new Map([
  [VIRTIO_ID.NET, 'net'],
  [VIRTIO_ID.BLOCK, 'block'],
]);
const TYPES: ReadonlyMap<number, string> = new Map([
  [VIRTIO_ID.NET, 'network'],
  [VIRTIO_ID.BLOCK, 'block'],
]);

/** `vdpa mgmtdev show [ DEV ]`. */
export function mgmtdevShow(bus: VdpaBus, name?: string): ShownSection | VdpaRefusal {
  const chosen = choose(bus.parents, 'management device', name);
  return 'outcome' in chosen ? chosen : section('mgmtdev', chosen.list, showParent);
}

/** `vdpa dev show [ DEV ]`. */
export function devShow(bus: VdpaBus, name?: string): ShownSection | VdpaRefusal {
  const chosen = choose(bus.devices, 'device', name);
  return 'outcome' in chosen ? chosen : section('dev', chosen.list, showDevice);
}

/** `vdpa dev config show [ DEV ]`. */
export function devConfigShow(bus: VdpaBus, name?: string): ShownSection | VdpaRefusal {
  const chosen = choose(bus.devices, 'device', name);
  return 'outcome' in chosen ? chosen : section('config', chosen.list, ({ device }) => showConfig(device));
}

/** `vdpa dev vstats show DEV qidx INDEX`; a driver has to have negotiated features, or queues have no type. */
export function devVstatsShow(bus: VdpaBus, name: string, queueIndex: number): ShownSection | VdpaRefusal {
  const chosen = choose(bus.devices, 'device', name);
  if ('outcome' in chosen) return chosen;
  const { device } = chosen.list[0]!;
  if (!Number.isInteger(queueIndex) || queueIndex < 0 || queueIndex >= device.queueCount)
    return refusal(VDPA.INVALID, `qidx is ${queueIndex}, want 0 to ${device.queueCount - 1}`);
  if (!isNegotiated(device)) return refusal(VDPA.BUSY, 'feature negotiation not complete');
  return section('vstats', chosen.list, () => ({
    queue_type: queueType(device, queueIndex),
    ...Object.fromEntries(device.queueStatistics(queueIndex).map(({ name: counter, value }) => [counter, value])),
  }));
}

function showParent({ classes, maxQueues, features }: VdpaParent): Shown {
  return {
    supported_classes: [...classes].sort((a, b) => a - b).map((id) => CLASSES.get(id) ?? '< unknown class >'),
    max_supported_vqs: maxQueues,
    // Of several classes iproute2 takes the network's names, and without it none but those of rings and transports.
    dev_features: shownFeatures(features, classes.find((id) => id === VIRTIO_ID.NET) ?? 0),
  };
}

function showDevice({ device, parent }: VdpaBusDevice): Shown {
  return {
    type: TYPES.get(device.deviceId) ?? '<unknown type>',
    mgmtdev: parent.name,
    vendor_id: device.vendorId,
    max_vqs: device.queueCount,
    max_vq_size: device.queueSizeMax,
  };
}

/** Fields that the device offers; the blanks in two keys are iproute2's. */
function showConfig(device: VdpaDevice): Shown {
  if (device.deviceId !== VIRTIO_ID.NET) return {};
  const has = (bit: number): boolean => hasFeature(device.deviceFeatures, bit);
  const status = field(device, 'status');
  return {
    ...(has(VIRTIO_NET_F.MAC) ? { mac: macText(device.readConfig(VIRTIO_NET_CONFIG.mac.at, 6)) } : {}),
    ...(has(VIRTIO_NET_F.STATUS)
      ? {
          'link ': (status & VIRTIO_NET_S.LINK_UP) !== 0 ? 'up' : 'down',
          'link_announce ': (status & VIRTIO_NET_S.ANNOUNCE) !== 0,
        }
      : {}),
    ...(has(VIRTIO_NET_F.MQ) || has(VIRTIO_NET_F.RSS) ? { max_vq_pairs: field(device, 'max_virtqueue_pairs') } : {}),
    ...(has(VIRTIO_NET_F.MTU) ? { mtu: field(device, 'mtu') } : {}),
    ...(isNegotiated(device) ? { negotiated_features: shownFeatures(device.driverFeatures, device.deviceId) } : {}),
  };
}

function queueType(device: VdpaDevice, index: number): string {
  const has = (bit: number): boolean => hasFeature(device.driverFeatures, bit);
  const isMulti = has(VIRTIO_NET_F.MQ) || has(VIRTIO_NET_F.RSS);
  const control = 2 * (isMulti ? field(device, 'max_virtqueue_pairs') : 1);
  if (has(VIRTIO_NET_F.CTRL_VQ) && index === control) return 'control_vq';
  return (index & 1) === 1 ? 'tx' : 'rx';
}

const isNegotiated = ({ status }: VdpaDevice): boolean => (status & DEVICE_STATUS.FEATURES_OK) !== 0;

function field(device: VdpaDevice, name: 'status' | 'max_virtqueue_pairs' | 'mtu'): number {
  const [low = 0, high = 0] = device.readConfig(VIRTIO_NET_CONFIG[name].at, 2);
  return low | (high << 8);
}

function choose<T extends { readonly name: string }>(
  all: readonly T[],
  what: string,
  name: string | undefined,
): { readonly list: readonly T[] } | VdpaRefusal {
  if (name === undefined) return { list: all };
  const found = all.filter((one) => one.name === name);
  return found.length > 0 ? { list: found } : refusal(VDPA.NONE, `there is no ${what} ${name}`);
}

const section = <T extends { readonly name: string }>(
  name: string,
  list: readonly T[],
  show: (one: T) => Shown,
): ShownSection => ({ [name]: Object.fromEntries(list.map((one) => [one.name, show(one)])) });
