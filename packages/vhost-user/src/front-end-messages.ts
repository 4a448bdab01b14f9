import { CONFIG, HEADER, INFLIGHT, type PROTOCOL_F, REQUEST, VRING_STATE } from './messages.js';

/** Protocol features that the front-end uses where the back-end offers them. */
export const FRONT_END_FEATURES: readonly (keyof typeof PROTOCOL_F)[] = [
  'MQ',
  'REPLY_ACK',
  'NET_MTU',
  'BACKEND_REQ',
  'CONFIG',
  'INFLIGHT_SHMFD',
  'RESET_DEVICE',
  'CONFIGURE_MEM_SLOTS',
  'STATUS',
];

export type Asked = keyof typeof REQUEST;

/** Most bytes of payload of a request of the back-end's, on its own channel. */
export const BACK_END_PAYLOAD_MAX = 64;

const FLAG = { VERSION_MASK: 3, VERSION: 1, REPLY: 4, NEED_REPLY: 8 } as const;
const U64 = 8;
const NOTHING = new Uint8Array(0);

/** Bytes of a reply that a request has whatever was negotiated: at least and at most. */
const REPLIES: Partial<Record<Asked, readonly [number, number]>> = {
  GET_FEATURES: [U64, U64],
  GET_PROTOCOL_FEATURES: [U64, U64],
  GET_QUEUE_NUM: [U64, U64],
  GET_MAX_MEM_SLOTS: [U64, U64],
  GET_STATUS: [U64, U64],
  GET_VRING_BASE: [VRING_STATE.SIZE, VRING_STATE.SIZE],
  // No bytes at all say that there is no such part of the configuration.
  GET_CONFIG: [0, CONFIG.bytes + CONFIG.BYTES_MAX],
  GET_INFLIGHT_FD: [INFLIGHT.SIZE, INFLIGHT.PADDED],
};

/** Bytes of the reply to a request; those of an acknowledgement where it has none of its own. */
const replyBounds = (name: Asked): readonly [number, number] => REPLIES[name] ?? [U64, U64];

export const hasOwnReply = (name: Asked): boolean => REPLIES[name] !== undefined;

/** A request as it goes over the socket. */
export function requestBytes(name: Asked, payload: Uint8Array = NOTHING, needReply = false): Uint8Array {
  return message(REQUEST[name], FLAG.VERSION | (needReply ? FLAG.NEED_REPLY : 0), payload);
}

/** The answer to a request of the back-end's. @param value 0 for done */
export function ackBytes(id: number, value: number): Uint8Array {
  const payload = new Uint8Array(U64);
  payload[0] = value;
  return message(id, FLAG.VERSION | FLAG.REPLY, payload);
}

/** Why a header can't be that of the reply to a request. */
export function replyProblem(name: Asked, header: DataView): string | undefined {
  const id = header.getUint32(HEADER.request, true);
  const flags = header.getUint32(HEADER.flags, true);
  const size = header.getUint32(HEADER.size, true);
  if (id !== REQUEST[name]) return `${name} was answered as request ${id}`;
  if ((flags & (FLAG.VERSION_MASK | FLAG.REPLY)) !== (FLAG.VERSION | FLAG.REPLY))
    return `the reply to ${name} has flags 0x${flags.toString(16)}`;
  const [least, most] = replyBounds(name);
  return size < least || size > most ? `the reply to ${name} has ${size} bytes, want ${least} to ${most}` : undefined;
}

/** Why a header can't be that of a request of the back-end's. */
export function backEndProblem(header: DataView): string | undefined {
  const flags = header.getUint32(HEADER.flags, true);
  const size = header.getUint32(HEADER.size, true);
  if ((flags & (FLAG.VERSION_MASK | FLAG.REPLY)) !== FLAG.VERSION)
    return `a request of the back-end's has flags 0x${flags.toString(16)}`;
  return size > BACK_END_PAYLOAD_MAX ? `a request of the back-end's has ${size} bytes` : undefined;
}

export const needsReply = (header: DataView): boolean => (header.getUint32(HEADER.flags, true) & FLAG.NEED_REPLY) !== 0;

function message(id: number, flags: number, payload: Uint8Array): Uint8Array {
  const bytes = new Uint8Array(HEADER.SIZE + payload.length);
  const view = new DataView(bytes.buffer);
  view.setUint32(HEADER.request, id, true);
  view.setUint32(HEADER.flags, flags, true);
  view.setUint32(HEADER.size, payload.length, true);
  bytes.set(payload, HEADER.SIZE);
  return bytes;
}
