import { HostMemory, RangeList } from '@ringwire/guest-memory';
import { expect, test } from 'vitest';
import { BroughtFrame } from './brought-frame.js';
import { frameBytes } from './copy-frame.js';
import { Frame } from './frame.js';

const here = HostMemory.create(0x2_0000);
const there = HostMemory.wrap(new ArrayBuffer(4096));
for (let i = 0; i < there.size; i++) there.u8[i] = i * 7;

function frame(memory: HostMemory, length: number): Frame {
  const made = new Frame(memory);
  made.ranges = new RangeList(2);
  made.ranges.push(3, 100);
  made.ranges.push(512, length + 1 - 100);
  Object.assign(made, { end: 2, skip: 1, length, pair: 2, flags: 1, gsoType: 1, hdrLen: 54, gsoSize: 1000 });
  return Object.assign(made, { csumStart: 34, csumOffset: 16, outerThOffset: 5, innerNhOffset: 6 });
}

test('a frame of this memory stays where it is', () => {
  const own = frame(here, 200);
  expect(new BroughtFrame(here, 0x1000).bring(own)).toBe(own);
});

test('a frame of another memory is here in one piece, with all that is to be done to it', () => {
  const from = frame(there, 1500);
  const brought = new BroughtFrame(here, 0x1000, 1500).bring(from)!;
  expect([brought.memory, brought.end - brought.first]).toEqual([here, 1]);
  expect(frameBytes(brought)).toEqual(frameBytes(from));
  const { memory, ranges, first, end, skip, ...fields } = from;
  expect(brought).toMatchObject(fields);
});

test('one that is longer than the area is not brought, and an area has to lie in the memory', () => {
  expect(new BroughtFrame(here, 0x1000, 1499).bring(frame(there, 1500))).toBeUndefined();
  expect(() => new BroughtFrame(here, here.size - 8)).toThrow(/^at is /);
});
