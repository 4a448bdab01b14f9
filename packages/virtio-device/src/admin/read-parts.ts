import { DEVICE_STATUS, FEATURE_WORDS } from '@ringwire/virtio-spec';
import { VIRTIO_DEV_PART, VIRTIO_DEV_PART_VQ_CFG, VIRTIO_DEV_PART_VQ_NOTIFY } from '@ringwire/virtio-spec/admin';
import { COMMON_CFG } from '@ringwire/virtio-spec/transport';
import type { QueueSlot } from '../queue-slot.js';
import type { VirtioPci } from '../virtio-pci.js';
import { type DevicePart, devicePart, numbered } from './device-part.js';
import { positionPart } from './queue-position.js';

const PART = VIRTIO_DEV_PART;
const CFG = VIRTIO_DEV_PART_VQ_CFG;
const NOTIFY = VIRTIO_DEV_PART_VQ_NOTIFY;

/**
 * Fields of the common configuration that are parts, one each: what no other part says. num_queues is the device's
 * own; the others are the driver's, be they only selectors, for it may be between two accesses.
 */
export const COMMON_PARTS: readonly CommonPart[] = [
  'device_feature_select',
  'driver_feature_select',
  'config_msix_vector',
  'num_queues',
  'queue_select',
];
export type CommonPart = keyof Pick<
  typeof COMMON_CFG,
  'device_feature_select' | 'driver_feature_select' | 'config_msix_vector' | 'num_queues' | 'queue_select'
>;

/**
 * All parts of a device, in the order of virtio 1.4 §2.12.1.4.4. It is not {@link VirtioDevice.isChanging}.
 * @param hasPositions with where it stands in its queues; without, it may be changing
 */
export function readParts(virtio: VirtioPci, hasPositions = true): DevicePart[] {
  const { device } = virtio;
  const queues = visibleQueues(virtio);
  const accepted = Uint32Array.from({ length: FEATURE_WORDS }, (_, word) => device.driverFeatures(word));
  return [
    devicePart(PART.DEV_FEATURES, wordsOf(device.offered), { isOptional: true }),
    devicePart(PART.DRV_FEATURES, wordsOf(accepted)),
    ...COMMON_PARTS.map((field) => commonPart(virtio, field)),
    devicePart(PART.DEVICE_STATUS, Uint8Array.of(device.status)),
    ...queues.map((slot) => devicePart(PART.VQ_CFG, queueConfig(virtio, slot), { selector: numbered(slot.index) })),
    ...queues.map((slot) =>
      devicePart(PART.VQ_NOTIFY_CFG, queueNotify(virtio, slot), { selector: numbered(slot.index) }),
    ),
    ...(device.model.typeParts?.get() ?? []),
    ...(hasPositions ? positions(virtio, queues) : []),
  ];
}

function positions({ device }: VirtioPci, queues: readonly QueueSlot[]): DevicePart[] {
  // Rings of a broken device were left where they were, and one with chains in flight has no one place.
  if ((device.status & (DEVICE_STATUS.DEVICE_NEEDS_RESET | DEVICE_STATUS.FAILED)) !== 0) return [];
  return queues.flatMap(({ index, queue }) =>
    queue === undefined || queue.inFlight > 0 ? [] : [positionPart(index, queue.save())],
  );
}

/** Queues that there are for the driver. */
const visibleQueues = ({ device }: VirtioPci): QueueSlot[] =>
  device.queues.filter(({ index, sizeMax }) => sizeMax > 0 && device.queueAt(index) !== undefined);

/** struct virtio_dev_part_vq_notify_data, which a device cannot change. */
export function queueNotify({ common }: VirtioPci, { index }: QueueSlot): Uint8Array {
  const value = new Uint8Array(NOTIFY.SIZE);
  const view = new DataView(value.buffer);
  view.setUint16(NOTIFY.queue_notify_off, index, true);
  view.setUint16(NOTIFY.queue_notif_config_data, common.notifyData(index), true);
  return value;
}

function commonPart({ common }: VirtioPci, field: CommonPart): DevicePart {
  const { at, bytes } = COMMON_CFG[field];
  const value = new Uint8Array(bytes);
  const read = common.registers.read(at, bytes);
  for (let byte = 0; byte < bytes; byte++) value[byte] = read >>> (8 * byte);
  return devicePart(PART.PCI_COMMON_CFG, value, { selector: numbered(at) });
}

function queueConfig({ common }: VirtioPci, slot: QueueSlot): Uint8Array {
  const value = new Uint8Array(CFG.SIZE);
  const view = new DataView(value.buffer);
  view.setUint16(CFG.queue_size, slot.size, true);
  view.setUint16(CFG.vector, common.queueVector(slot.index), true);
  view.setUint16(CFG.enabled, slot.enabled ? 1 : 0, true);
  for (const [area, at] of [CFG.queue_desc, CFG.queue_driver, CFG.queue_device].entries()) {
    view.setUint32(at, slot.readAddress(area, false), true);
    view.setUint32(at + 4, slot.readAddress(area, true), true);
  }
  return value;
}

/** le64 feature_bits[] */
function wordsOf(words: Uint32Array): Uint8Array {
  const bytes = new Uint8Array(4 * words.length);
  const view = new DataView(bytes.buffer);
  for (const [at, word] of words.entries()) view.setUint32(4 * at, word, true);
  return bytes;
}
