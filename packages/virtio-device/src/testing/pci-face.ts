import type { PciHost } from '@ringwire/pci';
import type { VirtioDevice, VirtioDeviceConfig } from '../virtio-device.js';
import { VirtioPci, type VirtioPciConfig } from '../virtio-pci.js';
import { type Face, halves, type Interrupts, type QueuePlace } from './face.js';

/** Offsets in the common configuration by hand, virtio 1.4 §4.1.4.3. */
export const COMMON = {
  deviceFeatureSelect: 0x00,
  deviceFeature: 0x04,
  driverFeatureSelect: 0x08,
  driverFeature: 0x0c,
  configMsixVector: 0x10,
  numQueues: 0x12,
  deviceStatus: 0x14,
  configGeneration: 0x15,
  queueSelect: 0x16,
  queueSize: 0x18,
  queueMsixVector: 0x1a,
  queueEnable: 0x1c,
  queueNotifyOff: 0x1e,
  queueDesc: 0x20,
  queueDriver: 0x28,
  queueDevice: 0x30,
  queueNotifConfigData: 0x38,
  queueReset: 0x3a,
  adminQueueIndex: 0x3c,
  adminQueueNum: 0x3e,
} as const;

/** A virtio structure as the capability list shows it. */
export interface Structure {
  /** Offset of the capability in configuration space. */
  readonly at: number;
  readonly type: number;
  readonly length: number;
  readonly bar: number;
  readonly id: number;
  readonly offset: number;
  readonly size: number;
}

/** `msix: false` leaves MSI-X off, and INTx to be used. */
export interface PciFaceOptions extends Partial<VirtioPciConfig> {
  readonly msix?: boolean;
}

const COMMAND = 0x04;
const MEMORY_AND_MASTER = 0x6;
const BAR_ADDRESS = 0xfe00_0000;
const MSIX_ENABLE = 0x8000;
const CONFIG_VECTOR = 0;

/** What lies in a PCI function's configuration space, found as a driver finds it. */
export class PciFace implements Face {
  readonly name = 'pci';
  readonly virtio: VirtioPci;
  readonly device: VirtioDevice;
  /** Vectors of which messages came, and changes of the interrupt pin. */
  readonly messages: number[] = [];
  readonly pin: boolean[] = [];
  readonly structures: readonly Structure[];
  onInterrupt: () => void = () => {};
  private readonly common: Structure;
  private readonly notify: Structure;
  private readonly isr: Structure;
  private readonly deviceConfig: Structure | undefined;
  private readonly multiplier: number;
  private readonly messagesOn: boolean;

  constructor(config: VirtioDeviceConfig, change: PciFaceOptions = {}) {
    const { msix = true, ...options } = change;
    const host: PciHost = {
      sendMessage: (_low, _high, data) => {
        this.messages.push(data);
        this.onInterrupt();
      },
      setIntx: (asserted) => {
        this.pin.push(asserted);
        if (asserted) this.onInterrupt();
      },
      ...options.host,
    };
    this.virtio = new VirtioPci({ ...config, ...options, host });
    this.device = this.virtio.device;
    this.structures = this.walk();
    this.common = this.find(1)!;
    this.notify = this.find(2)!;
    this.isr = this.find(3)!;
    this.deviceConfig = this.find(4);
    this.multiplier = this.cfg(this.notify.at + 16, 4);
    this.messagesOn = msix;
    this.powerUp();
  }

  /** BARs assigned, memory and bus mastering on, MSI-X on with every vector unmasked and its number for a message. */
  powerUp(): void {
    const { pci } = this.virtio;
    pci.configWrite(0x10, 4, BAR_ADDRESS);
    pci.configWrite(0x14, 4, 0);
    pci.configWrite(0x18, 4, 0);
    pci.configWrite(0x1c, 4, 1);
    pci.configWrite(COMMAND, 2, MEMORY_AND_MASTER);
    const at = pci.capabilityAt(0x11);
    if (at < 0 || !this.messagesOn) return;
    const vectors = (this.cfg(at + 2, 2) & 0x7ff) + 1;
    const table = this.cfg(at + 4, 4);
    for (let vector = 0; vector < vectors; vector++) {
      const entry = (table & ~7) + vector * 16;
      for (const [word, value] of [0xfee0_0000, 0, vector, 0].entries())
        pci.barWrite(table & 7, entry + word * 4, 4, value);
    }
    pci.configWrite(at + 2, 2, MSIX_ENABLE);
  }

  find(type: number): Structure | undefined {
    return this.structures.find((structure) => structure.type === type);
  }

  cfg(at: number, bytes: number): number {
    return this.virtio.pci.configRead(at, bytes);
  }

  read({ bar, offset }: Structure, at: number, bytes: number): number {
    return this.virtio.pci.barRead(bar, offset + at, bytes);
  }

  write({ bar, offset }: Structure, at: number, bytes: number, value: number): void {
    this.virtio.pci.barWrite(bar, offset + at, bytes, value);
  }

  readCommon(at: number, bytes: number): number {
    return this.read(this.common, at, bytes);
  }

  writeCommon(at: number, bytes: number, value: number): void {
    this.write(this.common, at, bytes, value);
  }

  readIsr(): number {
    return this.read(this.isr, 0, 1);
  }

  status(): number {
    return this.readCommon(COMMON.deviceStatus, 1);
  }

  setStatus(value: number): void {
    this.writeCommon(COMMON.deviceStatus, 1, value);
  }

  offered(select: number): number {
    this.writeCommon(COMMON.deviceFeatureSelect, 4, select);
    return this.readCommon(COMMON.deviceFeature, 4);
  }

  accept(select: number, word: number): void {
    this.writeCommon(COMMON.driverFeatureSelect, 4, select);
    this.writeCommon(COMMON.driverFeature, 4, word);
  }

  queueSize(index: number): number {
    this.select(index);
    return this.readCommon(COMMON.queueSize, 2);
  }

  place(index: number, { size, desc, driver, device }: QueuePlace): void {
    this.writeCommon(COMMON.configMsixVector, 2, CONFIG_VECTOR);
    this.select(index);
    this.writeCommon(COMMON.queueMsixVector, 2, index + 1);
    if (size !== undefined) this.writeCommon(COMMON.queueSize, 2, size);
    for (const [at, address] of [
      [COMMON.queueDesc, desc],
      [COMMON.queueDriver, driver],
      [COMMON.queueDevice, device],
    ] as const) {
      if (address === undefined) continue;
      const [lo, hi] = halves(address);
      this.writeCommon(at, 4, lo);
      this.writeCommon(at + 4, 4, hi);
    }
  }

  enable(index: number, value = 1): void {
    this.select(index);
    this.writeCommon(COMMON.queueEnable, 2, value);
  }

  enabled(index: number): number {
    this.select(index);
    return this.readCommon(COMMON.queueEnable, 2);
  }

  resetQueue(index: number, value = 1): void {
    this.select(index);
    this.writeCommon(COMMON.queueReset, 2, value);
  }

  resetting(index: number): number {
    this.select(index);
    return this.readCommon(COMMON.queueReset, 2);
  }

  /** Where a driver writes notifications of a queue, from the start of the structure. */
  notifyAt(index: number): number {
    this.select(index);
    return this.readCommon(COMMON.queueNotifyOff, 2) * this.multiplier;
  }

  kick(index: number): void {
    this.write(this.notify, this.notifyAt(index), 2, index);
  }

  /** A write to the notification structure as it is. */
  notifyRaw(at: number, bytes: number, value: number): void {
    this.write(this.notify, at, bytes, value);
  }

  config(at: number, bytes: number): number {
    return this.read(this.deviceConfig!, at, bytes);
  }

  writeConfig(at: number, bytes: number, value: number): void {
    this.write(this.deviceConfig!, at, bytes, value);
  }

  generation(): number {
    return this.readCommon(COMMON.configGeneration, 1);
  }

  takeInterrupts(): Interrupts {
    if (!this.messagesOn) {
      const isr = this.readIsr();
      return { used: (isr & 1) !== 0, config: (isr & 2) !== 0 };
    }
    const vectors = this.messages.splice(0);
    return { used: vectors.some((vector) => vector !== CONFIG_VECTOR), config: vectors.includes(CONFIG_VECTOR) };
  }

  private select(index: number): void {
    this.writeCommon(COMMON.queueSelect, 2, index);
  }

  /** The capability list, virtio 1.4 §4.1.4: the vendor-specific ones. */
  private walk(): Structure[] {
    const { pci } = this.virtio;
    const found: Structure[] = [];
    for (let at = pci.configRead(0x34, 1); at !== 0 && found.length < 48; at = pci.configRead(at + 1, 1)) {
      if (pci.configRead(at, 1) !== 9) continue;
      const [length, type, bar, id] = [2, 3, 4, 5].map((field) => pci.configRead(at + field, 1)) as [
        number,
        number,
        number,
        number,
      ];
      const [offset, size] = [pci.configRead(at + 8, 4), pci.configRead(at + 12, 4)];
      found.push({ at, length, type, bar, id, offset, size });
    }
    return found;
  }
}
