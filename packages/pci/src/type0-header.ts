import { PCI_COMMAND, PCI_HEADER, PCI_HEADER_TYPE, PCI_TYPE0 } from './config-header.js';
import type { RegisterBlock } from './register-block.js';

/** What the first 64 bytes of an endpoint say of it (PCIe 5.0 §7.5.1.2). */
export interface Type0Options {
  readonly vendorId: number;
  readonly deviceId: number;
  readonly subsystemVendorId: number;
  readonly subsystemId: number;
  readonly revisionId: number;
  /** Base class, sub-class and programming interface, as in 0x020000 for an Ethernet controller. */
  readonly classCode: number;
  /** 1 to 4 for INTA to INTD; 0, the default, for a function that only sends messages. */
  readonly interruptPin?: number;
  /** Function 0 of a device that has others. */
  readonly multiFunction?: boolean;
}

const { IO_SPACE_ENABLE, MEMORY_SPACE_ENABLE, BUS_MASTER_ENABLE } = PCI_COMMAND;
const { PARITY_ERROR_RESPONSE, SERR_ENABLE, INTERRUPT_DISABLE } = PCI_COMMAND;

/** What the header depends on besides. */
export interface HeaderParts {
  readonly io: boolean;
  readonly memory: boolean;
  readonly express: boolean;
}

/** Define what is neither capabilities nor BARs. Of Command, only what the function has can be written. */
export function defineHeader(config: RegisterBlock, options: Type0Options, { io, memory, express }: HeaderParts): void {
  const { interruptPin = 0, multiFunction = false } = options;
  const command =
    (io ? IO_SPACE_ENABLE : 0) | (memory ? MEMORY_SPACE_ENABLE : 0) | (interruptPin === 0 ? 0 : INTERRUPT_DISABLE);
  config.define(PCI_HEADER.VENDOR_ID, 2, options.vendorId);
  config.define(PCI_HEADER.DEVICE_ID, 2, options.deviceId);
  config.define(PCI_HEADER.COMMAND, 2, 0, {
    rw: command | BUS_MASTER_ENABLE | PARITY_ERROR_RESPONSE | SERR_ENABLE,
  });
  config.define(PCI_HEADER.REVISION_ID, 1, options.revisionId);
  config.define(PCI_HEADER.CLASS_CODE, 3, options.classCode);
  config.define(PCI_HEADER.CACHE_LINE_SIZE, 1, 0, { rw: 0xff });
  config.define(PCI_HEADER.LATENCY_TIMER, 1, 0, { rw: express ? 0 : 0xff });
  config.define(PCI_HEADER.HEADER_TYPE, 1, multiFunction ? PCI_HEADER_TYPE.MULTI_FUNCTION : 0);
  config.define(PCI_TYPE0.SUBSYSTEM_VENDOR_ID, 2, options.subsystemVendorId);
  config.define(PCI_TYPE0.SUBSYSTEM_ID, 2, options.subsystemId);
  config.define(PCI_HEADER.INTERRUPT_LINE, 1, 0, { rw: interruptPin === 0 ? 0 : 0xff });
  config.define(PCI_HEADER.INTERRUPT_PIN, 1, interruptPin);
}
