/**
 * A move as a stream of records, each with its own checksum. All fields are little-endian; addresses and lengths of 64 bits are two
 * words, the low one first, and below 2^53.
 */
export const MOVE = {
  /** `RWMV`. */
  MAGIC: 0x564d_5752,
  /** Reads 0x3412 when somebody wrote it in the other byte order. */
  ORDER: 0x1234,
  MAJOR: 1,
  MINOR: 0,
} as const;

/** Before each record: its type u16, zero u16, number in its direction u32, bytes of content u32, CRC-32 of all that and the content. */
export const RECORD = { type: 0, zero: 2, number: 4, bytes: 8, crc: 12, SIZE: 16, BYTES_MAX: 0x20_0010 } as const;

export const RECORD_TYPE = {
  /** First, once: what is to be moved. */
  HELLO: 1,
  /** The target's answer: it can be. */
  ACCEPT: 2,
  /** Either side, at any time: why it goes no further, in UTF-16. */
  REFUSE: 3,
  PAGES: 4,
  ZEROS: 5,
  /** Once the source is suspended: mappings, in one or several. */
  MAPPINGS: 6,
  /** A device image, as `encodeImage` has it. */
  DEVICE: 7,
  /** That was all. */
  END: 8,
  /** The target's answer to END: it runs. */
  STARTED: 9,
} as const;

/** HELLO: magic u32, order u16, major u16, minor u16, flags u16 (bit 0: commands changed the device), then these; lists follow. */
export const HELLO = {
  magic: 0,
  order: 4,
  major: 6,
  minor: 8,
  flags: 10,
  deviceId: 12,
  features: 16,
  configBytes: 32,
  regions: 36,
  queues: 40,
  SIZE: 44,
  COMMANDS: 1,
} as const;
/** A region of RAM: guest-physical address and size. */
export const HELLO_REGION = { gpa: 0, size: 8, SIZE: 16 } as const;
/** A queue that is ready, as it is when the move begins. */
export const HELLO_QUEUE = { index: 0, size: 4, space: 8, SIZE: 12 } as const;

/** PAGES and ZEROS: address of the first page, how many; PAGES has their bytes behind that. */
export const PAGES = { gpa: 0, count: 8, SIZE: 12 } as const;

/** One mapping of MAPPINGS. */
export const MAPPING = { space: 0, access: 4, iova: 8, bytes: 16, gpa: 24, SIZE: 32 } as const;
