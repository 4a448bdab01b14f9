import { PCI_EXT_CAP_ID } from './capability-ids.js';
import { PCI_ACS, PCI_AER, PCI_ARI, PCI_ATS, PCI_DSN, PCI_SRIOV, PCI_SRIOV_CONTROL } from './capability-layouts.js';
import { PCI_TYPE0 } from './config-header.js';
import type { ConfigReader } from './config-reader.js';
import { type BarReport, decodeBars } from './decode-header.js';

/** What a capability from 0x100 on says. `other`: nothing here knows more of it than its id. */
export type ExtendedDetails =
  | SriovDetails
  | AerDetails
  | { readonly kind: 'serial-number'; readonly serial: bigint }
  | { readonly kind: 'acs'; readonly capability: number; readonly control: number }
  | { readonly kind: 'ari'; readonly nextFunction: number; readonly control: number }
  | { readonly kind: 'ats'; readonly invalidateQueueDepth: number; readonly enabled: boolean }
  | { readonly kind: 'other' };

/** The SR-IOV capability, decoded (PCIe 5.0 §9.3.3). */
export interface SriovDetails {
  readonly kind: 'sr-iov';
  readonly enabled: boolean;
  readonly memorySpace: boolean;
  readonly ariHierarchy: boolean;
  readonly initialVfs: number;
  readonly totalVfs: number;
  readonly numVfs: number;
  readonly firstVfOffset: number;
  readonly vfStride: number;
  readonly vfDeviceId: number;
  readonly supportedPageSizes: number;
  readonly systemPageSize: number;
  readonly vfBars: readonly BarReport[];
}

/** Status, masks and severities of Advanced Error Reporting (PCIe 5.0 §7.8.4). */
export interface AerDetails {
  readonly kind: 'aer';
  readonly uncorrectableStatus: number;
  readonly uncorrectableMask: number;
  readonly uncorrectableSeverity: number;
  readonly correctableStatus: number;
  readonly correctableMask: number;
}

/** Bytes that the fields below need, by id. */
const SIZES: Readonly<Record<number, number>> = {
  [PCI_EXT_CAP_ID.ADVANCED_ERROR_REPORTING]: PCI_AER.TLP_PREFIX_LOG,
  [PCI_EXT_CAP_ID.DEVICE_SERIAL_NUMBER]: PCI_DSN.SIZE,
  [PCI_EXT_CAP_ID.ACS]: PCI_ACS.SIZE,
  [PCI_EXT_CAP_ID.ARI]: PCI_ARI.SIZE,
  [PCI_EXT_CAP_ID.ATS]: PCI_ATS.SIZE,
  [PCI_EXT_CAP_ID.SR_IOV]: PCI_SRIOV.SIZE,
};

/** @returns undefined when the capability goes past the end of what there is */
export function decodeExtended(space: ConfigReader, id: number, at: number): ExtendedDetails | undefined {
  if (!space.has(at, SIZES[id] ?? 4)) return undefined;
  switch (id) {
    case PCI_EXT_CAP_ID.ADVANCED_ERROR_REPORTING:
      return {
        kind: 'aer',
        uncorrectableStatus: space.u32(at + PCI_AER.UNCORRECTABLE_STATUS),
        uncorrectableMask: space.u32(at + PCI_AER.UNCORRECTABLE_MASK),
        uncorrectableSeverity: space.u32(at + PCI_AER.UNCORRECTABLE_SEVERITY),
        correctableStatus: space.u32(at + PCI_AER.CORRECTABLE_STATUS),
        correctableMask: space.u32(at + PCI_AER.CORRECTABLE_MASK),
      };
    case PCI_EXT_CAP_ID.DEVICE_SERIAL_NUMBER:
      return { kind: 'serial-number', serial: space.u64(at + PCI_DSN.SERIAL_NUMBER_LOW) };
    case PCI_EXT_CAP_ID.ACS:
      return { kind: 'acs', capability: space.u16(at + PCI_ACS.CAPABILITY), control: space.u16(at + PCI_ACS.CONTROL) };
    case PCI_EXT_CAP_ID.ARI:
      return {
        kind: 'ari',
        nextFunction: space.u8(at + PCI_ARI.NEXT_FUNCTION),
        control: space.u16(at + PCI_ARI.CONTROL),
      };
    case PCI_EXT_CAP_ID.ATS:
      // PCIe 5.0 §10.5.1.2: a depth of 32 is written as 0.
      return {
        kind: 'ats',
        invalidateQueueDepth: space.u16(at + PCI_ATS.CAPABILITY) & 0x1f || 32,
        enabled: (space.u16(at + PCI_ATS.CONTROL) & 0x8000) !== 0,
      };
    case PCI_EXT_CAP_ID.SR_IOV:
      return decodeSriov(space, at);
    default:
      return { kind: 'other' };
  }
}

function decodeSriov(space: ConfigReader, at: number): SriovDetails {
  const control = space.u16(at + PCI_SRIOV.CONTROL);
  return {
    kind: 'sr-iov',
    enabled: (control & PCI_SRIOV_CONTROL.VF_ENABLE) !== 0,
    memorySpace: (control & PCI_SRIOV_CONTROL.VF_MSE) !== 0,
    ariHierarchy: (control & PCI_SRIOV_CONTROL.ARI_CAPABLE_HIERARCHY) !== 0,
    initialVfs: space.u16(at + PCI_SRIOV.INITIAL_VFS),
    totalVfs: space.u16(at + PCI_SRIOV.TOTAL_VFS),
    numVfs: space.u16(at + PCI_SRIOV.NUM_VFS),
    firstVfOffset: space.u16(at + PCI_SRIOV.FIRST_VF_OFFSET),
    vfStride: space.u16(at + PCI_SRIOV.VF_STRIDE),
    vfDeviceId: space.u16(at + PCI_SRIOV.VF_DEVICE_ID),
    supportedPageSizes: space.u32(at + PCI_SRIOV.SUPPORTED_PAGE_SIZES),
    systemPageSize: space.u32(at + PCI_SRIOV.SYSTEM_PAGE_SIZE),
    vfBars: decodeBars(space, at + PCI_SRIOV.VF_BARS, PCI_TYPE0.BARS),
  };
}
