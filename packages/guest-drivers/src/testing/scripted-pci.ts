import { PCI_CAP_ID, PCI_HEADER, PCI_MSIX, PCI_MSIX_ENTRY, PCI_STATUS } from '@ringwire/pci';
import { VIRTIO_PCI_ID } from '@ringwire/virtio-spec';
import { COMMON_CFG, COMMON_CFG_SIZE, PCI_CAP_ID_VNDR, VIRTIO_PCI_CFG_TYPE } from '@ringwire/virtio-spec/transport';
import type { PciAccess } from '../access.js';
import type { Field, ScriptedDevice } from './scripted-device.js';
import { readBytes } from './scripted-mmio.js';

/** Conventional configuration space. */
const CONFIG_BYTES = 0x100;

/** One capability of the list, field by field as it lies in configuration space. */
export interface ScriptedCapability {
  readonly id?: number;
  readonly capLen?: number;
  readonly cfgType: number;
  readonly bar?: number;
  readonly offset?: number;
  readonly length?: number;
  /** The 32 bits behind: notify_off_multiplier. */
  readonly extra?: number;
}

export interface ScriptedPciOptions {
  readonly vendor?: number;
  readonly id?: number;
  readonly revision?: number;
  readonly capabilities?: readonly ScriptedCapability[];
  /** MSI-X vectors; 0 leaves the capability out. */
  readonly vectors?: number;
  /** Where the MSI-X table is said to be: offset with the BAR in its low 3 bits. */
  readonly table?: number;
  /** Bytes of each BAR. */
  readonly bars?: readonly number[];
  /** cap_next of the last capability, for a list that loops. */
  readonly lastNext?: number;
}

/** Where the structures lie in BAR 0. */
const PCI_PLACE = { common: 0, isr: 0x1000, device: 0x2000, notify: 0x3000, multiplier: 4 } as const;
const { COMMON_CFG: COMMON, ISR_CFG, DEVICE_CFG, NOTIFY_CFG } = VIRTIO_PCI_CFG_TYPE;

export const GOOD_CAPABILITIES: readonly ScriptedCapability[] = [
  { cfgType: COMMON, offset: PCI_PLACE.common, length: COMMON_CFG_SIZE },
  { cfgType: ISR_CFG, offset: PCI_PLACE.isr, length: 1 },
  { cfgType: DEVICE_CFG, offset: PCI_PLACE.device, length: 0x100 },
  { cfgType: NOTIFY_CFG, offset: PCI_PLACE.notify, length: 0x1000, extra: PCI_PLACE.multiplier },
];

/** A PCI function in front of a scripted device. An access of the wrong width or place throws, and fails the test. */
export class ScriptedPci implements PciAccess {
  readonly space: Uint8Array = new Uint8Array(CONFIG_BYTES);
  readonly table: Uint32Array = new Uint32Array(2048 * 4);
  private readonly device: ScriptedDevice;
  private readonly bars: readonly number[];

  constructor(device: ScriptedDevice, options: ScriptedPciOptions = {}) {
    this.device = device;
    this.bars = options.bars ?? [0x4000, 0x1_0000];
    const { space } = this;
    const view = new DataView(space.buffer);
    view.setUint16(PCI_HEADER.VENDOR_ID, options.vendor ?? VIRTIO_PCI_ID.VENDOR, true);
    view.setUint16(PCI_HEADER.DEVICE_ID, options.id ?? VIRTIO_PCI_ID.DEVICE_ID_BASE + device.deviceId, true);
    view.setUint16(PCI_HEADER.STATUS, PCI_STATUS.CAPABILITIES_LIST, true);
    space[8] = options.revision ?? 1;
    this.bars.forEach((size, bar) => {
      if (size > 0) view.setUint32(PCI_HEADER.BASE_ADDRESS + 4 * bar, 0xe000_0000 + bar * 0x10_0000, true);
    });
    let link: number = PCI_HEADER.CAPABILITIES_POINTER;
    let at: number = PCI_HEADER.HEADER_END;
    const place = (bytes: number): DataView => {
      space[link] = at;
      link = at + 1;
      const part = new DataView(space.buffer, at, bytes);
      at += Math.ceil(bytes / 4) * 4;
      return part;
    };
    for (const capability of options.capabilities ?? GOOD_CAPABILITIES) {
      const part = place(20);
      part.setUint8(0, capability.id ?? PCI_CAP_ID_VNDR);
      part.setUint8(2, capability.capLen ?? (capability.extra === undefined ? 16 : 20));
      part.setUint8(3, capability.cfgType);
      part.setUint8(4, capability.bar ?? 0);
      part.setUint32(8, capability.offset ?? 0, true);
      part.setUint32(12, capability.length ?? 0, true);
      part.setUint32(16, capability.extra ?? 0, true);
    }
    const vectors = options.vectors ?? 0;
    if (vectors > 0) {
      const part = place(PCI_MSIX.SIZE);
      part.setUint8(0, PCI_CAP_ID.MSI_X);
      part.setUint16(PCI_MSIX.MESSAGE_CONTROL, vectors - 1, true);
      part.setUint32(PCI_MSIX.TABLE, options.table ?? 1, true);
      part.setUint32(PCI_MSIX.PBA, 0x8001, true);
    }
    space[link] = options.lastNext ?? 0;
  }

  configRead(offset: number, size: number): number {
    const value = readBytes(this.space, offset, size);
    this.device.log.push({ op: 'r', name: `pci+${offset.toString(16)}`, bytes: size, value });
    return value;
  }

  configWrite(offset: number, size: number, value: number): void {
    this.device.log.push({ op: 'w', name: `pci+${offset.toString(16)}`, bytes: size, value });
    const bar = (offset - PCI_HEADER.BASE_ADDRESS) / 4;
    const length = this.bars[bar];
    // Address bits below the size read 0; registers that are not there read 0 altogether.
    const kept = bar >= 0 && bar < 6 ? (length ? value & ~(length - 1) : 0) : value;
    for (let i = 0; i < size; i++) this.space[offset + i] = (kept >>> (8 * i)) & 0xff;
  }

  barRead(bar: number, offset: number, size: number): number {
    const [name, value] = this.readStructure(bar, offset, size);
    this.device.log.push({ op: 'r', name, bytes: size, value });
    return value;
  }

  barWrite(bar: number, offset: number, size: number, value: number): void {
    if (offset % size !== 0 || offset + size > (this.bars[bar] ?? 0)) throw new Error(`write at ${bar}+${offset}`);
    if (bar === 1) {
      this.device.log.push({ op: 'w', name: 'table', bytes: size, value });
      this.table[offset >> 2] = value;
    } else if (offset >= PCI_PLACE.notify) {
      this.device.log.push({ op: 'w', name: `notify+${offset - PCI_PLACE.notify}`, bytes: size, value });
    } else this.writeCommon(offset, size, value);
  }

  private readStructure(bar: number, offset: number, size: number): [string, number] {
    if (offset % size !== 0 || offset + size > (this.bars[bar] ?? 0)) throw new Error(`read at ${bar}+${offset}`);
    if (bar === 1) return ['table', this.table[offset >> 2]!];
    if (offset >= PCI_PLACE.device) return ['config', readBytes(this.device.config, offset - PCI_PLACE.device, size)];
    if (offset >= PCI_PLACE.isr) {
      const { cause } = this.device;
      this.device.cause = 0;
      return ['isr', cause];
    }
    const [name, row] = fieldAt(offset);
    if (row.at !== offset || row.bytes !== size) throw new Error(`read of ${size} bytes at common+${offset}`);
    return [name, this.device.read(name as Field)];
  }

  private writeCommon(offset: number, size: number, value: number): void {
    const [name, row] = fieldAt(offset);
    const half = (offset - row.at) / 4;
    const width = row.bytes === 8 ? 4 : row.bytes;
    if (size !== width || row.access === 'ro' || (half !== 0 && half !== 1))
      throw new Error(`write of ${size} bytes at common+${offset}`);
    this.device.log.push({ op: 'w', name, bytes: size, value });
    if (name === 'queue_desc' || name === 'queue_driver' || name === 'queue_device')
      this.device.writeAddress(name.slice(6) as 'desc', half, value);
    else this.device.write(name as Field, value);
  }
}

function fieldAt(offset: number): [string, { at: number; bytes: number; access: string }] {
  const entry = Object.entries(COMMON_CFG).find(([, { at, bytes }]) => offset >= at && offset < at + bytes);
  if (entry === undefined) throw new Error(`access at offset ${offset}, where nothing is`);
  return entry;
}

/** The address, its high half and data of one entry of the MSI-X table, and its mask bit. */
export const msixEntry = (pci: ScriptedPci, vector: number): number[] =>
  Array.from(pci.table.subarray((vector * PCI_MSIX_ENTRY.SIZE) >> 2, ((vector + 1) * PCI_MSIX_ENTRY.SIZE) >> 2));
