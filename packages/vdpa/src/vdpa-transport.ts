import { DEVICE_STATUS, FEATURE_WORDS, hasFeature, VIRTIO_F } from '@ringwire/virtio-spec';
import type { QueuePlace } from './migration/device-image.js';
import { startOf } from './queue-setup.js';
import type { VdpaDevice } from './vdpa-device.js';
import { VdpaInterrupts, type VdpaVectorPlan } from './vdpa-interrupts.js';
import { VDPA } from './vdpa-outcome.js';

const ALL_ONES_8 = 0xff;
const ALL_ONES_32 = 0xffff_ffff;

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
  private device: VdpaDevice;
  private interrupts: VdpaInterrupts;
  private readonly placed: Map<number, QueuePlace> = new Map();
  private readonly features: Uint32Array = new Uint32Array(FEATURE_WORDS);
  private isGone = false;

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

  /** The queues that are ready, where the driver put them: what a move of the device needs. */
  get places(): readonly QueuePlace[] {
    return [...this.placed.values()];
  }

  /** Behind the transport is another device from now on, which was set up as this one stood: its driver notices nothing. */
  moveTo(device: VdpaDevice): void {
    const { interrupts } = this;
    interrupts.remove();
    this.device = device;
    this.interrupts = interrupts.on(device);
    for (const index of this.placed.keys()) this.interrupts.claim(index);
  }

  /** The interrupt of a queue, as the device raises it. */
  interruptFor(index: number): void {
    this.interrupts.used(index);
  }

  /** The device is somebody else's from now on: reading gives all ones, and nothing else has an effect. */
  remove(): void {
    this.isGone = true;
    this.interrupts.remove();
  }

  status(): number {
    return this.isGone ? ALL_ONES_8 : this.device.status;
  }

  setStatus(value: number): void {
    if (this.isGone) return;
    if (value === 0) {
      // What a driver has mapped it takes back itself.
      this.device.reset(this.device.abilities.keepMaps);
      this.interrupts.forget();
      this.placed.clear();
      this.features.fill(0);
      return;
    }
    // Features come in words, and count together.
    if ((value & DEVICE_STATUS.FEATURES_OK) !== 0 && (this.device.status & DEVICE_STATUS.FEATURES_OK) === 0)
      if (this.device.setDriverFeatures(this.features) !== VDPA.OK) return;
    this.device.setStatus(value);
  }

  deviceFeatures(word: number): number {
    return this.isGone ? ALL_ONES_32 : (this.device.deviceFeatures[word] ?? 0);
  }

  setDriverFeatures(word: number, bits: number): void {
    this.features[word] = bits;
  }

  configGeneration(): number {
    return this.isGone ? ALL_ONES_32 : this.device.configGeneration();
  }

  readConfig(at: number, bytes: 1 | 2 | 4): number {
    if (this.isGone) return 2 ** (8 * bytes) - 1;
    return this.device.readConfig(at, bytes).reduceRight((value, byte) => value * 256 + byte, 0);
  }

  queueSizeMax(index: number): number {
    return index < this.queueLimit && !this.queueEnabled(index) && !this.isGone ? this.device.queueSize(index) : 0;
  }

  /** Whether it worked shows {@link queueEnabled}; the device's `problem` says why not. */
  enableQueue(index: number, setup: VdpaQueueSetup, _features: Uint32Array): undefined {
    const { device } = this;
    if (this.isGone) return undefined;
    this.interrupts.claim(index);
    const isSet =
      device.setQueueSize(index, setup.size) === VDPA.OK && device.setQueueAddresses(index, setup) === VDPA.OK;
    if (!isSet || device.setQueueReady(index, true) !== VDPA.OK) return undefined;
    const { size, desc, driver, device: used } = setup;
    this.placed.set(index, { index, size, addresses: { desc, driver, device: used } });
    return undefined;
  }

  queueEnabled(index: number): boolean {
    return !this.isGone && this.device.queueReady(index);
  }

  resetQueue(index: number): void {
    if (this.isGone || this.device.setQueueReady(index, false) !== VDPA.OK) return;
    this.placed.delete(index);
    this.device.setQueueState(index, startOf(hasFeature(this.features, VIRTIO_F.RING_PACKED)));
  }

  queueResetDone(index: number): boolean {
    return !this.isGone && !this.device.queueReady(index);
  }

  stopQueue(index: number): void {
    if (!this.isGone && this.device.setQueueReady(index, false) === VDPA.OK) this.placed.delete(index);
  }

  notify(index: number, data: number): void {
    if (!this.isGone) this.device.kick(index, data);
  }

  notifyIndex(index: number): number {
    return index;
  }

  mapVectors(plan: VdpaVectorPlan): boolean {
    return !this.isGone && this.interrupts.map(plan);
  }

  unmapVectors(): void {
    this.interrupts.unmap();
  }

  interruptCause(): number {
    return this.interrupts.takeCause();
  }
}
