/**
 * PCI ids of vendor B. PCI-SIG keeps no vendor id for experiments; 0xb0b0 is nobody's in the PCI ID Repository. The ids that
 * Red Hat gives away for experiments, 1af4:10f0 to 10ff, would not do: Linux's virtio driver looks at every function of 1af4,
 * and this card is to be none of its kind.
 */
export const VENDOR_B_ID = { VENDOR: 0xb0b0, PF: 0x0b10, VF: 0x0b1f, SUBSYSTEM: 0x0001, REVISION: 0x01 } as const;

/** Ethernet controller: class, subclass, programming interface. */
export const VENDOR_B_CLASS_CODE = 0x02_0000;

/** BAR 0 of either function, 64-bit memory: registers, MSI-X, and a page of doorbells for each queue. Bytes. */
export const VENDOR_B_BAR = {
  REGISTERS: 0x0000,
  REGISTERS_BYTES: 0x1000,
  MSIX_TABLE: 0x1000,
  MSIX_PBA: 0x2000,
  DOORBELLS: 0x4000,
  DOORBELL_PAGE: 0x1000,
  SIZE: 0x8000,
} as const;

/** How many of each a function has. */
export const VENDOR_B_COUNT = {
  VECTORS: 4,
  /** Pages of doorbells: submission ring i and completion ring i, or virtqueue i. */
  PAGES: 4,
  SUBMISSION_RINGS: 2,
  COMPLETION_RINGS: 2,
  /** Receive, transmit and control queue of the virtio data plane. */
  VIRTQUEUES: 3,
  /** Queue Size that each of them can have. */
  VIRTQUEUE_SIZE: 256,
} as const;
