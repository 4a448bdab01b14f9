import { VirtioError } from '@ringwire/virtio-spec';
import type { Capability } from './capability.js';
import { PCI_CAP_ID } from './capability-ids.js';
import {
  PCI_EXP,
  PCI_EXP_COMPLETION_TIMEOUT_DISABLE,
  PCI_EXP_DEVICE_CAPABILITIES,
  PCI_EXP_DEVICE_CONTROL,
  PCI_EXP_DEVICE_STATUS,
  PCI_EXP_LINK,
  PCI_EXP_LINK_CONTROL,
  PCI_EXP_TYPE,
} from './capability-layouts.js';
import { RegisterBlock } from './register-block.js';

/** What a function's PCI Express capability says. */
export interface ExpressOptions {
  /** A `PCI_EXP_TYPE` of a function with a type 0 header; ENDPOINT by default. */
  readonly type?: number;
  /** Function-level reset; true by default. */
  readonly functionLevelReset?: boolean;
  /** Largest payload: 128 << this, 0 to 5; 0 by default. */
  readonly maxPayload?: number;
  /** Speed code (1 is 2.5 GT/s, 2 is 5, 3 is 8, 4 is 16, 5 is 32) and lanes; 2.5 GT/s and one lane by default. */
  readonly linkSpeed?: number;
  readonly linkWidth?: number;
  /** Of a virtual function: what the physical one's settings hold for is not there (PCIe 5.0 §9.3.5); it can be reset. */
  readonly isVirtual?: boolean;
  readonly at?: number;
}

/** PCI Express capability of an endpoint, version 2 (PCIe 5.0 §7.5.3). With it, a function has 4 KiB of configuration space. */
export function pciExpress(options: ExpressOptions = {}): Capability {
  const { type = PCI_EXP_TYPE.ENDPOINT, functionLevelReset = true, maxPayload = 0, at } = options;
  const { linkSpeed = 1, linkWidth = 1, isVirtual = false } = options;
  check('maxPayload', maxPayload, 0, 5, '§7.5.3.3');
  check('linkSpeed', linkSpeed, 1, 5, '§7.5.3.6');
  check('linkWidth', linkWidth, 1, 32, '§7.5.3.6');
  const registers = new RegisterBlock(PCI_EXP.SIZE);
  registers.define(PCI_EXP.CAPABILITIES, 2, 2 | (type << 4));
  if (isVirtual) defineVirtual(registers, maxPayload);
  else defineDevice(registers, maxPayload, functionLevelReset);
  // An integrated endpoint has no link: these registers are 0.
  if (isVirtual) defineLinkCapabilities(registers, linkSpeed, linkWidth);
  else if (type !== PCI_EXP_TYPE.ROOT_COMPLEX_INTEGRATED_ENDPOINT) defineLink(registers, linkSpeed, linkWidth);
  return { id: PCI_CAP_ID.PCI_EXPRESS, registers, ...(at === undefined ? {} : { at }) };
}

function defineDevice(registers: RegisterBlock, maxPayload: number, functionLevelReset: boolean): void {
  const { EXTENDED_TAG, ROLE_BASED_ERROR_REPORTING, FUNCTION_LEVEL_RESET } = PCI_EXP_DEVICE_CAPABILITIES;
  const flr = functionLevelReset ? FUNCTION_LEVEL_RESET : 0;
  registers.define(PCI_EXP.DEVICE_CAPABILITIES, 4, maxPayload | EXTENDED_TAG | ROLE_BASED_ERROR_REPORTING | flr);
  const control = PCI_EXP_DEVICE_CONTROL;
  registers.define(PCI_EXP.DEVICE_CONTROL, 2, control.RELAXED_ORDERING | control.NO_SNOOP | (2 << 12), {
    rw:
      control.ERROR_REPORTING |
      control.RELAXED_ORDERING |
      control.MAX_PAYLOAD_SIZE |
      control.EXTENDED_TAG |
      control.NO_SNOOP |
      control.MAX_READ_REQUEST_SIZE |
      (functionLevelReset ? control.INITIATE_FUNCTION_LEVEL_RESET : 0),
    // PCIe 5.0 §6.6.2 excepts it, and the link's settings below, from function-level reset.
    sticky: control.MAX_PAYLOAD_SIZE,
  });
  registers.define(PCI_EXP.DEVICE_STATUS, 2, 0, { rw1c: PCI_EXP_DEVICE_STATUS.ERRORS });
  const timeout = PCI_EXP_COMPLETION_TIMEOUT_DISABLE;
  registers.define(PCI_EXP.DEVICE_CAPABILITIES_2, 4, timeout);
  registers.define(PCI_EXP.DEVICE_CONTROL_2, 2, 0, { rw: timeout });
}

/** A virtual function reports its own errors, and resets itself. */
function defineVirtual(registers: RegisterBlock, maxPayload: number): void {
  const { EXTENDED_TAG, ROLE_BASED_ERROR_REPORTING, FUNCTION_LEVEL_RESET } = PCI_EXP_DEVICE_CAPABILITIES;
  const capabilities = maxPayload | EXTENDED_TAG | ROLE_BASED_ERROR_REPORTING | FUNCTION_LEVEL_RESET;
  registers.define(PCI_EXP.DEVICE_CAPABILITIES, 4, capabilities);
  registers.define(PCI_EXP.DEVICE_CONTROL, 2, 0, { rw: PCI_EXP_DEVICE_CONTROL.INITIATE_FUNCTION_LEVEL_RESET });
  registers.define(PCI_EXP.DEVICE_STATUS, 2, 0, { rw1c: PCI_EXP_DEVICE_STATUS.ERRORS });
  registers.define(PCI_EXP.DEVICE_CAPABILITIES_2, 4, PCI_EXP_COMPLETION_TIMEOUT_DISABLE);
}

function defineLinkCapabilities(registers: RegisterBlock, speed: number, width: number): void {
  const link = speed | (width << 4);
  registers.define(PCI_EXP.LINK_CAPABILITIES, 4, link | PCI_EXP_LINK.ASPM_OPTIONALITY_COMPLIANCE);
  // Supported Link Speeds Vector: bit 1 is 2.5 GT/s.
  registers.define(PCI_EXP.LINK_CAPABILITIES_2, 4, (2 << speed) - 2);
}

/** The registers of a link, of a device or of a port. */
export function defineLink(registers: RegisterBlock, speed: number, width: number): void {
  defineLinkCapabilities(registers, speed, width);
  const control = PCI_EXP_LINK_CONTROL;
  const settings =
    control.ASPM_CONTROL | control.READ_COMPLETION_BOUNDARY | control.COMMON_CLOCK | control.EXTENDED_SYNCH;
  registers.define(PCI_EXP.LINK_CONTROL, 2, 0, { rw: settings, sticky: settings });
  registers.define(PCI_EXP.LINK_STATUS, 2, speed | (width << 4));
  registers.define(PCI_EXP.LINK_CONTROL_2, 2, speed, { rw: PCI_EXP_LINK.SPEED, sticky: PCI_EXP_LINK.SPEED });
}

function check(field: string, value: number, least: number, most: number, section: string): void {
  if (!Number.isInteger(value) || value < least || value > most)
    throw new VirtioError(field, value, `${least} to ${most}`, `PCIe 5.0 ${section}`);
}
