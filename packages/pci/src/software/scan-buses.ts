import { PCI_CAP_ID, PCI_EXT_CAP_ID } from '../capability-ids.js';
import {
  PCI_ARI,
  PCI_EXP,
  PCI_EXP_ARI_FORWARDING,
  PCI_EXP_CAPABILITIES,
  PCI_EXP_TYPE,
  PCI_SRIOV,
  PCI_SRIOV_CONTROL,
} from '../capability-layouts.js';
import { PCI_COMMAND, PCI_HEADER, PCI_HEADER_TYPE, PCI_TYPE0, PCI_TYPE1 } from '../config-header.js';
import { type ConfigAccess, findCapability, findExtendedCapability } from './config-access.js';
import { type FoundBar, sizeBars } from './size-bars.js';

/** A function as software found it. */
export interface FoundFunction {
  readonly routingId: number;
  /** Of a virtual function they are those of its physical one and of VF Device ID: its own are not readable. */
  readonly vendorId: number;
  readonly deviceId: number;
  readonly isBridge: boolean;
  /** The port or bridge right above; none on bus 0. */
  readonly above?: number;
  /** Of a virtual function. */
  readonly physicalId?: number;
  readonly bars: readonly FoundBar[];
  /** Of a physical function with SR-IOV. */
  readonly sriov?: FoundSriov;
}

/** The SR-IOV capability of a function that was found (PCIe 5.0 §9.3.3). */
export interface FoundSriov {
  /** Offset of the capability. */
  readonly at: number;
  readonly totalVfs: number;
  readonly vfDeviceId: number;
  readonly bars: readonly FoundBar[];
}

const NOBODY = 0xffff;
const BUS_MAX = 0xff;

/**
 * Find all functions and number all buses, as a kernel does: buses behind a port get the numbers that follow, those that
 * virtual functions will be on included. ARI is switched on where port and device have it. Memory and I/O are not decoded
 * afterwards: `placeBars` goes on.
 */
export function scanBuses(access: ConfigAccess): FoundFunction[] {
  const found: FoundFunction[] = [];
  scanBus(access, 0, undefined, found);
  return found;
}

/** @returns the last bus number that was given */
function scanBus(access: ConfigAccess, bus: number, above: number | undefined, found: FoundFunction[]): number {
  let last = bus;
  const isLink = above !== undefined && leadsToLink(access, above);
  const isAri = isLink && enableAri(access, above, bus << 8);
  const here: FoundFunction[] = [];
  for (let device = 0; device < (isLink ? 1 : 32); device++) {
    const first = (bus << 8) | (device << 3);
    for (const routingId of functionsOf(access, first, isAri)) here.push(look(access, routingId, above, isAri));
  }
  for (const one of here) {
    found.push(one);
    if (one.isBridge && last < BUS_MAX) last = scanBehind(access, one.routingId, last, found);
    if (one.sriov !== undefined) last = Math.max(last, lastVfBus(access, one.routingId, one.sriov));
  }
  return Math.min(last, BUS_MAX);
}

function scanBehind(access: ConfigAccess, routingId: number, last: number, found: FoundFunction[]): number {
  const secondary = last + 1;
  access.configWrite(routingId, PCI_TYPE1.PRIMARY_BUS, 1, routingId >>> 8);
  access.configWrite(routingId, PCI_TYPE1.SECONDARY_BUS, 1, secondary);
  // Everything that follows, until it is known how many there are.
  access.configWrite(routingId, PCI_TYPE1.SUBORDINATE_BUS, 1, BUS_MAX);
  const end = scanBus(access, secondary, routingId, found);
  access.configWrite(routingId, PCI_TYPE1.SUBORDINATE_BUS, 1, end);
  return end;
}

/** Functions of the device whose function 0 has this routing id. */
function functionsOf(access: ConfigAccess, first: number, isAri: boolean): number[] {
  if (access.configRead(first, PCI_HEADER.VENDOR_ID, 2) === NOBODY) return [];
  const found = [first];
  if (isAri) {
    for (
      let next = nextFunction(access, first);
      next > (found.at(-1)! & 0xff);
      next = nextFunction(access, found.at(-1)!)
    )
      found.push((first & 0xff00) | next);
    return found;
  }
  if ((access.configRead(first, PCI_HEADER.HEADER_TYPE, 1) & PCI_HEADER_TYPE.MULTI_FUNCTION) === 0) return found;
  for (let routingId = first + 1; routingId < first + 8; routingId++)
    if (access.configRead(routingId, PCI_HEADER.VENDOR_ID, 2) !== NOBODY) found.push(routingId);
  return found;
}

/** PCIe 5.0 §7.8.7.2: numbers rise, and 0 is the end. */
function nextFunction(access: ConfigAccess, routingId: number): number {
  const at = findExtendedCapability(access, routingId, PCI_EXT_CAP_ID.ARI);
  return at < 0 ? 0 : access.configRead(routingId, at + PCI_ARI.NEXT_FUNCTION, 1);
}

function look(access: ConfigAccess, routingId: number, above: number | undefined, isAri: boolean): FoundFunction {
  const command = access.configRead(routingId, PCI_HEADER.COMMAND, 2);
  const decoding = PCI_COMMAND.IO_SPACE_ENABLE | PCI_COMMAND.MEMORY_SPACE_ENABLE;
  access.configWrite(routingId, PCI_HEADER.COMMAND, 2, command & ~decoding);
  const layout = access.configRead(routingId, PCI_HEADER.HEADER_TYPE, 1) & PCI_HEADER_TYPE.LAYOUT;
  const isBridge = layout === 1;
  const sriov = isBridge ? undefined : lookAtSriov(access, routingId, isAri);
  return {
    routingId,
    vendorId: access.configRead(routingId, PCI_HEADER.VENDOR_ID, 2),
    deviceId: access.configRead(routingId, PCI_HEADER.DEVICE_ID, 2),
    isBridge,
    ...(above === undefined ? {} : { above }),
    bars: sizeBars(access, routingId, PCI_HEADER.BASE_ADDRESS, isBridge ? PCI_TYPE1.BARS : PCI_TYPE0.BARS),
    ...(sriov === undefined ? {} : { sriov }),
  };
}

function lookAtSriov(access: ConfigAccess, routingId: number, isAri: boolean): FoundSriov | undefined {
  const at = findExtendedCapability(access, routingId, PCI_EXT_CAP_ID.SR_IOV);
  if (at < 0) return undefined;
  const ari = isAri ? PCI_SRIOV_CONTROL.ARI_CAPABLE_HIERARCHY : 0;
  access.configWrite(routingId, at + PCI_SRIOV.CONTROL, 2, ari);
  // Pages of 4 KiB: a VF BAR's size depends on them.
  access.configWrite(routingId, at + PCI_SRIOV.SYSTEM_PAGE_SIZE, 4, 1);
  return {
    at,
    totalVfs: access.configRead(routingId, at + PCI_SRIOV.TOTAL_VFS, 2),
    vfDeviceId: access.configRead(routingId, at + PCI_SRIOV.VF_DEVICE_ID, 2),
    bars: sizeBars(access, routingId, at + PCI_SRIOV.VF_BARS, PCI_TYPE0.BARS),
  };
}

function lastVfBus(access: ConfigAccess, routingId: number, { at, totalVfs }: FoundSriov): number {
  access.configWrite(routingId, at + PCI_SRIOV.NUM_VFS, 2, totalVfs);
  const first = access.configRead(routingId, at + PCI_SRIOV.FIRST_VF_OFFSET, 2);
  const stride = access.configRead(routingId, at + PCI_SRIOV.VF_STRIDE, 2);
  access.configWrite(routingId, at + PCI_SRIOV.NUM_VFS, 2, 0);
  return Math.min((routingId + first + stride * (totalVfs - 1)) >>> 8, BUS_MAX);
}

function leadsToLink(access: ConfigAccess, port: number): boolean {
  const at = findCapability(access, port, PCI_CAP_ID.PCI_EXPRESS);
  if (at < 0) return false;
  const type = (access.configRead(port, at + PCI_EXP.CAPABILITIES, 2) & PCI_EXP_CAPABILITIES.DEVICE_PORT_TYPE) >> 4;
  return type === PCI_EXP_TYPE.ROOT_PORT || type === PCI_EXP_TYPE.DOWNSTREAM_PORT;
}

/** @returns whether port and device can, and do now, use all 8 bits for the function */
function enableAri(access: ConfigAccess, port: number, device: number): boolean {
  const at = findCapability(access, port, PCI_CAP_ID.PCI_EXPRESS);
  const can = access.configRead(port, at + PCI_EXP.DEVICE_CAPABILITIES_2, 4) & PCI_EXP_ARI_FORWARDING;
  const isAri = can !== 0 && findExtendedCapability(access, device, PCI_EXT_CAP_ID.ARI) >= 0;
  const control = access.configRead(port, at + PCI_EXP.DEVICE_CONTROL_2, 2) & ~PCI_EXP_ARI_FORWARDING;
  access.configWrite(port, at + PCI_EXP.DEVICE_CONTROL_2, 2, control | (isAri ? PCI_EXP_ARI_FORWARDING : 0));
  return isAri;
}
