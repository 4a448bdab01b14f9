/**
 * Messages that the card itself answers, of a function whose data plane is virtio's: an add-on of this project to the 82599's
 * mailbox, for no such part was ever sold. Answers are as those of the physical function, `MESSAGE_WORD`; the data begins in
 * word 1. Virtqueue 2i is notified by VFRDT i and has the interrupt entry of receive queue i, virtqueue 2i + 1 those of transmit
 * queue i.
 */
export const VIRTIO_MESSAGE = {
  /** Words 1 and 2: the function's address. The data plane is virtio's until the next VFCTRL.RST. */
  ENTER: 0x40,
  FEATURES: 0x41,
  ACCEPT: 0x42,
  STATUS: 0x43,
  CONFIG: 0x44,
  SET_QUEUE: 0x45,
  SET_POSITION: 0x46,
  GET_POSITION: 0x47,
  SET_READY: 0x48,
  SUSPEND: 0x49,
  RESUME: 0x4a,
  GET_STATE: 0x4b,
  SET_STATE: 0x4c,
} as const;

/** Bytes that one message carries of something longer. */
export const VIRTIO_MESSAGE_BYTES = 48;
/** Bytes of device parts that a function takes at most. */
export const VIRTIO_STATE_BYTES_MAX = 0x1_0000;

/** Numbers of words: of the message, or where it says so of the answer. */
export const VIRTIO_WORDS = {
  ENTER: { mac: 1, answer: { configBytes: 1, queues: 2, queueSizeMax: 3 } },
  FEATURES: { answer: { features: 1 } },
  ACCEPT: { features: 1 },
  /** Bit 8 set: the status in bits 7:0 is written before it is read. */
  STATUS: { value: 1, WRITE: 0x100, answer: { status: 1 } },
  CONFIG: { offset: 1, length: 2, answer: { generation: 1, bytes: 2 } },
  /** Areas are 64-bit addresses, low word first. */
  SET_QUEUE: { index: 1, size: 2, desc: 3, driver: 5, device: 7 },
  /** Available position in bits 15:0, used in 31:16; `wraps` has their wrap counters in a packed ring, VIRTIO_WRAPS. */
  SET_POSITION: { index: 1, positions: 2, wraps: 3 },
  GET_POSITION: { index: 1, answer: { positions: 1, wraps: 2, isPacked: 3 } },
  SET_READY: { index: 1, ready: 2 },
  GET_STATE: { offset: 1, answer: { total: 1, bytes: 2 } },
  SET_STATE: { offset: 1, total: 2, bytes: 3 },
} as const;

/** Wrap counters in the word `wraps`: of what is available next, and of what is used next. */
export const VIRTIO_WRAPS = { AVAILABLE: 1, USED: 2 } as const;
