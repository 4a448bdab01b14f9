/** PCI Code and ID Assignment 1.11 §2 Capability IDs, in configuration space below 0x100. */
export const PCI_CAP_ID = {
  POWER_MANAGEMENT: 0x01,
  AGP: 0x02,
  VPD: 0x03,
  SLOT_IDENTIFICATION: 0x04,
  MSI: 0x05,
  COMPACTPCI_HOT_SWAP: 0x06,
  PCI_X: 0x07,
  HYPERTRANSPORT: 0x08,
  VENDOR_SPECIFIC: 0x09,
  DEBUG_PORT: 0x0a,
  COMPACTPCI_RESOURCE_CONTROL: 0x0b,
  HOT_PLUG: 0x0c,
  BRIDGE_SUBSYSTEM_VENDOR_ID: 0x0d,
  AGP_8X: 0x0e,
  SECURE_DEVICE: 0x0f,
  PCI_EXPRESS: 0x10,
  MSI_X: 0x11,
  SATA: 0x12,
  ADVANCED_FEATURES: 0x13,
  ENHANCED_ALLOCATION: 0x14,
  FLATTENING_PORTAL_BRIDGE: 0x15,
} as const;

/** PCI Code and ID Assignment 1.11 §3 Extended Capability IDs, from 0x100 on. */
export const PCI_EXT_CAP_ID = {
  NULL: 0x0000,
  ADVANCED_ERROR_REPORTING: 0x0001,
  VIRTUAL_CHANNEL: 0x0002,
  DEVICE_SERIAL_NUMBER: 0x0003,
  POWER_BUDGETING: 0x0004,
  VENDOR_SPECIFIC: 0x000b,
  ACS: 0x000d,
  ARI: 0x000e,
  ATS: 0x000f,
  SR_IOV: 0x0010,
  MULTICAST: 0x0012,
  PAGE_REQUEST: 0x0013,
  RESIZABLE_BAR: 0x0015,
  TPH_REQUESTER: 0x0017,
  LTR: 0x0018,
  SECONDARY_PCI_EXPRESS: 0x0019,
  PASID: 0x001b,
  DOWNSTREAM_PORT_CONTAINMENT: 0x001d,
  L1_PM_SUBSTATES: 0x001e,
  PRECISION_TIME_MEASUREMENT: 0x001f,
  DESIGNATED_VENDOR_SPECIFIC: 0x0023,
  VF_RESIZABLE_BAR: 0x0024,
  DATA_LINK_FEATURE: 0x0025,
} as const;

/** The name of an id in one of the tables above, such as `MSI_X`; undefined when the table does not have it. */
export function nameOf<Name extends string>(table: Readonly<Record<Name, number>>, id: number): Name | undefined {
  return (Object.keys(table) as Name[]).find((name) => table[name] === id);
}
