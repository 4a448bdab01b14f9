import { notifiedVqIndex, VIRTIO_F, VirtioError } from '@ringwire/virtio-spec';
import {
  MMIO_CONFIG_AT,
  MMIO_INTERRUPT,
  MMIO_MAGIC_VALUE,
  MMIO_REGISTERS,
  MMIO_VERSION,
  type MmioRegister,
} from '@ringwire/virtio-spec/transport';
import type { SharedMemoryRegion } from './device-model.js';
import type { Transport } from './device-runner.js';
import { QUEUE_AREA } from './queue-slot.js';
import type { DeviceTrace } from './trace/device-trace.js';
import { VirtioDevice, type VirtioDeviceConfig } from './virtio-device.js';

export interface VirtioMmioConfig extends VirtioDeviceConfig {
  /**
   * Level of the interrupt line: true while an event is not acknowledged. Called between steps; the handler may access
   * registers, and call `step`.
   */
  readonly interrupt: (level: boolean) => void;
  /** VendorID, 32 bits; 0x1af4 unless given. */
  readonly vendorId?: number;
  /** Guest-physical address at which the embedder shows a shared memory region; needed for a type that has any. */
  readonly sharedMemoryAt?: (region: SharedMemoryRegion) => number;
}

/** What counts as an access that does not exist. */
export interface MmioCounters {
  /** Of another width than 32 bits, misaligned, or at an offset without a register. */
  badAccesses: number;
  /** Read of a write-only register, write of a read-only one, value that a register does not have. */
  refusedAccesses: number;
}

const TWO_32 = 0x1_0000_0000;
const ALL_ONES = 0xffff_ffff;
const EVENTS = MMIO_INTERRUPT.USED_BUFFER | MMIO_INTERRUPT.CONFIGURATION_CHANGE;
const VENDOR = 0x1af4;

/** By offset, for the registers' words. */
const AT: ReadonlyMap<number, MmioRegister> = new Map(
  Object.entries(MMIO_REGISTERS).map(([name, { at }]) => [at, name as MmioRegister]),
);

/**
 * A device behind memory-mapped registers, version 2. An access that does not exist reads 0 and writes nothing.
 * @see virtio 1.4 §4.2
 */
export class VirtioMmio {
  readonly device: VirtioDevice;
  readonly counters: MmioCounters = { badAccesses: 0, refusedAccesses: 0 };

  private readonly interrupt: (level: boolean) => void;
  private readonly vendorId: number;
  private readonly regions: readonly SharedMemoryRegion[];
  private readonly regionBaseOf: (region: SharedMemoryRegion) => number;
  private readonly trace: DeviceTrace | undefined;
  private status = 0;
  private deviceFeaturesSel = 0;
  private driverFeaturesSel = 0;
  private queueSel = 0;
  private shmSel = 0;

  /** @throws VirtioError for a type or an offer that cannot be */
  constructor(config: VirtioMmioConfig) {
    this.interrupt = config.interrupt;
    this.trace = config.trace;
    this.vendorId = config.vendorId ?? VENDOR;
    this.regions = config.model.sharedMemory ?? [];
    const { sharedMemoryAt } = config;
    if (this.regions.length > 0 && sharedMemoryAt === undefined) {
      const want = 'a place for the shared memory of the device';
      throw new VirtioError('sharedMemoryAt', 'undefined', want, 'virtio 1.4 §4.2.2');
    }
    this.regionBaseOf = sharedMemoryAt ?? (() => 0);
    this.device = new VirtioDevice(config, this.transport());
  }

  /**
   * @param offset from the start of the registers, in bytes
   * @param bytes  width of the access: 4 for registers, 1, 2 or 4 for the configuration
   * @returns an unsigned number of that width
   */
  read(offset: number, bytes: number): number {
    const value = this.readAt(offset, bytes);
    this.trace?.register(false, nameOf(offset), bytes, value);
    return value;
  }

  /** The same for a write. @param value unsigned, of that width */
  write(offset: number, bytes: number, value: number): void {
    this.trace?.register(true, nameOf(offset), bytes, value >>> 0);
    if (offset >= MMIO_CONFIG_AT && isConfigWidth(bytes)) {
      this.device.writeConfig(offset - MMIO_CONFIG_AT, bytes, value >>> 0);
      return;
    }
    const register = this.registerAt(offset, bytes);
    if (register !== undefined) this.writeRegister(register, value >>> 0);
  }

  private readAt(offset: number, bytes: number): number {
    if (offset >= MMIO_CONFIG_AT && isConfigWidth(bytes))
      return this.device.config.read(offset - MMIO_CONFIG_AT, bytes);
    const register = this.registerAt(offset, bytes);
    return register === undefined ? 0 : this.readRegister(register);
  }

  private registerAt(offset: number, bytes: number): MmioRegister | undefined {
    const register = bytes === 4 ? AT.get(offset) : undefined;
    if (register === undefined) this.counters.badAccesses++;
    return register;
  }

  private readRegister(register: MmioRegister): number {
    const { device } = this;
    const slot = device.queues[this.queueSel];
    switch (register) {
      case 'MagicValue':
        return MMIO_MAGIC_VALUE;
      case 'Version':
        return MMIO_VERSION;
      case 'DeviceID':
        return device.model.deviceId;
      case 'VendorID':
        return this.vendorId;
      case 'DeviceFeatures':
        return device.deviceFeatures(this.deviceFeaturesSel);
      case 'QueueSizeMax':
        return slot?.sizeMax ?? 0;
      case 'QueueReady':
        return slot?.enabled === true ? 1 : 0;
      case 'InterruptStatus':
        return this.status;
      case 'Status':
        return device.status;
      case 'SHMLenLow':
        return lowHalf(this.region()?.bytes.length);
      case 'SHMLenHigh':
        return highHalf(this.region()?.bytes.length);
      case 'SHMBaseLow':
        return lowHalf(this.regionBase());
      case 'SHMBaseHigh':
        return highHalf(this.regionBase());
      case 'QueueReset':
        return device.isQueueResetting(this.queueSel) ? 1 : 0;
      case 'ConfigGeneration':
        return device.config.generation;
      default:
        this.counters.refusedAccesses++;
        return 0;
    }
  }

  private writeRegister(register: MmioRegister, value: number): void {
    const { device } = this;
    switch (register) {
      case 'DeviceFeaturesSel':
        this.deviceFeaturesSel = value;
        return;
      case 'DriverFeatures':
        device.acceptFeatures(this.driverFeaturesSel, value);
        return;
      case 'DriverFeaturesSel':
        this.driverFeaturesSel = value;
        return;
      case 'QueueSel':
        this.queueSel = value;
        return;
      case 'QueueSize':
        device.writableQueue(this.queueSel)?.writeSize(value, device.negotiated(VIRTIO_F.RING_PACKED));
        return;
      case 'QueueReady':
        this.writeReady(value);
        return;
      case 'QueueNotify':
        device.notify(device.negotiated(VIRTIO_F.NOTIFICATION_DATA) ? notifiedVqIndex(value) : value);
        return;
      case 'InterruptACK':
        this.setStatus(this.status & ~value);
        return;
      case 'Status':
        device.writeStatus(value);
        return;
      case 'QueueDescLow':
      case 'QueueDescHigh':
        this.writeAddress(QUEUE_AREA.desc, register === 'QueueDescHigh', value);
        return;
      case 'QueueDriverLow':
      case 'QueueDriverHigh':
        this.writeAddress(QUEUE_AREA.driver, register === 'QueueDriverHigh', value);
        return;
      case 'QueueDeviceLow':
      case 'QueueDeviceHigh':
        this.writeAddress(QUEUE_AREA.device, register === 'QueueDeviceHigh', value);
        return;
      case 'SHMSel':
        this.shmSel = value;
        return;
      case 'QueueReset':
        if (value === 1) device.resetQueue(this.queueSel);
        else this.counters.refusedAccesses++;
        return;
      default:
        this.counters.refusedAccesses++;
    }
  }

  /** 1 enables and 0 stops the queue; there is no other value. */
  private writeReady(value: number): void {
    if (value === 1) this.device.enableQueue(this.queueSel);
    else if (value === 0) this.device.disableQueue(this.queueSel);
    else this.counters.refusedAccesses++;
  }

  private writeAddress(area: number, high: boolean, value: number): void {
    this.device.writableQueue(this.queueSel)?.writeAddress(area, high, value);
  }

  private region(): SharedMemoryRegion | undefined {
    return this.regions.find(({ id }) => id === this.shmSel);
  }

  private regionBase(): number | undefined {
    const region = this.region();
    return region === undefined ? undefined : this.regionBaseOf(region);
  }

  private transport(): Transport {
    return {
      features: [],
      usedBuffer: () => this.setStatus(this.status | MMIO_INTERRUPT.USED_BUFFER),
      configChange: () => this.setStatus(this.status | MMIO_INTERRUPT.CONFIGURATION_CHANGE),
      queueReset: () => {},
      reset: () => {
        this.deviceFeaturesSel = 0;
        this.driverFeaturesSel = 0;
        this.queueSel = 0;
        this.shmSel = 0;
        this.setStatus(0);
      },
      snapshot: () => ({ kind: 'mmio', interruptStatus: this.status, ...this.counters }),
    };
  }

  /** InterruptStatus, and the line with it: told when it changes. @see virtio 1.4 §4.2.3.4 */
  private setStatus(status: number): void {
    const before = this.status;
    this.status = status & EVENTS;
    if ((before === 0) === (this.status === 0)) return;
    this.trace?.line(this.status !== 0);
    this.interrupt(this.status !== 0);
  }
}

/** What the specification calls an offset. */
const nameOf = (offset: number): string =>
  AT.get(offset) ?? (offset < MMIO_CONFIG_AT ? `+${offset}` : `config+${offset - MMIO_CONFIG_AT}`);

const isConfigWidth = (bytes: number): boolean => bytes === 1 || bytes === 2 || bytes === 4;

/** Halves of a 64-bit register; all ones where there is no such region. */
const lowHalf = (value: number | undefined): number => (value === undefined ? ALL_ONES : value % TWO_32);
const highHalf = (value: number | undefined): number => (value === undefined ? ALL_ONES : Math.floor(value / TWO_32));
