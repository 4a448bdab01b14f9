/** Offsets and bits inside capabilities, each from the capability's own start. Fields are little-endian. */

/** PCIe 5.0 §7.5: every capability below 0x100 begins so. */
export const PCI_CAP = { ID: 0, NEXT: 1, SIZE: 2 } as const;

/** PCIe 5.0 §7.6.3 PCI Express Extended Capability Header: id in bits 15:0, version in 19:16, next in 31:20. */
export const PCI_EXT_CAP = { HEADER: 0, SIZE: 4, VERSION_SHIFT: 16, NEXT_SHIFT: 20 } as const;

/** PCIe 5.0 §7.5.2 PCI Power Management Capability Structure. */
export const PCI_PM = { PMC: 2, PMCSR: 4, DATA: 7, SIZE: 8 } as const;
/** PCIe 5.0 §7.5.2.1. PME_SUPPORT has a bit per state D0 to D3cold. */
export const PCI_PMC = { VERSION: 0x0007, D1: 0x0200, D2: 0x0400, PME_SUPPORT: 0xf800 } as const;
/** PCIe 5.0 §7.5.2.2. */
export const PCI_PMCSR = { POWER_STATE: 0x0003, NO_SOFT_RESET: 0x0008, PME_EN: 0x0100, PME_STATUS: 0x8000 } as const;

/** PCIe 5.0 §7.7.1 MSI Capability Structure: what stands before the address, whose width Message Control tells. */
export const PCI_MSI = { MESSAGE_CONTROL: 2, MESSAGE_ADDRESS: 4 } as const;
/** PCIe 5.0 §7.7.1.2 Message Control Register for MSI. */
export const PCI_MSI_CONTROL = {
  ENABLE: 0x0001,
  MULTIPLE_MESSAGE_CAPABLE: 0x000e,
  MULTIPLE_MESSAGE_ENABLE: 0x0070,
  ADDRESS_64: 0x0080,
  PER_VECTOR_MASKING: 0x0100,
} as const;

/** PCIe 5.0 §7.7.2 MSI-X Capability Structure. TABLE and PBA are an offset with the BAR's number in bits 2:0. */
export const PCI_MSIX = { MESSAGE_CONTROL: 2, TABLE: 4, PBA: 8, SIZE: 12 } as const;
/** PCIe 5.0 §7.7.2.2. TABLE_SIZE is the number of vectors less 1. */
export const PCI_MSIX_CONTROL = { TABLE_SIZE: 0x07ff, FUNCTION_MASK: 0x4000, ENABLE: 0x8000 } as const;
/** PCIe 5.0 §7.7.2.3: bits of TABLE and PBA. */
export const PCI_MSIX_PLACE = { BIR: 0x7, OFFSET: 0xffff_fff8 } as const;
/** PCIe 5.0 §7.7.2.5 to §7.7.2.8: an entry of the MSI-X table. */
export const PCI_MSIX_ENTRY = {
  MESSAGE_ADDRESS: 0,
  MESSAGE_UPPER_ADDRESS: 4,
  MESSAGE_DATA: 8,
  VECTOR_CONTROL: 12,
  SIZE: 16,
} as const;
/** PCIe 5.0 §7.7.2.8. */
export const PCI_MSIX_VECTOR_CONTROL = { MASK: 1 } as const;

/** PCIe 5.0 §7.5.3 PCI Express Capability Structure; SIZE is that of version 2. */
export const PCI_EXP = {
  CAPABILITIES: 0x02, // 2
  DEVICE_CAPABILITIES: 0x04, // 4
  DEVICE_CONTROL: 0x08, // 2
  DEVICE_STATUS: 0x0a, // 2
  LINK_CAPABILITIES: 0x0c, // 4
  LINK_CONTROL: 0x10, // 2
  LINK_STATUS: 0x12, // 2
  ROOT_CONTROL: 0x1c, // 2
  DEVICE_CAPABILITIES_2: 0x24, // 4
  DEVICE_CONTROL_2: 0x28, // 2
  LINK_CAPABILITIES_2: 0x2c, // 4
  LINK_CONTROL_2: 0x30, // 2
  LINK_STATUS_2: 0x32, // 2
  SIZE: 0x3c,
} as const;
/** PCIe 5.0 §7.5.3.2 PCI Express Capabilities Register. */
export const PCI_EXP_CAPABILITIES = {
  VERSION: 0x000f,
  DEVICE_PORT_TYPE: 0x00f0,
  SLOT_IMPLEMENTED: 0x0100,
  INTERRUPT_MESSAGE_NUMBER: 0x3e00,
} as const;
/** PCIe 5.0 §7.5.3.2: values of Device/Port Type. */
export const PCI_EXP_TYPE = {
  ENDPOINT: 0,
  LEGACY_ENDPOINT: 1,
  ROOT_PORT: 4,
  UPSTREAM_PORT: 5,
  DOWNSTREAM_PORT: 6,
  PCIE_TO_PCI_BRIDGE: 7,
  PCI_TO_PCIE_BRIDGE: 8,
  ROOT_COMPLEX_INTEGRATED_ENDPOINT: 9,
  ROOT_COMPLEX_EVENT_COLLECTOR: 10,
} as const;
/** PCIe 5.0 §7.5.3.3 Device Capabilities Register. */
export const PCI_EXP_DEVICE_CAPABILITIES = {
  MAX_PAYLOAD_SIZE: 0x7,
  EXTENDED_TAG: 0x20,
  ROLE_BASED_ERROR_REPORTING: 0x8000,
  FUNCTION_LEVEL_RESET: 0x1000_0000,
} as const;
/** PCIe 5.0 §7.5.3.4 Device Control Register. ERROR_REPORTING are the four enables before it. */
export const PCI_EXP_DEVICE_CONTROL = {
  CORRECTABLE_REPORTING: 0x0001,
  NON_FATAL_REPORTING: 0x0002,
  FATAL_REPORTING: 0x0004,
  UNSUPPORTED_REQUEST_REPORTING: 0x0008,
  ERROR_REPORTING: 0x000f,
  RELAXED_ORDERING: 0x0010,
  MAX_PAYLOAD_SIZE: 0x00e0,
  EXTENDED_TAG: 0x0100,
  NO_SNOOP: 0x0800,
  MAX_READ_REQUEST_SIZE: 0x7000,
  INITIATE_FUNCTION_LEVEL_RESET: 0x8000,
} as const;
/** PCIe 5.0 §7.5.3.5 Device Status Register. ERRORS are the four that software clears by writing 1. */
export const PCI_EXP_DEVICE_STATUS = {
  CORRECTABLE: 0x0001,
  NON_FATAL: 0x0002,
  FATAL: 0x0004,
  UNSUPPORTED_REQUEST: 0x0008,
  ERRORS: 0x000f,
  TRANSACTIONS_PENDING: 0x0020,
} as const;
/** PCIe 5.0 §7.5.3.6 Link Capabilities Register, §7.5.3.8 Link Status Register: the same two fields in both. */
export const PCI_EXP_LINK = { SPEED: 0x000f, WIDTH: 0x03f0, ASPM_OPTIONALITY_COMPLIANCE: 0x40_0000 } as const;
/** PCIe 5.0 §7.5.3.7 Link Control Register: what an endpoint's software may change. */
export const PCI_EXP_LINK_CONTROL = {
  ASPM_CONTROL: 0x0003,
  READ_COMPLETION_BOUNDARY: 0x0008,
  COMMON_CLOCK: 0x0040,
  EXTENDED_SYNCH: 0x0080,
} as const;
/** PCIe 5.0 §7.5.3.12 Root Control Register: error messages that raise a system error, and PME interrupts. */
export const PCI_EXP_ROOT_CONTROL = 0x000f;
/** PCIe 5.0 §7.5.3.15 and .16: the bit that says that a port can, and the bit with which it does, forward to any function number. */
export const PCI_EXP_ARI_FORWARDING = 0x20;
/** PCIe 5.0 §7.5.3.15 and .16: the bit that says that, and the bit with which, completion timeouts are turned off. */
export const PCI_EXP_COMPLETION_TIMEOUT_DISABLE = 0x10;

/** PCIe 5.0 §7.8.4 Advanced Error Reporting Extended Capability. ROOT_COMMAND to ERROR_SOURCE are a root port's. */
export const PCI_AER = {
  UNCORRECTABLE_STATUS: 0x04,
  UNCORRECTABLE_MASK: 0x08,
  UNCORRECTABLE_SEVERITY: 0x0c,
  CORRECTABLE_STATUS: 0x10,
  CORRECTABLE_MASK: 0x14,
  CAPABILITIES_AND_CONTROL: 0x18,
  HEADER_LOG: 0x1c,
  ROOT_COMMAND: 0x2c,
  ROOT_STATUS: 0x30,
  ERROR_SOURCE: 0x34,
  TLP_PREFIX_LOG: 0x38,
  SIZE: 0x48,
} as const;
/** PCIe 5.0 §7.8.4.2: the uncorrectable errors, by bit of status, mask and severity. */
export const PCI_AER_UNCORRECTABLE = {
  POISONED: 12,
  COMPLETION_TIMEOUT: 14,
  COMPLETER_ABORT: 15,
  UNEXPECTED_COMPLETION: 16,
  MALFORMED: 18,
  UNSUPPORTED_REQUEST: 20,
  ACS_VIOLATION: 21,
} as const;
/** PCIe 5.0 §7.8.4.5: an uncorrectable error that its own status bits tell enough of. */
export const PCI_AER_ADVISORY_NON_FATAL = 0x2000;
/** PCIe 5.0 §7.8.4.7. */
export const PCI_AER_FIRST_ERROR = 0x1f;
/** PCIe 5.0 §7.8.4.10 Root Error Status: what messages came in. MULTIPLE: one more while the bit before was set. */
export const PCI_AER_ROOT_STATUS = {
  CORRECTABLE: 0x01,
  CORRECTABLE_MULTIPLE: 0x02,
  UNCORRECTABLE: 0x04,
  UNCORRECTABLE_MULTIPLE: 0x08,
  FIRST_FATAL: 0x10,
  NON_FATAL: 0x20,
  FATAL: 0x40,
  RW1C: 0x7f,
} as const;
/** PCIe 5.0 §7.9.3 Device Serial Number Extended Capability. */
export const PCI_DSN = { SERIAL_NUMBER_LOW: 4, SERIAL_NUMBER_HIGH: 8, SIZE: 12 } as const;
/** PCIe 5.0 §7.7.8 Access Control Services Extended Capability, without egress control vector. */
export const PCI_ACS = { CAPABILITY: 4, CONTROL: 6, SIZE: 8 } as const;
/** PCIe 5.0 §7.7.8.2 and .3: the services, as capabilities and as what is switched on. */
export const PCI_ACS_SERVICES = {
  SOURCE_VALIDATION: 0x01,
  TRANSLATION_BLOCKING: 0x02,
  P2P_REQUEST_REDIRECT: 0x04,
  P2P_COMPLETION_REDIRECT: 0x08,
  UPSTREAM_FORWARDING: 0x10,
  DIRECT_TRANSLATED_P2P: 0x40,
} as const;
/** PCIe 5.0 §7.8.7 ARI Extended Capability. NEXT_FUNCTION is the high byte of the capability register. */
export const PCI_ARI = { CAPABILITY: 4, NEXT_FUNCTION: 5, CONTROL: 6, SIZE: 8 } as const;
/** PCIe 5.0 §10.5.1 ATS Extended Capability. */
export const PCI_ATS = { CAPABILITY: 4, CONTROL: 6, SIZE: 8 } as const;
/** PCIe 5.0 §9.3.3 SR-IOV Extended Capability. */
export const PCI_SRIOV = {
  CAPABILITIES: 0x04, // 4
  CONTROL: 0x08, // 2
  STATUS: 0x0a, // 2
  INITIAL_VFS: 0x0c, // 2
  TOTAL_VFS: 0x0e, // 2
  NUM_VFS: 0x10, // 2
  FUNCTION_DEPENDENCY_LINK: 0x12, // 1
  FIRST_VF_OFFSET: 0x14, // 2
  VF_STRIDE: 0x16, // 2
  VF_DEVICE_ID: 0x1a, // 2
  SUPPORTED_PAGE_SIZES: 0x1c, // 4
  SYSTEM_PAGE_SIZE: 0x20, // 4
  VF_BARS: 0x24, // 4 each, 6
  VF_MIGRATION_STATE: 0x3c, // 4
  SIZE: 0x40,
} as const;
/** PCIe 5.0 §9.3.3.3 SR-IOV Control Register. */
export const PCI_SRIOV_CONTROL = { VF_ENABLE: 0x01, VF_MSE: 0x08, ARI_CAPABLE_HIERARCHY: 0x10 } as const;
