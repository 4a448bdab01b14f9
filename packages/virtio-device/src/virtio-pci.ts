import {
  type BarOptions,
  type BarRegion,
  type Capability,
  msix,
  PCI_CAP_ID,
  PCI_COMMAND,
  PCI_HEADER,
  PCI_MSIX,
  PCI_MSIX_CONTROL,
  PciFunction,
  type PciHost,
  pciExpress,
  powerManagement,
  type VirtualFunctions,
  type VirtualSeat,
} from '@ringwire/pci';
import {
  hasFeature,
  VIRTIO_F,
  VIRTIO_ID,
  VIRTIO_PCI_ID,
  VIRTIO_PCI_NON_TRANSITIONAL,
  VirtioError,
} from '@ringwire/virtio-spec';
import { COMMON_CFG, ISR_STATUS, VIRTIO_MSI_NO_VECTOR } from '@ringwire/virtio-spec/transport';
import { AdministeredModel, type AdminOptions } from './admin/administered-model.js';
import type { DeviceModel } from './device-model.js';
import type { Transport } from './device-runner.js';
import type { MsixSnapshot, PciSnapshot } from './inspection/snapshot-types.js';
import { type VendorData, virtioCapabilities } from './pci-capabilities.js';
import { PciCommonConfig } from './pci-common-config.js';
import { layOutPci, MSIX_BAR, type PciLayout, REGISTERS_BAR, type RegisterSpace, SHARED_BAR } from './pci-layout.js';
import { PciNotify } from './pci-notify.js';
import type { DeviceTrace } from './trace/device-trace.js';
import { fieldNames, tracedRegion } from './trace/traced-region.js';
import { VirtioDevice, type VirtioDeviceConfig } from './virtio-device.js';

export interface VirtioPciConfig extends VirtioDeviceConfig {
  /** The machine around the function. Called between steps; its handlers may do what a driver does. */
  readonly host: PciHost;
  /** MSI-X vectors, up to 2048; one per queue and one more unless given. 0: a function with an interrupt pin alone. */
  readonly vectors?: number;
  /** Where registers are; memory unless given. In I/O space there are 256 bytes, enough for some 30 queues. */
  readonly registers?: RegisterSpace;
  /** Memory for the MSI-X table, when threads share it. */
  readonly msixWords?: Int32Array;
  /** Bytes between the queues' notification addresses; 4 unless given, 0 for one address. */
  readonly notifyOffMultiplier?: number;
  /** What a queue is called in notifications with NOTIF_CONFIG_DATA, 16 bits; its index unless given. */
  readonly notifConfigData?: (queue: number) => number;
  readonly subsystemVendorId?: number;
  /** 0x40 or above: lower ones belong to transitional devices, which have a legacy interface. */
  readonly subsystemId?: number;
  /** Base class, sub-class and programming interface; that of the device type unless given. */
  readonly classCode?: number;
  /** Vendor data capabilities; configuration space has room for some 16 bytes in all. */
  readonly vendorData?: readonly VendorData[];
  /** The function 0 of a device that has others. */
  readonly multiFunction?: boolean;
  /** Extended capabilities, such as AER and ARI; that of {@link virtualFunctions} comes behind them. */
  readonly extended?: readonly Capability[];
  /** What makes it a physical function: its virtual ones. The device then offers SR_IOV. */
  readonly virtualFunctions?: VirtualFunctions;
  /** What makes it a virtual function: its place. It has no interrupt pin, so that it needs vectors. */
  readonly virtual?: VirtualSeat;
  /** Administration virtqueues, behind the queues of the type; none unless given. */
  readonly admin?: AdminOptions;
}

const SUBSYSTEM_ID = 0x1100;
const VECTORS_MAX = 0x800;
const INTA = 1;
/** PCI Code and ID Assignment 1.11 §1: Ethernet controller; what defines no class is 0x00ff00, as with other virtio devices. */
const CLASS = { [VIRTIO_ID.NET]: 0x02_0000 } as Readonly<Record<number, number>>;
const NO_CLASS = 0x00_ff00;

/**
 * A device as a PCI Express function, non-transitional. `pci` is what a host accesses; `device` is stepped.
 * @see virtio 1.4 §4.1
 */
export class VirtioPci {
  readonly device: VirtioDevice;
  readonly pci: PciFunction;
  readonly common: PciCommonConfig;
  readonly notify: PciNotify;
  /** Where everything is in its BARs. */
  readonly layout: PciLayout;
  /** Those of a physical function. */
  readonly virtualFunctions?: VirtualFunctions;
  private readonly virtual: VirtualSeat | undefined;
  private readonly msixAt: number;
  private readonly trace: DeviceTrace | undefined;
  private isr = 0;

  /** @throws VirtioError for a type, an offer or a layout that cannot be */
  constructor(config: VirtioPciConfig) {
    const { admin, notifyOffMultiplier: multiplier = 4, notifConfigData = (queue) => queue } = config;
    const model = admin === undefined ? config.model : new AdministeredModel(config.model, admin);
    const vectors = config.vectors ?? Math.min(model.queueSizes.length + 1, VECTORS_MAX);
    checkIds(config);
    this.trace = config.trace;
    const { virtual, virtualFunctions } = config;
    this.virtual = virtual;
    if (virtualFunctions !== undefined) this.virtualFunctions = virtualFunctions;
    this.device = new VirtioDevice({ ...config, model }, this.transport(admin !== undefined));
    checkMultiplier(multiplier, hasFeature(this.device.offered, VIRTIO_F.NOTIFICATION_DATA));
    const layout = layOutPci(model, vectors, multiplier, config.registers);
    this.layout = layout;
    this.common = new PciCommonConfig(this.device, { vectors, notifConfigData });
    this.notify = new PciNotify(this.device, layout.notify, multiplier, notifConfigData);
    // Bus mastering is off until the driver turns it on.
    this.device.dmaEnabled = false;
    this.pci = new PciFunction(
      {
        vendorId: VIRTIO_PCI_ID.VENDOR,
        deviceId: VIRTIO_PCI_ID.DEVICE_ID_BASE + model.deviceId,
        subsystemVendorId: config.subsystemVendorId ?? VIRTIO_PCI_ID.VENDOR,
        subsystemId: config.subsystemId ?? SUBSYSTEM_ID,
        revisionId: VIRTIO_PCI_NON_TRANSITIONAL.REVISION_ID_MIN,
        classCode: config.classCode ?? CLASS[model.deviceId] ?? NO_CLASS,
        interruptPin: virtual === undefined ? INTA : 0,
        ...(virtual === undefined ? {} : { virtual }),
        multiFunction: config.multiFunction === true,
        ...(config.msixWords === undefined ? {} : { msixWords: config.msixWords }),
        bars: this.bars(layout, model, config.registers === 'io' ? 'io' : 'memory64'),
        capabilities: [
          powerManagement(true),
          ...(vectors === 0 ? [] : [msix({ vectors, table: layout.msixTable, pba: layout.msixPba })]),
          pciExpress({ isVirtual: virtual !== undefined }),
          ...virtioCapabilities(layout, multiplier, model.config.length > 0, config.vendorData ?? []),
          ...(config.extended ?? []),
          ...(virtualFunctions === undefined ? [] : [virtualFunctions.capability]),
        ],
      },
      config.host,
      {
        reset: () => {
          this.device.reset();
          // A function-level reset leaves nothing as it was, the owner's stop included.
          this.device.go();
        },
        masterChanged: (allowed) => {
          this.device.dmaEnabled = allowed;
        },
        removed: () => {
          this.device.dmaEnabled = false;
          this.device.reset();
        },
      },
    );
    this.msixAt = this.pci.capabilityAt(PCI_CAP_ID.MSI_X);
  }

  /** ISR status, without the read's effect. */
  get isrStatus(): number {
    return this.isr;
  }

  /** Make the ISR status, and the pin with it, what it was elsewhere. */
  restoreIsr(isr: number): void {
    this.setIsr(isr);
  }

  private bars(layout: PciLayout, model: DeviceModel, space: BarOptions['space']): BarOptions[] {
    const { trace } = this;
    const regions = [
      tracedRegion(this.common.region(layout.common.offset), trace, fieldNames(COMMON_CFG)),
      tracedRegion(this.isrRegion(layout.isr.offset), trace, () => 'ISR status'),
      tracedRegion(this.notify.region(), trace, (at) => `notify+${at}`),
    ];
    if (model.config.length > 0) regions.push(tracedRegion(this.configRegion(layout), trace, (at) => `config+${at}`));
    const bars: BarOptions[] = [{ index: REGISTERS_BAR, space, size: layout.registersSize, regions }];
    if (layout.msixSize > 0) bars.push({ index: MSIX_BAR, space: 'memory64', size: layout.msixSize, regions: [] });
    if (layout.sharedSize > 0) {
      const shared = layout.shared.map(({ place, region }) => bytesRegion(place.offset, region.bytes));
      bars.push({ index: SHARED_BAR, space: 'memory64', size: layout.sharedSize, prefetchable: true, regions: shared });
    }
    return bars;
  }

  /** Reading the byte clears it and takes the interrupt away. @see virtio 1.4 §4.1.4.5 */
  private isrRegion(offset: number): BarRegion {
    return {
      offset,
      size: 4,
      read: (at) => {
        if (at !== 0) return 0;
        const value = this.isr;
        this.setIsr(0);
        return value;
      },
      write: () => {},
    };
  }

  private configRegion({ config }: PciLayout): BarRegion {
    return {
      offset: config.offset,
      size: Math.ceil(config.length / 4) * 4,
      read: (at, size) => this.device.config.read(at, size),
      write: (at, size, value) => this.device.writeConfig(at, size, value),
    };
  }

  private transport(isOwner: boolean): Transport {
    return {
      features: [
        VIRTIO_F.NOTIF_CONFIG_DATA,
        ...(this.virtualFunctions === undefined ? [] : [VIRTIO_F.SR_IOV]),
        ...(isOwner ? [VIRTIO_F.ADMIN_VQ] : []),
      ],
      usedBuffer: (queue) => {
        if (this.hasMessages()) this.raise(this.common.queueVector(queue));
        else this.setIsr(this.isr | ISR_STATUS.QUEUE_INTERRUPT);
      },
      configChange: () => {
        // Before the message, with MSI-X too.
        this.setIsr(this.isr | ISR_STATUS.DEVICE_CONFIGURATION_INTERRUPT);
        if (this.hasMessages()) this.raise(this.common.configVector);
      },
      queueReset: (queue) => this.common.resetQueue(queue),
      reset: () => {
        this.common.reset();
        this.setIsr(0);
      },
      snapshot: () => this.snapshot(),
    };
  }

  /** Whether MSI-X is on: then it alone interrupts. */
  private hasMessages(): boolean {
    if (this.msixAt < 0) return false;
    return (this.pci.config.get16(this.msixAt + PCI_MSIX.MESSAGE_CONTROL) & PCI_MSIX_CONTROL.ENABLE) !== 0;
  }

  private snapshot(): PciSnapshot {
    const { pci, common, device } = this;
    const command = pci.config.get16(PCI_HEADER.COMMAND);
    return {
      kind: 'pci',
      memoryEnabled: this.virtual?.memoryEnabled ?? (command & PCI_COMMAND.MEMORY_SPACE_ENABLE) !== 0,
      busMaster: (command & PCI_COMMAND.BUS_MASTER_ENABLE) !== 0,
      intxDisabled: (command & PCI_COMMAND.INTERRUPT_DISABLE) !== 0,
      isr: this.isr,
      msix: this.snapshotMsix(),
      configVector: vectorOrNull(common.configVector),
      queueVectors: device.queues.map(({ index }) => vectorOrNull(common.queueVector(index))),
      refusedWrites: common.refusedWrites,
      notificationsIgnored: this.notify.ignored,
    };
  }

  private snapshotMsix(): MsixSnapshot | null {
    const { msix, config } = this.pci;
    if (msix === undefined) return null;
    const control = config.get16(this.msixAt + PCI_MSIX.MESSAGE_CONTROL);
    return {
      enabled: (control & PCI_MSIX_CONTROL.ENABLE) !== 0,
      functionMasked: (control & PCI_MSIX_CONTROL.FUNCTION_MASK) !== 0,
      vectors: Array.from({ length: msix.vectors }, (_, vector) => ({
        masked: msix.isMasked(vector),
        pending: msix.isPending(vector),
      })),
    };
  }

  private raise(vector: number): void {
    if (vector === VIRTIO_MSI_NO_VECTOR) return;
    this.trace?.message(vector);
    this.pci.msix?.raise(vector);
  }

  private setIsr(isr: number): void {
    if (this.trace !== undefined && (isr !== 0) !== (this.isr !== 0) && !this.hasMessages()) this.trace.line(isr !== 0);
    this.isr = isr;
    this.pci.setIntx(isr !== 0);
  }
}

function bytesRegion(offset: number, bytes: Uint8Array): BarRegion {
  return {
    offset,
    size: Math.ceil(bytes.length / 4) * 4,
    read: (at, size) => {
      let value = 0;
      for (let byte = size - 1; byte >= 0; byte--) value = value * 256 + (bytes[at + byte] ?? 0);
      return value;
    },
    write: (at, size, value) => {
      // Past the end there is nothing to keep.
      for (let byte = 0; byte < size && at + byte < bytes.length; byte++) bytes[at + byte] = value >>> (byte * 8);
    },
  };
}

const vectorOrNull = (vector: number): number | null => (vector === VIRTIO_MSI_NO_VECTOR ? null : vector);

function checkIds({ model, subsystemId = SUBSYSTEM_ID }: VirtioPciConfig): void {
  const most = VIRTIO_PCI_ID.DEVICE_ID_LAST - VIRTIO_PCI_ID.DEVICE_ID_BASE;
  if (model.deviceId > most)
    throw new VirtioError('deviceId', model.deviceId, `at most ${most}`, 'virtio 1.4 §4.1.2.1');
  const least = VIRTIO_PCI_NON_TRANSITIONAL.SUBSYSTEM_DEVICE_ID_MIN;
  if (subsystemId >= least) return;
  const want = `0x${least.toString(16)} or above: there is no legacy interface for a transitional device's driver`;
  throw new VirtioError('subsystemId', subsystemId, want, 'virtio 1.4 §4.1.2.1');
}

/** virtio 1.4 §4.1.4.4.1 */
function checkMultiplier(multiplier: number, notificationData: boolean): void {
  const least = notificationData ? 4 : 2;
  const isPower = Number.isInteger(Math.log2(multiplier));
  if (multiplier === 0 || (isPower && multiplier >= least && multiplier <= 0x1000)) return;
  const want = `0, or a power of two from ${least} to 4096`;
  throw new VirtioError('notifyOffMultiplier', multiplier, want, 'virtio 1.4 §4.1.4.4.1');
}
