import { type Capability, type PciFunction, vendorSpecific } from '@ringwire/pci';
import { VIRTIO_PCI_ID, VirtioError } from '@ringwire/virtio-spec';
import {
  VIRTIO_PCI_BAR_MAX,
  VIRTIO_PCI_CAP,
  VIRTIO_PCI_CAP64,
  VIRTIO_PCI_CFG_CAP,
  VIRTIO_PCI_CFG_TYPE,
  VIRTIO_PCI_NOTIFY_CAP,
  VIRTIO_PCI_VNDR_DATA,
} from '@ringwire/virtio-spec/transport';
import type { PciLayout, Place } from './pci-layout.js';

/** Bytes for people and tools, in a format that the vendor defines. @see virtio 1.4 §4.1.4.8 */
export interface VendorData {
  /** Whose format it is; not virtio's own 0x1af4. */
  readonly vendorId: number;
  readonly bytes: Uint8Array;
}

const TYPE = VIRTIO_PCI_CFG_TYPE;
const NOWHERE: Place = { bar: 0, offset: 0, length: 0 };
const DATA = VIRTIO_PCI_CFG_CAP.pci_cfg_data;

/**
 * The vendor-specific capabilities that say where a driver finds each structure. @see virtio 1.4 §4.1.4
 * @param multiplier notify_off_multiplier
 * @param hasConfig whether the type has a configuration of its own
 */
export function virtioCapabilities(
  layout: PciLayout,
  multiplier: number,
  hasConfig: boolean,
  vendorData: readonly VendorData[],
): Capability[] {
  const notify = structure(TYPE.NOTIFY_CFG, layout.notify, VIRTIO_PCI_NOTIFY_CAP.SIZE);
  new DataView(notify.buffer).setUint32(VIRTIO_PCI_NOTIFY_CAP.notify_off_multiplier, multiplier, true);
  const capabilities = [
    vendorSpecific(structure(TYPE.COMMON_CFG, layout.common)),
    vendorSpecific(notify),
    vendorSpecific(structure(TYPE.ISR_CFG, layout.isr)),
  ];
  if (hasConfig) capabilities.push(vendorSpecific(structure(TYPE.DEVICE_CFG, layout.config)));
  for (const { place, region } of layout.shared) {
    const shared = structure(TYPE.SHARED_MEMORY_CFG, place, VIRTIO_PCI_CAP64.SIZE);
    shared[VIRTIO_PCI_CAP.id] = region.id;
    capabilities.push(vendorSpecific(shared));
  }
  return [...capabilities, configAccess(), ...vendorData.map(vendorCapability)];
}

/** struct virtio_pci_vndr_data, padded to words. */
function vendorCapability({ vendorId, bytes: data }: VendorData): Capability {
  if (!Number.isInteger(vendorId) || vendorId < 0 || vendorId > 0xffff || vendorId === VIRTIO_PCI_ID.VENDOR)
    throw new VirtioError('vendor_id', vendorId, '16 bits, and not 0x1af4', 'virtio 1.4 §4.1.4.8.1');
  const size = Math.ceil((VIRTIO_PCI_VNDR_DATA.SIZE + data.length) / 4) * 4;
  const bytes = new Uint8Array(size);
  bytes[VIRTIO_PCI_CAP.cap_len] = size;
  bytes[VIRTIO_PCI_CAP.cfg_type] = TYPE.VENDOR_CFG;
  new DataView(bytes.buffer).setUint16(VIRTIO_PCI_VNDR_DATA.vendor_id, vendorId, true);
  bytes.set(data, VIRTIO_PCI_VNDR_DATA.SIZE);
  return vendorSpecific(bytes);
}

/** struct virtio_pci_cap, with zeros behind it up to `size`. Offsets and lengths are below 2^32 here. */
function structure(type: number, { bar, offset, length }: Place, size: number = VIRTIO_PCI_CAP.SIZE): Uint8Array {
  const bytes = new Uint8Array(size);
  bytes[VIRTIO_PCI_CAP.cap_len] = size;
  bytes[VIRTIO_PCI_CAP.cfg_type] = type;
  bytes[VIRTIO_PCI_CAP.bar] = bar;
  const view = new DataView(bytes.buffer);
  view.setUint32(VIRTIO_PCI_CAP.offset, offset, true);
  view.setUint32(VIRTIO_PCI_CAP.length, length, true);
  return bytes;
}

/**
 * The window from configuration space into BARs. A read takes effect with the first byte of pci_cfg_data, a write with the
 * last one that counts: an access that arrives byte by byte takes effect once. @see virtio 1.4 §4.1.4.9
 */
function configAccess(): Capability {
  const bytes = structure(TYPE.PCI_CFG, NOWHERE, VIRTIO_PCI_CFG_CAP.SIZE);
  const writable = new Uint8Array(VIRTIO_PCI_CFG_CAP.SIZE);
  writable[VIRTIO_PCI_CAP.bar] = 0xff;
  writable.fill(0xff, VIRTIO_PCI_CAP.offset);
  return vendorSpecific(bytes, {
    writable,
    hooks: {
      beforeRead(pci, own, at, size) {
        if (at > DATA || at + size <= DATA) return;
        const window = windowOf(own);
        const value = window === undefined ? 0 : pci.windowRead(window.bar, window.offset, window.length);
        dataView(own).setUint32(DATA, value, true);
      },
      afterWrite(pci, own, at, size) {
        const window = windowOf(own);
        if (window === undefined) return;
        const last = DATA + window.length - 1;
        if (at <= last && at + size > last) writeWindow(pci, window, dataView(own).getUint32(DATA, true));
      },
    },
  });
}

/** What the registers select, or undefined for what cannot be: no such BAR, width or alignment. */
function windowOf(own: Uint8Array): Place | undefined {
  const view = dataView(own);
  const bar = own[VIRTIO_PCI_CAP.bar]!;
  const offset = view.getUint32(VIRTIO_PCI_CAP.offset, true);
  const length = view.getUint32(VIRTIO_PCI_CAP.length, true);
  const isWidth = length === 1 || length === 2 || length === 4;
  return isWidth && bar <= VIRTIO_PCI_BAR_MAX && offset % length === 0 ? { bar, offset, length } : undefined;
}

function writeWindow(pci: PciFunction, { bar, offset, length }: Place, value: number): void {
  pci.windowWrite(bar, offset, length, length === 4 ? value : value & (2 ** (length * 8) - 1));
}

const dataView = (bytes: Uint8Array): DataView => new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
