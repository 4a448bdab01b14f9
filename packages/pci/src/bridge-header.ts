import {
  PCI_BRIDGE_CONTROL,
  PCI_COMMAND,
  PCI_HEADER,
  PCI_HEADER_TYPE,
  PCI_STATUS,
  PCI_TYPE1,
} from './config-header.js';
import type { RegisterBlock } from './register-block.js';
import type { Type0Options } from './type0-header.js';

const { IO_SPACE_ENABLE, MEMORY_SPACE_ENABLE, BUS_MASTER_ENABLE } = PCI_COMMAND;
const { PARITY_ERROR_RESPONSE, SERR_ENABLE, INTERRUPT_DISABLE } = PCI_COMMAND;
const LAYOUT = 1;
/** PCIe 5.0 §7.5.1.3.6: addresses of 32 bits for I/O; §7.5.1.3.9: of 64 bits for prefetchable memory. */
const WIDE = 1;

/** Define the header of a port: bus numbers, three windows, no BARs (PCIe 5.0 §7.5.1.3). Its ids are a capability's. */
export function defineBridgeHeader(config: RegisterBlock, options: Type0Options): void {
  const { interruptPin = 0, multiFunction = false } = options;
  config.define(PCI_HEADER.VENDOR_ID, 2, options.vendorId);
  config.define(PCI_HEADER.DEVICE_ID, 2, options.deviceId);
  config.define(PCI_HEADER.COMMAND, 2, 0, {
    rw:
      IO_SPACE_ENABLE |
      MEMORY_SPACE_ENABLE |
      BUS_MASTER_ENABLE |
      PARITY_ERROR_RESPONSE |
      SERR_ENABLE |
      (interruptPin === 0 ? 0 : INTERRUPT_DISABLE),
  });
  config.define(PCI_HEADER.REVISION_ID, 1, options.revisionId);
  config.define(PCI_HEADER.CLASS_CODE, 3, options.classCode);
  config.define(PCI_HEADER.CACHE_LINE_SIZE, 1, 0, { rw: 0xff });
  config.define(PCI_HEADER.HEADER_TYPE, 1, LAYOUT | (multiFunction ? PCI_HEADER_TYPE.MULTI_FUNCTION : 0));
  for (const at of [PCI_TYPE1.PRIMARY_BUS, PCI_TYPE1.SECONDARY_BUS, PCI_TYPE1.SUBORDINATE_BUS])
    config.define(at, 1, 0, { rw: 0xff });
  for (const at of [PCI_TYPE1.IO_BASE, PCI_TYPE1.IO_LIMIT]) config.define(at, 1, WIDE, { rw: 0xf0 });
  for (const at of [PCI_TYPE1.IO_BASE_UPPER, PCI_TYPE1.IO_LIMIT_UPPER]) config.define(at, 2, 0, { rw: 0xffff });
  for (const at of [PCI_TYPE1.MEMORY_BASE, PCI_TYPE1.MEMORY_LIMIT]) config.define(at, 2, 0, { rw: 0xfff0 });
  for (const at of [PCI_TYPE1.PREFETCHABLE_MEMORY_BASE, PCI_TYPE1.PREFETCHABLE_MEMORY_LIMIT])
    config.define(at, 2, WIDE, { rw: 0xfff0 });
  for (const at of [PCI_TYPE1.PREFETCHABLE_BASE_UPPER, PCI_TYPE1.PREFETCHABLE_LIMIT_UPPER])
    config.define(at, 4, 0, { rw: ~0 });
  config.define(PCI_TYPE1.SECONDARY_STATUS, 2, 0, { rw1c: PCI_STATUS.RW1C });
  config.define(PCI_TYPE1.BRIDGE_CONTROL, 2, 0, {
    rw:
      PCI_BRIDGE_CONTROL.PARITY_ERROR_RESPONSE |
      PCI_BRIDGE_CONTROL.SERR_ENABLE |
      PCI_BRIDGE_CONTROL.SECONDARY_BUS_RESET,
  });
  config.define(PCI_HEADER.INTERRUPT_LINE, 1, 0, { rw: interruptPin === 0 ? 0 : 0xff });
  config.define(PCI_HEADER.INTERRUPT_PIN, 1, interruptPin);
}
