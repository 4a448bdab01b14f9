import { FEATURE_WORDS, featureName, featuresToBigInt, hasFeature, VIRTIO_ID } from '@ringwire/virtio-spec';
import { CHAIN_FAULT, type DeviceQueue, faultName, type QueueState, RING_FAULT } from '@ringwire/virtqueue';
import { statusNames } from '../offered-features.js';
import { QUEUE_AREA, type QueueSlot } from '../queue-slot.js';
import type { VirtioDevice } from '../virtio-device.js';
import { counted } from './counted.js';
import { type DeviceSnapshot, type FeatureSet, type QueueSnapshot, SNAPSHOT_SCHEMA } from './snapshot-types.js';

/** A device's state as data. Nothing is changed by it, and no guest memory is read. */
export function snapshotDevice(device: VirtioDevice): DeviceSnapshot {
  const { model, status, config } = device;
  const accepted = Uint32Array.from({ length: FEATURE_WORDS }, (_, select) => device.driverFeatures(select));
  return {
    schema: SNAPSHOT_SCHEMA,
    deviceId: model.deviceId,
    deviceType: Object.entries(VIRTIO_ID).find(([, id]) => id === model.deviceId)?.[0] ?? 'unknown',
    status,
    statusNames: status === 0 ? [] : statusNames(status).split(' | '),
    live: device.live,
    dmaEnabled: device.dmaEnabled,
    offered: featureSet(device.offered, model.deviceId),
    accepted: featureSet(accepted, model.deviceId),
    featuresRefusal: device.featuresRefusal ?? null,
    statusProblem: device.statusProblem ?? null,
    resetReason: device.resetReason ?? null,
    config: { generation: config.generation, bytes: hexBytes(model.config) },
    counters: { ...device.counters },
    queues: device.queues.map(snapshotQueue),
    transport: device.snapshotTransport(),
    model: model.snapshot?.() ?? null,
    unreachable: [],
  };
}

/** One queue's registers, and where the device stands in it. */
export function snapshotQueue(slot: QueueSlot): QueueSnapshot {
  const { index, sizeMax, size, enabled, refusal, queue } = slot;
  return {
    index,
    sizeMax,
    size,
    enabled,
    refusal: refusal ?? null,
    desc: addressOf(slot, QUEUE_AREA.desc),
    driver: addressOf(slot, QUEUE_AREA.driver),
    device: addressOf(slot, QUEUE_AREA.device),
    layout: queue?.layout ?? null,
    position: queue === undefined ? null : positionOf(queue),
    inFlight: queue?.inFlight ?? null,
    ringFault: queue === undefined || queue.ringFault === 0 ? null : faultName(RING_FAULT, queue.ringFault),
    counters: queue === undefined ? null : countersOf(queue),
  };
}

/** All 64 bits, as the registers have them. */
function addressOf(slot: QueueSlot, area: number): string {
  const address = (BigInt(slot.readAddress(area, true)) << 32n) | BigInt(slot.readAddress(area, false));
  return `0x${address.toString(16)}`;
}

function positionOf(queue: DeviceQueue): QueueState | null {
  try {
    return queue.save();
  } catch {
    return null;
  }
}

function countersOf({ counters }: DeviceQueue): QueueSnapshot['counters'] {
  const { taken, used, notifications, chainFaults } = counters;
  return { taken, used, notifications, chainFaults: counted(CHAIN_FAULT, chainFaults) };
}

function featureSet(words: Uint32Array, deviceId: number): FeatureSet {
  const bits = Array.from({ length: FEATURE_WORDS * 32 }, (_, bit) => bit).filter((bit) => hasFeature(words, bit));
  return { bits: `0x${featuresToBigInt(words).toString(16)}`, names: bits.map((bit) => featureName(bit, deviceId)) };
}

const hexBytes = (bytes: Uint8Array): string =>
  Array.from(bytes, (byte) => byte.toString(16).padStart(2, '0')).join('');
