import { HostMemory } from '@ringwire/guest-memory';
import { VirtioError } from '@ringwire/virtio-spec';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { frameBytes } from './copy-frame.js';
import type { Frame } from './frame.js';
import { FrameQueue } from './frame-queue.js';
import { DELIVERED } from './net-backend.js';
import { frameWith } from './testing/scripted-backend.js';

const AT = 1000;
const BYTES = 300;

function numbered(length: number, value: number): Frame {
  const frame = frameWith(new Uint8Array(length).fill(value));
  return Object.assign(frame, { pair: value, gsoSize: 1000 + value });
}

test('frames come out as they went in, whatever happens between; nothing outside the area is written', () => {
  const step = fc.oneof(fc.record({ push: fc.nat(140) }), fc.constantFrom('drop' as const, 'keepOldest' as const));
  fc.assert(
    fc.property(fc.array(step, { maxLength: 120 }), (steps) => {
      const memory = HostMemory.create(1);
      const queue = new FrameQueue(memory, AT, BYTES, 6);
      const model: { length: number; value: number }[] = [];
      for (const [value, what] of steps.entries()) {
        if (what === 'drop') {
          queue.drop();
          model.shift();
        } else if (what === 'keepOldest') {
          queue.keepOldest();
          model.splice(1);
        } else if (queue.push(numbered(what.push, value)) === DELIVERED.ACCEPTED) {
          model.push({ length: what.push, value });
        } else {
          // It is refused for lack of frames or bytes only; an empty queue takes all that fits the area.
          const waiting = model.reduce((sum, { length }) => sum + length, 0);
          expect(model.length === 6 || waiting + 2 * what.push + 1 > BYTES - waiting).toBe(true);
          expect(model.length).toBeGreaterThan(0);
        }
        expect(queue.count).toBe(model.length);
        const oldest = queue.peek();
        if (oldest === undefined) continue;
        const { length, value: wanted } = model[0]!;
        expect(Buffer.compare(frameBytes(oldest), new Uint8Array(length).fill(wanted))).toBe(0);
        expect(oldest).toMatchObject({ length, pair: wanted, gsoSize: 1000 + wanted });
      }
      expect(memory.u8.subarray(0, AT).every((byte) => byte === 0)).toBe(true);
      expect(memory.u8.subarray(AT + BYTES).every((byte) => byte === 0)).toBe(true);
    }),
    { numRuns: 150 },
  );
});

test('the whole area is one frame, and a longer one is dropped for good', () => {
  const queue = new FrameQueue(HostMemory.create(1), AT, BYTES, 6);
  expect(queue.push(numbered(BYTES + 1, 1))).toBe(DELIVERED.DROPPED);
  expect(queue.push(numbered(BYTES, 2))).toBe(DELIVERED.ACCEPTED);
  expect(queue.push(numbered(1, 3))).toBe(DELIVERED.FULL);
  queue.drop();
  expect(queue.push(numbered(BYTES, 4))).toBe(DELIVERED.ACCEPTED);
  queue.clear();
  expect(queue.peek()).toBeUndefined();
  expect(queue.push(numbered(BYTES, 5))).toBe(DELIVERED.ACCEPTED);
});

test('an area or a number of frames that cannot be is refused', () => {
  const memory = HostMemory.create(1);
  expect(() => new FrameQueue(memory, memory.size - 10, 11, 1)).toThrow(VirtioError);
  expect(() => new FrameQueue(memory, -1, 11, 1)).toThrow(VirtioError);
  expect(() => new FrameQueue(memory, 0, 0, 1)).toThrow(VirtioError);
  expect(() => new FrameQueue(memory, 0, 10, 0)).toThrow(VirtioError);
  expect(() => new FrameQueue(memory, 0, 10, 65537)).toThrow(VirtioError);
});
