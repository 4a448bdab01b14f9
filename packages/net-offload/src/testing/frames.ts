import { type HostMemory, RangeList } from '@ringwire/guest-memory';
import { Frame } from '@ringwire/net-backend';

/**
 * A frame with these bytes, in pieces at places of their own with other bytes between them.
 * @param at  host offset of the first piece
 * @param cuts lengths of the pieces but the last
 */
export function frameOf(memory: HostMemory, at: number, bytes: Uint8Array, cuts: readonly number[] = []): Frame {
  const frame = new Frame(memory);
  frame.ranges = new RangeList();
  let done = 0;
  let offset = at;
  for (const length of [...cuts, bytes.length]) {
    const piece = bytes.subarray(done, done + length);
    memory.u8.set(piece, offset);
    memory.u8.fill(0xdd, offset + piece.length, offset + piece.length + 5);
    frame.ranges.push(offset, piece.length);
    done += piece.length;
    offset += piece.length + 5;
  }
  frame.end = frame.ranges.count;
  frame.length = bytes.length;
  return frame;
}
