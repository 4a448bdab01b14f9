import type { Capability } from './capability.js';
import { PCI_CAP_ID } from './capability-ids.js';
import {
  PCI_EXP,
  PCI_EXP_ARI_FORWARDING,
  PCI_EXP_DEVICE_CAPABILITIES,
  PCI_EXP_DEVICE_CONTROL,
  PCI_EXP_DEVICE_STATUS,
  PCI_EXP_ROOT_CONTROL,
  PCI_EXP_TYPE,
} from './capability-layouts.js';
import { defineLink } from './express-capability.js';
import { RegisterBlock } from './register-block.js';

/** What a port's PCI Express capability says. */
export interface PortLinkOptions {
  /** A `PCI_EXP_TYPE` of a port. */
  readonly type: number;
  /** As of `pciExpress`. */
  readonly linkSpeed: number;
  readonly linkWidth: number;
  /** Whether the functions of a device below may have any number; not of an upstream port. */
  readonly ariForwarding: boolean;
}

/** PCI Express capability of a port without slot, version 2 (PCIe 5.0 §7.5.3). */
export function portExpress({ type, linkSpeed, linkWidth, ariForwarding }: PortLinkOptions): Capability {
  const registers = new RegisterBlock(PCI_EXP.SIZE);
  registers.define(PCI_EXP.CAPABILITIES, 2, 2 | (type << 4));
  registers.define(PCI_EXP.DEVICE_CAPABILITIES, 4, PCI_EXP_DEVICE_CAPABILITIES.ROLE_BASED_ERROR_REPORTING);
  const control = PCI_EXP_DEVICE_CONTROL;
  registers.define(PCI_EXP.DEVICE_CONTROL, 2, 0, { rw: control.ERROR_REPORTING | control.MAX_PAYLOAD_SIZE });
  registers.define(PCI_EXP.DEVICE_STATUS, 2, 0, { rw1c: PCI_EXP_DEVICE_STATUS.ERRORS });
  defineLink(registers, linkSpeed, linkWidth);
  if (type === PCI_EXP_TYPE.ROOT_PORT) registers.define(PCI_EXP.ROOT_CONTROL, 2, 0, { rw: PCI_EXP_ROOT_CONTROL });
  const forwarding = ariForwarding ? PCI_EXP_ARI_FORWARDING : 0;
  registers.define(PCI_EXP.DEVICE_CAPABILITIES_2, 4, forwarding);
  registers.define(PCI_EXP.DEVICE_CONTROL_2, 2, 0, { rw: forwarding });
  return { id: PCI_CAP_ID.PCI_EXPRESS, registers };
}
