import { DEVICE_STATUS, hasFeature, isPvirtqSize, isVirtqSize, VIRTIO_F } from '@ringwire/virtio-spec';
import { VIRTIO_DEV_PART } from '@ringwire/virtio-spec/admin';
import { COMMON_CFG, VIRTIO_MSI_NO_VECTOR } from '@ringwire/virtio-spec/transport';
import { queueStateProblem } from '@ringwire/virtqueue';
import { acceptanceProblem, statusNames } from '../offered-features.js';
import type { VirtioPci } from '../virtio-pci.js';
import { type DevicePart, partKey, QUEUE_POSITION, selectorNumber } from './device-part.js';
import { commonField, type DeviceState, isOfDeviceType, partLength } from './device-state.js';
import { queueNotify } from './read-parts.js';

const PART = VIRTIO_DEV_PART;
const { ACKNOWLEDGE, DRIVER, FEATURES_OK, DRIVER_OK, SUSPEND, DEVICE_NEEDS_RESET, FAILED } = DEVICE_STATUS;
/** virtio 1.4 §2.12.1.4.4 Device parts order; the parts of device types and our own follow. */
const ORDER: readonly number[] = [
  PART.DEV_FEATURES,
  PART.DRV_FEATURES,
  PART.PCI_COMMON_CFG,
  PART.DEVICE_STATUS,
  PART.VQ_CFG,
  PART.VQ_NOTIFY_CFG,
];
/** What has to be set before a bit of the status. */
const NEEDS = [
  [DRIVER, ACKNOWLEDGE],
  [FEATURES_OK, DRIVER],
  [DRIVER_OK, FEATURES_OK],
  [SUSPEND, FEATURES_OK],
] as const;
const KNOWN = ACKNOWLEDGE | DRIVER | FEATURES_OK | DRIVER_OK | SUSPEND | DEVICE_NEEDS_RESET | FAILED;
/** Addresses are exact below 2^53. */
const HIGH_END = 0x20_0000;

/**
 * Why a list of parts, foreign, cannot be set, for what is wrong with it by itself: parts that the device does not have,
 * their order and lengths. An optional part that is not known is no reason. @returns undefined when it can
 * @see virtio 1.4 §2.12.1.4.3.3, §2.12.1.4.4
 */
export function listProblem(parts: readonly DevicePart[], { device }: VirtioPci): string | undefined {
  const seen = new Set<string>();
  let last = -1;
  for (const part of parts) {
    const { type, value } = part;
    const rank = rankOf(part);
    if (rank < 0) {
      if (part.isOptional) continue;
      return `part 0x${type.toString(16)} is not known, want one that is, or an optional one (virtio 1.4 §2.14)`;
    }
    if (rank < last) return `part 0x${type.toString(16)} is out of order (virtio 1.4 §2.12.1.4.4)`;
    last = rank;
    const key = partKey(part);
    if (seen.has(key)) return `part 0x${type.toString(16)} is there twice (virtio 1.4 §2.14)`;
    seen.add(key);
    const length = partLength(part);
    if (length !== undefined && value.length !== length)
      return `part 0x${type.toString(16)} has ${value.length} bytes, want ${length} (virtio 1.4 §2.12.1.4.4.1)`;
    if (type === PART.PCI_COMMON_CFG && commonField(part) === undefined)
      return `common configuration offset ${selectorNumber(part)} is no part of the device (virtio 1.4 §2.14.1.3)`;
    if (isOfDeviceType(part) && device.model.typeParts === undefined)
      return `part 0x${type.toString(16)} is of another device type (virtio 1.4 §2.14)`;
  }
  return undefined;
}

/** A part's place in the order, or -1 when nothing is known of it. */
export function rankOf(part: DevicePart): number {
  if (isOfDeviceType(part)) return ORDER.length;
  return part.type === QUEUE_POSITION ? ORDER.length + 1 : ORDER.indexOf(part.type);
}

/**
 * Why a device cannot be in a state: what it would not have let a driver do, and what it cannot change of itself.
 * @returns undefined when it can
 */
export function stateProblem(state: DeviceState, virtio: VirtioPci): string | undefined {
  const { device } = virtio;
  const { features, status } = state;
  if (!state.deviceFeatures.every((word, at) => word === device.offered[at]))
    return "the device features are not this device's (virtio 1.4 §2.14.1.1)";
  for (const [field, value] of state.common) {
    const { at, bytes, access } = COMMON_CFG[field];
    if (access === 'ro' && value !== virtio.common.registers.read(at, bytes))
      return `${field} is ${value}, want what this device has (virtio 1.4 §2.14.1.3)`;
  }
  return (
    statusProblem(status) ??
    featuresProblem(state, virtio) ??
    queuesProblem(state, virtio) ??
    vectorProblem(state, virtio) ??
    state.ofType.map((part) => device.model.typeParts!.problem(part, features)).find((problem) => problem !== undefined)
  );
}

function vectorProblem({ queues, common }: DeviceState, { pci }: VirtioPci): string | undefined {
  const used = [...[...queues.values()].map(({ vector }) => vector), common.get('config_msix_vector')];
  const vectors = pci.msix?.vectors ?? 0;
  const strange = used.find((vector) => vector !== undefined && vector !== VIRTIO_MSI_NO_VECTOR && vector >= vectors);
  return strange === undefined ? undefined : `there is no MSI-X vector ${strange} (virtio 1.4 §4.1.4.3)`;
}

function statusProblem(status: number): string | undefined {
  const missing = NEEDS.find(([bit, before]) => (status & bit) !== 0 && (status & before) === 0);
  const isTwice = (status & DRIVER_OK) !== 0 && (status & SUSPEND) !== 0;
  if (missing === undefined && !isTwice && (status & ~KNOWN) === 0) return undefined;
  return `device_status is ${status} (${statusNames(status)}), which no device has (virtio 1.4 §2.1)`;
}

function featuresProblem({ status, features }: DeviceState, { device }: VirtioPci): string | undefined {
  if ((status & SUSPEND) !== 0 && !hasFeature(features, VIRTIO_F.SUSPEND))
    return 'SUSPEND is set and was not negotiated (virtio 1.4 §3.4)';
  return (status & FEATURES_OK) === 0 ? undefined : acceptanceProblem(device.model, device.offered, features);
}

function queuesProblem(state: DeviceState, virtio: VirtioPci): string | undefined {
  const { device } = virtio;
  const { features, status } = state;
  const hasAdmin = (status & FEATURES_OK) !== 0 && hasFeature(features, VIRTIO_F.ADMIN_VQ);
  const isSize = hasFeature(features, VIRTIO_F.RING_PACKED) ? isPvirtqSize : isVirtqSize;
  const most = hasAdmin ? device.queues.length : device.numQueues;
  const strange = [...state.queues.keys(), ...state.notify.keys(), ...state.positions.keys()].find(
    (index) => index >= most || device.queues[index]!.sizeMax === 0,
  );
  if (strange !== undefined) return `there is no queue ${strange} (virtio 1.4 §2.14.1.5)`;
  for (const [index, { size, enabled, areas }] of state.queues) {
    if (!isSize(size) || size > device.queues[index]!.sizeMax)
      return `queue ${index} has size ${size}, want at most ${device.queues[index]!.sizeMax} (virtio 1.4 §2.14.1.5)`;
    if (enabled > 1 || (enabled === 1 && (status & FEATURES_OK) === 0))
      return `queue ${index} has enabled ${enabled} (virtio 1.4 §2.14.1.5)`;
    if (enabled === 1 && areas.some(([, hi]) => hi >= HIGH_END))
      return `queue ${index} has an address of 2^53 or more (virtio 1.4 §2.14.1.5)`;
    const position = state.positions.get(index);
    const wrong = position === undefined ? undefined : queueStateProblem(position, position.layout, size);
    if (enabled === 1 && wrong !== undefined) return `queue ${index} cannot go on there: ${wrong}`;
  }
  for (const [index, value] of state.notify) {
    const own = queueNotify(virtio, device.queues[index]!);
    if (!own.every((byte, at) => byte === value[at]))
      return `queue ${index} is notified elsewhere than in this device (virtio 1.4 §2.14.1.6)`;
  }
  return undefined;
}
