import { expect, test } from 'vitest';
import { PCI_BAR, PCI_HEADER, PCI_MSIX_CAP, PCI_MSIX_CONTROL, PCI_MSIX_ENTRY } from './pci-config-space.js';

test('PCI 3.0 §6.1: the header’s offsets, written by hand', () => {
  expect(PCI_HEADER).toEqual({
    vendor_id: 0,
    device_id: 2,
    command: 4,
    status: 6,
    base_address: 16,
    capabilities_pointer: 52,
    SIZE: 64,
    SPACE: 256,
  });
  expect(PCI_HEADER.base_address + PCI_BAR.COUNT * 4).toBe(0x28);
});

test('PCI 3.0 §6.8.2: a message control of 0x8002 is MSI-X switched on, with 3 entries of 16 bytes', () => {
  expect((0x8002 & PCI_MSIX_CONTROL.TABLE_SIZE) + 1).toBe(3);
  expect(0x8002 & PCI_MSIX_CONTROL.ENABLE).not.toBe(0);
  expect(PCI_MSIX_ENTRY.vector_control + 4).toBe(PCI_MSIX_ENTRY.SIZE);
  expect(PCI_MSIX_CAP).toEqual({ ID: 17, message_control: 2, table: 4, pba: 8, SIZE: 12 });
});
