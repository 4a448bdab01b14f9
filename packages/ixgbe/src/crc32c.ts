import { crcTable } from '@ringwire/guest-memory';
import type { Frame } from '@ringwire/net-backend';

/** RFC 9260 appendix A: the reflected Castagnoli polynomial. */
const POLYNOMIAL = 0x82f6_3b78;
const table = /* @__PURE__ */ crcTable(POLYNOMIAL);

/** CRC32c of a frame from a byte on, as SCTP has it; its bytes go into the packet lowest first. */
export function crc32cOf(frame: Frame, from: number): number {
  const { ranges } = frame;
  const { u8 } = frame.memory;
  let skip = frame.skip + from;
  let left = frame.length - from;
  let crc = -1;
  for (let range = frame.first; range < frame.end && left > 0; range++) {
    const have = ranges.length[range]!;
    const start = ranges.offset[range]! + skip;
    const end = start + Math.min(have - skip, left);
    for (let at = start; at < end; at++) crc = (crc >>> 8) ^ table[(crc ^ u8[at]!) & 0xff]!;
    left -= Math.max(0, end - start);
    skip = Math.max(0, skip - have);
  }
  return ~crc >>> 0;
}
