import { VirtioError } from '@ringwire/virtio-spec';
import type { HostMemory } from './host-memory.js';
import type { RangeList } from './range-list.js';

/** Up to here a loop over bytes beats making a view for `Uint8Array.set`, which also allocates. */
const LOOP_BYTES = 64;

/**
 * Copy from one run of ranges to another, however differently the two are cut, until either is used up.
 *
 * Each piece is copied as `memmove` does; where the two runs overlap across pieces, the earlier ones are copied first.
 * Allocates nothing.
 * @param toCount ranges of `to` from `toFirst` on; likewise for `from`
 * @param toSkip bytes left out at the start of the destination, such as a header that is written elsewhere
 * @param fromSkip bytes left out at the start of the source
 * @returns bytes copied: the smaller of both runs, after what was skipped
 */
export function copyRanges(
  memory: HostMemory,
  to: RangeList,
  toFirst: number,
  toCount: number,
  from: RangeList,
  fromFirst: number,
  fromCount: number,
  toSkip = 0,
  fromSkip = 0,
): number {
  to.check(toFirst, toCount);
  from.check(fromFirst, fromCount);
  const engine = memory.engine;
  const toEnd = toFirst + toCount;
  const fromEnd = fromFirst + fromCount;
  let toRange = toFirst;
  let fromRange = fromFirst;
  let toAt = checkSkip('toSkip', toSkip);
  let fromAt = checkSkip('fromSkip', fromSkip);
  let copied = 0;
  while (toRange < toEnd && fromRange < fromEnd) {
    const toLeft = to.length[toRange]! - toAt;
    if (toLeft <= 0) {
      toRange++;
      toAt = -toLeft;
      continue;
    }
    const fromLeft = from.length[fromRange]! - fromAt;
    if (fromLeft <= 0) {
      fromRange++;
      fromAt = -fromLeft;
      continue;
    }
    const length = Math.min(toLeft, fromLeft);
    engine.copy(to.offset[toRange]! + toAt, from.offset[fromRange]! + fromAt, length);
    toAt += length;
    fromAt += length;
    copied += length;
  }
  return copied;
}

/**
 * Copy ranges of host memory into an array of our own, until either is used up.
 * @param skip bytes left out at the start of the ranges
 * @returns bytes copied
 */
export function gather(
  memory: HostMemory,
  from: RangeList,
  first: number,
  count: number,
  out: Uint8Array,
  skip = 0,
): number {
  from.check(first, count);
  const u8 = memory.u8;
  let left = checkSkip('skip', skip);
  let copied = 0;
  for (let range = first; range < first + count && copied < out.length; range++) {
    const take = Math.min(from.length[range]! - left, out.length - copied);
    if (take <= 0) {
      left -= from.length[range]!;
      continue;
    }
    const offset = from.offset[range]! + left;
    checkInside(offset, take, memory.size);
    if (take > LOOP_BYTES) out.set(u8.subarray(offset, offset + take), copied);
    else for (let at = 0; at < take; at++) out[copied + at] = u8[offset + at]!;
    copied += take;
    left = 0;
  }
  return copied;
}

/**
 * Copy an array of our own into ranges of host memory, until either is used up.
 * @param skip bytes left alone at the start of the ranges
 * @returns bytes copied
 */
export function scatter(
  memory: HostMemory,
  to: RangeList,
  first: number,
  count: number,
  bytes: Uint8Array,
  skip = 0,
): number {
  to.check(first, count);
  const u8 = memory.u8;
  let left = checkSkip('skip', skip);
  let copied = 0;
  for (let range = first; range < first + count && copied < bytes.length; range++) {
    const take = Math.min(to.length[range]! - left, bytes.length - copied);
    if (take <= 0) {
      left -= to.length[range]!;
      continue;
    }
    const offset = to.offset[range]! + left;
    checkInside(offset, take, memory.size);
    if (take > LOOP_BYTES) u8.set(bytes.subarray(copied, copied + take), offset);
    else for (let at = 0; at < take; at++) u8[offset + at] = bytes[copied + at]!;
    copied += take;
    left = 0;
  }
  return copied;
}

function checkSkip(field: string, skip: number): number {
  if (skip >= 0) return skip;
  throw new VirtioError(field, skip, 'a number of bytes', 'range copy');
}

function checkInside(offset: number, length: number, size: number): void {
  if (offset + length <= size) return;
  throw new VirtioError('offset', offset, `${length} bytes from there inside the memory's ${size}`, 'range copy');
}
