import type { AddressSpace } from '@ringwire/guest-memory';
import { FEATURE_WORDS, featureWords, VIRTIO_F, VIRTIO_ID } from '@ringwire/virtio-spec';
import { type DeviceQueue, isRefusal, openDeviceQueue } from '@ringwire/virtqueue';

/** One register access by the driver. */
export interface Access {
  readonly op: 'r' | 'w';
  /** A register's name in its transport, or `config`, `notify`, `isr`, `table`. */
  readonly name: string;
  readonly bytes: number;
  readonly value: number;
}

export interface ScriptedQueue {
  size: number;
  desc: number;
  driver: number;
  device: number;
  enabled: number;
  reset: number;
  vector: number;
  /** queue_notify_off and queue_notif_config_data. */
  notifyOff: number;
  notifData: number;
}

/** Fields of common configuration; MMIO's registers are translated to them. */
export type Field =
  | 'device_feature_select'
  | 'device_feature'
  | 'driver_feature_select'
  | 'driver_feature'
  | 'config_msix_vector'
  | 'num_queues'
  | 'device_status'
  | 'config_generation'
  | 'queue_select'
  | 'queue_size'
  | 'queue_msix_vector'
  | 'queue_enable'
  | 'queue_notify_off'
  | 'queue_notif_config_data'
  | 'queue_reset';

export interface ScriptedOptions {
  /** Feature bits beside VERSION_1. */
  readonly features?: readonly number[];
  readonly config?: Uint8Array;
  /** Largest Queue Size per queue. */
  readonly queueSizes?: readonly number[];
  readonly deviceId?: number;
}

/**
 * A device for a driver's tests: registers that do as virtio 1.4 says, each answer of which can be bent, and a log of
 * what the driver did. Its rings are moved by the test alone.
 */
export class ScriptedDevice {
  readonly space: AddressSpace;
  readonly deviceId: number;
  readonly offered: Uint32Array<ArrayBuffer>;
  readonly config: Uint8Array;
  readonly queueSizes: number[];
  readonly queues: ScriptedQueue[];
  readonly driverFeatures: Uint32Array<ArrayBuffer> = new Uint32Array(FEATURE_WORDS);
  readonly log: Access[] = [];
  /** What a read of a field gives in place of the right value. */
  readonly bend: Map<Field, (right: number) => number> = new Map();
  status = 0;
  generation = 0;
  configVector = 0xffff;
  /** Bits of ISR status and InterruptStatus. */
  cause = 0;
  /** Called after a register was written. */
  onWrite: ((field: Field, value: number) => void) | undefined = undefined;
  private deviceSelect = 0;
  private driverSelect = 0;
  private queueSelect = 0;
  private readonly rings: Map<number, DeviceQueue> = new Map();

  constructor(space: AddressSpace, options: ScriptedOptions = {}) {
    this.space = space;
    this.deviceId = options.deviceId ?? VIRTIO_ID.NET;
    this.offered = featureWords([VIRTIO_F.VERSION_1, ...(options.features ?? [])]);
    this.config = options.config ?? new Uint8Array(28);
    this.queueSizes = [...(options.queueSizes ?? [16, 16, 16])];
    this.queues = this.queueSizes.map((size, index) => freshQueue(size, index));
  }

  /** The device's end of an enabled queue. */
  ring(index: number): DeviceQueue {
    const known = this.rings.get(index);
    if (known !== undefined) return known;
    const { size, desc, driver, device } = this.queues[index]!;
    const ring = openDeviceQueue({ space: this.space, size, desc, driver, device, features: this.driverFeatures });
    if (isRefusal(ring)) throw new Error(ring.message);
    this.rings.set(index, ring);
    return ring;
  }

  read(field: Field): number {
    const right = this.rightValue(field);
    return this.bend.get(field)?.(right) ?? right;
  }

  write(field: Field, value: number): void {
    const queue = this.queues[this.queueSelect];
    switch (field) {
      case 'device_feature_select':
        this.deviceSelect = value;
        break;
      case 'driver_feature_select':
        this.driverSelect = value;
        break;
      case 'driver_feature':
        this.driverFeatures[this.driverSelect] = value;
        break;
      case 'config_msix_vector':
        this.configVector = value;
        break;
      case 'device_status':
        this.writeStatus(value);
        break;
      case 'queue_select':
        this.queueSelect = value;
        break;
      case 'queue_size':
        if (queue !== undefined) queue.size = value;
        break;
      case 'queue_msix_vector':
        if (queue !== undefined) queue.vector = value;
        break;
      case 'queue_enable':
        if (queue !== undefined) queue.enabled = value;
        break;
      case 'queue_reset':
        if (queue !== undefined) this.resetQueue(this.queueSelect);
        break;
    }
    this.onWrite?.(field, value);
  }

  writeAddress(part: 'desc' | 'driver' | 'device', half: 0 | 1, value: number): void {
    const queue = this.queues[this.queueSelect];
    if (queue === undefined) return;
    const low = queue[part] % 2 ** 32;
    queue[part] = half === 0 ? queue[part] - low + value : low + value * 2 ** 32;
  }

  /** The accesses that match, as `w name value` or `r name`. */
  accesses(pattern: RegExp): string[] {
    return this.log
      .map(({ op, name, value }) => (op === 'w' ? `w ${name} ${value}` : `r ${name}`))
      .filter((line) => pattern.test(line));
  }

  private writeStatus(value: number): void {
    if (value !== 0) {
      this.status = value;
      return;
    }
    this.status = 0;
    this.cause = 0;
    this.configVector = 0xffff;
    this.driverFeatures.fill(0);
    this.queueSizes.forEach((_, index) => {
      this.resetQueue(index);
    });
  }

  private resetQueue(index: number): void {
    this.queues[index] = freshQueue(this.queueSizes[index]!, index);
    this.rings.delete(index);
  }

  private rightValue(field: Field): number {
    const queue = this.queues[this.queueSelect];
    switch (field) {
      case 'device_feature_select':
        return this.deviceSelect;
      case 'device_feature':
        return this.offered[this.deviceSelect] ?? 0;
      case 'driver_feature_select':
        return this.driverSelect;
      case 'driver_feature':
        return this.driverFeatures[this.driverSelect] ?? 0;
      case 'config_msix_vector':
        return this.configVector;
      case 'num_queues':
        return this.queues.length;
      case 'device_status':
        return this.status;
      case 'config_generation':
        return this.generation;
      case 'queue_select':
        return this.queueSelect;
      case 'queue_size':
        return queue?.size ?? 0;
      case 'queue_msix_vector':
        return queue?.vector ?? 0xffff;
      case 'queue_enable':
        return queue?.enabled ?? 0;
      case 'queue_notify_off':
        return queue?.notifyOff ?? 0;
      case 'queue_notif_config_data':
        return queue?.notifData ?? 0;
      case 'queue_reset':
        return queue?.reset ?? 0;
    }
  }
}

const freshQueue = (size: number, index: number): ScriptedQueue => ({
  size,
  desc: 0,
  driver: 0,
  device: 0,
  enabled: 0,
  reset: 0,
  vector: 0xffff,
  notifyOff: index,
  notifData: 0x100 + index,
});
