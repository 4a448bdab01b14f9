import type { Capability } from './capability.js';
import { PCI_CAP_ID } from './capability-ids.js';
import { PCI_PM, PCI_PMC, PCI_PMCSR } from './capability-layouts.js';
import { RegisterBlock } from './register-block.js';

/** Power states of a function that has no D1 and D2; the values of PMCSR's PowerState. */
export const POWER_STATE = { D0: 0, D3_HOT: 3 } as const;

/**
 * PCI Power Management, version 3: D0 and D3hot, no PME (PCIe 5.0 §7.5.2).
 * @param noSoftReset registers survive D3hot; without it the way back to D0 is a reset
 */
export function powerManagement(noSoftReset: boolean, at?: number): Capability {
  const registers = new RegisterBlock(PCI_PM.SIZE);
  registers.define(PCI_PM.PMC, 2, 3 & PCI_PMC.VERSION);
  registers.define(PCI_PM.PMCSR, 2, noSoftReset ? PCI_PMCSR.NO_SOFT_RESET : 0, { rw: PCI_PMCSR.POWER_STATE });
  return { id: PCI_CAP_ID.POWER_MANAGEMENT, registers, ...(at === undefined ? {} : { at }) };
}
