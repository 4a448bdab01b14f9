import type { HostMemory } from '@ringwire/guest-memory';
import type { DeviceQueue } from '@ringwire/virtqueue';
import type { DevicePart } from './admin/device-part.js';
import type { SelfGroupParts } from './admin/self-group.js';
import type { ModelSnapshot } from './inspection/snapshot-types.js';

/** virtio 1.4 §2.10 Shared Memory Regions: bytes that device and driver both see. */
export interface SharedMemoryRegion {
  /** shmid, 0 to 255, unique in the device. */
  readonly id: number;
  readonly bytes: Uint8Array;
}

/** Device parts of a device type: configuration that its driver made by other ways than registers. virtio 1.4 §2.14 */
export interface TypeParts {
  /** What there is now, in their order. */
  get(): readonly DevicePart[];
  /** Why a part, foreign, cannot be set while these features are negotiated, or undefined. */
  problem(part: DevicePart, features: Uint32Array): string | undefined;
  /** Take over a part without a {@link problem}. The device was started, and no queue was used. */
  set(part: DevicePart): void;
}

/**
 * One type of virtio device, as its transports see it: features, configuration, and work on queues. Nothing here knows of
 * PCI or MMIO, and nothing a driver does makes a method throw.
 */
export interface DeviceModel {
  /** A `VIRTIO_ID`. */
  readonly deviceId: number;
  /** Feature words 0–3 with the bits of the type (0–23, 50–127); the bits of rings and transports are not its business. */
  readonly features: Uint32Array;
  /** Queue Size that is offered, per queue. */
  readonly queueSizes: readonly number[];
  /** How many of them come before those for administration; all unless given. */
  readonly ownQueues?: number;
  /** Device configuration, live. The device changes it and then calls {@link DevicePort.configChanged}. */
  readonly config: Uint8Array;
  /** Regions in ascending order of id; most types have none. */
  readonly sharedMemory?: readonly SharedMemoryRegion[];

  /** Why the type refuses a set of features, or undefined. virtio 1.4 §2.2.2 */
  featureProblem(features: Uint32Array): string | undefined;
  /** The driver wrote 1 to 4 bytes of the configuration; most types have nothing that can be written. */
  writeConfig(at: number, bytes: number, value: number): void;
  /** DRIVER_OK: features are final. Queues that are enabled can be used, from the first {@link step} on. */
  start(port: DevicePort): void;
  /** A queue was enabled, reset or disabled while the device runs: ask {@link DevicePort.queue} again in the next step. */
  queueChanged(index: number): void;
  /** The driver sent an available buffer notification. Only to be noted: work is done in {@link step}. */
  notified(index: number): void;
  /**
   * Do a bounded amount of work on all queues.
   * @param budget most chains per queue
   * @returns chains and frames handled; 0: nothing to do until a notification, a frame or the {@link deadline}
   */
  step(budget: number): number;
  /** When {@link step} is to be called at the latest, in µs of {@link DevicePort.now}; Infinity when nothing waits. */
  deadline(): number;
  /**
   * The driver suspends the device: use up what was taken and send notifications that are held back. No queue is touched
   * from then until the next {@link step}. Left out where {@link step} leaves nothing unfinished. virtio 1.4 §3.4.2
   */
  suspend?(): void;
  /** What a driver does with the type by administration commands; nothing unless given. virtio 1.4 §2.12 */
  readonly selfGroup?: SelfGroupParts;
  /** Device parts of the type's own; nothing unless given. virtio 1.4 §2.14 */
  readonly typeParts?: TypeParts;
  /** What the type adds to a snapshot of the device; nothing unless given. */
  snapshot?(): ModelSnapshot | undefined;
  /** Everything is off: reset, FAILED, or DEVICE_NEEDS_RESET. The port is not used until the next start. */
  stop(): void;
  /** Device reset, behind {@link stop}: for what outlives DEVICE_NEEDS_RESET, as an IOMMU's mappings do. */
  reset?(): void;
}

/** What a running device type may use of the rest. */
export interface DevicePort {
  /** What the ranges of a burst are offsets into. */
  readonly memory: HostMemory;
  /** Negotiated feature words 0–3. */
  readonly features: Uint32Array;
  /** The queue, or undefined while the driver has not enabled it. */
  queue(index: number): DeviceQueue | undefined;
  /**
   * Whether the driver has enabled a queue that is not within reach for now, and comes back by itself: its addresses wait
   * for translations. Changes are told by {@link DeviceModel.queueChanged}. Left out where there is no such wait.
   */
  isWaiting?(index: number): boolean;
  /** Send a used buffer notification: what `publishUsed` asked for. It leaves when the step ends, or with the next one. */
  notifyUsed(index: number): void;
  /** The configuration changed: next generation, and a configuration change notification, when the step ends or with the next one. */
  configChanged(): void;
  /** The device cannot go on: DEVICE_NEEDS_RESET. @param reason a sentence for people */
  needsReset(reason: string): void;
  /**
   * Work on queues begins outside {@link DeviceModel.step}, such as a frame that another device brings: memory that queues
   * resolve stays theirs until {@link leave}. Around `step` itself the caller of it has done both; there it does no harm.
   * @returns false when queues are not to be touched now: not running, suspended, no DMA
   */
  enter(): boolean;
  /** The work that {@link enter} allowed ends. */
  leave(): void;
  /** A clock in µs that never goes back. */
  now(): number;
}
