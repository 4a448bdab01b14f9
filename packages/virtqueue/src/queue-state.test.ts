import { VirtioError } from '@ringwire/virtio-spec';
import { describe, expect, test } from 'vitest';
import { openDeviceQueue } from './open-queue.js';
import { isRefusal } from './queue-layout.js';
import type { QueueState } from './queue-state.js';
import { AT, DeviceBench } from './testing/device-bench.js';
import { WRITE } from './testing/ring-bytes.js';

const SIZE = 7;

const packedState = { layout: 'packed', lastAvailIdx: 3, lastAvailWrapCounter: 0, usedIdx: 3, usedWrapCounter: 0 };
const splitState = { layout: 'split', lastAvailIdx: 65535, usedIdx: 65535 };

/** Whether the state is taken, or which of its fields is named. A saved state is foreign input: any value may come. */
function restored(layout: 'split' | 'packed', state: unknown): string {
  const bench = new DeviceBench(layout, { size: layout === 'packed' ? SIZE : 8 });
  const since = bench.guest.snapshot();
  const outcome = openDeviceQueue(bench.config, state as QueueState);
  bench.expectUntouched(since, []);
  if (!isRefusal(outcome)) return 'taken';
  expect(outcome.field).toBe('state');
  return outcome.message;
}

test('a split state is refused field by field', () => {
  expect(restored('split', splitState)).toBe('taken');
  for (const lastAvailIdx of [-1, 65536, 0.5, Number.NaN, '3', null, undefined, 3n])
    expect(restored('split', { ...splitState, lastAvailIdx })).toMatch(/^lastAvailIdx is .*, want below 65536/);
  for (const usedIdx of [-1, 65536, 2.5, '65535'])
    expect(restored('split', { ...splitState, usedIdx })).toMatch(/^usedIdx is .*, want below 65536/);
  expect(restored('split', { ...splitState, usedIdx: 65534 })).toMatch(/^usedIdx is 65534, want lastAvailIdx, 65535/);
  expect(restored('split', { ...splitState, usedIdx: 0 })).toMatch(/^usedIdx is 0/);
});

test('a packed state is refused field by field', () => {
  expect(restored('packed', packedState)).toBe('taken');
  for (const lastAvailIdx of [-1, SIZE, 65535, 0.5, Number.NaN, '3'])
    expect(restored('packed', { ...packedState, lastAvailIdx })).toMatch(/^lastAvailIdx is .*, want below 7/);
  for (const usedIdx of [-1, SIZE, 0.5, undefined])
    expect(restored('packed', { ...packedState, usedIdx })).toMatch(/^usedIdx is .*, want below 7/);
  for (const bit of [2, -1, true, '0', undefined, Number.NaN]) {
    expect(restored('packed', { ...packedState, lastAvailWrapCounter: bit })).toMatch(/^lastAvailWrapCounter is /);
    expect(restored('packed', { ...packedState, usedWrapCounter: bit })).toMatch(/^usedWrapCounter is /);
  }
  expect(restored('packed', { ...packedState, usedIdx: 4 })).toMatch(/^usedIdx is 4, want lastAvailIdx, 3/);
  expect(restored('packed', { ...packedState, usedWrapCounter: 1 })).toMatch(/^usedWrapCounter is 1/);
});

test('a state of the other layout, or no state at all, is refused', () => {
  expect(restored('split', packedState)).toMatch(/^layout is packed, want split/);
  expect(restored('packed', splitState)).toMatch(/^layout is split, want packed/);
  for (const state of [null, 7, 'split', true]) expect(restored('split', state)).toMatch(/want a queue state/);
  for (const state of [{}, { layout: 'Split' }, { layout: 1 }, []])
    expect(restored('packed', state)).toMatch(/^layout is /);
});

describe.each(['split', 'packed'] as const)('%s', (layout) => {
  test('a queue that is saved and opened again goes on where it was, at any position', () => {
    const bench = new DeviceBench(layout, { size: layout === 'packed' ? SIZE : 4 });
    for (let n = 0; n < 40; n++) {
      const flags = n % 3 === 0 ? WRITE : 0;
      const elements = Array.from({ length: 1 + (n % 2) }, () => ({ addr: AT.buffers, len: 4, flags }));
      const id = bench.ring.offer(elements);
      const turn = bench.turn();
      expect([turn.taken, turn.faults]).toEqual([1, []]);
      expect(bench.ring.collect()).toEqual([{ id, len: flags === 0 ? 0 : 4 * elements.length }]);
      const state = bench.queue.save();
      bench.queue.stop();
      // What is saved survives being written as text.
      bench.open(JSON.parse(JSON.stringify(state)));
      expect(bench.queue.save()).toEqual(state);
    }
  });

  test('the state names positions alone', () => {
    const bench = new DeviceBench(layout, { size: 4 });
    const first = bench.queue.save();
    expect(first).toEqual(
      layout === 'split'
        ? { layout, lastAvailIdx: 0, usedIdx: 0 }
        : { layout, lastAvailIdx: 0, lastAvailWrapCounter: 1, usedIdx: 0, usedWrapCounter: 1 },
    );
    for (let n = 0; n < 5; n++) {
      bench.ring.offer([{ addr: AT.buffers, len: 4 }]);
      bench.turn();
    }
    expect(bench.queue.save()).toEqual(
      layout === 'split'
        ? { layout, lastAvailIdx: 5, usedIdx: 5 }
        : { layout, lastAvailIdx: 1, lastAvailWrapCounter: 0, usedIdx: 1, usedWrapCounter: 0 },
    );
  });

  test('a buffer that was available before saving is taken after restoring', () => {
    const bench = new DeviceBench(layout);
    bench.expectProbe();
    const id = bench.ring.offer([{ addr: AT.buffers, len: 4 }]);
    const state = bench.queue.save();
    bench.queue.stop();
    expect(bench.open(state).hasAvailable()).toBe(true);
    bench.expectAllowed([bench.guest.read(AT.buffers, 4)], [{ id, len: 0 }]);
  });

  test('nothing is saved while chains are in flight or used elements unpublished', () => {
    const bench = new DeviceBench(layout);
    const { queue, burst } = bench;
    bench.ring.offer([{ addr: AT.buffers, len: 4 }]);
    queue.takeBurst(burst, 1);
    expect(() => queue.save()).toThrow(expect.objectContaining({ name: 'VirtioError', field: 'inFlight', value: 1 }));
    queue.putUsed(burst.token[0]!, 0);
    expect(() => queue.save()).toThrow(VirtioError);
    expect(() => queue.save()).toThrow(/published before saving/);
    queue.publishUsed();
    expect(queue.save()).toMatchObject({ usedIdx: 1 });
    bench.ring.offer([{ addr: AT.buffers, len: 4 }]);
    burst.clear();
    queue.takeBurst(burst, 1);
    queue.untake(burst.token[0]!);
    expect(queue.save()).toMatchObject({ lastAvailIdx: 1 });
  });
});
