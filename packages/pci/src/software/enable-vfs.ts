import { VirtioError } from '@ringwire/virtio-spec';
import { PCI_SRIOV, PCI_SRIOV_CONTROL } from '../capability-layouts.js';
import type { ConfigAccess } from './config-access.js';
import type { FoundFunction } from './scan-buses.js';

const { VF_ENABLE, VF_MSE } = PCI_SRIOV_CONTROL;

/**
 * Switch virtual functions on, as writing to `sriov_numvfs` does. They were off.
 * @param pf found by `scanBuses`, and placed
 * @returns the functions that are to be there, with their shares of the VF BARs
 * @throws VirtioError for a function without SR-IOV, or a count that it does not have
 */
export function enableVfs(access: ConfigAccess, pf: FoundFunction, count: number): FoundFunction[] {
  const { routingId: physicalId, sriov } = pf;
  if (sriov === undefined) throw new VirtioError('routingId', physicalId, 'a function with SR-IOV', 'PCIe 5.0 §9.3.3');
  if (!Number.isInteger(count) || count < 1 || count > sriov.totalVfs)
    throw new VirtioError('NumVFs', count, `1 to ${sriov.totalVfs}`, 'PCIe 5.0 §9.3.3.7');
  const { at, bars, vfDeviceId } = sriov;
  access.configWrite(physicalId, at + PCI_SRIOV.NUM_VFS, 2, count);
  // NumVFs may change them.
  const first = access.configRead(physicalId, at + PCI_SRIOV.FIRST_VF_OFFSET, 2);
  const stride = access.configRead(physicalId, at + PCI_SRIOV.VF_STRIDE, 2);
  const control = access.configRead(physicalId, at + PCI_SRIOV.CONTROL, 2);
  access.configWrite(physicalId, at + PCI_SRIOV.CONTROL, 2, control | VF_ENABLE | VF_MSE);
  return Array.from({ length: count }, (_, index) => ({
    routingId: physicalId + first + index * stride,
    vendorId: pf.vendorId,
    deviceId: vfDeviceId,
    isBridge: false,
    ...(pf.above === undefined ? {} : { above: pf.above }),
    physicalId,
    bars: bars.map((bar) => ({ ...bar, address: bar.address + index * bar.size })),
  }));
}

/** Switch them off again. */
export function disableVfs(access: ConfigAccess, { routingId, sriov }: FoundFunction): void {
  if (sriov === undefined) return;
  const control = access.configRead(routingId, sriov.at + PCI_SRIOV.CONTROL, 2);
  access.configWrite(routingId, sriov.at + PCI_SRIOV.CONTROL, 2, control & ~(VF_ENABLE | VF_MSE));
  access.configWrite(routingId, sriov.at + PCI_SRIOV.NUM_VFS, 2, 0);
}
