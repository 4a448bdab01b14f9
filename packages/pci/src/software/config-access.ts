import { PCI_CAP, PCI_EXT_CAP } from '../capability-layouts.js';
import { PCI_CONFIG_SIZE, PCI_HEADER, PCI_STATUS, PCIE_CONFIG_SIZE } from '../config-header.js';

/** Configuration space as firmware and kernels reach it: by routing id. Where nobody answers it reads as all ones. */
export interface ConfigAccess {
  configRead(routingId: number, offset: number, size: number): number;
  configWrite(routingId: number, offset: number, size: number, value: number): void;
}

/** Capabilities are at least 4 bytes apart, so a list of more of them has a loop. */
const STEP = 4;

/** Offset of the first capability with an id below 0x100, or -1. */
export function findCapability(access: ConfigAccess, routingId: number, id: number): number {
  if ((access.configRead(routingId, PCI_HEADER.STATUS, 2) & PCI_STATUS.CAPABILITIES_LIST) === 0) return -1;
  let at = access.configRead(routingId, PCI_HEADER.CAPABILITIES_POINTER, 1) & 0xfc;
  for (let left = PCI_CONFIG_SIZE / STEP; left > 0 && at >= PCI_HEADER.HEADER_END; left--) {
    if (access.configRead(routingId, at + PCI_CAP.ID, 1) === id) return at;
    at = access.configRead(routingId, at + PCI_CAP.NEXT, 1) & 0xfc;
  }
  return -1;
}

/** Offset of the first capability with an id from 0x100 on, or -1. */
export function findExtendedCapability(access: ConfigAccess, routingId: number, id: number): number {
  let at = PCI_CONFIG_SIZE;
  for (let left = (PCIE_CONFIG_SIZE - PCI_CONFIG_SIZE) / STEP; left > 0 && at >= PCI_CONFIG_SIZE; left--) {
    const header = access.configRead(routingId, at, 4);
    if (header === 0 || header === 0xffff_ffff) return -1;
    if ((header & 0xffff) === id) return at;
    at = (header >>> PCI_EXT_CAP.NEXT_SHIFT) & 0xffc;
  }
  return -1;
}
