/** The vhost-user protocol's message header. Bytes; all fields are in the machine's byte order, little-endian here. */
export const HEADER = { request: 0, flags: 4, size: 8, SIZE: 12 } as const;

/** Header flags: the version in the lowest two bits, which is 1. */
const FLAG = { VERSION_MASK: 3, VERSION: 1, REPLY: 4, NEED_REPLY: 8 } as const;

/** Bit numbers of what GET_PROTOCOL_FEATURES offers: those that this back-end knows. */
export const PROTOCOL_F = {
  MQ: 0,
  LOG_SHMFD: 1,
  RARP: 2,
  REPLY_ACK: 3,
  NET_MTU: 4,
  BACKEND_REQ: 5,
  CONFIG: 9,
  INFLIGHT_SHMFD: 12,
  RESET_DEVICE: 13,
  INBAND_NOTIFICATIONS: 14,
  CONFIGURE_MEM_SLOTS: 15,
  STATUS: 16,
} as const;

/** The feature bit that says that there are protocol features. It is the protocol's, not the device's. */
export const F_PROTOCOL_FEATURES = 30;

/** The feature bit that says that writes are logged. It is the protocol's as well. */
export const F_LOG_ALL = 26;

/** A ring's number and a value. */
export const VRING_STATE = { index: 0, num: 4, SIZE: 8 } as const;

/** Where a ring lies, in the front-end's own addresses. */
export const VRING_ADDR = { index: 0, flags: 4, desc: 8, used: 16, avail: 24, log: 32, SIZE: 40 } as const;
/** What the device writes of the ring is logged, from guest-physical address `log` on. */
export const VRING_ADDR_F = { LOG: 1 } as const;

/** Where in a file the log lies. */
export const LOG = { size: 0, offset: 8, SIZE: 16 } as const;

/** A ring's number in a 64-bit word beside a descriptor; NOFD says that there is none. */
export const VRING_FD = { INDEX_MASK: 0xff, NOFD: 0x100, SIZE: 8 } as const;

/** One memory region. */
export const MEM_REGION = { gpa: 0, size: 8, userspace: 16, mmapOffset: 24, SIZE: 32 } as const;

/** Several regions: SET_MEM_TABLE. */
export const MEM_TABLE = { count: 0, regions: 8, REGIONS_MAX: 8 } as const;

/** One region behind padding: ADD_MEM_REG, REM_MEM_REG. */
export const SINGLE_REGION = { region: 8, SIZE: 40 } as const;

/** Device configuration: bytes from `offset` on follow. */
export const CONFIG = { offset: 0, size: 4, flags: 8, bytes: 12, BYTES_MAX: 256 } as const;

/** Where in a file the area of chains in flight lies, and how many rings of how many descriptors it is for. */
export const INFLIGHT = { mmapSize: 0, mmapOffset: 8, numQueues: 16, queueSize: 18, SIZE: 20, PADDED: 24 } as const;
/** A translation of I/O virtual addresses; `access` has bits of reading (1) and writing (2). Some pad it to 32 bytes. */
export const IOTLB = { iova: 0, size: 8, userspace: 16, access: 24, type: 25, SIZE: 26, PADDED: 32 } as const;
export const IOTLB_TYPE = { MISS: 1, UPDATE: 2, INVALIDATE: 3, ACCESS_FAIL: 4 } as const;

/** Every request that the back-end serves, by its number; another one is unknown, as its feature is not offered. */
export const REQUEST = {
  GET_FEATURES: 1,
  SET_FEATURES: 2,
  SET_OWNER: 3,
  RESET_OWNER: 4,
  SET_MEM_TABLE: 5,
  SET_LOG_BASE: 6,
  SET_LOG_FD: 7,
  SET_VRING_NUM: 8,
  SET_VRING_ADDR: 9,
  SET_VRING_BASE: 10,
  GET_VRING_BASE: 11,
  SET_VRING_KICK: 12,
  SET_VRING_CALL: 13,
  SET_VRING_ERR: 14,
  GET_PROTOCOL_FEATURES: 15,
  SET_PROTOCOL_FEATURES: 16,
  GET_QUEUE_NUM: 17,
  SET_VRING_ENABLE: 18,
  SEND_RARP: 19,
  NET_SET_MTU: 20,
  SET_BACKEND_REQ_FD: 21,
  IOTLB_MSG: 22,
  GET_CONFIG: 24,
  SET_CONFIG: 25,
  GET_INFLIGHT_FD: 31,
  SET_INFLIGHT_FD: 32,
  RESET_DEVICE: 34,
  VRING_KICK: 35,
  GET_MAX_MEM_SLOTS: 36,
  ADD_MEM_REG: 37,
  REM_MEM_REG: 38,
  SET_STATUS: 39,
  GET_STATUS: 40,
} as const;

/** What the back-end asks over its own channel. */
export const BACKEND_REQUEST = { IOTLB_MSG: 1, CONFIG_CHANGE_MSG: 2, VRING_CALL: 4, VRING_ERR: 5 } as const;

type RequestName = keyof typeof REQUEST;

/** What a request has besides its header. */
interface Shape {
  /** Bytes of payload: exactly, or at least and at most. */
  readonly payload: number | readonly [number, number];
  /** Descriptors: at most, so that each may say itself how many it wants. */
  readonly fds?: number;
  /** Known only when this protocol feature was negotiated. */
  readonly needs?: number;
}

const U64 = 8;
/** Compilers pad the structure to a multiple of 8. */
const INFLIGHT_PAYLOAD = [INFLIGHT.SIZE, INFLIGHT.PADDED] as const;
const CONFIG_PAYLOAD = [CONFIG.bytes, CONFIG.bytes + CONFIG.BYTES_MAX] as const;

const SHAPES: Readonly<Record<RequestName, Shape>> = {
  GET_FEATURES: { payload: 0 },
  SET_FEATURES: { payload: U64 },
  SET_OWNER: { payload: 0 },
  RESET_OWNER: { payload: 0 },
  SET_MEM_TABLE: {
    payload: [MEM_TABLE.regions, MEM_TABLE.regions + MEM_TABLE.REGIONS_MAX * MEM_REGION.SIZE],
    fds: MEM_TABLE.REGIONS_MAX,
  },
  SET_LOG_BASE: { payload: LOG.SIZE, fds: 1, needs: PROTOCOL_F.LOG_SHMFD },
  SET_LOG_FD: { payload: 0, fds: 1, needs: PROTOCOL_F.LOG_SHMFD },
  SET_VRING_NUM: { payload: VRING_STATE.SIZE },
  SET_VRING_ADDR: { payload: VRING_ADDR.SIZE },
  SET_VRING_BASE: { payload: VRING_STATE.SIZE },
  GET_VRING_BASE: { payload: VRING_STATE.SIZE },
  SET_VRING_KICK: { payload: VRING_FD.SIZE, fds: 1 },
  SET_VRING_CALL: { payload: VRING_FD.SIZE, fds: 1 },
  SET_VRING_ERR: { payload: VRING_FD.SIZE, fds: 1 },
  GET_PROTOCOL_FEATURES: { payload: 0 },
  SET_PROTOCOL_FEATURES: { payload: U64 },
  GET_QUEUE_NUM: { payload: 0 },
  SET_VRING_ENABLE: { payload: VRING_STATE.SIZE },
  SEND_RARP: { payload: U64, needs: PROTOCOL_F.RARP },
  NET_SET_MTU: { payload: U64, needs: PROTOCOL_F.NET_MTU },
  SET_BACKEND_REQ_FD: { payload: 0, fds: 1, needs: PROTOCOL_F.BACKEND_REQ },
  IOTLB_MSG: { payload: [IOTLB.SIZE, IOTLB.PADDED] },
  GET_CONFIG: { payload: CONFIG_PAYLOAD, needs: PROTOCOL_F.CONFIG },
  SET_CONFIG: { payload: CONFIG_PAYLOAD, needs: PROTOCOL_F.CONFIG },
  GET_INFLIGHT_FD: { payload: INFLIGHT_PAYLOAD, needs: PROTOCOL_F.INFLIGHT_SHMFD },
  SET_INFLIGHT_FD: { payload: INFLIGHT_PAYLOAD, fds: 1, needs: PROTOCOL_F.INFLIGHT_SHMFD },
  RESET_DEVICE: { payload: 0, needs: PROTOCOL_F.RESET_DEVICE },
  VRING_KICK: { payload: VRING_STATE.SIZE, needs: PROTOCOL_F.INBAND_NOTIFICATIONS },
  GET_MAX_MEM_SLOTS: { payload: 0, needs: PROTOCOL_F.CONFIGURE_MEM_SLOTS },
  ADD_MEM_REG: { payload: SINGLE_REGION.SIZE, fds: 1, needs: PROTOCOL_F.CONFIGURE_MEM_SLOTS },
  REM_MEM_REG: { payload: SINGLE_REGION.SIZE, fds: 1, needs: PROTOCOL_F.CONFIGURE_MEM_SLOTS },
  SET_STATUS: { payload: U64, needs: PROTOCOL_F.STATUS },
  GET_STATUS: { payload: 0, needs: PROTOCOL_F.STATUS },
};

const NAMES: ReadonlyMap<number, RequestName> = new Map(
  (Object.keys(REQUEST) as RequestName[]).map((name) => [REQUEST[name], name]),
);

/** Most bytes of payload that any request has. */
export const PAYLOAD_MAX: number = Math.max(...Object.values(SHAPES).map((shape) => bounds(shape)[1]));

/** What a front-end sent, whole. */
export interface Message {
  readonly id: number;
  /** Undefined for a request that is unknown. */
  readonly name: RequestName | undefined;
  readonly needReply: boolean;
  readonly payload: DataView;
  /** Descriptors that came along: whoever keeps one takes it out, the rest is closed. */
  readonly fds: number[];
}

/**
 * Why a header can't be a front-end's: then nothing of what follows can be trusted. Sizes of requests that are known are
 * judged too, so nothing else has to.
 */
export function headerProblem(header: DataView): string | undefined {
  const flags = header.getUint32(HEADER.flags, true);
  const size = header.getUint32(HEADER.size, true);
  if ((flags & FLAG.VERSION_MASK) !== FLAG.VERSION) return `version ${flags & FLAG.VERSION_MASK}, want 1`;
  if ((flags & FLAG.REPLY) !== 0) return 'a reply, to nothing that was asked';
  if (size > PAYLOAD_MAX) return `size is ${size}, want at most ${PAYLOAD_MAX}`;
  const name = NAMES.get(header.getUint32(HEADER.request, true));
  if (name === undefined) return undefined;
  const [least, most] = bounds(SHAPES[name]);
  return size < least || size > most ? `${name} has ${size} bytes, want ${least} to ${most}` : undefined;
}

/** Why a request can't have what came with it, or can't be used: `negotiated` are the protocol features. */
export function requestProblem(message: Message, negotiated: bigint): string | undefined {
  const { id, name, fds } = message;
  if (name === undefined) return `request ${id} is unknown`;
  const { needs, fds: most = 0 } = SHAPES[name];
  if (needs !== undefined && !hasProtocolFeature(negotiated, needs)) return `${name} was not negotiated`;
  return fds.length > most ? `${name} has ${fds.length} descriptors, want at most ${most}` : undefined;
}

export const hasProtocolFeature = (features: bigint, bit: number): boolean => ((features >> BigInt(bit)) & 1n) === 1n;

export function messageOf(header: DataView, payload: DataView, fds: number[]): Message {
  const id = header.getUint32(HEADER.request, true);
  const needReply = (header.getUint32(HEADER.flags, true) & FLAG.NEED_REPLY) !== 0;
  return { id, name: NAMES.get(id), needReply, payload, fds };
}

/** A message of the back-end's: the answer to a request. */
export function reply(id: number, payload: Uint8Array): Uint8Array {
  return messageBytes(id, FLAG.VERSION | FLAG.REPLY, payload);
}

/** A request of the back-end's, over its own channel. @param id of `BACKEND_REQUEST` */
export function backendRequest(id: number, payload: Uint8Array, needReply: boolean): Uint8Array {
  return messageBytes(id, needReply ? FLAG.VERSION | FLAG.NEED_REPLY : FLAG.VERSION, payload);
}

function messageBytes(id: number, flags: number, payload: Uint8Array): Uint8Array {
  const bytes = new Uint8Array(HEADER.SIZE + payload.length);
  const view = new DataView(bytes.buffer);
  view.setUint32(HEADER.request, id, true);
  view.setUint32(HEADER.flags, flags, true);
  view.setUint32(HEADER.size, payload.length, true);
  bytes.set(payload, HEADER.SIZE);
  return bytes;
}

/**
 * Whether bytes are the front-end's answer to a request of the back-end's.
 * @param bytes as many as such an answer has: a header and a 64-bit word
 */
export function isAnswerTo(id: number, bytes: DataView): boolean {
  const flags = bytes.getUint32(HEADER.flags, true);
  const answers = (flags & FLAG.VERSION_MASK) === FLAG.VERSION && (flags & FLAG.REPLY) !== 0;
  return answers && bytes.getUint32(HEADER.request, true) === id && bytes.getUint32(HEADER.size, true) === U64;
}

export function u64(value: bigint): Uint8Array {
  const bytes = new Uint8Array(U64);
  new DataView(bytes.buffer).setBigUint64(0, value, true);
  return bytes;
}

function bounds({ payload }: Shape): readonly [number, number] {
  return typeof payload === 'number' ? [payload, payload] : payload;
}
