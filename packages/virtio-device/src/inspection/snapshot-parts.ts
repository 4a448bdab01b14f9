import { FEATURE_WORDS, featureName, featuresToBigInt, hasFeature, VIRTIO_ID } from '@ringwire/virtio-spec';
import { CHAIN_FAULT, type DeviceQueue, faultName, type QueueState, RING_FAULT } from '@ringwire/virtqueue';
import { counted } from './counted.js';
import type { FeatureSet, QueueCountersSnapshot, QueueSnapshot } from './snapshot-types.js';

/** What a transport knows of a queue; the rest its queue says. */
export type QueueRegisters = Pick<
  QueueSnapshot,
  'index' | 'sizeMax' | 'size' | 'enabled' | 'refusal' | 'desc' | 'driver' | 'device'
>;

/** A queue as a snapshot has it. @param queue undefined while it is not enabled */
export function queueSnapshot(registers: QueueRegisters, queue: DeviceQueue | undefined): QueueSnapshot {
  return {
    ...registers,
    layout: queue?.layout ?? null,
    position: queue === undefined ? null : positionOf(queue),
    inFlight: queue?.inFlight ?? null,
    ringFault: queue === undefined || queue.ringFault === 0 ? null : faultName(RING_FAULT, queue.ringFault),
    counters: queue === undefined ? null : countersOf(queue),
  };
}

function positionOf(queue: DeviceQueue): QueueState | null {
  try {
    return queue.save();
  } catch {
    return null;
  }
}

function countersOf({ counters }: DeviceQueue): QueueCountersSnapshot {
  const { taken, used, notifications, chainFaults } = counters;
  return { taken, used, notifications, chainFaults: counted(CHAIN_FAULT, chainFaults) };
}

/** Feature words as a snapshot has them. @param deviceId tells whose the bits below 24 are */
export function featureSet(words: Uint32Array, deviceId: number): FeatureSet {
  const bits = Array.from({ length: FEATURE_WORDS * 32 }, (_, bit) => bit).filter((bit) => hasFeature(words, bit));
  return { bits: `0x${featuresToBigInt(words).toString(16)}`, names: bits.map((bit) => featureName(bit, deviceId)) };
}

/** Name in `VIRTIO_ID`, or `unknown`. */
export const deviceTypeName = (deviceId: number): string =>
  Object.entries(VIRTIO_ID).find(([, id]) => id === deviceId)?.[0] ?? 'unknown';

/** Two hexadecimal digits a byte, without anything between. */
export const hexBytes = (bytes: Uint8Array): string =>
  Array.from(bytes, (byte) => byte.toString(16).padStart(2, '0')).join('');
