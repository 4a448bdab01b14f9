import type { Frame, FrameList } from './set-schema.js';

const GUEST = [0x52, 0x54, 0x00, 0x12, 0x34, 0x56];
const PEER = [0x52, 0x54, 0x00, 0xaa, 0xbb, 0xcc];

/** Who sends: `frames_out` go from the guest to its peer, `inject` the other way. */
export type Direction = 'out' | 'in';

export const frameCount = (list: FrameList): number => (Array.isArray(list) ? list.length : list.count);

export function frameLength(list: FrameList, index: number): number {
  if (!Array.isArray(list)) return list.length;
  const frame = list[index]!;
  return typeof frame === 'string' ? frame.length / 2 : frame.len;
}

/** The bytes of one frame of a list. */
export function frameAt(list: FrameList, index: number, direction: Direction): Uint8Array {
  if (Array.isArray(list)) return oneFrame(list[index]!, direction);
  return oneFrame({ seq: (list.first_seq + index) % 2 ** 32, len: list.length }, direction);
}

function oneFrame(frame: Frame, direction: Direction): Uint8Array {
  return typeof frame === 'string' ? bytesOfHex(frame) : generated(frame.seq, frame.len, direction);
}

/** The generated frame of `golden/sets/README.md`: addresses, 88 b5, seq, len, then xorshift32. */
function generated(seq: number, length: number, direction: Direction): Uint8Array {
  const bytes = new Uint8Array(length);
  bytes.set(direction === 'out' ? [...PEER, ...GUEST, 0x88, 0xb5] : [...GUEST, ...PEER, 0x88, 0xb5]);
  const view = new DataView(bytes.buffer);
  view.setUint32(14, seq);
  view.setUint16(18, length);
  let x = (seq ^ 0x9e3779b9) >>> 0;
  for (let k = 20; k < length; k++) {
    x = (x ^ (x << 13)) >>> 0;
    x = (x ^ (x >>> 17)) >>> 0;
    x = (x ^ (x << 5)) >>> 0;
    bytes[k] = x & 0xff;
  }
  return bytes;
}

export function bytesOfHex(text: string): Uint8Array {
  const bytes = new Uint8Array(text.length / 2);
  for (let at = 0; at < bytes.length; at++) bytes[at] = Number.parseInt(text.slice(at * 2, at * 2 + 2), 16);
  return bytes;
}
