import {
  PCI_CAP_ID,
  PCI_HEADER,
  PCI_MSIX,
  PCI_MSIX_CONTROL,
  PCI_MSIX_ENTRY,
  PCI_MSIX_PLACE,
  PCI_STATUS,
} from '@ringwire/pci';
import {
  COMMON_CFG,
  PCI_CAP_ID_VNDR,
  VIRTIO_PCI_BAR_MAX,
  VIRTIO_PCI_CAP,
  VIRTIO_PCI_CFG_TYPE,
  VIRTIO_PCI_NOTIFY_CAP,
} from '@ringwire/virtio-spec/transport';
import type { PciAccess } from './access.js';
import { barSizes } from './pci-bars.js';

/** Conventional configuration space. */
const CONFIG_BYTES = 0x100;

/** A structure of the device in one of its BARs, known to lie inside it. */
export interface PciWindow {
  readonly bar: number;
  readonly offset: number;
  readonly length: number;
}

export interface PciMsix {
  /** Where the capability lies in configuration space. */
  readonly at: number;
  /** Vectors, 1 … 2048. */
  readonly vectors: number;
  readonly table: PciWindow;
}

/** What a function's capabilities point at: of each type the first one that can be used. */
export interface PciCapabilities {
  common: PciWindow | undefined;
  notify: PciWindow | undefined;
  notifyOffMultiplier: number;
  isr: PciWindow | undefined;
  device: PciWindow | undefined;
  msix: PciMsix | undefined;
}

/** Capabilities are at least 4 bytes apart, so a list of more of them has a loop. */
const CAPABILITIES_MAX = (CONFIG_BYTES - PCI_HEADER.HEADER_END) / 4;
/** Common configuration up to queue_device, which every modern device has. */
const COMMON_MIN = COMMON_CFG.queue_device.at + COMMON_CFG.queue_device.bytes;

/**
 * Walk the list of capabilities. What cannot be used is skipped: a reserved type or BAR, a length that is too small or
 * a place past the end of its BAR. Lengths above what is known are fine.
 * @see virtio 1.4 §4.1.4
 */
export function findCapabilities(access: PciAccess): PciCapabilities {
  const found: PciCapabilities = {
    common: undefined,
    notify: undefined,
    notifyOffMultiplier: 0,
    isr: undefined,
    device: undefined,
    msix: undefined,
  };
  if ((access.configRead(PCI_HEADER.STATUS, 2) & PCI_STATUS.CAPABILITIES_LIST) === 0) return found;
  const sizes = barSizes(access);
  let at = access.configRead(PCI_HEADER.CAPABILITIES_POINTER, 1) & 0xfc;
  for (let left = CAPABILITIES_MAX; left > 0 && at >= PCI_HEADER.HEADER_END; left--) {
    const id = access.configRead(at, 1);
    if (id === PCI_CAP_ID_VNDR) takeVirtio(access, at, sizes, found);
    else if (id === PCI_CAP_ID.MSI_X) found.msix ??= msixAt(access, at, sizes);
    at = access.configRead(at + 1, 1) & 0xfc;
  }
  return found;
}

function takeVirtio(access: PciAccess, at: number, sizes: readonly number[], found: PciCapabilities): void {
  // Of other types, vendor data among them, not even the place is looked at: their fields may be others.
  switch (access.configRead(at + VIRTIO_PCI_CAP.cfg_type, 1)) {
    case VIRTIO_PCI_CFG_TYPE.COMMON_CFG:
      found.common ??= windowAt(access, at, sizes, COMMON_MIN, 4);
      break;
    case VIRTIO_PCI_CFG_TYPE.ISR_CFG:
      found.isr ??= windowAt(access, at, sizes, 1, 1);
      break;
    case VIRTIO_PCI_CFG_TYPE.DEVICE_CFG:
      found.device ??= windowAt(access, at, sizes, 1, 4);
      break;
    case VIRTIO_PCI_CFG_TYPE.NOTIFY_CFG:
      if (found.notify !== undefined || access.configRead(at + VIRTIO_PCI_CAP.cap_len, 1) < VIRTIO_PCI_NOTIFY_CAP.SIZE)
        return;
      found.notify = windowAt(access, at, sizes, 2, 2);
      found.notifyOffMultiplier = access.configRead(at + VIRTIO_PCI_NOTIFY_CAP.notify_off_multiplier, 4);
      break;
  }
}

/** @returns undefined unless `bytes` and more lie inside a BAR, from a multiple of `align` on */
function windowAt(
  access: PciAccess,
  at: number,
  sizes: readonly number[],
  bytes: number,
  align: number,
): PciWindow | undefined {
  const capLen = access.configRead(at + VIRTIO_PCI_CAP.cap_len, 1);
  if (capLen < VIRTIO_PCI_CAP.SIZE || at + capLen > CONFIG_BYTES) return undefined;
  const bar = access.configRead(at + VIRTIO_PCI_CAP.bar, 1);
  const offset = access.configRead(at + VIRTIO_PCI_CAP.offset, 4);
  const length = access.configRead(at + VIRTIO_PCI_CAP.length, 4);
  if (bar > VIRTIO_PCI_BAR_MAX || offset + length > sizes[bar]!) return undefined;
  return length >= bytes && offset % align === 0 ? { bar, offset, length } : undefined;
}

/** @returns undefined for a table that does not lie in its BAR: the interrupt line is left then */
function msixAt(access: PciAccess, at: number, sizes: readonly number[]): PciMsix | undefined {
  if (at + PCI_MSIX.SIZE > CONFIG_BYTES) return undefined;
  const vectors = (access.configRead(at + PCI_MSIX.MESSAGE_CONTROL, 2) & PCI_MSIX_CONTROL.TABLE_SIZE) + 1;
  const table = access.configRead(at + PCI_MSIX.TABLE, 4);
  const bar = table & PCI_MSIX_PLACE.BIR;
  const offset = (table & ~PCI_MSIX_PLACE.BIR) >>> 0;
  const length = vectors * PCI_MSIX_ENTRY.SIZE;
  if (bar > VIRTIO_PCI_BAR_MAX || offset + length > sizes[bar]!) return undefined;
  return { at, vectors, table: { bar, offset, length } };
}
