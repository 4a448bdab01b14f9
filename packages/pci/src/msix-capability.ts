import { VirtioError } from '@ringwire/virtio-spec';
import type { Capability } from './capability.js';
import { PCI_CAP_ID } from './capability-ids.js';
import { PCI_MSIX, PCI_MSIX_CONTROL } from './capability-layouts.js';
import { MSIX_MAX_VECTORS } from './msix-table.js';
import { RegisterBlock } from './register-block.js';

/** Where a table or pending-bit array lies: a BAR and an offset in it, a multiple of 8. */
export interface BarPlace {
  readonly bar: number;
  readonly offset: number;
}

/** How many vectors there are, and where their table and pending bits lie. */
export interface MsixOptions {
  /** 1 to 2048. */
  readonly vectors: number;
  readonly table: BarPlace;
  readonly pba: BarPlace;
  readonly at?: number;
}

/** MSI-X capability (PCIe 5.0 §7.7.2). The function puts table and pending-bit array into the BARs that it names. */
export function msix({ vectors, table, pba, at }: MsixOptions): Capability {
  if (!Number.isInteger(vectors) || vectors < 1 || vectors > MSIX_MAX_VECTORS)
    throw new VirtioError('MSI-X vectors', vectors, `1 to ${MSIX_MAX_VECTORS}`, 'PCIe 5.0 §7.7.2.2');
  const registers = new RegisterBlock(PCI_MSIX.SIZE);
  const { FUNCTION_MASK, ENABLE } = PCI_MSIX_CONTROL;
  registers.define(PCI_MSIX.MESSAGE_CONTROL, 2, vectors - 1, { rw: FUNCTION_MASK | ENABLE });
  registers.define(PCI_MSIX.TABLE, 4, place('MSI-X table offset', table));
  registers.define(PCI_MSIX.PBA, 4, place('MSI-X PBA offset', pba));
  return { id: PCI_CAP_ID.MSI_X, registers, ...(at === undefined ? {} : { at }) };
}

function place(field: string, { bar, offset }: BarPlace): number {
  if (offset % 8 !== 0 || offset < 0 || offset > 0xffff_fff8)
    throw new VirtioError(field, offset, 'a multiple of 8 below 2^32', 'PCIe 5.0 §7.7.2.3');
  if (!Number.isInteger(bar) || bar < 0 || bar > 5)
    throw new VirtioError(field, bar, 'BAR 0 to 5', 'PCIe 5.0 §7.7.2.3');
  return offset + bar;
}
