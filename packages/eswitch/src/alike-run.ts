import type { FrameRun } from '@ringwire/net-backend';
import { ETHERNET } from '@ringwire/net-offload';

const TYPE_HALFWORD = ETHERNET.type / 2;

/**
 * Take the first frames of what is left of a run that have the same Ethernet header, which is read once: what the part
 * says of it holds, whatever becomes of the sender's memory.
 * @param at   frames that were dealt with
 * @param most bytes of a frame that is taken along
 * @param part the result; with a count of 0 where the next frame cannot be looked at so
 */
export function takeAlike(run: FrameRun, at: number, most: number, part: FrameRun): void {
  const { offset, length } = run.ranges;
  const { u32, u16 } = run.memory;
  const { skip, hasHeader } = run;
  const start = run.first + at;
  const end = run.first + run.count;
  part.count = 0;
  part.first = start;
  const begin = offset[start]! + skip;
  if ((begin & 3) !== 0) return;
  const word = begin >>> 2;
  const w0 = hasHeader ? run.word0 | 0 : u32[word]! | 0;
  const w1 = hasHeader ? run.word1 | 0 : u32[word + 1]! | 0;
  const w2 = hasHeader ? run.word2 | 0 : u32[word + 2]! | 0;
  const type16 = hasHeader ? run.type16 : u16[(begin >>> 1) + TYPE_HALFWORD]!;
  let bytes = 0;
  let i = start;
  for (; i < end; i = (i + 1) | 0) {
    const its = (offset[i]! + skip) | 0;
    const frameBytes = (length[i]! - skip) | 0;
    if ((its & 3) !== 0 || frameBytes < ETHERNET.SIZE || frameBytes > most) break;
    if (i !== start && !hasHeader) {
      const w = its >>> 2;
      if (u16[2 * w + TYPE_HALFWORD] !== type16) break;
      if ((u32[w]! | 0) !== w0 || (u32[w + 1]! | 0) !== w1 || (u32[w + 2]! | 0) !== w2) break;
    }
    bytes = (bytes + frameBytes) | 0;
  }
  part.memory = run.memory;
  part.ranges = run.ranges;
  part.skip = skip;
  part.pair = run.pair;
  part.count = i - start;
  part.bytes = bytes;
  part.hasHeader = true;
  part.word0 = w0;
  part.word1 = w1;
  part.word2 = w2;
  part.type16 = type16;
}
