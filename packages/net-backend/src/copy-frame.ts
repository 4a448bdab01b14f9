import type { HostMemory } from '@ringwire/guest-memory';
import type { Frame } from './frame.js';

/** Up to here a loop over bytes beats making the two views that `Uint8Array.set` needs. */
const LOOP_BYTES = 64;

/**
 * Copy a part of a frame, through however many ranges it lies in.
 * @param at     offset of the part in the frame
 * @param memory where it is copied to, at host offset `to`: the frame's own memory (then without an allocation), or
 *               another one
 * @param length bytes wanted
 * @returns bytes copied: `length`, or what the frame has from `at` on
 */
export function copyFrame(frame: Frame, at: number, memory: HostMemory, to: number, length: number): number {
  const { ranges } = frame;
  let skip = frame.skip + at;
  let left = Math.min(length, frame.length - at);
  let copied = 0;
  for (let range = frame.first; range < frame.end && left > 0; range++) {
    const have = ranges.length[range]!;
    if (have <= skip) {
      skip -= have;
      continue;
    }
    const bytes = Math.min(have - skip, left);
    const from = ranges.offset[range]! + skip;
    if (memory === frame.memory) memory.engine.copy(to + copied, from, bytes);
    else copyAcross(frame.memory.u8, from, memory.u8, to + copied, bytes);
    copied += bytes;
    left -= bytes;
    skip = 0;
  }
  return copied;
}

/** Copy bytes from one memory's view into another's. Long ranges take a view of the source: the language has no other way. */
export function copyAcross(source: Uint8Array, from: number, target: Uint8Array, to: number, bytes: number): void {
  if (bytes > LOOP_BYTES) target.set(source.subarray(from, from + bytes), to);
  else for (let at = 0; at < bytes; at++) target[to + at] = source[from + at]!;
}

/** A frame's bytes in an array of their own, for tests and for whoever keeps frames. */
export function frameBytes(frame: Frame): Uint8Array<ArrayBuffer> {
  const { ranges, memory } = frame;
  const bytes = new Uint8Array(frame.length);
  let skip = frame.skip;
  let copied = 0;
  for (let range = frame.first; range < frame.end && copied < bytes.length; range++) {
    const from = ranges.offset[range]! + skip;
    const have = Math.min(ranges.length[range]! - skip, bytes.length - copied);
    bytes.set(memory.u8.subarray(from, from + have), copied);
    copied += have;
    skip = 0;
  }
  return bytes;
}
