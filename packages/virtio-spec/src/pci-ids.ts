/**
 * virtio 1.4 §4.1.2 PCI Device Discovery. A non-transitional device's PCI Device ID is DEVICE_ID_BASE plus its
 * `VIRTIO_ID`, at most DEVICE_ID_LAST.
 */
export const VIRTIO_PCI_ID = { VENDOR: 0x1af4, DEVICE_ID_BASE: 0x1040, DEVICE_ID_LAST: 0x107f } as const;

/** virtio 1.4 §4.1.2.1: the least Revision ID and Subsystem Device ID that keep legacy drivers away. */
export const VIRTIO_PCI_NON_TRANSITIONAL = { REVISION_ID_MIN: 1, SUBSYSTEM_DEVICE_ID_MIN: 0x40 } as const;

/** virtio 1.4 §4.1.2.1: Transitional PCI Device IDs, under the names of `VIRTIO_ID`. */
export const VIRTIO_PCI_TRANSITIONAL_ID = {
  NET: 0x1000,
  BLOCK: 0x1001,
  BALLOON: 0x1002,
  CONSOLE: 0x1003,
  SCSI: 0x1004,
  RNG: 0x1005,
  '9P': 0x1009,
} as const;
