import { VENDOR_B_BAR, VENDOR_B_CLASS_CODE, VENDOR_B_COUNT, VENDOR_B_ID } from '@ringwire/nic-spec/vendor-b';
import { msix, type PciDevice, PciFunction, pciExpress, powerManagement, type VfBarOptions } from '@ringwire/pci';
import type { PhysicalPlace, VirtualPlace } from '@ringwire/sriov-nic';
import type { FunctionRegisters } from './registers.js';

/** The VF BAR of vendor B's virtual functions. */
export function vendorBVfBars(): VfBarOptions[] {
  return [{ index: 0, space: 'memory64', size: VENDOR_B_BAR.SIZE }];
}

/** A function of vendor B's in configuration space. */
export function vendorBPci(
  place: PhysicalPlace | VirtualPlace,
  registers: FunctionRegisters,
  device: PciDevice,
): PciFunction {
  const isVirtual = 'seat' in place;
  const { MSIX_TABLE, MSIX_PBA, SIZE } = VENDOR_B_BAR;
  return new PciFunction(
    {
      vendorId: VENDOR_B_ID.VENDOR,
      deviceId: isVirtual ? VENDOR_B_ID.VF : VENDOR_B_ID.PF,
      subsystemVendorId: VENDOR_B_ID.VENDOR,
      subsystemId: VENDOR_B_ID.SUBSYSTEM,
      revisionId: VENDOR_B_ID.REVISION,
      classCode: VENDOR_B_CLASS_CODE,
      bars: [{ index: 0, space: 'memory64', size: SIZE, regions: registers.regions() }],
      capabilities: [
        powerManagement(true),
        msix({
          vectors: VENDOR_B_COUNT.VECTORS,
          table: { bar: 0, offset: MSIX_TABLE },
          pba: { bar: 0, offset: MSIX_PBA },
        }),
        pciExpress({ isVirtual }),
        ...(isVirtual ? [] : [...place.extended, place.virtualFunctions.capability]),
      ],
      ...(isVirtual ? { virtual: place.seat } : {}),
    },
    place.host,
    device,
  );
}
