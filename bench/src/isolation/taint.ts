/**
 * Bytes that say whose they are. A word of four bytes has its owner, below 4, in the upper two bits of each byte, and a number
 * of 24 bits in the rest; words that follow one another have numbers that do. So a stretch of them is known wherever it lies.
 */
const OWNER_SHIFT = 6;
const PART = 0x3f;
/** Of numbers: those of frames, above those of memory. */
const FRAME = 0x80_0000;
const FRAME_SHIFT = 12;
const FRAME_WORDS = 1 << FRAME_SHIFT;
/** How many frames differ. */
export const FRAMES = 0x800;
/** Words in a row that are no accident. */
const WORDS = 3;

/** A stretch of tainted bytes that was found. */
export interface Found {
  readonly owner: number;
  /** Number of the frame that they are of; -1: they are somebody's memory. */
  readonly frame: number;
  /** Offset of the stretch where it is from: in the frame's taint, or in RAM. */
  readonly offset: number;
  /** Where it was found, and how long it is. */
  readonly at: number;
  readonly bytes: number;
}

function put(u8: Uint8Array, at: number, owner: number, number: number): void {
  for (let k = 0; k < 4; k++) u8[at + k] = (owner << OWNER_SHIFT) | ((number >>> (OWNER_SHIFT * k)) & PART);
}

/** Fill memory, whose first byte is `offset` in its owner's RAM. @param offset and `bytes` multiples of 4 */
export function taintMemory(u8: Uint8Array, at: number, bytes: number, owner: number, offset: number): void {
  for (let i = 0; i < bytes; i += 4) put(u8, at + i, owner, (offset + i) >>> 2);
}

/** Fill a frame from a byte on to its end, 16 KiB at most. @param number below FRAMES */
export function taintFrame(frame: Uint8Array, from: number, owner: number, number: number): void {
  const word = new Uint8Array(4);
  for (let at = from; at < frame.length; at += 4) {
    put(word, 0, owner, FRAME | (number << FRAME_SHIFT) | ((at - from) >>> 2));
    frame.set(word.subarray(0, frame.length - at), at);
  }
}

/** A word's number, or -1 where it has no owner. */
function numberAt(u8: Uint8Array, at: number): number {
  const owner = u8[at]! >>> OWNER_SHIFT;
  let number = 0;
  for (let k = 3; k >= 0; k--) {
    const byte = u8[at + k]!;
    if (byte >>> OWNER_SHIFT !== owner) return -1;
    number = (number << OWNER_SHIFT) | (byte & PART);
  }
  return number;
}

/** Find stretches of taint that begin from `from` on and before `end`, wherever words begin. */
export function findTaint(u8: Uint8Array, from: number, end: number): Found[] {
  const found: Found[] = [];
  let at = from;
  while (at < end) {
    const words = wordsAt(u8, at);
    if (words < WORDS) {
      at++;
      continue;
    }
    const number = numberAt(u8, at);
    const isFrame = number >= FRAME;
    found.push({
      owner: u8[at]! >>> OWNER_SHIFT,
      frame: isFrame ? (number - FRAME) >>> FRAME_SHIFT : -1,
      offset: 4 * (isFrame ? number % FRAME_WORDS : number),
      at,
      bytes: 4 * words,
    });
    at += 4 * words;
  }
  return found;
}

/** How many words of one stretch lie there. */
function wordsAt(u8: Uint8Array, at: number): number {
  if (at + 4 * WORDS > u8.length) return 0;
  const first = numberAt(u8, at);
  if (first < 0) return 0;
  const owner = u8[at]! >>> OWNER_SHIFT;
  let words = 1;
  for (let next = at + 4; next + 4 <= u8.length; next += 4) {
    if (u8[next]! >>> OWNER_SHIFT !== owner || numberAt(u8, next) !== first + words) break;
    words++;
  }
  return words;
}
