/** virtio 1.4 §2.7 Split Virtqueues: three parts in guest memory, each contiguous. */

/** virtio 1.4 §2.7.5 The Virtqueue Descriptor Table, struct virtq_desc. Flags are `VIRTQ_DESC_F`. */
export const VIRTQ_DESC = { addr: 0, len: 8, flags: 12, next: 14, SIZE: 16, ALIGN: 16 } as const;

/**
 * virtio 1.4 §2.7.6 The Virtqueue Available Ring, struct virtq_avail; driver area.
 * `ring` holds Queue Size elements of ELEM_SIZE bytes, then comes used_event: `virtqUsedEventAt`.
 */
export const VIRTQ_AVAIL = { flags: 0, idx: 2, ring: 4, ELEM_SIZE: 2, ALIGN: 2 } as const;

/** virtio 1.4 §2.7.6: `flags` of the available ring. */
export const VIRTQ_AVAIL_F = { NO_INTERRUPT: 1 } as const;

/**
 * virtio 1.4 §2.7.8 The Virtqueue Used Ring, struct virtq_used; device area.
 * `ring` holds Queue Size elements of ELEM_SIZE bytes, then comes avail_event: `virtqAvailEventAt`.
 */
export const VIRTQ_USED = { flags: 0, idx: 2, ring: 4, ELEM_SIZE: 8, ALIGN: 4 } as const;

/** virtio 1.4 §2.7.8: one element of the used ring, struct virtq_used_elem. */
export const VIRTQ_USED_ELEM = { id: 0, len: 4, SIZE: 8 } as const;

/** virtio 1.4 §2.7.8: `flags` of the used ring. */
export const VIRTQ_USED_F = { NO_NOTIFY: 1 } as const;

/** virtio 1.4 §2.7: the largest Queue Size of a split virtqueue. */
export const VIRTQ_SIZE_MAX = 32768;

/** virtio 1.4 §2.7: true for a power of two from 1 to 32768. A register's 0, "not available", is no size. */
export const isVirtqSize = (size: number): boolean =>
  Number.isInteger(size) && size >= 1 && size <= VIRTQ_SIZE_MAX && (size & (size - 1)) === 0;

/** Bytes of the descriptor table; part sizes are the table of virtio 1.4 §2.7, `size` is the Queue Size. */
export const virtqDescBytes = (size: number): number => size * VIRTQ_DESC.SIZE;

/** Bytes of the available ring. used_event counts, negotiated or not. */
export const virtqAvailBytes = (size: number): number => virtqUsedEventAt(size) + 2;

/** Bytes of the used ring. avail_event counts, negotiated or not. */
export const virtqUsedBytes = (size: number): number => virtqAvailEventAt(size) + 2;

/** virtio 1.4 §2.7.6: byte offset of used_event within the available ring; only with VIRTIO_F_EVENT_IDX. */
export const virtqUsedEventAt = (size: number): number => VIRTQ_AVAIL.ring + size * VIRTQ_AVAIL.ELEM_SIZE;

/** virtio 1.4 §2.7.8: byte offset of avail_event within the used ring; only with VIRTIO_F_EVENT_IDX. */
export const virtqAvailEventAt = (size: number): number => VIRTQ_USED.ring + size * VIRTQ_USED.ELEM_SIZE;
