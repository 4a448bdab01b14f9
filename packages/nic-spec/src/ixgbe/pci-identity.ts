/** Intel as PCI-SIG numbers it. */
export const INTEL_VENDOR_ID = 0x8086;

/** 82599 datasheet §9.3 (physical) and §9.5 (virtual): SFI/SFP+ card. */
export const IXGBE_DEVICE_ID = { PF: 0x10fb, VF: 0x10ed } as const;

/** Ethernet controller: class, subclass, programming interface. */
export const IXGBE_CLASS_CODE = 0x02_0000;

/** Silicon revision that shipped. */
export const IXGBE_REVISION = 0x01;

/** BARs of the physical function: registers, and the MSI-X table with its pending bits. All are 64-bit memory. */
export const IXGBE_PF_BAR = { REGISTERS: 0, REGISTERS_BYTES: 0x8_0000, MSIX: 4, MSIX_BYTES: 0x4000 } as const;

/** BARs of a virtual function. All are 64-bit memory. */
export const IXGBE_VF_BAR = { REGISTERS: 0, REGISTERS_BYTES: 0x4000, MSIX: 3, MSIX_BYTES: 0x4000 } as const;

/** Where table and pending bits are in the MSI-X BAR of either function; how many vectors each has. */
export const IXGBE_MSIX = { TABLE: 0x0000, PBA: 0x2000, PF_VECTORS: 64, VF_VECTORS: 3 } as const;

/** How many of each the card has. */
export const IXGBE_COUNT = {
  QUEUES: 128,
  POOLS: 64,
  /** 64 pools, one of which is the physical function's. */
  VFS: 63,
  /** As SR-IOV's TotalVFs of real cards says. */
  TOTAL_VFS: 64,
  RAR: 128,
  VLVF: 64,
  FIVE_TUPLES: 128,
  ETHER_TYPES: 8,
  /** Queue pairs that the register file of a virtual function has room for. */
  VF_QUEUES: 8,
} as const;
