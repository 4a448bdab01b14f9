/**
 * Vendor B datasheet §4: work entry of a submission ring. Byte offsets; little-endian. Its scatter list is inside: segments of
 * 8 bytes, each an address of 48 bits and a length of 16 above it.
 */
export const WORK_ENTRY = {
  opcode: 0,
  flags: 1,
  /** Comes back in the completion. 16 bits. */
  cookie: 2,
  /** Segments in this entry, 1 to 3. */
  segments: 4,
  /** Three bytes, zero. */
  reserved: 5,
  segment: 8,
  SEGMENT_BYTES: 8,
  SEGMENTS: 3,
  SIZE: 32,
} as const;

/** What an entry asks for. */
export const WORK_OP = { SEND: 1, RECEIVE: 2 } as const;

/** Bits of an entry's flags. */
export const WORK_FLAG = {
  /** The next entry has more segments of the same buffer. Its cookie means nothing. */
  MORE: 1,
} as const;

/** Entries that one buffer may have. */
export const WORK_CHAIN_MAX = 4;

/** Bytes of the longest frame, from the destination address on, without check sequence. */
export const VB_FRAME_MAX = 9216;
/** Bytes of the shortest one that is sent: an Ethernet header. */
export const VB_FRAME_MIN = 14;

/** Entries of either kind of ring: a power of two. */
export const VB_RING_ENTRIES = { MIN: 8, MAX: 4096 } as const;
/** What rings are aligned to. Bytes. */
export const VB_RING_ALIGN = 64;
/** Addresses have 48 bits. */
export const VB_ADDRESS_END: number = 2 ** 48;
