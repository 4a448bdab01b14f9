import { DEVICE_STATUS, FEATURE_WORDS, VIRTIO_F } from '@ringwire/virtio-spec';
import type { VdpaDevice } from './vdpa-device.js';
import { VdpaInterrupts, type VdpaVectorPlan } from './vdpa-interrupts.js';
import { VDPA } from './vdpa-outcome.js';
import { startOf } from './vdpa-queue.js';

/** A virtqueue as a driver programs it, with addresses that are mapped. */
export interface VdpaQueueSetup {
  readonly size: number;
  readonly desc: number;
  readonly driver: number;
  readonly device: number;
}

/**
 * What virtio drivers of `@ringwire/guest-drivers` need of a transport, over any vDPA device: the driver of the host, or of
 * a container, in place of a guest's. It is that package's `Transport` without being made of it.
 */
export class VdpaTransport {
  readonly name = 'vdpa';
  readonly deviceId: number;
  readonly queueLimit: number;
  readonly configBytes: number;
  readonly unusable: readonly number[];
  readonly vectorLimit: number;
  private readonly device: VdpaDevice;
  private readonly interrupts: VdpaInterrupts;
  private readonly features: Uint32Array = new Uint32Array(FEATURE_WORDS);

  /** @param interrupt an MSI-X message of a vector came in, or an interrupt on the only line */
  constructor(device: VdpaDevice, interrupt: (vector?: number) => void) {
    this.device = device;
    this.deviceId = device.deviceId;
    this.queueLimit = device.queueCount;
    this.configBytes = device.configBytes;
    const canReset = device.abilities.readyWhileRunning;
    this.unusable = [VIRTIO_F.NOTIF_CONFIG_DATA, VIRTIO_F.ADMIN_VQ, ...(canReset ? [] : [VIRTIO_F.RING_RESET])];
    this.vectorLimit = device.queueCount + 1;
    this.interrupts = new VdpaInterrupts(device, interrupt);
  }

  status(): number {
    return this.device.status;
  }

  setStatus(value: number): void {
    if (value === 0) {
      // What a driver has mapped it takes back itself.
      this.device.reset(this.device.abilities.keepMaps);
      this.interrupts.forget();
      this.features.fill(0);
      return;
    }
    // Features come in words, and count together.
    if ((value & DEVICE_STATUS.FEATURES_OK) !== 0 && (this.device.status & DEVICE_STATUS.FEATURES_OK) === 0)
      if (this.device.setDriverFeatures(this.features) !== VDPA.OK) return;
    this.device.setStatus(value);
  }

  deviceFeatures(word: number): number {
    return this.device.deviceFeatures[word] ?? 0;
  }

  setDriverFeatures(word: number, bits: number): void {
    this.features[word] = bits;
  }

  configGeneration(): number {
    return this.device.configGeneration();
  }

  readConfig(at: number, bytes: 1 | 2 | 4): number {
    return this.device.readConfig(at, bytes).reduceRight((value, byte) => value * 256 + byte, 0);
  }

  queueSizeMax(index: number): number {
    return index < this.queueLimit && !this.device.queueReady(index) ? this.device.queueSize(index) : 0;
  }

  /** Whether it worked shows {@link queueEnabled}; the device's `problem` says why not. */
  enableQueue(index: number, setup: VdpaQueueSetup, _features: Uint32Array): undefined {
    const { device } = this;
    this.interrupts.claim(index);
    const isSet =
      device.setQueueSize(index, setup.size) === VDPA.OK && device.setQueueAddresses(index, setup) === VDPA.OK;
    if (isSet) device.setQueueReady(index, true);
    return undefined;
  }

  queueEnabled(index: number): boolean {
    return this.device.queueReady(index);
  }

  resetQueue(index: number): void {
    if (this.device.setQueueReady(index, false) !== VDPA.OK) return;
    const isPacked = (this.features[VIRTIO_F.RING_PACKED >>> 5]! >>> (VIRTIO_F.RING_PACKED & 31)) & 1;
    this.device.setQueueState(index, startOf(isPacked === 1));
  }

  queueResetDone(index: number): boolean {
    return !this.device.queueReady(index);
  }

  stopQueue(index: number): void {
    this.device.setQueueReady(index, false);
  }

  notify(index: number, data: number): void {
    this.device.kick(index, data);
  }

  notifyIndex(index: number): number {
    return index;
  }

  mapVectors(plan: VdpaVectorPlan): boolean {
    return this.interrupts.map(plan);
  }

  unmapVectors(): void {
    this.interrupts.unmap();
  }

  interruptCause(): number {
    return this.interrupts.takeCause();
  }
}
