import { VIRTIO_PCI_ID, VIRTIO_PCI_TRANSITIONAL_ID } from '@ringwire/virtio-spec';
import {
  VIRTIO_PCI_CAP,
  VIRTIO_PCI_CAP64,
  VIRTIO_PCI_CFG_TYPE,
  VIRTIO_PCI_NOTIFY_CAP,
} from '@ringwire/virtio-spec/transport';
import { nameOf, PCI_CAP_ID } from './capability-ids.js';
import {
  PCI_EXP,
  PCI_EXP_CAPABILITIES,
  PCI_EXP_DEVICE_CAPABILITIES,
  PCI_EXP_DEVICE_CONTROL,
  PCI_EXP_LINK,
  PCI_EXP_TYPE,
  PCI_MSI,
  PCI_MSI_CONTROL,
  PCI_MSIX,
  PCI_MSIX_CONTROL,
  PCI_MSIX_PLACE,
  PCI_PM,
  PCI_PMC,
  PCI_PMCSR,
} from './capability-layouts.js';
import type { ConfigReader } from './config-reader.js';
import type { HeaderReport } from './decode-header.js';
import type { BarPlace } from './msix-capability.js';

/** What a capability below 0x100 says. `other`: nothing here knows more of it than its id. */
export type CapabilityDetails =
  | PowerDetails
  | MsiDetails
  | MsixDetails
  | ExpressDetails
  | VirtioDetails
  | { readonly kind: 'vendor-specific'; readonly length: number }
  | { readonly kind: 'bridge-subsystem'; readonly vendorId: number; readonly id: number }
  | { readonly kind: 'other' };

/** The Power Management capability, decoded (PCIe 5.0 §7.5.2). */
export interface PowerDetails {
  readonly kind: 'power-management';
  readonly version: number;
  /** 0 to 3: D0 to D3hot. */
  readonly state: number;
  readonly noSoftReset: boolean;
}

/** The MSI capability, decoded (PCIe 5.0 §7.7.1). */
export interface MsiDetails {
  readonly kind: 'msi';
  readonly enabled: boolean;
  /** Vectors that the function asks for, and those that it was given. */
  readonly capable: number;
  readonly allocated: number;
  readonly address64: boolean;
  readonly maskable: boolean;
}

/** The MSI-X capability, decoded (PCIe 5.0 §7.7.2). */
export interface MsixDetails {
  readonly kind: 'msi-x';
  readonly enabled: boolean;
  readonly masked: boolean;
  readonly vectors: number;
  readonly table: BarPlace;
  readonly pba: BarPlace;
}

/** Speed codes: 1 is 2.5 GT/s, 2 is 5, and so on. */
export interface LinkDetails {
  readonly speed: number;
  readonly width: number;
}

/** The PCI Express capability, decoded (PCIe 5.0 §7.5.3). */
export interface ExpressDetails {
  readonly kind: 'pci-express';
  readonly version: number;
  /** A `PCI_EXP_TYPE`, and its name. */
  readonly type: number;
  readonly typeName: string;
  readonly slot: boolean;
  readonly interruptMessage: number;
  /** Bytes: what the function can do, what it was set to, and the largest read request. */
  readonly maxPayloadSupported: number;
  readonly maxPayload: number;
  readonly maxReadRequest: number;
  readonly functionLevelReset: boolean;
  /** What the link can be, and what it is; undefined for what is integrated into the root complex and has none. */
  readonly link: { readonly most: LinkDetails; readonly now: LinkDetails } | undefined;
}

/** A virtio capability, decoded (virtio 1.4 §4.1.4). */
export interface VirtioDetails {
  readonly kind: 'virtio';
  /** A `VIRTIO_PCI_CFG_TYPE`, and its name, or undefined for a reserved one. */
  readonly cfgType: number;
  readonly cfgName: keyof typeof VIRTIO_PCI_CFG_TYPE | undefined;
  readonly bar: number;
  readonly id: number;
  readonly offset: bigint;
  readonly length: bigint;
  /** Of NOTIFY_CFG. */
  readonly notifyOffMultiplier: number | undefined;
}

/** Bytes that the fields below need, by id. */
const SIZES: Readonly<Record<number, number>> = {
  [PCI_CAP_ID.POWER_MANAGEMENT]: PCI_PM.SIZE,
  [PCI_CAP_ID.MSI]: PCI_MSI.MESSAGE_ADDRESS,
  [PCI_CAP_ID.MSI_X]: PCI_MSIX.SIZE,
  [PCI_CAP_ID.PCI_EXPRESS]: PCI_EXP.LINK_STATUS + 2,
  [PCI_CAP_ID.VENDOR_SPECIFIC]: VIRTIO_PCI_CAP.cap_len + 1,
  [PCI_CAP_ID.BRIDGE_SUBSYSTEM_VENDOR_ID]: 8,
};

/** @returns undefined when the capability goes past the end of what there is */
export function decodeCapability(
  space: ConfigReader,
  header: HeaderReport,
  id: number,
  at: number,
): CapabilityDetails | undefined {
  if (!space.has(at, SIZES[id] ?? 2)) return undefined;
  switch (id) {
    case PCI_CAP_ID.POWER_MANAGEMENT:
      return decodePower(space, at);
    case PCI_CAP_ID.MSI:
      return decodeMsi(space.u16(at + PCI_MSI.MESSAGE_CONTROL));
    case PCI_CAP_ID.MSI_X:
      return decodeMsix(space, at);
    case PCI_CAP_ID.PCI_EXPRESS:
      return decodeExpress(space, at);
    case PCI_CAP_ID.BRIDGE_SUBSYSTEM_VENDOR_ID:
      return { kind: 'bridge-subsystem', vendorId: space.u16(at + 4), id: space.u16(at + 6) };
    case PCI_CAP_ID.VENDOR_SPECIFIC:
      return decodeVendor(space, header, at);
    default:
      return { kind: 'other' };
  }
}

function decodePower(space: ConfigReader, at: number): PowerDetails {
  const pmcsr = space.u16(at + PCI_PM.PMCSR);
  return {
    kind: 'power-management',
    version: space.u16(at + PCI_PM.PMC) & PCI_PMC.VERSION,
    state: pmcsr & PCI_PMCSR.POWER_STATE,
    noSoftReset: (pmcsr & PCI_PMCSR.NO_SOFT_RESET) !== 0,
  };
}

function decodeMsi(control: number): MsiDetails {
  const { ENABLE, MULTIPLE_MESSAGE_CAPABLE, MULTIPLE_MESSAGE_ENABLE } = PCI_MSI_CONTROL;
  return {
    kind: 'msi',
    enabled: (control & ENABLE) !== 0,
    capable: 1 << ((control & MULTIPLE_MESSAGE_CAPABLE) >> 1),
    allocated: 1 << ((control & MULTIPLE_MESSAGE_ENABLE) >> 4),
    address64: (control & PCI_MSI_CONTROL.ADDRESS_64) !== 0,
    maskable: (control & PCI_MSI_CONTROL.PER_VECTOR_MASKING) !== 0,
  };
}

function decodeMsix(space: ConfigReader, at: number): MsixDetails {
  const control = space.u16(at + PCI_MSIX.MESSAGE_CONTROL);
  const place = (register: number): BarPlace => ({
    bar: register & PCI_MSIX_PLACE.BIR,
    offset: (register & PCI_MSIX_PLACE.OFFSET) >>> 0,
  });
  return {
    kind: 'msi-x',
    enabled: (control & PCI_MSIX_CONTROL.ENABLE) !== 0,
    masked: (control & PCI_MSIX_CONTROL.FUNCTION_MASK) !== 0,
    vectors: (control & PCI_MSIX_CONTROL.TABLE_SIZE) + 1,
    table: place(space.u32(at + PCI_MSIX.TABLE)),
    pba: place(space.u32(at + PCI_MSIX.PBA)),
  };
}

function decodeExpress(space: ConfigReader, at: number): ExpressDetails {
  const capabilities = space.u16(at + PCI_EXP.CAPABILITIES);
  const device = space.u32(at + PCI_EXP.DEVICE_CAPABILITIES);
  const control = space.u16(at + PCI_EXP.DEVICE_CONTROL);
  const type = (capabilities & PCI_EXP_CAPABILITIES.DEVICE_PORT_TYPE) >> 4;
  const linkOf = (register: number): LinkDetails => ({
    speed: register & PCI_EXP_LINK.SPEED,
    width: (register & PCI_EXP_LINK.WIDTH) >> 4,
  });
  const integrated =
    type === PCI_EXP_TYPE.ROOT_COMPLEX_INTEGRATED_ENDPOINT || type === PCI_EXP_TYPE.ROOT_COMPLEX_EVENT_COLLECTOR;
  return {
    kind: 'pci-express',
    version: capabilities & PCI_EXP_CAPABILITIES.VERSION,
    type,
    typeName: nameOf(PCI_EXP_TYPE, type) ?? `${type}`,
    slot: (capabilities & PCI_EXP_CAPABILITIES.SLOT_IMPLEMENTED) !== 0,
    interruptMessage: (capabilities & PCI_EXP_CAPABILITIES.INTERRUPT_MESSAGE_NUMBER) >> 9,
    maxPayloadSupported: 128 << (device & PCI_EXP_DEVICE_CAPABILITIES.MAX_PAYLOAD_SIZE),
    maxPayload: 128 << ((control & PCI_EXP_DEVICE_CONTROL.MAX_PAYLOAD_SIZE) >> 5),
    maxReadRequest: 128 << ((control & PCI_EXP_DEVICE_CONTROL.MAX_READ_REQUEST_SIZE) >> 12),
    functionLevelReset: (device & PCI_EXP_DEVICE_CAPABILITIES.FUNCTION_LEVEL_RESET) !== 0,
    link: integrated
      ? undefined
      : { most: linkOf(space.u32(at + PCI_EXP.LINK_CAPABILITIES)), now: linkOf(space.u16(at + PCI_EXP.LINK_STATUS)) },
  };
}

const isVirtio = ({ vendorId, deviceId }: HeaderReport): boolean =>
  vendorId === VIRTIO_PCI_ID.VENDOR &&
  ((deviceId >= VIRTIO_PCI_ID.DEVICE_ID_BASE && deviceId <= VIRTIO_PCI_ID.DEVICE_ID_LAST) ||
    nameOf(VIRTIO_PCI_TRANSITIONAL_ID, deviceId) !== undefined);

/** virtio 1.4 §4.1.4, and §4.1.4.8 for capabilities of vendors, which share only the first 4 bytes. */
function decodeVendor(space: ConfigReader, header: HeaderReport, at: number): CapabilityDetails | undefined {
  const length = space.u8(at + VIRTIO_PCI_CAP.cap_len);
  const cfgType = space.u8(at + VIRTIO_PCI_CAP.cfg_type);
  const vendors = cfgType === VIRTIO_PCI_CFG_TYPE.VENDOR_CFG;
  if (!isVirtio(header) || vendors || length < VIRTIO_PCI_CAP.SIZE)
    return space.has(at, length) ? { kind: 'vendor-specific', length } : undefined;
  const wide = cfgType === VIRTIO_PCI_CFG_TYPE.SHARED_MEMORY_CFG && length >= VIRTIO_PCI_CAP64.SIZE;
  const notify = cfgType === VIRTIO_PCI_CFG_TYPE.NOTIFY_CFG && length >= VIRTIO_PCI_NOTIFY_CAP.SIZE;
  if (!space.has(at, length)) return undefined;
  const word = (low: number, high: number): bigint =>
    BigInt(space.u32(at + low)) | (wide ? BigInt(space.u32(at + high)) << 32n : 0n);
  return {
    kind: 'virtio',
    cfgType,
    cfgName: nameOf(VIRTIO_PCI_CFG_TYPE, cfgType),
    bar: space.u8(at + VIRTIO_PCI_CAP.bar),
    id: space.u8(at + VIRTIO_PCI_CAP.id),
    offset: word(VIRTIO_PCI_CAP.offset, VIRTIO_PCI_CAP64.offset_hi),
    length: word(VIRTIO_PCI_CAP.length, VIRTIO_PCI_CAP64.length_hi),
    notifyOffMultiplier: notify ? space.u32(at + VIRTIO_PCI_NOTIFY_CAP.notify_off_multiplier) : undefined,
  };
}
