import { DEVICE_STATUS, FEATURE_WORDS, hasFeature, VIRTIO_F } from '@ringwire/virtio-spec';
import {
  VIRTIO_DEV_PART,
  VIRTIO_DEV_PART_DEVICE_TYPE,
  VIRTIO_DEV_PART_VQ_CFG,
  VIRTIO_DEV_PART_VQ_NOTIFY,
} from '@ringwire/virtio-spec/admin';
import { COMMON_CFG } from '@ringwire/virtio-spec/transport';
import type { QueueState } from '@ringwire/virtqueue';
import { type DevicePart, QUEUE_POSITION, selectorNumber } from './device-part.js';
import { readPosition } from './queue-position.js';
import { COMMON_PARTS, type CommonPart } from './read-parts.js';

const PART = VIRTIO_DEV_PART;
const CFG = VIRTIO_DEV_PART_VQ_CFG;
const FEATURE_BYTES = FEATURE_WORDS * 4;

/** What parts say of one queue. */
export interface QueueRegisters {
  readonly size: number;
  readonly vector: number;
  /** 0 or 1, when it makes sense. */
  readonly enabled: number;
  /** Low and high word of each area, in the order of `QUEUE_AREA`. */
  readonly areas: readonly (readonly [lo: number, hi: number])[];
}

/** What a device's parts say, whole. Nothing of it is checked but its lengths. */
export interface DeviceState {
  readonly deviceFeatures: Uint32Array;
  readonly features: Uint32Array;
  readonly common: ReadonlyMap<CommonPart, number>;
  readonly status: number;
  readonly queues: ReadonlyMap<number, QueueRegisters>;
  /** struct virtio_dev_part_vq_notify_data of each queue, as it is. */
  readonly notify: ReadonlyMap<number, Uint8Array>;
  readonly positions: ReadonlyMap<number, QueueState>;
  /** Parts of the device type. */
  readonly ofType: readonly DevicePart[];
}

/** Bytes that a part's value has, or undefined where they depend on what is in it, or the part is not known. */
export function partLength(part: DevicePart): number | undefined {
  switch (part.type) {
    case PART.DEV_FEATURES:
    case PART.DRV_FEATURES:
      return FEATURE_BYTES;
    case PART.PCI_COMMON_CFG: {
      const field = commonField(part);
      return field === undefined ? undefined : COMMON_CFG[field].bytes;
    }
    case PART.DEVICE_STATUS:
      return 1;
    case PART.VQ_CFG:
      return CFG.SIZE;
    case PART.VQ_NOTIFY_CFG:
      return VIRTIO_DEV_PART_VQ_NOTIFY.SIZE;
    default:
      return undefined;
  }
}

/** The field that a PCI_COMMON_CFG part is of, or undefined when it is none of those that are parts. */
export const commonField = (part: DevicePart): CommonPart | undefined =>
  COMMON_PARTS.find((field) => COMMON_CFG[field].at === selectorNumber(part));

/** @param parts whose lengths are as {@link partLength} says, each at most once */
export function stateOf(parts: readonly DevicePart[]): DeviceState {
  const of = (type: number): readonly DevicePart[] => parts.filter((part) => part.type === type);
  const features = wordsIn(of(PART.DRV_FEATURES)[0]);
  const isPacked = hasFeature(features, VIRTIO_F.RING_PACKED);
  const positions = new Map<number, QueueState>();
  for (const part of of(QUEUE_POSITION)) {
    const position = readPosition(part, isPacked);
    if (position !== undefined) positions.set(selectorNumber(part), position);
  }
  return {
    deviceFeatures: wordsIn(of(PART.DEV_FEATURES)[0]),
    features,
    common: new Map(of(PART.PCI_COMMON_CFG).map((part) => [commonField(part)!, numberIn(part.value)])),
    status: numberIn(of(PART.DEVICE_STATUS)[0]!.value),
    queues: new Map(of(PART.VQ_CFG).map((part) => [selectorNumber(part), registersIn(part.value)])),
    notify: new Map(of(PART.VQ_NOTIFY_CFG).map((part) => [selectorNumber(part), part.value])),
    positions,
    ofType: parts.filter(isOfDeviceType),
  };
}

export const isOfDeviceType = ({ type }: DevicePart): boolean =>
  type >= VIRTIO_DEV_PART_DEVICE_TYPE.FIRST && type <= VIRTIO_DEV_PART_DEVICE_TYPE.LAST;

/** A state in which the device runs or did so before it was suspended or broke. */
export const hasStarted = ({ status }: DeviceState): boolean =>
  (status & (DEVICE_STATUS.DRIVER_OK | DEVICE_STATUS.SUSPEND)) !== 0;

const viewOf = (value: Uint8Array): DataView => new DataView(value.buffer, value.byteOffset, value.length);

function wordsIn(part: DevicePart | undefined): Uint32Array {
  const view = viewOf(part!.value);
  return Uint32Array.from({ length: FEATURE_WORDS }, (_, word) => view.getUint32(4 * word, true));
}

function numberIn(value: Uint8Array): number {
  return value.reduceRight((number, byte) => number * 256 + byte, 0);
}

function registersIn(value: Uint8Array): QueueRegisters {
  const view = viewOf(value);
  const areas = [CFG.queue_desc, CFG.queue_driver, CFG.queue_device].map(
    (at) => [view.getUint32(at, true), view.getUint32(at + 4, true)] as const,
  );
  return {
    size: view.getUint16(CFG.queue_size, true),
    vector: view.getUint16(CFG.vector, true),
    enabled: view.getUint16(CFG.enabled, true),
    areas,
  };
}
