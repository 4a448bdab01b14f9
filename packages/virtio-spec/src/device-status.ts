/**
 * virtio 1.4 §2.1 Device Status Field: bits of one byte, by value. 0 is the state after
 * reset. SUSPEND only with VIRTIO_F_SUSPEND; DEVICE_NEEDS_RESET is the device's to set.
 */
export const DEVICE_STATUS = {
  ACKNOWLEDGE: 1,
  DRIVER: 2,
  DRIVER_OK: 4,
  FEATURES_OK: 8,
  SUSPEND: 16,
  DEVICE_NEEDS_RESET: 64,
  FAILED: 128,
} as const;
