import { PCI_CAP_ID, PCI_EXT_CAP_ID } from './capability-ids.js';
import {
  PCI_AER,
  PCI_AER_ADVISORY_NON_FATAL,
  PCI_AER_FIRST_ERROR,
  PCI_AER_ROOT_STATUS,
  PCI_AER_UNCORRECTABLE,
  PCI_EXP,
  PCI_EXP_DEVICE_CONTROL,
  PCI_EXP_DEVICE_STATUS,
} from './capability-layouts.js';
import { PCI_COMMAND, PCI_HEADER, PCI_STATUS } from './config-header.js';
import type { PciFunction } from './pci-function.js';

const CONTROL = PCI_EXP_DEVICE_CONTROL;
const STATUS = PCI_EXP_DEVICE_STATUS;
const ROOT = PCI_AER_ROOT_STATUS;

/** Header of the request that an error is about: 4 words, the packet's first byte in the highest bits of the first one. */
export type TlpHeader = readonly [number, number, number, number];

/** What a function tells the root complex of an error, if it may (PCIe 5.0 §6.2.2). */
export type ErrorMessage = 'none' | 'correctable' | 'non-fatal' | 'fatal';

/**
 * Record that a function could not do what was asked of it, in its status registers and in AER where it has that, as
 * PCIe 5.0 §6.2.5 figure 6-2 goes.
 * @param error  a `PCI_AER_UNCORRECTABLE` bit number
 * @param posted whether nobody waits for an answer. Of a request with one that is not fatal, the answer tells the
 *               requester enough, and here it is an advisory error (§6.2.3.2.4.1)
 * @returns the message that the function sends
 */
export function logError(pci: PciFunction, error: number, header: TlpHeader, posted: boolean): ErrorMessage {
  const express = pci.capabilityAt(PCI_CAP_ID.PCI_EXPRESS);
  if (pci.removed || express < 0) return 'none';
  const { config } = pci;
  const aer = pci.capabilityAt(PCI_EXT_CAP_ID.ADVANCED_ERROR_REPORTING, true);
  const isUnsupported = error === PCI_AER_UNCORRECTABLE.UNSUPPORTED_REQUEST;
  const isFatal = aer >= 0 && ((config.get32(aer + PCI_AER.UNCORRECTABLE_SEVERITY) >>> error) & 1) === 1;
  const isAdvisory = !isFatal && !posted;
  if (error === PCI_AER_UNCORRECTABLE.COMPLETER_ABORT && !posted)
    config.set16(PCI_HEADER.STATUS, config.get16(PCI_HEADER.STATUS) | PCI_STATUS.SIGNALED_TARGET_ABORT);
  const detected = isAdvisory ? STATUS.CORRECTABLE : isFatal ? STATUS.FATAL : STATUS.NON_FATAL;
  const status = config.get16(express + PCI_EXP.DEVICE_STATUS);
  config.set16(express + PCI_EXP.DEVICE_STATUS, status | detected | (isUnsupported ? STATUS.UNSUPPORTED_REQUEST : 0));
  if (aer >= 0 && !logInAer(pci, aer, error, header, isAdvisory)) return 'none';
  const control = config.get16(express + PCI_EXP.DEVICE_CONTROL);
  if (isUnsupported && (control & CONTROL.UNSUPPORTED_REQUEST_REPORTING) === 0) return 'none';
  if (isAdvisory) return (control & CONTROL.CORRECTABLE_REPORTING) !== 0 ? 'correctable' : 'none';
  const serr = (config.get16(PCI_HEADER.COMMAND) & PCI_COMMAND.SERR_ENABLE) !== 0;
  const enable = isFatal ? CONTROL.FATAL_REPORTING : CONTROL.NON_FATAL_REPORTING;
  if (!serr && (control & enable) === 0) return 'none';
  if (serr) config.set16(PCI_HEADER.STATUS, config.get16(PCI_HEADER.STATUS) | PCI_STATUS.SIGNALED_SYSTEM_ERROR);
  return isFatal ? 'fatal' : 'non-fatal';
}

/** @returns whether no mask is in the way of a message */
function logInAer(pci: PciFunction, aer: number, error: number, header: TlpHeader, isAdvisory: boolean): boolean {
  const { config } = pci;
  if (isAdvisory) {
    const correctable = config.get32(aer + PCI_AER.CORRECTABLE_STATUS);
    config.set32(aer + PCI_AER.CORRECTABLE_STATUS, correctable | PCI_AER_ADVISORY_NON_FATAL);
    if ((config.get32(aer + PCI_AER.CORRECTABLE_MASK) & PCI_AER_ADVISORY_NON_FATAL) !== 0) return false;
  }
  const before = config.get32(aer + PCI_AER.UNCORRECTABLE_STATUS);
  config.set32(aer + PCI_AER.UNCORRECTABLE_STATUS, (before | (1 << error)) >>> 0);
  if (((config.get32(aer + PCI_AER.UNCORRECTABLE_MASK) >>> error) & 1) === 1) return false;
  // The first error's header stays until software has cleared that error (§6.2.4.2).
  const control = config.get32(aer + PCI_AER.CAPABILITIES_AND_CONTROL);
  if (((before >>> (control & PCI_AER_FIRST_ERROR)) & 1) === 1) return true;
  config.set32(aer + PCI_AER.CAPABILITIES_AND_CONTROL, (control & ~PCI_AER_FIRST_ERROR) | error);
  for (const [i, word] of header.entries()) config.set32(aer + PCI_AER.HEADER_LOG + i * 4, word);
  return true;
}

/** A root port takes a message from below: what came, and from whom (PCIe 5.0 §7.8.4.10, §7.8.4.11). */
export function logAtRoot(root: PciFunction, routingId: number, message: ErrorMessage): void {
  const aer = root.capabilityAt(PCI_EXT_CAP_ID.ADVANCED_ERROR_REPORTING, true);
  if (aer < 0 || message === 'none') return;
  const { config } = root;
  const isCorrectable = message === 'correctable';
  const first = isCorrectable ? ROOT.CORRECTABLE : ROOT.UNCORRECTABLE;
  const more = isCorrectable ? ROOT.CORRECTABLE_MULTIPLE : ROOT.UNCORRECTABLE_MULTIPLE;
  let status = config.get32(aer + PCI_AER.ROOT_STATUS);
  if ((status & first) === 0) {
    config.set16(aer + PCI_AER.ERROR_SOURCE + (isCorrectable ? 0 : 2), routingId);
    if (message === 'fatal') status |= ROOT.FIRST_FATAL;
  } else status |= more;
  status |= first | (message === 'fatal' ? ROOT.FATAL : message === 'non-fatal' ? ROOT.NON_FATAL : 0);
  config.set32(aer + PCI_AER.ROOT_STATUS, status);
}
