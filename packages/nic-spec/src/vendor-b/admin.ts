/**
 * Vendor B datasheet §6: the command buffer. A command of 64 bytes, behind it a response of 64. Byte offsets; little-endian. The
 * response's sequence number is written last.
 */
export const ADMIN_BUFFER = { command: 0, response: 64, BYTES: 64, SIZE: 128 } as const;

/** Fields of a command. */
export const ADMIN_COMMAND = { opcode: 0, sequence: 2, parameters: 4 } as const;
/** Fields of a response. */
export const ADMIN_RESPONSE = { sequence: 0, status: 2, results: 4 } as const;

/** Opcodes. Those of the physical function alone begin with VF. */
export const ADMIN_OP = {
  IDENTIFY: 0x01,
  /** Switching the data plane resets both. */
  SET_MODE: 0x02,
  SET_MAC: 0x03,
  SET_RECEIVE_MODE: 0x04,
  CREATE_COMPLETION_RING: 0x10,
  CREATE_SUBMISSION_RING: 0x11,
  SUSPEND: 0x20,
  RESUME: 0x21,
  VIRTIO_FEATURES: 0x30,
  VIRTIO_ACCEPT: 0x31,
  VIRTIO_STATUS: 0x32,
  VIRTIO_CONFIG: 0x33,
  VIRTIO_SET_QUEUE: 0x34,
  VIRTIO_SET_POSITION: 0x35,
  VIRTIO_GET_POSITION: 0x36,
  VIRTIO_SET_READY: 0x37,
  VIRTIO_GET_STATE: 0x38,
  VIRTIO_SET_STATE: 0x39,
  VF_SET_MAC: 0x40,
  VF_SET_TRUST: 0x41,
} as const;

/** What became of a command. */
export const ADMIN_STATUS = {
  OK: 0,
  BAD_OPCODE: 1,
  /** A parameter cannot be. */
  BAD_PARAMETER: 2,
  /** Not in this state: the wrong data plane, or a queue that is in use. */
  BAD_STATE: 3,
  /** The host has not allowed it to this function. */
  NOT_ALLOWED: 4,
  /** The device has no room, or is at work: try again. */
  BUSY: 5,
} as const;

/** Data plane: parameter of SET_MODE. */
export const VB_MODE = { NATIVE: 0, VIRTIO: 1 } as const;

/** Receive mode: bits of the parameter of SET_RECEIVE_MODE. */
export const RECEIVE_MODE = { PROMISCUOUS: 1, ALL_MULTICAST: 2, BROADCAST: 4 } as const;

/** What a submission ring is for. */
export const RING_KIND = { TRANSMIT: 0, RECEIVE: 1 } as const;

/** No vector: a ring that is polled. */
export const VB_NO_VECTOR = 0xffff;

/** Parameters of SET_MODE. All P_ and R_ are byte offsets, counted from where parameters or results begin. */
export const P_MODE = { mode: 0 } as const;
/** Of SET_MAC: 6 bytes. */
export const P_MAC = { mac: 0 } as const;
/** Of SET_RECEIVE_MODE: `RECEIVE_MODE` bits. */
export const P_RECEIVE_MODE = { bits: 0 } as const;
/** Of CREATE_COMPLETION_RING. 64-bit addresses are two words, low one first. Generation: 1 to 65535. */
export const P_COMPLETION_RING = { id: 0, vector: 2, entries: 4, generation: 6, address: 8 } as const;
/** Of CREATE_SUBMISSION_RING. */
export const P_SUBMISSION_RING = { id: 0, kind: 2, entries: 4, generation: 6, address: 8, completionRing: 16 } as const;
/** Of VIRTIO_ACCEPT: feature words 0 to 3. */
export const P_VIRTIO_ACCEPT = { features: 0 } as const;
/** Bit 8 set: the status in bits 7:0 is written before it is read. */
export const P_VIRTIO_STATUS = { value: 0, WRITE: 0x100 } as const;
/** Of VIRTIO_CONFIG: at most LENGTH_MAX bytes. */
export const P_VIRTIO_CONFIG = { offset: 0, length: 2, LENGTH_MAX: 56 } as const;
/** Of VIRTIO_SET_QUEUE. Areas are 64-bit addresses. */
export const P_VIRTIO_QUEUE = { index: 0, size: 2, vector: 4, desc: 8, driver: 16, device: 24 } as const;
/** Available and used positions; bit 0 and 1 of `wraps` are their wrap counters in a packed ring. */
export const P_VIRTIO_POSITION = { index: 0, available: 2, used: 4, wraps: 6 } as const;
/** Of VIRTIO_SET_READY. */
export const P_VIRTIO_READY = { index: 0, ready: 2 } as const;
/** Of VIRTIO_GET_STATE: where in the device's parts. */
export const P_VIRTIO_GET_STATE = { offset: 0 } as const;
/** Of VIRTIO_SET_STATE: bytes of all parts, and as many of them from `offset` on as there are, at most BYTES_MAX. */
export const P_VIRTIO_SET_STATE = { offset: 0, total: 4, bytes: 8, BYTES_MAX: 52, TOTAL_MAX: 0x1_0000 } as const;
/** Of VF_SET_MAC. */
export const P_VF_MAC = { index: 0, mac: 2 } as const;
/** Of VF_SET_TRUST: 0 or 1. */
export const P_VF_TRUST = { index: 0, trusted: 2 } as const;

/** Results of IDENTIFY. */
export const R_IDENTIFY = {
  mac: 0,
  frameMax: 6,
  entriesMax: 8,
  configBytes: 10,
  virtqueues: 12,
  virtqueueSize: 14,
} as const;
/** Of VIRTIO_FEATURES: feature words 0 to 3. */
export const R_VIRTIO_FEATURES = { features: 0 } as const;
/** Of VIRTIO_STATUS: the device status. */
export const R_VIRTIO_STATUS = { status: 0 } as const;
/** Of VIRTIO_CONFIG. */
export const R_VIRTIO_CONFIG = { generation: 0, bytes: 4 } as const;
/** Of VIRTIO_GET_POSITION; `isPacked` is 1 for a packed ring, where wrap counters mean something. */
export const R_VIRTIO_POSITION = { available: 0, used: 2, wraps: 4, isPacked: 6 } as const;
/** Of VIRTIO_GET_STATE: bytes of all parts, and as many of them as there are from the offset on, at most BYTES_MAX. */
export const R_VIRTIO_STATE = { total: 0, bytes: 4, BYTES_MAX: 56 } as const;
