import { FEATURE_WORDS } from '@ringwire/virtio-spec';
import { statusNames } from '../offered-features.js';
import { QUEUE_AREA, type QueueSlot } from '../queue-slot.js';
import type { VirtioDevice } from '../virtio-device.js';
import { deviceTypeName, featureSet, hexBytes, queueSnapshot } from './snapshot-parts.js';
import { type DeviceSnapshot, type QueueSnapshot, SNAPSHOT_SCHEMA } from './snapshot-types.js';

/** A device's state as data. Nothing is changed by it, and no guest memory is read. */
export function snapshotDevice(device: VirtioDevice): DeviceSnapshot {
  const { model, status, config } = device;
  const accepted = Uint32Array.from({ length: FEATURE_WORDS }, (_, select) => device.driverFeatures(select));
  return {
    schema: SNAPSHOT_SCHEMA,
    deviceId: model.deviceId,
    deviceType: deviceTypeName(model.deviceId),
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

function snapshotQueue(slot: QueueSlot): QueueSnapshot {
  const { index, sizeMax, size, enabled, refusal, queue } = slot;
  const registers = {
    index,
    sizeMax,
    size,
    enabled,
    refusal: refusal ?? null,
    desc: addressOf(slot, QUEUE_AREA.desc),
    driver: addressOf(slot, QUEUE_AREA.driver),
    device: addressOf(slot, QUEUE_AREA.device),
  };
  return queueSnapshot(registers, queue);
}

/** All 64 bits, as the registers have them. */
function addressOf(slot: QueueSlot, area: number): string {
  const address = (BigInt(slot.readAddress(area, true)) << 32n) | BigInt(slot.readAddress(area, false));
  return `0x${address.toString(16)}`;
}
