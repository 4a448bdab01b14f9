/** PCI's id of a vendor-specific capability: cap_vndr of every capability below (virtio 1.4 §4.1.4). */
export const PCI_CAP_ID_VNDR = 0x09;

/**
 * virtio 1.4 §4.1.4 Virtio Structure PCI Capabilities, struct virtio_pci_cap, in PCI configuration space.
 * Read-only for the driver, except in the PCI_CFG type. `padding` has 2 bytes.
 */
export const VIRTIO_PCI_CAP = {
  cap_vndr: 0,
  cap_next: 1,
  cap_len: 2,
  cfg_type: 3,
  bar: 4,
  id: 5,
  padding: 6,
  offset: 8,
  length: 12,
  SIZE: 16,
} as const;

/** virtio 1.4 §4.1.4: struct virtio_pci_cap64 goes on with the high halves; used by SHARED_MEMORY_CFG (§4.1.4.7). */
export const VIRTIO_PCI_CAP64 = { offset_hi: 16, length_hi: 20, SIZE: 24 } as const;

/** virtio 1.4 §4.1.4.4: struct virtio_pci_notify_cap goes on with the multiplier of queue_notify_off. */
export const VIRTIO_PCI_NOTIFY_CAP = { notify_off_multiplier: 16, SIZE: 20 } as const;

/** virtio 1.4 §4.1.4.9: struct virtio_pci_cfg_cap goes on with 4 bytes of data for BAR access. */
export const VIRTIO_PCI_CFG_CAP = { pci_cfg_data: 16, SIZE: 20 } as const;

/**
 * virtio 1.4 §4.1.4.8: struct virtio_pci_vndr_data shares cap_vndr to cfg_type, then holds a 16-bit vendor_id.
 * SIZE is where the vendor's bytes start; cap_len is a multiple of 4.
 */
export const VIRTIO_PCI_VNDR_DATA = { vendor_id: 4, SIZE: 6 } as const;

/** virtio 1.4 §4.1.4: values of cfg_type, the spec's VIRTIO_PCI_CAP_*. Others are reserved. */
export const VIRTIO_PCI_CFG_TYPE = {
  COMMON_CFG: 1,
  NOTIFY_CFG: 2,
  ISR_CFG: 3,
  DEVICE_CFG: 4,
  PCI_CFG: 5,
  SHARED_MEMORY_CFG: 8,
  VENDOR_CFG: 9,
} as const;

/** virtio 1.4 §4.1.4: the largest value of `bar`; others are reserved. */
export const VIRTIO_PCI_BAR_MAX = 5;

/** virtio 1.4 §4.1.4.5 ISR status capability: bits of the byte it points at, which a read clears. */
export const ISR_STATUS = { QUEUE_INTERRUPT: 1, DEVICE_CONFIGURATION_INTERRUPT: 2 } as const;
