import type { PackedProgress } from '@ringwire/virtqueue';
import type { Breakdown } from './breakdown.js';

/** A virtqueue as the driver programs it. Addresses are those that the device uses. */
export interface QueueSetup {
  /** Queue Size. */
  readonly size: number;
  readonly desc: number;
  readonly driver: number;
  readonly device: number;
  /** Of a packed queue: where the device is in it, for a transport whose device may be exchanged while its driver runs. */
  readonly progress?: () => PackedProgress;
}

/** What an interrupt was about: bits, as both transports have them. */
export const CAUSE = { QUEUE: 1, CONFIG: 2 } as const;

/** One MSI-X message as the host wants it written: a 64-bit address in two words, and 32 bits of data. */
export interface MsixMessage {
  readonly addressLo: number;
  readonly addressHi: number;
  readonly data: number;
}

interface QueueVector {
  /** Virtqueue index. */
  readonly index: number;
  readonly vector: number;
}

/** Which vector tells of what. */
export interface VectorPlan {
  readonly config: number;
  readonly queues: readonly QueueVector[];
}

/**
 * The registers of one device, the same for PCI and MMIO: register accesses in their order and width, and nothing that
 * remembers what they mean. Whoever calls keeps to virtio 1.4 §3.1.1; `VirtioDriver` does.
 */
export interface Transport {
  readonly name: 'pci' | 'mmio' | 'vhost-user' | 'vdpa';
  /** A `VIRTIO_ID`. */
  readonly deviceId: number;
  /** Queues that the device says it has; MMIO does not say, and `queueSizeMax` tells. */
  readonly queueLimit: number;
  /** Bytes of device configuration within reach. */
  readonly configBytes: number;
  /** Feature bits that this transport cannot carry on this device. */
  readonly unusable: readonly number[];

  status(): number;
  setStatus(value: number): void;
  /** @param word 0 … 3 */
  deviceFeatures(word: number): number;
  setDriverFeatures(word: number, bits: number): void;
  configGeneration(): number;
  /** @param at below configBytes, aligned to `bytes` */
  readConfig(at: number, bytes: 1 | 2 | 4): number;

  /**
   * Indexes of administration virtqueues, with ADMIN_VQ negotiated; none where the device gives what cannot be. Left out by
   * transports that have no such queues.
   */
  adminQueues?(): { readonly first: number; readonly count: number };
  /** The largest Queue Size that the device offers for a queue that is not enabled; 0 when there is none. */
  queueSizeMax(index: number): number;
  /** Program a queue and enable it. @param features the negotiated ones @returns what is wrong with the device */
  enableQueue(index: number, setup: QueueSetup, features: Uint32Array): Breakdown | undefined;
  /** Whether the queue reads enabled. */
  queueEnabled(index: number): boolean;
  /** Ask for the reset of one queue. @see virtio 1.4 §2.6.1 */
  resetQueue(index: number): void;
  queueResetDone(index: number): boolean;
  /** Stop using a queue ahead of a device reset, where the transport has a way. @see virtio 1.4 §4.2.3.2 */
  stopQueue(index: number): void;

  /**
   * Send an available buffer notification.
   * @param data `DriverQueue.notificationData` of {@link notifyIndex} with NOTIFICATION_DATA; not looked at without
   */
  notify(index: number, data: number): void;
  /** What a notification names the queue by: the index, or with NOTIF_CONFIG_DATA what the device gave for it. */
  notifyIndex(index: number): number;

  /** Vectors that there can be; 0 without MSI-X. */
  readonly vectorLimit: number;
  /** Switch MSI-X on and map queues and configuration. @returns false when the device refused a mapping */
  mapVectors(plan: VectorPlan, messages: readonly MsixMessage[]): boolean;
  /** Switch MSI-X off: from now on there is one interrupt line. */
  unmapVectors(): void;
  /** After an interrupt on the line: what it was about, and acknowledge it. */
  interruptCause(): number;
}
