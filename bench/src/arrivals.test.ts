import { HostMemory, RangeList } from '@ringwire/guest-memory';
import { DELIVERED, Frame } from '@ringwire/net-backend';
import { beforeEach, expect, test } from 'vitest';
import { Arrivals } from './arrivals.js';
import { CheckingBackend } from './checking-backend.js';
import { newControl, WORD } from './control-words.js';
import { newHostMemory, SINK } from './guest-layout.js';

/** Frames of 8 and 6 bytes in turn: a number, and 01 02 03 04 of which the shorter one has half. */
const FRAMES = {
  bytes: Uint8Array.of(0, 0, 0, 0, 1, 2, 3, 4),
  lengths: Uint32Array.of(8, 6),
  sums: Uint32Array.of(0x0604, 0x0201),
};
const AT = 0x1000;

let memory: HostMemory;
let arrivals: Arrivals;
beforeEach(() => {
  memory = HostMemory.create(0x1_0000);
  arrivals = new Arrivals(memory, FRAMES);
});

function arrive(number: number, length: number, ...bytes: readonly number[]): void {
  memory.i32[AT >>> 2] = number;
  memory.u8.set(bytes, AT + 4);
  arrivals.add(AT, length);
}

test('frames with the numbers, lengths and bytes that are due are right', () => {
  arrivals.summing = true;
  arrive(0, 8, 1, 2, 3, 4);
  arrive(1, 6, 1, 2);
  arrive(2, 8, 1, 2, 3, 4);
  expect(arrivals).toMatchObject({ count: 3, summed: 3 });
  expect(arrivals.check).toMatchObject({ lost: 0, misplaced: 0, damaged: 0 });
  expect(arrivals.check.first).toBeUndefined();
});

test('a number that is not due is a frame lost, or out of place', () => {
  arrive(2, 8);
  expect(arrivals.check).toMatchObject({ lost: 2, misplaced: 0, first: 'frame 2 came where frame 0 was due' });
  arrive(2, 6);
  expect(arrivals.check).toMatchObject({ lost: 2, misplaced: 1 });
});

test('a length that is not due is seen always, a byte when frames are summed', () => {
  arrive(0, 7, 1, 2, 3, 4);
  expect(arrivals.check).toMatchObject({ damaged: 1, first: 'frame 0 has 7 bytes, the driver sent 8' });
  arrive(1, 6, 1, 3);
  expect(arrivals.check.damaged).toBe(1);
  arrivals.summing = true;
  arrive(2, 8, 1, 2, 3, 5);
  expect(arrivals.check.damaged).toBe(2);
  expect(arrivals.summed).toBe(1);
});

test('the far end of a cable copies a frame of several pieces, and sums when the round says so', () => {
  const shared = newHostMemory();
  const far = new Arrivals(shared, FRAMES);
  const control = newControl();
  const backend = new CheckingBackend(shared, far, control);
  Atomics.store(control, WORD.SUMMED, 1);
  Atomics.store(control, WORD.ROUND, 1);
  expect(backend.pump(64)).toBe(0);
  expect(Atomics.load(control, WORD.DEVICE_IN)).toBe(1);
  shared.u8.set([0xee, 0xee, 0, 0], AT);
  shared.u8.set([0, 0, 1, 2, 3, 4], AT + 0x100);
  const frame = new Frame(shared);
  frame.ranges = new RangeList(2);
  frame.ranges.push(AT, 4);
  frame.ranges.push(AT + 0x100, 6);
  frame.end = 2;
  frame.skip = 2;
  frame.length = 8;
  expect(backend.receive(frame)).toBe(DELIVERED.ACCEPTED);
  expect([...shared.u8.subarray(SINK, SINK + 8)]).toEqual([0, 0, 0, 0, 1, 2, 3, 4]);
  expect(far).toMatchObject({ count: 1, summed: 1 });
  expect(far.check.first).toBeUndefined();
});
