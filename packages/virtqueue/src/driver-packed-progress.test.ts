import fc from 'fast-check';
import { expect, test } from 'vitest';
import { ChainBurst } from './chain-burst.js';
import type { DevicePackedQueue } from './device-packed.js';
import type { DriverPackedQueue } from './driver-packed.js';
import type { PackedProgress } from './driver-packed-progress.js';
import { openDeviceQueue } from './open-queue.js';
import { isRefusal } from './queue-layout.js';
import { bufferOf, DriverBench, F } from './testing/driver-bench.js';

function packed(size: number, features: readonly number[] = []): { bench: DriverBench; queue: DriverPackedQueue } {
  const bench = new DriverBench('packed', { size, features });
  return { bench, queue: bench.queue as DriverPackedQueue };
}

const pair = bufferOf([
  [0x1000, 0x10],
  [0x2000, 0x20],
]);
const whole = (position: number): PackedProgress => ({ position, isWhole: true });
/** Bit 15 of a position: the wrap counter. */
const LAP = 0x8000;

test('the device is behind what it used, whether that was taken back or not', () => {
  const { bench, queue } = packed(5);
  expect(queue.progress()).toEqual(whole(LAP));
  const ids = [queue.add(pair), queue.addReadable(0x3000, 8), queue.addReadable(0x4000, 8)];
  expect(queue.progress()).toEqual(whole(LAP));
  queue.publish();
  bench.use(ids[0]!, 0, 2);
  expect(queue.progress()).toEqual(whole(LAP | 2));
  bench.take();
  expect(queue.progress()).toEqual(whole(LAP | 2));
  // Over the end of the ring, where the wrap counter turns over, with what is not shown yet.
  const last = queue.add(pair);
  bench.use(ids[1]!, 0);
  bench.use(ids[2]!, 0);
  expect(queue.progress()).toEqual(whole(LAP | 4));
  queue.publish();
  expect(queue.progress()).toEqual(whole(LAP | 4));
  bench.use(last, 0, 2);
  expect(queue.progress()).toEqual(whole(1));
});

test('a ring whose buffers were used out of order is not whole', () => {
  const { bench, queue } = packed(4);
  const ids = [1, 2, 3].map(() => queue.addReadable(0x1000, 8));
  queue.publish();
  bench.use(ids[1]!, 0);
  // The first buffer was written over, and the second one is in the ring as if it were not used.
  expect(queue.progress()).toEqual({ position: LAP | 1, isWhole: false });
});

test('virtio 1.4 §2.8.21: a batch whose first descriptor was not published leaves the ring as it was, and not whole', () => {
  const { bench, queue } = packed(4);
  const ids = [1, 2, 3].map(() => queue.addReadable(0x1000, 8));
  queue.publish();
  bench.writeUsedDescriptor(1, ids[1]!, 0, 0x8080);
  expect(queue.progress()).toEqual({ position: LAP, isWhole: false });
});

test('virtio 1.4 §2.8.9: with IN_ORDER one used descriptor stands for all buffers before it, taken back or not', () => {
  const { bench, queue } = packed(8, [F.IN_ORDER]);
  const ids = [queue.add(pair), ...[1, 2, 3].map(() => queue.addReadable(0x3000, 8))];
  queue.publish();
  bench.use(ids[2]!, 0, 4);
  for (const taken of [0, 1, 1, 1]) {
    bench.take(taken);
    expect(queue.progress()).toEqual(whole(LAP | 4));
  }
  bench.use(ids[3]!, 0);
  expect(queue.progress()).toEqual(whole(LAP | 5));
});

test.each([
  ['is none', 7],
  ['is not outstanding', 2],
  ['was not shown yet', 1],
])('an id that %s says nothing of where the device is', (_, id) => {
  for (const features of [[], [F.IN_ORDER]]) {
    const { bench, queue } = packed(4, features);
    queue.addReadable(0x1000, 8);
    queue.publish();
    queue.addReadable(0x1000, 8);
    bench.writeUsedDescriptor(0, id, 0, 0x8080);
    expect(queue.progress()).toEqual({ position: -1, isWhole: false });
  }
});

test('another device that goes on there is shown every outstanding buffer once', () => {
  const step = fc.record({
    add: fc.nat(4),
    list: fc.boolean(),
    use: fc.nat(4),
    take: fc.nat(4),
    exchange: fc.boolean(),
  });
  fc.assert(
    fc.property(fc.integer({ min: 1, max: 9 }), fc.boolean(), fc.array(step), (size, inOrder, steps) => {
      const { bench, queue } = packed(size, inOrder ? [F.IN_ORDER] : []);
      const open = (position: number): DevicePackedQueue => {
        const [at, lap] = [position & 0x7fff, position >>> 15];
        const device = openDeviceQueue(bench.config, {
          layout: 'packed',
          lastAvailIdx: at,
          lastAvailWrapCounter: lap as 0 | 1,
          usedIdx: at,
          usedWrapCounter: lap as 0 | 1,
        });
        if (isRefusal(device)) throw new Error(device.message);
        return device as DevicePackedQueue;
      };
      let device = open(LAP);
      const burst = new ChainBurst(16);
      let shown = 0;
      let used = 0;
      for (const { add, list, use, take, exchange } of steps) {
        for (let n = 0; n < add; n++)
          if (list && size > 1) queue.add(pair);
          else queue.addReadable(0x3000, 8);
        queue.publish();
        burst.clear();
        device.takeBurst(burst, use);
        shown += burst.count;
        for (let n = 0; n < burst.count; n++) device.putUsed(burst.token[n]!, 0);
        device.publishUsed();
        used += bench.take(take).length;
        const progress = queue.progress();
        expect(progress.isWhole).toBe(true);
        if (exchange) device = open(progress.position);
      }
      burst.clear();
      expect(open(queue.progress().position).takeBurst(burst, 16)).toBe(queue.outstanding - (shown - used));
      expect(shown + burst.count).toBe(queue.counters.added);
      expect(burst.faults).toBe(0);
    }),
  );
});
