import type { RegisterRow, TableOf } from './layout.js';

/**
 * virtio 1.4 §4.1.4.3 Common configuration structure layout. Offsets and sizes in bytes; 64-bit fields are also
 * accessed as two 32-bit halves, low one first (§4.1.3).
 */
export const COMMON_CFG = {
  // About the whole device.
  device_feature_select: { at: 0x00, bytes: 4, access: 'rw' },
  device_feature: { at: 0x04, bytes: 4, access: 'ro' },
  driver_feature_select: { at: 0x08, bytes: 4, access: 'rw' },
  driver_feature: { at: 0x0c, bytes: 4, access: 'rw' },
  config_msix_vector: { at: 0x10, bytes: 2, access: 'rw' },
  num_queues: { at: 0x12, bytes: 2, access: 'ro' },
  device_status: { at: 0x14, bytes: 1, access: 'rw' },
  config_generation: { at: 0x15, bytes: 1, access: 'ro' },
  // About the virtqueue in queue_select.
  queue_select: { at: 0x16, bytes: 2, access: 'rw' },
  queue_size: { at: 0x18, bytes: 2, access: 'rw' },
  queue_msix_vector: { at: 0x1a, bytes: 2, access: 'rw' },
  queue_enable: { at: 0x1c, bytes: 2, access: 'rw' },
  queue_notify_off: { at: 0x1e, bytes: 2, access: 'ro' },
  queue_desc: { at: 0x20, bytes: 8, access: 'rw' },
  queue_driver: { at: 0x28, bytes: 8, access: 'rw' },
  queue_device: { at: 0x30, bytes: 8, access: 'rw' },
  queue_notif_config_data: { at: 0x38, bytes: 2, access: 'ro' }, // with VIRTIO_F_NOTIF_CONFIG_DATA
  queue_reset: { at: 0x3a, bytes: 2, access: 'rw' }, // with VIRTIO_F_RING_RESET
  // About the administration virtqueues, with VIRTIO_F_ADMIN_VQ.
  admin_queue_index: { at: 0x3c, bytes: 2, access: 'ro' },
  admin_queue_num: { at: 0x3e, bytes: 2, access: 'ro' },
} as const;

/** Name of a field of {@link COMMON_CFG}. */
export type CommonCfgField = keyof TableOf<RegisterRow, typeof COMMON_CFG>;

/** Bytes of the whole structure in virtio 1.4; those of 1.0 to 1.2 end at 0x38 or 0x3c. */
export const COMMON_CFG_SIZE = 0x40;

/** virtio 1.4 §4.1.5.1.2 MSI-X Vector Configuration: the value of either vector field that maps no vector. */
export const VIRTIO_MSI_NO_VECTOR = 0xffff;
