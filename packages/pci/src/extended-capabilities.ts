import { VirtioError } from '@ringwire/virtio-spec';
import type { Capability } from './capability.js';
import { PCI_EXT_CAP_ID } from './capability-ids.js';
import {
  PCI_ACS,
  PCI_ACS_SERVICES,
  PCI_AER,
  PCI_AER_FIRST_ERROR,
  PCI_AER_ROOT_STATUS,
  PCI_ARI,
  PCI_DSN,
} from './capability-layouts.js';
import { type BitAccess, RegisterBlock } from './register-block.js';

/** PCIe 5.0 §7.8.4.2: the uncorrectable errors of an endpoint that does not check ECRC, and those fatal by default. */
const UNCORRECTABLE = 0x0057_f030;
const FATAL = 0x0046_2030;
/** PCIe 5.0 §7.8.4.5: the correctable errors; Advisory Non-Fatal, Corrected Internal and Header Log Overflow start masked. */
const CORRECTABLE = 0x0000_f1c1;
const CORRECTABLE_MASKED = 0x0000_e000;

/** PCIe 5.0 §7.8.4.2: ACS Violation, of functions with ACS. */
const ACS_VIOLATION = 0x0020_0000;
/** PCIe 5.0 §7.8.4.9 Root Error Command: an interrupt for each of three kinds of message. */
const ROOT_REPORTING = 0x7;

/** What the function of an AER capability is. */
export interface AerOptions {
  /** A root port also keeps what other functions report. */
  readonly isRoot?: boolean;
  /** The function has ACS, and so can be violated in it. */
  readonly hasAcs?: boolean;
}

/** Advanced Error Reporting (PCIe 5.0 §7.8.4). All its registers survive a function-level reset. */
export function advancedErrorReporting({ isRoot = false, hasAcs = false }: AerOptions = {}): Capability {
  const uncorrectable = UNCORRECTABLE | (hasAcs ? ACS_VIOLATION : 0);
  const registers = new RegisterBlock(PCI_AER.SIZE);
  const status = (bits: number): BitAccess => ({ rw1c: bits, sticky: bits });
  const setting = (bits: number): BitAccess => ({ rw: bits, sticky: bits });
  registers.define(PCI_AER.UNCORRECTABLE_STATUS, 4, 0, status(uncorrectable));
  registers.define(PCI_AER.UNCORRECTABLE_MASK, 4, 0, setting(uncorrectable));
  registers.define(PCI_AER.UNCORRECTABLE_SEVERITY, 4, FATAL, setting(uncorrectable));
  registers.define(PCI_AER.CORRECTABLE_STATUS, 4, 0, status(CORRECTABLE));
  registers.define(PCI_AER.CORRECTABLE_MASK, 4, CORRECTABLE_MASKED, setting(CORRECTABLE));
  registers.define(PCI_AER.CAPABILITIES_AND_CONTROL, 4, 0, { sticky: PCI_AER_FIRST_ERROR });
  for (let at = PCI_AER.HEADER_LOG; at < PCI_AER.ROOT_COMMAND; at += 4) registers.define(at, 4, 0, { sticky: ~0 });
  if (isRoot) {
    registers.define(PCI_AER.ROOT_COMMAND, 4, 0, { rw: ROOT_REPORTING });
    registers.define(PCI_AER.ROOT_STATUS, 4, 0, status(PCI_AER_ROOT_STATUS.RW1C));
    registers.define(PCI_AER.ERROR_SOURCE, 4, 0, { sticky: ~0 });
  }
  return { id: PCI_EXT_CAP_ID.ADVANCED_ERROR_REPORTING, version: 2, registers };
}

/** Device Serial Number (PCIe 5.0 §7.9.3). @param serial 8 bytes, as `lspci` prints them from left to right */
export function deviceSerialNumber(serial: readonly number[]): Capability {
  if (serial.length !== 8) throw new VirtioError('serial number', serial.length, '8 bytes', 'PCIe 5.0 §7.9.3');
  const registers = new RegisterBlock(PCI_DSN.SIZE);
  for (const [i, byte] of serial.entries()) registers.define(PCI_DSN.SERIAL_NUMBER_HIGH + 3 - i, 1, byte);
  return { id: PCI_EXT_CAP_ID.DEVICE_SERIAL_NUMBER, version: 1, registers };
}

const { SOURCE_VALIDATION, TRANSLATION_BLOCKING, P2P_REQUEST_REDIRECT, P2P_COMPLETION_REDIRECT, UPSTREAM_FORWARDING } =
  PCI_ACS_SERVICES;
/** What a root port or a port of a switch needs to keep what is below it apart (PCIe 5.0 §6.12.1.1). */
export const PORT_SERVICES: number =
  SOURCE_VALIDATION | TRANSLATION_BLOCKING | P2P_REQUEST_REDIRECT | P2P_COMPLETION_REDIRECT | UPSTREAM_FORWARDING;
/** What functions of one device need to be kept apart (PCIe 5.0 §6.12.1.2). */
export const FUNCTION_SERVICES: number = P2P_REQUEST_REDIRECT | P2P_COMPLETION_REDIRECT;

/** Access Control Services (PCIe 5.0 §7.7.8). @param services the bits of its capability register, without egress control */
export function accessControlServices(services: number): Capability {
  const registers = new RegisterBlock(PCI_ACS.SIZE);
  registers.define(PCI_ACS.CAPABILITY, 2, services);
  registers.define(PCI_ACS.CONTROL, 2, 0, { rw: services });
  return { id: PCI_EXT_CAP_ID.ACS, version: 1, registers };
}

/** Alternative Routing-ID Interpretation (PCIe 5.0 §7.8.7). @param nextFunction 0 for the last one */
export function alternativeRoutingId(nextFunction: number): Capability {
  const registers = new RegisterBlock(PCI_ARI.SIZE);
  registers.define(PCI_ARI.NEXT_FUNCTION, 1, nextFunction);
  return { id: PCI_EXT_CAP_ID.ARI, version: 1, registers };
}
