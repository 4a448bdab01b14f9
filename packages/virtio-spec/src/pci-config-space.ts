/**
 * PCI Local Bus Specification 3.0 §6.1: what a driver needs of a type 0 header. Byte offsets; fields are little-endian
 * and 16 bits wide, but capabilities_pointer (8) and the six base address registers (32 each).
 */
export const PCI_HEADER = {
  vendor_id: 0x00,
  device_id: 0x02,
  command: 0x04,
  status: 0x06,
  base_address: 0x10,
  capabilities_pointer: 0x34,
  /** Where capabilities may begin. */
  SIZE: 0x40,
  /** All of conventional configuration space. */
  SPACE: 0x100,
} as const;

/** PCI 3.0 §6.2.2: bits of `command`. */
export const PCI_COMMAND = { IO_SPACE: 0x1, MEMORY_SPACE: 0x2, BUS_MASTER: 0x4, INTERRUPT_DISABLE: 0x400 } as const;

/** PCI 3.0 §6.2.3: bits of `status`. */
export const PCI_STATUS = { CAPABILITIES_LIST: 0x10 } as const;

/** PCI 3.0 §6.2.5.1: bits of a base address register; those from `MEMORY_ADDRESS` on are the address. */
export const PCI_BAR = { IO_SPACE: 0x1, TYPE_MASK: 0x6, TYPE_64: 0x4, MEMORY_ADDRESS: 0xffff_fff0, COUNT: 6 } as const;

/** PCI 3.0 §6.8.2: the MSI-X capability. Offsets from its start. */
export const PCI_MSIX_CAP = { ID: 0x11, message_control: 2, table: 4, pba: 8, SIZE: 12 } as const;

/** PCI 3.0 §6.8.2.3: Message Control. The table has TABLE_SIZE + 1 entries. */
export const PCI_MSIX_CONTROL = { TABLE_SIZE: 0x7ff, FUNCTION_MASK: 0x4000, ENABLE: 0x8000 } as const;

/** PCI 3.0 §6.8.2.4: the low 3 bits of `table` and `pba` are a BAR, the others an offset into it. */
export const PCI_MSIX_BIR_MASK = 0x7;

/** PCI 3.0 §6.8.2.6 to .9: one entry of the MSI-X table, four 32-bit words; bit 0 of vector_control masks it. */
export const PCI_MSIX_ENTRY = { address: 0, address_hi: 4, data: 8, vector_control: 12, SIZE: 16 } as const;
