/** Vendor B datasheet §2: registers, as byte offsets. All have 32 bits; narrower accesses read a part, and write nothing. */
export const VB_REG = {
  /** Reads {@link VB_MAGIC}. */
  ID: 0x00,
  /** Major version in bits 31:16, minor in 15:0. */
  VERSION: 0x04,
  CAPABILITIES: 0x08,
  STATUS: 0x0c,
  /** Where commands and responses are: an address in two halves, aligned to 64 bytes. */
  ADMIN_ADDRESS: 0x10,
  ADMIN_ADDRESS_HIGH: 0x14,
  /** Writing a sequence number from 1 to 65535 starts the command with it. Reads the one that is waiting, or 0. */
  ADMIN_DOORBELL: 0x18,
  /** Writing 1 resets the function. Reads 0. */
  RESET: 0x1c,
} as const;

/** "VNDB", little-endian. */
export const VB_MAGIC = 0x4244_4e56;
/** What VERSION reads. */
export const VB_VERSION = { MAJOR: 1, MINOR: 0 } as const;

/** Bits of CAPABILITIES. */
export const VB_CAPABILITY = {
  /** The physical function: it has commands for virtual ones. */
  PHYSICAL: 1,
  /** The data plane can be virtio's. */
  VIRTIO: 2,
} as const;

/** Bits of STATUS. */
export const VB_STATUS = {
  READY: 1,
  /** A ring, or the command buffer, cannot be used any more: bits 15:8 say why, 23:16 which. Until the next reset. */
  FATAL: 2,
  SUSPENDED: 4,
  /** The data plane is virtio's. */
  VIRTIO: 8,
  FAULT_SHIFT: 8,
  RING_SHIFT: 16,
} as const;

/** Why a ring stopped: bits 15:8 of the status. Values are stable: they index counters. */
export const VB_FAULT = {
  NONE: 0,
  /** A doorbell names more entries than the submission ring has. */
  SUBMISSION_INDEX: 1,
  /** A doorbell names completions that were never written. */
  COMPLETION_INDEX: 2,
  /** A ring lies where the function may not read or write. */
  RING_ADDRESS: 3,
  /** Likewise the command buffer. */
  ADMIN_ADDRESS: 4,
  /** The virtio device needs a reset. */
  VIRTIO: 5,
} as const;

/**
 * Vendor B datasheet §3: doorbells, as offsets in the page of their queue. Each has 64 bits, written as two words: the low one
 * is kept, and the high one makes it count. In the virtio data plane a write to the page's start notifies virtqueue i.
 */
export const VB_DOORBELL = {
  /** Producer index, 16 bits. */
  SUBMISSION: 0x00,
  /** The ring's generation, which a doorbell of an earlier life does not have. */
  SUBMISSION_HIGH: 0x04,
  /** Consumer index, 16 bits. */
  COMPLETION: 0x08,
  /** Generation in bits 15:0; {@link VB_ARM}. */
  COMPLETION_HIGH: 0x0c,
} as const;

/** Send one message once there is a completion behind the consumer index. */
export const VB_ARM = 0x8000_0000;
