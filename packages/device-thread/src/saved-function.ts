import {
  MsixTable,
  PCI_CAP_ID,
  PCI_EXP,
  PCI_EXP_DEVICE_CONTROL,
  PCI_HEADER,
  PCI_MSIX,
  PCI_PM,
  PCI_TYPE0,
} from '@ringwire/pci';
import type { VirtioPci } from '@ringwire/virtio-device';
import { type ControlLayout, SHADOW_WORDS } from './control-layout.js';

/** What firmware and driver made of a PCI function, as the control block has it. */
export interface SavedFunction {
  readonly config: DataView;
  readonly msix: Int32Array;
}

const ENTRY_BYTES = 16;

/** Copy it, before a new function starts over in the same words. */
export function saveFunction(words: Int32Array, layout: ControlLayout): SavedFunction {
  const shadow = words.slice(layout.shadow, layout.shadow + SHADOW_WORDS);
  return { config: new DataView(shadow.buffer), msix: words.slice(layout.msix, layout.shadow) };
}

/**
 * Bring a new function to where the one before it was: a driver that resets its device expects addresses and
 * interrupts to stay.
 */
export function restoreFunction({ pci }: VirtioPci, { config, msix }: SavedFunction): void {
  const copy = (at: number, size: 1 | 2 | 4, without = 0): void => {
    const value =
      size === 4 ? config.getUint32(at, true) : size === 2 ? config.getUint16(at, true) : config.getUint8(at);
    pci.configWrite(at, size, (value & ~without) >>> 0);
  };
  copy(PCI_HEADER.CACHE_LINE_SIZE, 1);
  copy(PCI_HEADER.INTERRUPT_LINE, 1);
  for (let bar = 0; bar < PCI_TYPE0.BARS; bar++) copy(PCI_HEADER.BASE_ADDRESS + bar * 4, 4);
  const express = pci.capabilityAt(PCI_CAP_ID.PCI_EXPRESS);
  if (express >= 0) copy(express + PCI_EXP.DEVICE_CONTROL, 2, PCI_EXP_DEVICE_CONTROL.INITIATE_FUNCTION_LEVEL_RESET);
  const table = pci.msix;
  if (table !== undefined) {
    const before = new MsixTable(table.vectors, () => {}, msix).tableRegion(0);
    const now = table.tableRegion(0);
    for (let at = 0; at < table.vectors * ENTRY_BYTES; at += 4) now.write(at, 4, before.read(at, 4));
    copy(pci.capabilityAt(PCI_CAP_ID.MSI_X) + PCI_MSIX.MESSAGE_CONTROL, 2);
  }
  const power = pci.capabilityAt(PCI_CAP_ID.POWER_MANAGEMENT);
  if (power >= 0) copy(power + PCI_PM.PMCSR, 2);
  // Last: from here on the function answers and may interrupt.
  copy(PCI_HEADER.COMMAND, 2);
}
