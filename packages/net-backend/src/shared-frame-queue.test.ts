import { HostMemory } from '@ringwire/guest-memory';
import { VirtioError } from '@ringwire/virtio-spec';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { frameBytes } from './copy-frame.js';
import type { Frame } from './frame.js';
import { DELIVERED } from './net-backend.js';
import { FrameQueueReader, FrameQueueWriter, SHARED_QUEUE_HEAD_BYTES } from './shared-frame-queue.js';
import { frameWith } from './testing/scripted-backend.js';

const AT = 1024;
const FRAMES = 4;
const AREA = 300;
const BYTES = SHARED_QUEUE_HEAD_BYTES + FRAMES * 64 + AREA;
const PLACE = { at: AT, bytes: BYTES, frames: FRAMES };

function numbered(length: number, value: number): Frame {
  return Object.assign(frameWith(new Uint8Array(length).fill(value)), { pair: value, gsoSize: 1000 + value });
}

const steps = fc.array(
  fc.oneof(
    { weight: 3, arbitrary: fc.record({ push: fc.integer({ min: 1, max: 140 }) }) },
    { weight: 3, arbitrary: fc.constant('drop' as const) },
    fc.constantFrom('publish', 'release', 'new writer', 'new reader'),
  ),
  { maxLength: 120 },
);

test('frames come out as they went in, once published, whatever happens between and whoever takes over', () => {
  fc.assert(
    fc.property(steps, (what) => {
      const memory = HostMemory.create(1);
      let writer = new FrameQueueWriter(memory, PLACE);
      let reader = new FrameQueueReader(memory, PLACE);
      const waiting: { length: number; value: number }[] = [];
      let visible = 0;
      /** Frames whose room the writer does not know to be free. */
      let unreleased: { length: number; value: number }[] = [];
      for (const [value, step] of what.entries()) {
        if (typeof step === 'object') {
          const delivered = writer.push(numbered(step.push, value), value, ~value);
          if (delivered === DELIVERED.ACCEPTED) waiting.push({ length: step.push, value });
          else {
            expect(waiting.length + unreleased.length).toBeGreaterThan(0);
            visible = waiting.length;
          }
        } else if (step === 'publish') {
          writer.publish();
          visible = waiting.length;
        } else if (step === 'release') {
          reader.release();
          unreleased = [];
        } else if (step === 'new writer') {
          // The one before it died: what it had not published is gone.
          writer = new FrameQueueWriter(memory, PLACE);
          waiting.length = visible;
        } else if (step === 'new reader') {
          // Likewise: what was not released comes again.
          reader = new FrameQueueReader(memory, PLACE);
          waiting.unshift(...unreleased);
          visible += unreleased.length;
          unreleased = [];
        } else if (reader.peek() !== undefined) {
          reader.drop();
          unreleased.push(waiting.shift()!);
          visible--;
        }
        const oldest = reader.peek();
        expect(oldest === undefined).toBe(visible === 0);
        if (oldest === undefined) continue;
        const { length, value: wanted } = waiting[0]!;
        expect(Buffer.compare(frameBytes(oldest), new Uint8Array(length).fill(wanted))).toBe(0);
        expect(oldest).toMatchObject({ length, pair: wanted, gsoSize: 1000 + wanted });
        expect([reader.note, reader.value]).toEqual([wanted, ~wanted]);
      }
      expect(memory.u8.subarray(0, AT).every((byte) => byte === 0)).toBe(true);
      expect(memory.u8.subarray(AT + BYTES).every((byte) => byte === 0)).toBe(true);
    }),
    { numRuns: 300 },
  );
});

test('the whole area is one frame, a longer one is dropped for good, and indexes go past 2^31', () => {
  const memory = HostMemory.create(1);
  // Both sides' indexes as after 2^31 − 1 frames.
  memory.i32[AT / 4] = 0x7fff_ffff;
  memory.i32[(AT + 64) / 4] = 0x7fff_ffff;
  const writer = new FrameQueueWriter(memory, PLACE);
  const reader = new FrameQueueReader(memory, PLACE);
  expect(writer.push(numbered(AREA + 1, 1))).toBe(DELIVERED.DROPPED);
  expect(writer.push(numbered(AREA, 2))).toBe(DELIVERED.ACCEPTED);
  expect(writer.push(numbered(1, 3))).toBe(DELIVERED.FULL);
  expect(reader.peek()?.length).toBe(AREA);
  reader.drop();
  reader.release();
  for (const value of [4, 5, 6, 7]) expect(writer.push(numbered(20, value))).toBe(DELIVERED.ACCEPTED);
  expect(writer.push(numbered(20, 8))).toBe(DELIVERED.FULL);
  expect(reader.peek()?.pair).toBe(4);
  reader.clear();
  expect(reader.peek()).toBeUndefined();
});

test.each([
  [{ frames: 3 }, 'frames is 3, want a power of two from 1 to 65536'],
  [{ at: 100 }, 'at is 100, want a multiple of 64'],
  [{ bytes: BYTES - AREA }, `bytes is ${BYTES - AREA}, want more than ${BYTES - AREA}, from 1024 on`],
  [{ bytes: 0x1_0000 }, 'bytes is 65536, want more than 384, from 1024 on inside the memory'],
])('a place that is none is its maker’s mistake: %j', (change, message) => {
  const make = (): unknown => new FrameQueueWriter(HostMemory.create(1), { ...PLACE, ...change });
  expect(make).toThrow(VirtioError);
  expect(make).toThrow(message);
});
