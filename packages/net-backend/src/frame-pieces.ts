import type { CaptureOutput } from './capture-options.js';
import type { Frame } from './frame.js';

/** Give a frame's first `length` bytes out, range by range. */
export function writeFrame(frame: Frame, length: number, output: CaptureOutput): void {
  const { ranges, memory } = frame;
  let skip = frame.skip;
  let left = length;
  for (let range = frame.first; range < frame.end && left > 0; range++) {
    const from = ranges.offset[range]! + skip;
    const bytes = Math.min(ranges.length[range]! - skip, left);
    if (bytes > 0) output(memory.u8.subarray(from, from + bytes));
    left -= bytes;
    skip = 0;
  }
}
