/**
 * Flags of a descriptor, split or packed, as masks of its 16-bit `flags`.
 * virtio 1.4 §2.7.5 (NEXT, WRITE, INDIRECT), §2.8.3, §2.8.6 and §2.8.7 (the same in a packed ring).
 */
export const VIRTQ_DESC_F = {
  NEXT: 1,
  WRITE: 2,
  INDIRECT: 4,
  /** Packed only, §2.8.1: differs from USED in an available descriptor, equals it in a used one. */
  AVAIL: 0x80,
  /** Packed only, §2.8.1: matches the Device Ring Wrap Counter in a used descriptor. */
  USED: 0x8000,
} as const;
