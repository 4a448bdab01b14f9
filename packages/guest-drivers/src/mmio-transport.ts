import { hasFeature, VIRTIO_F } from '@ringwire/virtio-spec';
import {
  MMIO_CONFIG_AT,
  MMIO_INTERRUPT,
  MMIO_MAGIC_VALUE,
  MMIO_REGISTERS,
  MMIO_VERSION,
  type MmioRegister,
} from '@ringwire/virtio-spec/transport';
import type { MmioAccess } from './access.js';
import { BREAK, type Breakdown, breakdown } from './breakdown.js';
import type { MsixMessage, QueueSetup, Transport, VectorPlan } from './transport.js';

/** A queue index has 16 bits: MMIO says of no queue that it is the last. */
const QUEUES = 0x1_0000;
/** Nor does it say where the configuration ends. A page holds the registers and more than any type has. */
const CONFIG_BYTES = 0x1000 - MMIO_CONFIG_AT;
const LEGACY_VERSION = 1;

/**
 * Find out whether there is a modern virtio-mmio device.
 * @returns the transport, NO_DEVICE for a placeholder, NOT_USABLE with another magic or version, LEGACY for version 1.
 *          A device that is given up is not touched again
 * @see virtio 1.4 §4.2.3.1.1
 */
export function openMmioTransport(access: MmioAccess): MmioTransport | Breakdown {
  const magic = access.read(MMIO_REGISTERS.MagicValue.at, 4);
  if (magic !== MMIO_MAGIC_VALUE) {
    const message = `MagicValue is 0x${magic.toString(16)}, want 0x74726976, "virt" (virtio 1.4 §4.2.2)`;
    return breakdown(BREAK.NOT_USABLE, message);
  }
  const version = access.read(MMIO_REGISTERS.Version.at, 4);
  if (version !== MMIO_VERSION) {
    const isLegacy = version === LEGACY_VERSION;
    const message = `Version is ${version}, want 2${isLegacy ? ': this is a legacy device' : ''} (virtio 1.4 §4.2.2)`;
    return breakdown(isLegacy ? BREAK.LEGACY : BREAK.NOT_USABLE, message);
  }
  const deviceId = access.read(MMIO_REGISTERS.DeviceID.at, 4);
  if (deviceId === 0) return breakdown(BREAK.NO_DEVICE, 'DeviceID is 0: a place without a device (virtio 1.4 §4.2.2)');
  return new MmioTransport(access, deviceId);
}

/** Driver side of virtio-mmio, version 2. @see virtio 1.4 §4.2 */
export class MmioTransport implements Transport {
  readonly name = 'mmio';
  readonly deviceId: number;
  readonly queueLimit: number = QUEUES;
  readonly configBytes: number = CONFIG_BYTES;
  /** NOTIF_CONFIG_DATA has a field on PCI only. */
  readonly unusable: readonly number[] = [VIRTIO_F.NOTIF_CONFIG_DATA, VIRTIO_F.ADMIN_VQ];
  readonly vectorLimit = 0;
  private readonly access: MmioAccess;
  private notifiesWithData = false;

  constructor(access: MmioAccess, deviceId: number) {
    this.access = access;
    this.deviceId = deviceId;
  }

  status(): number {
    return this.get('Status');
  }

  setStatus(value: number): void {
    this.set('Status', value);
  }

  deviceFeatures(word: number): number {
    this.set('DeviceFeaturesSel', word);
    return this.get('DeviceFeatures');
  }

  setDriverFeatures(word: number, bits: number): void {
    this.set('DriverFeaturesSel', word);
    this.set('DriverFeatures', bits);
  }

  configGeneration(): number {
    return this.get('ConfigGeneration');
  }

  readConfig(at: number, bytes: 1 | 2 | 4): number {
    return this.access.read(MMIO_CONFIG_AT + at, bytes);
  }

  queueSizeMax(index: number): number {
    if (index >= this.queueLimit) return 0;
    this.set('QueueSel', index);
    // Sizes may be read only while QueueReady is 0 (virtio 1.4 §4.2.2.2).
    return this.get('QueueReady') === 0 ? this.get('QueueSizeMax') : 0;
  }

  enableQueue(index: number, setup: QueueSetup, features: Uint32Array): Breakdown | undefined {
    this.notifiesWithData = hasFeature(features, VIRTIO_F.NOTIFICATION_DATA);
    this.set('QueueSel', index);
    if (this.get('QueueReady') !== 0)
      return breakdown(
        BREAK.QUEUE_TIMEOUT,
        `queue ${index} is in use already, want QueueReady 0 (virtio 1.4 §4.2.3.2)`,
      );
    this.set('QueueSize', setup.size);
    this.setLong('QueueDescLow', 'QueueDescHigh', setup.desc);
    this.setLong('QueueDriverLow', 'QueueDriverHigh', setup.driver);
    this.setLong('QueueDeviceLow', 'QueueDeviceHigh', setup.device);
    this.set('QueueReady', 1);
    return undefined;
  }

  queueEnabled(index: number): boolean {
    this.set('QueueSel', index);
    return this.get('QueueReady') === 1;
  }

  resetQueue(index: number): void {
    this.set('QueueSel', index);
    this.set('QueueReset', 1);
  }

  queueResetDone(index: number): boolean {
    this.set('QueueSel', index);
    return this.get('QueueReset') === 0 && this.get('QueueReady') === 0;
  }

  stopQueue(index: number): void {
    this.set('QueueSel', index);
    this.set('QueueReady', 0);
    // Reading waits for the write to have had its effect.
    this.get('QueueReady');
  }

  notify(index: number, data: number): void {
    this.set('QueueNotify', this.notifiesWithData ? data : index);
  }

  notifyIndex(index: number): number {
    return index;
  }

  mapVectors(_plan: VectorPlan, _messages: readonly MsixMessage[]): boolean {
    return false;
  }

  unmapVectors(): void {}

  interruptCause(): number {
    // The bits are those of CAUSE. Undefined ones are neither heeded nor acknowledged (virtio 1.4 §4.2.2.2).
    const known = MMIO_INTERRUPT.USED_BUFFER | MMIO_INTERRUPT.CONFIGURATION_CHANGE;
    const cause = this.get('InterruptStatus') & known;
    if (cause !== 0) this.set('InterruptACK', cause);
    return cause;
  }

  private get(register: MmioRegister): number {
    return this.access.read(MMIO_REGISTERS[register].at, 4);
  }

  private set(register: MmioRegister, value: number): void {
    this.access.write(MMIO_REGISTERS[register].at, 4, value);
  }

  private setLong(low: MmioRegister, high: MmioRegister, value: number): void {
    this.set(low, value >>> 0);
    this.set(high, Math.floor(value / 2 ** 32));
  }
}
