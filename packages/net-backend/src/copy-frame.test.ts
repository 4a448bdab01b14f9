import { HostMemory, RangeList } from '@ringwire/guest-memory';
import { expect, test } from 'vitest';
import { copyFrame, frameBytes } from './copy-frame.js';
import { Frame } from './frame.js';

/** Bytes 0, 1, 2, … over ranges of 3, 0, 100 and 7 bytes; the first two ranges and one byte more are left out. */
function cutFrame(memory: HostMemory): Frame {
  const frame = new Frame(memory);
  frame.ranges = new RangeList();
  let value = 0;
  for (const [offset, length] of [
    [500, 9],
    [900, 3],
    [300, 0],
    [100, 100],
    [50, 7],
  ] as const) {
    frame.ranges.push(offset, length);
    for (let at = 0; at < length; at++) memory.u8[offset + at] = value++;
  }
  frame.first = 1;
  frame.end = 5;
  frame.skip = 1;
  frame.length = 2 + 100 + 7;
  return frame;
}

const ALL = Uint8Array.from({ length: 109 }, (_, index) => 10 + index);

test("a frame's bytes are its ranges without what is skipped", () => {
  expect(frameBytes(cutFrame(HostMemory.create(1)))).toEqual(ALL);
});

test.each(['the same memory', 'another memory'])('any part of a frame is copied into %s', (where) => {
  const memory = HostMemory.create(1);
  const target = where === 'another memory' ? HostMemory.create(1) : memory;
  const frame = cutFrame(memory);
  for (let at = 0; at <= 109; at++) {
    for (const length of [0, 1, 2, 50, 101, 109]) {
      target.u8.fill(0xee, 4000, 4200);
      const copied = copyFrame(frame, at, target, 4010, length);
      expect(copied).toBe(Math.min(length, 109 - at));
      expect([...target.u8.subarray(4009, 4011 + copied)]).toEqual([0xee, ...ALL.subarray(at, at + copied), 0xee]);
    }
  }
});

test('nothing is copied from behind the end of a frame, even where its last range is longer', () => {
  const memory = HostMemory.create(1);
  const frame = cutFrame(memory);
  frame.length = 105;
  expect(copyFrame(frame, 100, memory, 4000, 50)).toBe(5);
  expect(frameBytes(frame)).toEqual(ALL.subarray(0, 105));
});
