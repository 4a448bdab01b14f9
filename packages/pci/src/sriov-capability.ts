import { VirtioError } from '@ringwire/virtio-spec';
import { type Bar, type BarOptions, barsOf } from './bars.js';
import type { Capability, CapabilityHooks } from './capability.js';
import { PCI_EXT_CAP_ID } from './capability-ids.js';
import { PCI_SRIOV, PCI_SRIOV_CONTROL } from './capability-layouts.js';
import { RegisterBlock } from './register-block.js';

/** A VF BAR: memory, and the bytes of each virtual function in it. What is behind it the functions say themselves. */
export type VfBarOptions = Pick<BarOptions, 'index' | 'size' | 'prefetchable'> & {
  readonly space: 'memory32' | 'memory64';
};

/** Where virtual functions are: the n-th, from 0 on, has the physical one's routing id plus `first` plus n times `stride`. */
export interface VfRouting {
  readonly first: number;
  readonly stride: number;
}

/** What a physical function's SR-IOV capability says (PCIe 5.0 §9.3.3). */
export interface SriovOptions {
  /** 1 to 65535. */
  readonly totalVfs: number;
  readonly vfDeviceId: number;
  /** With ARI Capable Hierarchy set. */
  readonly routing: VfRouting;
  /** Without; the same unless given. On a link without ARI, functions are reached at device 0 and on further buses. */
  readonly plainRouting?: VfRouting;
  readonly vfBars: readonly VfBarOptions[];
  /** Bit n: pages of 2^(12+n) bytes. Those that every device has to support unless given. */
  readonly supportedPageSizes?: number;
}

/** PCIe 5.0 §9.3.3.12: 4, 8, 64 and 256 KiB, 1 and 4 MiB. */
const PAGE_SIZES = 0x553;
const PAGE_4K = 1;
const HERE = 'PCIe 5.0 §9.3.3';

/** What the registers of an SR-IOV capability are made of. */
export interface SriovParts {
  readonly capability: Capability;
  /** By index, as the options say them: a system page size may make each longer. */
  readonly bars: readonly (Bar | undefined)[];
}

/**
 * Registers of the SR-IOV capability (PCIe 5.0 §9.3.3). InitialVFs is TotalVFs, for migration is not offered; each
 * physical function depends on itself alone.
 * @throws VirtioError for functions that no routing id can have, and BARs that cannot be
 */
export function sriovRegisters(options: SriovOptions, hooks: CapabilityHooks): SriovParts {
  const { totalVfs, vfDeviceId, routing, plainRouting = routing, supportedPageSizes = PAGE_SIZES } = options;
  check('totalVfs', totalVfs, 1, 0xffff);
  check('vfDeviceId', vfDeviceId, 0, 0xffff);
  for (const { first, stride } of [routing, plainRouting]) {
    check('First VF Offset', first, 1, 0xffff);
    check('VF Stride', stride, totalVfs === 1 ? 0 : 1, 0xffff);
    check('routing id of the last VF, from the PF', first + stride * (totalVfs - 1), 1, 0xffff);
  }
  check('supportedPageSizes', supportedPageSizes & PAGE_SIZES, PAGE_SIZES, PAGE_SIZES);
  const registers = new RegisterBlock(PCI_SRIOV.SIZE);
  const { VF_ENABLE, VF_MSE, ARI_CAPABLE_HIERARCHY } = PCI_SRIOV_CONTROL;
  registers.define(PCI_SRIOV.CONTROL, 2, 0, { rw: VF_ENABLE | VF_MSE | ARI_CAPABLE_HIERARCHY });
  registers.define(PCI_SRIOV.INITIAL_VFS, 2, totalVfs);
  registers.define(PCI_SRIOV.TOTAL_VFS, 2, totalVfs);
  registers.define(PCI_SRIOV.NUM_VFS, 2, 0, { rw: 0xffff });
  registers.define(PCI_SRIOV.FIRST_VF_OFFSET, 2, plainRouting.first);
  registers.define(PCI_SRIOV.VF_STRIDE, 2, plainRouting.stride);
  registers.define(PCI_SRIOV.VF_DEVICE_ID, 2, vfDeviceId);
  registers.define(PCI_SRIOV.SUPPORTED_PAGE_SIZES, 4, supportedPageSizes);
  registers.define(PCI_SRIOV.SYSTEM_PAGE_SIZE, 4, PAGE_4K, { rw: supportedPageSizes });
  const bars = barsOf(options.vfBars.map((bar) => ({ ...bar, regions: [] })));
  for (const bar of bars) bar?.define(registers, PCI_SRIOV.VF_BARS);
  return { capability: { id: PCI_EXT_CAP_ID.SR_IOV, version: 1, registers, hooks }, bars };
}

function check(field: string, value: number, least: number, most: number): void {
  if (!Number.isInteger(value) || value < least || value > most)
    throw new VirtioError(field, value, least === most ? `all of ${least}` : `${least} to ${most}`, HERE);
}
