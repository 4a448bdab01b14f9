/** Bytes of a device image in a stream. All fields are little-endian. */
export const STREAM = {
  /** `RWVM`. */
  MAGIC: 0x4d56_5752,
  /** Reads 0x3412 when somebody wrote it in the other byte order. */
  ORDER: 0x1234,
  MAJOR: 1,
  MINOR: 0,
  /** The largest stream that is looked at. */
  BYTES_MAX: 0x20_0000,
} as const;

/** The header: magic u32, order u16, major u16, minor u16, zero u16, bytes of the whole stream u32. */
export const HEADER = { magic: 0, order: 4, major: 6, minor: 8, zero: 10, bytes: 12, SIZE: 16 } as const;

/** What follows the last section: CRC-32 of all before it. */
export const TRAILER_BYTES = 4;

/** Before each section: its tag u32, zero u32, bytes of what follows u64. */
export const SECTION = { tag: 0, zero: 4, bytes: 8, SIZE: 16 } as const;

/** Sections, each of them once and in this order. */
export const TAG = { DEVICE: 1, CONFIG: 2, QUEUES: 3, STATE: 4 } as const;

/** Section DEVICE: device type u32, features u32 × 4, status u32. */
export const DEVICE = { deviceId: 0, features: 4, status: 20, SIZE: 24 } as const;

/** One queue of section QUEUES; `wraps` has the wrap counter of what is taken next as bit 0, of what is used next as bit 1. Section
 * CONFIG is the device configuration, STATE the device parts of the type (virtio 1.4 §2.14), as they are. */
export const QUEUE = {
  index: 0,
  size: 4,
  desc: 8,
  driver: 16,
  device: 24,
  taken: 32,
  used: 34,
  wraps: 36,
  space: 40,
  SIZE: 44,
} as const;
