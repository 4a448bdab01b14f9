/**
 * Vendor B datasheet §5: completion, shared by all submission rings that name its ring. Byte offsets; little-endian. The last
 * word makes the others count: its phase bit is 1 in the first pass through the ring, and changes with each.
 */
export const COMPLETION = {
  cookie: 0,
  /** Submission ring. 16 bits. */
  ring: 2,
  /** Bytes of the frame; 0 unless the status is OK. */
  length: 4,
  /** Zero. */
  reserved: 8,
  /** Phase in bit 0, status in bits 7:1, in bits 31:16 how far the submission ring is read. */
  tail: 12,
  SIZE: 16,
} as const;

/** Parts of a completion's last word. */
export const COMPLETION_TAIL = {
  PHASE: 1,
  STATUS_SHIFT: 1,
  STATUS_MASK: 0x7f,
  HEAD_SHIFT: 16,
} as const;

/** What became of a work entry. */
export const WORK_STATUS = {
  OK: 0,
  BAD_OPCODE: 1,
  /** A reserved field is not zero, or an unknown flag is set. */
  BAD_FIELD: 2,
  /** No segment, too many, or an empty one. */
  BAD_SEGMENTS: 3,
  /** {@link WORK_FLAG.MORE} behind the last entry that there is, or in too many. */
  BAD_CHAIN: 4,
  /** Shorter or longer than a frame can be. */
  BAD_LENGTH: 5,
  /** A segment lies where the function may not read or write. */
  DMA_FAULT: 6,
} as const;
