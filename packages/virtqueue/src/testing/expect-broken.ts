import { expect } from 'vitest';
import { NO_ROOM } from '../driver-queue.js';
import { UsedBurst } from '../used-burst.js';
import { bufferOf, DriverBench, type Layout } from './driver-bench.js';

/** Three writable buffers of 100 bytes with ids 0, 1 and 2 out, and nothing used. */
export function withThree(layout: Layout, features: readonly number[] = [], size = 4): DriverBench {
  const bench = new DriverBench(layout, { size, features });
  for (let at = 0; at < 3; at++) bench.queue.addWritable(0x1000, 100);
  bench.queue.publish();
  return bench;
}

/** The queue found its device out for that reason, once, and believes nothing any more, however often it is asked. */
export function expectBroken(bench: DriverBench, code: number, outstanding: number): void {
  const { queue } = bench;
  expect(queue.broken).toBe(code);
  const counted = [0, 0, 0, 0];
  counted[code] = 1;
  const before = bench.guest.snapshot();
  const free = queue.free;
  // The device turns good, and good again: not looked at.
  for (let at = 0; at < 5; at++) {
    bench.use(at % 3, 10);
    expect(bench.take()).toEqual([]);
    expect(bench.take(1)).toEqual([]);
    expect(queue.hasUsed()).toBe(false);
    expect(queue.enableNotifications()).toBe(false);
  }
  bench.guest.memory.u8.set(before.bytes);
  expect([queue.addReadable(1, 1), queue.addWritable(1, 1), queue.add(bufferOf([[1, 1]]))]).toEqual([-1, -1, NO_ROOM]);
  expect(queue.addBurst(bufferOf([[1, 1]]))).toBe(0);
  expect(queue.publish()).toBe(false);
  expect([queue.outstanding, queue.free]).toEqual([outstanding, free]);
  expect([...queue.counters.broken]).toEqual(counted);
  expect(bench.guest.changes(before)).toEqual([]);
  // Each buffer that is still out comes back once, when the queue was reset.
  const burst = new UsedBurst(queue.size);
  expect(queue.detachUnused(burst)).toBe(outstanding);
  expect(new Set(burst.token.subarray(0, burst.count)).size).toBe(outstanding);
  expect([queue.outstanding, queue.free]).toEqual([0, queue.size]);
  expect(bench.strayChanges()).toEqual([]);
}
