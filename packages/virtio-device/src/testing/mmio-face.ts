import type { VirtioDevice, VirtioDeviceConfig } from '../virtio-device.js';
import { VirtioMmio, type VirtioMmioConfig } from '../virtio-mmio.js';
import { type Face, halves, type Interrupts, type QueuePlace } from './face.js';

/** Register offsets by hand, virtio 1.4 §4.2.2. */
export const REG = {
  magic: 0x000,
  version: 0x004,
  deviceId: 0x008,
  vendorId: 0x00c,
  deviceFeatures: 0x010,
  deviceFeaturesSel: 0x014,
  driverFeatures: 0x020,
  driverFeaturesSel: 0x024,
  queueSel: 0x030,
  queueSizeMax: 0x034,
  queueSize: 0x038,
  queueReady: 0x044,
  queueNotify: 0x050,
  interruptStatus: 0x060,
  interruptAck: 0x064,
  status: 0x070,
  queueDesc: 0x080,
  queueDriver: 0x090,
  queueDevice: 0x0a0,
  shmSel: 0x0ac,
  shmLen: 0x0b0,
  shmBase: 0x0b8,
  queueReset: 0x0c0,
  configGeneration: 0x0fc,
  config: 0x100,
} as const;

export class MmioFace implements Face {
  readonly name = 'mmio';
  readonly mmio: VirtioMmio;
  readonly device: VirtioDevice;
  /** The interrupt line, and its changes. */
  readonly levels: boolean[] = [];
  onInterrupt: () => void = () => {};

  constructor(config: VirtioDeviceConfig, change: Partial<VirtioMmioConfig> = {}) {
    this.mmio = new VirtioMmio({
      ...config,
      ...change,
      interrupt: (level) => {
        this.levels.push(level);
        if (level) this.onInterrupt();
      },
    });
    this.device = this.mmio.device;
  }

  read(offset: number): number {
    return this.mmio.read(offset, 4);
  }

  write(offset: number, value: number): void {
    this.mmio.write(offset, 4, value);
  }

  status(): number {
    return this.read(REG.status);
  }

  setStatus(value: number): void {
    this.write(REG.status, value);
  }

  offered(select: number): number {
    this.write(REG.deviceFeaturesSel, select);
    return this.read(REG.deviceFeatures);
  }

  accept(select: number, word: number): void {
    this.write(REG.driverFeaturesSel, select);
    this.write(REG.driverFeatures, word);
  }

  queueSize(index: number): number {
    this.write(REG.queueSel, index);
    return this.read(REG.queueSizeMax);
  }

  place(index: number, { size, desc, driver, device }: QueuePlace): void {
    this.write(REG.queueSel, index);
    if (size !== undefined) this.write(REG.queueSize, size);
    for (const [at, address] of [
      [REG.queueDesc, desc],
      [REG.queueDriver, driver],
      [REG.queueDevice, device],
    ] as const) {
      if (address === undefined) continue;
      const [lo, hi] = halves(address);
      this.write(at, lo);
      this.write(at + 4, hi);
    }
  }

  enable(index: number, value = 1): void {
    this.write(REG.queueSel, index);
    this.write(REG.queueReady, value);
  }

  enabled(index: number): number {
    this.write(REG.queueSel, index);
    return this.read(REG.queueReady);
  }

  resetQueue(index: number, value = 1): void {
    this.write(REG.queueSel, index);
    this.write(REG.queueReset, value);
  }

  resetting(index: number): number {
    this.write(REG.queueSel, index);
    return this.read(REG.queueReset);
  }

  kick(index: number): void {
    this.write(REG.queueNotify, index);
  }

  config(at: number, bytes: number): number {
    return this.mmio.read(REG.config + at, bytes);
  }

  writeConfig(at: number, bytes: number, value: number): void {
    this.mmio.write(REG.config + at, bytes, value);
  }

  generation(): number {
    return this.read(REG.configGeneration);
  }

  takeInterrupts(): Interrupts {
    const status = this.read(REG.interruptStatus);
    this.write(REG.interruptAck, status);
    return { used: (status & 1) !== 0, config: (status & 2) !== 0 };
  }
}
