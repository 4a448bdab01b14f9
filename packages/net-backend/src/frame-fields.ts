import type { Frame } from './frame.js';

/** Halfwords that {@link saveFields} takes. */
export const FIELDS16 = 9;

/** Keep a frame's pair and offload fields, without an object per frame. @param at index of the first of FIELDS16 elements */
export function saveFields(frame: Frame, to: Uint16Array, at: number): void {
  to[at] = frame.pair;
  to[at + 1] = frame.flags;
  to[at + 2] = frame.gsoType;
  to[at + 3] = frame.hdrLen;
  to[at + 4] = frame.gsoSize;
  to[at + 5] = frame.csumStart;
  to[at + 6] = frame.csumOffset;
  to[at + 7] = frame.outerThOffset;
  to[at + 8] = frame.innerNhOffset;
}

/** Give a frame the pair and offload fields that were kept. */
export function restoreFields(frame: Frame, from: Uint16Array, at: number): void {
  frame.pair = from[at]!;
  frame.flags = from[at + 1]!;
  frame.gsoType = from[at + 2]!;
  frame.hdrLen = from[at + 3]!;
  frame.gsoSize = from[at + 4]!;
  frame.csumStart = from[at + 5]!;
  frame.csumOffset = from[at + 6]!;
  frame.outerThOffset = from[at + 7]!;
  frame.innerNhOffset = from[at + 8]!;
}
