import { PCI_COMMAND, PCI_HEADER, PCI_TYPE0 } from './config-header.js';
import type { RegisterBlock } from './register-block.js';
import type { Type0Options } from './type0-header.js';

/** PCIe 5.0 §9.3.4.1.1, .2: what a virtual function's ids read as. Its own are the physical function's to tell. */
const NO_ID = 0xffff;

/**
 * Define the header of a virtual function (PCIe 5.0 §9.3.4.1). Of Command there is Bus Master Enable alone: memory space
 * is the physical function's VF MSE, its BARs and interrupt pin are 0, SERR and parity are the physical function's too.
 */
export function defineVirtualHeader(config: RegisterBlock, options: Type0Options): void {
  config.define(PCI_HEADER.VENDOR_ID, 2, NO_ID);
  config.define(PCI_HEADER.DEVICE_ID, 2, NO_ID);
  config.define(PCI_HEADER.COMMAND, 2, 0, { rw: PCI_COMMAND.BUS_MASTER_ENABLE });
  config.define(PCI_HEADER.REVISION_ID, 1, options.revisionId);
  config.define(PCI_HEADER.CLASS_CODE, 3, options.classCode);
  config.define(PCI_TYPE0.SUBSYSTEM_VENDOR_ID, 2, options.subsystemVendorId);
  config.define(PCI_TYPE0.SUBSYSTEM_ID, 2, options.subsystemId);
}
