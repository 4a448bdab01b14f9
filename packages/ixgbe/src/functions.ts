import { IXGBE_COUNT, IXGBE_DEVICE_ID, IXGBE_VF_BAR } from '@ringwire/nic-spec/ixgbe';
import type { SriovOptions } from '@ringwire/pci';
import type { PhysicalPlace, VirtualPlace } from '@ringwire/sriov-nic';
import { VirtioError } from '@ringwire/virtio-spec';
import type { IxgbeFunctionOptions } from './function-options.js';
import { PhysicalIxgbe } from './pf-function.js';
import { VirtualIxgbe } from './vf-function.js';

/** Routing ids of a port of two: every other one from the 128th on. */
const ROUTING = { first: 0x80, stride: 2 };
const PLAIN_ROUTING = { first: 0x180, stride: 2 };

/**
 * What the SR-IOV capability of the card says, for `SriovNic`.
 * @param totalVfs 1 to 64
 */
export function ixgbeSriov(totalVfs: number = IXGBE_COUNT.TOTAL_VFS): SriovOptions {
  if (!Number.isInteger(totalVfs) || totalVfs < 1 || totalVfs > IXGBE_COUNT.TOTAL_VFS)
    throw new VirtioError('totalVfs', totalVfs, `1 to ${IXGBE_COUNT.TOTAL_VFS}`, '82599 datasheet §7.10');
  return {
    totalVfs,
    vfDeviceId: IXGBE_DEVICE_ID.VF,
    routing: ROUTING,
    plainRouting: PLAIN_ROUTING,
    vfBars: [
      { index: IXGBE_VF_BAR.REGISTERS, space: 'memory64', size: IXGBE_VF_BAR.REGISTERS_BYTES },
      { index: IXGBE_VF_BAR.MSIX, space: 'memory64', size: IXGBE_VF_BAR.MSIX_BYTES },
    ],
  };
}

/** The physical function of the 82599. */
export function ixgbePhysical(place: PhysicalPlace, options: IxgbeFunctionOptions): PhysicalIxgbe {
  return new PhysicalIxgbe(place, options);
}

/** A virtual function of the 82599. */
export function ixgbeVirtual(place: VirtualPlace, options: IxgbeFunctionOptions): VirtualIxgbe {
  return new VirtualIxgbe(place, options);
}
