/** virtio 1.4 §2.8 Packed Virtqueues: one descriptor ring and two event suppression structures. */

/** virtio 1.4 §2.8.13 The Virtqueue Descriptor Format, struct pvirtq_desc. Flags are `VIRTQ_DESC_F`. */
export const PVIRTQ_DESC = { addr: 0, len: 8, id: 12, flags: 14, SIZE: 16, ALIGN: 16 } as const;

/**
 * virtio 1.4 §2.8.14 Event Suppression Structure Format, struct pvirtq_event_suppress. Both 16-bit words are
 * bit fields: `PVIRTQ_EVENT_MASK`. The driver area holds the driver's, the device area the device's.
 */
export const PVIRTQ_EVENT_SUPPRESS = { desc: 0, flags: 2, SIZE: 4, ALIGN: 4 } as const;

/**
 * virtio 1.4 §2.8.14: bit fields of `desc` (desc_event_off, desc_event_wrap) and `flags` (desc_event_flags),
 * as masks. The offset counts descriptors, the other 14 bits of `flags` are reserved and 0.
 */
export const PVIRTQ_EVENT_MASK = { desc_event_off: 0x7fff, desc_event_wrap: 0x8000, desc_event_flags: 0x3 } as const;

/** virtio 1.4 §2.8.10: values of desc_event_flags; 3 is reserved. DESC only with VIRTIO_F_EVENT_IDX. */
export const RING_EVENT_FLAGS = { ENABLE: 0, DISABLE: 1, DESC: 2 } as const;

/** virtio 1.4 §2.8: the largest Queue Size of a packed virtqueue, 2^15 entries. */
export const PVIRTQ_SIZE_MAX = 32768;

/** virtio 1.4 §2.8.10.1: true for 1 to 32768; no power of two is asked for. 0, "not available", is no size. */
export const isPvirtqSize = (size: number): boolean => Number.isInteger(size) && size >= 1 && size <= PVIRTQ_SIZE_MAX;

/** virtio 1.4 §2.8.10.1: bytes of the descriptor ring; `size` is the Queue Size. */
export const pvirtqDescBytes = (size: number): number => size * PVIRTQ_DESC.SIZE;
