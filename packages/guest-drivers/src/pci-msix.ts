import { PCI_MSIX, PCI_MSIX_CONTROL, PCI_MSIX_ENTRY } from '@ringwire/pci';
import type { PciAccess } from './access.js';
import type { PciMsix } from './pci-capabilities.js';
import type { MsixMessage } from './transport.js';

/**
 * Switch MSI-X on with these messages in the first entries of its table, one per vector, all others masked as they come
 * out of reset. The function is masked while the table is written. @see PCI 3.0 §6.8.2
 */
export function enableMsix(access: PciAccess, msix: PciMsix, messages: readonly MsixMessage[]): void {
  const { ENABLE, FUNCTION_MASK } = PCI_MSIX_CONTROL;
  setControl(access, msix, ENABLE | FUNCTION_MASK);
  const { bar, offset } = msix.table;
  messages.forEach(({ addressLo, addressHi, data }, vector) => {
    const entry = offset + vector * PCI_MSIX_ENTRY.SIZE;
    access.barWrite(bar, entry + PCI_MSIX_ENTRY.MESSAGE_ADDRESS, 4, addressLo);
    access.barWrite(bar, entry + PCI_MSIX_ENTRY.MESSAGE_UPPER_ADDRESS, 4, addressHi);
    access.barWrite(bar, entry + PCI_MSIX_ENTRY.MESSAGE_DATA, 4, data);
    access.barWrite(bar, entry + PCI_MSIX_ENTRY.VECTOR_CONTROL, 4, 0);
  });
  setControl(access, msix, ENABLE);
}

export function disableMsix(access: PciAccess, msix: PciMsix): void {
  setControl(access, msix, 0);
}

function setControl(access: PciAccess, msix: PciMsix, bits: number): void {
  const at = msix.at + PCI_MSIX.MESSAGE_CONTROL;
  const others = access.configRead(at, 2) & ~(PCI_MSIX_CONTROL.ENABLE | PCI_MSIX_CONTROL.FUNCTION_MASK);
  access.configWrite(at, 2, others | bits);
}
