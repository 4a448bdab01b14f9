/**
 * virtio 1.4 §2.9 Driver Notifications: the 32-bit word a driver sends with VIRTIO_F_NOTIFICATION_DATA
 * (§4.1.5.2 PCI, §4.2.3.3 MMIO). Bit positions in the word.
 */
export const NOTIFICATION_DATA = {
  /** Or vq_notif_config_data: with VIRTIO_F_NOTIF_CONFIG_DATA, on PCI, what queue_notif_config_data gave. */
  vq_index: { shift: 0, bits: 16 },
  next_off: { shift: 16, bits: 15 },
  next_wrap: { shift: 31, bits: 1 },
} as const;

const { next_off, next_wrap } = NOTIFICATION_DATA;

/**
 * The word for a split ring: the 16-bit available idx fills next_off (its low 15 bits) and next_wrap (bit 15).
 * @param vqIndex  virtqueue index, or queue_notif_config_data; 16 bits
 * @param availIdx where the driver will put its next available entry, free-running; 16 bits
 */
export const splitNotificationData = (vqIndex: number, availIdx: number): number =>
  ((vqIndex & 0xffff) | (availIdx << next_off.shift)) >>> 0;

/**
 * The word for a packed ring.
 * @param vqIndex  virtqueue index, or queue_notif_config_data; 16 bits
 * @param nextOff  slot of the next descriptor to be made available, in descriptors; 15 bits
 * @param nextWrap the driver's wrap counter for that descriptor, 0 or 1
 */
export const packedNotificationData = (vqIndex: number, nextOff: number, nextWrap: number): number =>
  ((vqIndex & 0xffff) | ((nextOff & 0x7fff) << next_off.shift) | (nextWrap << next_wrap.shift)) >>> 0;

/** Virtqueue index or vq_notif_config_data of a word. */
export const notifiedVqIndex = (data: number): number => data & 0xffff;

/** Split ring: the driver's available idx, 16 bits. */
export const notifiedAvailIdx = (data: number): number => data >>> next_off.shift;

/** Packed ring: offset of the next descriptor, in descriptors. */
export const notifiedNextOff = (data: number): number => (data >>> next_off.shift) & 0x7fff;

/** Packed ring: wrap counter of the next descriptor, 0 or 1. */
export const notifiedNextWrap = (data: number): number => data >>> next_wrap.shift;
