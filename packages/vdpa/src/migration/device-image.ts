import type { QueueState } from '@ringwire/virtqueue';
import type { VdpaQueueAddresses } from '../vdpa-device.js';

/** Where a driver put a queue: what the bus driver was told, and no device tells again. */
export interface QueuePlace {
  readonly index: number;
  /** Queue Size. */
  readonly size: number;
  readonly addresses: VdpaQueueAddresses;
}

/** A queue that was ready, and where the device stood in it. */
export interface QueueImage extends QueuePlace {
  /** Address space that its group used. */
  readonly space: number;
  readonly position: QueueState;
}

/**
 * All that another device needs to go on where one stood, whoever made either: rings and buffers are the guest's memory, and
 * nothing of a vendor's is in it.
 */
export interface DeviceImage {
  /** A `VIRTIO_ID`. */
  readonly deviceId: number;
  /** Feature words 0–3 that the driver accepted. */
  readonly features: Uint32Array;
  /** The device status, virtio 1.4 §2.1. */
  readonly status: number;
  /** The device configuration as the driver saw it. */
  readonly config: Uint8Array;
  /** By index, ascending. */
  readonly queues: readonly QueueImage[];
  /** What commands made of the device: `VdpaDevice.typeState`; empty where there is nothing to be told. */
  readonly state: Uint8Array;
}

/** Why an image, or a stream of bytes, is not taken. Nothing was changed. */
export interface ImageRefusal {
  /** Names what was found, and what was wanted. */
  readonly refusal: string;
}

export const refuse = (text: string): ImageRefusal => ({ refusal: text });

/** Tells a refusal from what was asked for. */
export const isImageRefusal = (result: object | undefined): result is ImageRefusal =>
  result !== undefined && 'refusal' in result;
