import type { IoVector } from '@ringwire/linux';
import type { Frame } from '@ringwire/net-backend';

/**
 * Have a system call read a frame where it lies.
 * @param base process address of the frame's memory
 * @returns false, with some parts added, when it lies in more ranges than there is room for
 */
export function addFrame(frame: Frame, base: number, parts: IoVector): boolean {
  const { ranges } = frame;
  let { skip, length: left } = frame;
  for (let range = frame.first; range < frame.end && left > 0; range++) {
    const bytes = Math.min(ranges.length[range]! - skip, left);
    if (bytes > 0 && !parts.add(base + ranges.offset[range]! + skip, bytes)) return false;
    left -= bytes;
    skip = 0;
  }
  return left === 0;
}
