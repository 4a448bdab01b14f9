/**
 * PCI Express Base 5.0 §7.5.1 PCI-Compatible Configuration Registers. Byte offsets; fields are little-endian, the
 * widths stand behind them. HEADER_END is where capabilities may begin.
 */
export const PCI_HEADER = {
  VENDOR_ID: 0x00, // 2
  DEVICE_ID: 0x02, // 2
  COMMAND: 0x04, // 2
  STATUS: 0x06, // 2
  REVISION_ID: 0x08, // 1
  CLASS_CODE: 0x09, // 3: programming interface, sub-class, base class
  CACHE_LINE_SIZE: 0x0c, // 1
  LATENCY_TIMER: 0x0d, // 1
  HEADER_TYPE: 0x0e, // 1
  BIST: 0x0f, // 1
  BASE_ADDRESS: 0x10, // 4 each, 6 in type 0 headers, 2 in type 1
  CAPABILITIES_POINTER: 0x34, // 1
  INTERRUPT_LINE: 0x3c, // 1
  INTERRUPT_PIN: 0x3d, // 1
  HEADER_END: 0x40,
} as const;

/** PCIe 5.0 §7.5.1.2 Type 0 Configuration Space Header: what only endpoints have. */
export const PCI_TYPE0 = {
  BARS: 6,
  CARDBUS_CIS_POINTER: 0x28, // 4
  SUBSYSTEM_VENDOR_ID: 0x2c, // 2
  SUBSYSTEM_ID: 0x2e, // 2
  EXPANSION_ROM: 0x30, // 4
  MIN_GNT: 0x3e, // 1
  MAX_LAT: 0x3f, // 1
} as const;

/** PCIe 5.0 §7.5.1.3 Type 1 Configuration Space Header: what only bridges have. */
export const PCI_TYPE1 = {
  BARS: 2,
  PRIMARY_BUS: 0x18, // 1
  SECONDARY_BUS: 0x19, // 1
  SUBORDINATE_BUS: 0x1a, // 1
  IO_BASE: 0x1c, // 1
  IO_LIMIT: 0x1d, // 1
  SECONDARY_STATUS: 0x1e, // 2
  MEMORY_BASE: 0x20, // 2
  MEMORY_LIMIT: 0x22, // 2
  PREFETCHABLE_MEMORY_BASE: 0x24, // 2
  PREFETCHABLE_MEMORY_LIMIT: 0x26, // 2
  PREFETCHABLE_BASE_UPPER: 0x28, // 4
  PREFETCHABLE_LIMIT_UPPER: 0x2c, // 4
  IO_BASE_UPPER: 0x30, // 2
  IO_LIMIT_UPPER: 0x32, // 2
  EXPANSION_ROM: 0x38, // 4
  BRIDGE_CONTROL: 0x3e, // 2
} as const;

/** PCIe 5.0 §7.5.1.1.9: bits of Header Type. */
export const PCI_HEADER_TYPE = { LAYOUT: 0x7f, MULTI_FUNCTION: 0x80 } as const;

/** PCIe 5.0 §7.5.1.1.3 Command Register; the names of the bits that Express hardwires to 0 are those of PCI 3.0 §6.2.2. */
export const PCI_COMMAND = {
  IO_SPACE_ENABLE: 0x0001,
  MEMORY_SPACE_ENABLE: 0x0002,
  BUS_MASTER_ENABLE: 0x0004,
  SPECIAL_CYCLE_ENABLE: 0x0008,
  MEMORY_WRITE_AND_INVALIDATE: 0x0010,
  VGA_PALETTE_SNOOP: 0x0020,
  PARITY_ERROR_RESPONSE: 0x0040,
  STEPPING_CONTROL: 0x0080,
  SERR_ENABLE: 0x0100,
  FAST_BACK_TO_BACK_ENABLE: 0x0200,
  INTERRUPT_DISABLE: 0x0400,
} as const;

/** PCIe 5.0 §7.5.1.1.4 Status Register. RW1C holds the bits that software clears by writing 1. */
export const PCI_STATUS = {
  INTERRUPT_STATUS: 0x0008,
  CAPABILITIES_LIST: 0x0010,
  MHZ_66_CAPABLE: 0x0020,
  FAST_BACK_TO_BACK_CAPABLE: 0x0080,
  MASTER_DATA_PARITY_ERROR: 0x0100,
  DEVSEL_TIMING: 0x0600,
  SIGNALED_TARGET_ABORT: 0x0800,
  RECEIVED_TARGET_ABORT: 0x1000,
  RECEIVED_MASTER_ABORT: 0x2000,
  SIGNALED_SYSTEM_ERROR: 0x4000,
  DETECTED_PARITY_ERROR: 0x8000,
  RW1C: 0xf900,
} as const;

/**
 * PCIe 5.0 §7.5.1.2.1 Base Address Registers: the low bits, which are read-only. MEMORY_TYPE_64 takes the next register
 * for the high half of the address.
 */
export const PCI_BAR = {
  IO_SPACE: 0x1,
  IO_FLAGS: 0x3,
  MEMORY_TYPE: 0x6,
  MEMORY_TYPE_64: 0x4,
  PREFETCHABLE: 0x8,
  MEMORY_FLAGS: 0xf,
} as const;

/** PCIe 5.0 §7.5.1.3.13 Bridge Control Register: what software may change. */
export const PCI_BRIDGE_CONTROL = {
  PARITY_ERROR_RESPONSE: 0x01,
  SERR_ENABLE: 0x02,
  SECONDARY_BUS_RESET: 0x40,
} as const;

/** PCIe 5.0 §7.5.1.2.4 Expansion ROM Base Address Register. */
export const PCI_ROM = { ENABLE: 0x1, ADDRESS: 0xffff_f800 } as const;

/** Bytes that every function has (PCIe 5.0 §7.2). */
export const PCI_CONFIG_SIZE = 0x100;
/** Bytes that a PCI Express function has (PCIe 5.0 §7.2). */
export const PCIE_CONFIG_SIZE = 0x1000;
