import { VIRTIO_F } from '@ringwire/virtio-spec';
import { expect, test } from 'vitest';
import { ChainBurst } from './chain-burst.js';
import type { DevicePackedQueue } from './device-packed.js';
import { TAKE } from './device-queue.js';
import type { DeviceSplitQueue } from './device-split.js';
import { RING_FAULT } from './queue-fault.js';
import { AT, DeviceBench } from './testing/device-bench.js';
import type { HandPacked, HandSplit } from './testing/hand-ring.js';
import { WRITE } from './testing/ring-bytes.js';

const SIZE = 8;
const buffer = (n: number) => ({ addr: AT.buffers + 64 * n, len: 8 + n, flags: WRITE });

/** Three buffers are offered, and used elements go on at the first of them. */
function secondLife(features: readonly number[] = []): { bench: DeviceBench<HandSplit>; queue: DeviceSplitQueue } {
  const bench = new DeviceBench<HandSplit>('split', { features });
  for (let n = 0; n < 3; n++) bench.ring.offer([buffer(n)]);
  const queue = bench.open({ layout: 'split', lastAvailIdx: 0, usedIdx: 0 }) as DeviceSplitQueue;
  return { bench, queue };
}

test('split: chains of an earlier life are taken again by their heads, in front of those that are available', () => {
  const { bench, queue } = secondLife();
  const { burst } = bench;
  burst.clear();
  // The available ring says 0, 1, 2: the first two were in flight, in the other order.
  expect([queue.takeAgain(burst, 1), queue.takeAgain(burst, 0)]).toEqual([TAKE.CHAIN, TAKE.CHAIN]);
  expect(queue.inFlight).toBe(2);
  expect(queue.takeBurst(burst, 16)).toBe(1);
  expect([...burst.token.subarray(0, 3)]).toEqual([1, 0, 2]);
  expect([0, 1, 2].map((i) => burst.writableBytes(i))).toEqual([9, 8, 10]);
  for (const head of [2, 0, 1]) queue.putUsed(head, 8);
  queue.publishUsed();
  expect(bench.ring.bytes.usedIdx).toBe(3);
  expect(queue.save()).toMatchObject({ lastAvailIdx: 3, usedIdx: 3 });
});

test('split: nothing more is available than the driver said, after chains were taken again', () => {
  const { bench, queue } = secondLife();
  bench.burst.clear();
  for (const head of [0, 1, 2]) queue.takeAgain(bench.burst, head);
  expect(queue.takeBurst(bench.burst, 16)).toBe(0);
  expect([queue.hasAvailable(), queue.ringFault]).toEqual([false, 0]);
});

test('split, virtio 1.4 §2.7.9: with IN_ORDER chains that are taken again are put in that order', () => {
  const { bench, queue } = secondLife([VIRTIO_F.IN_ORDER]);
  bench.burst.clear();
  for (const head of [1, 0]) queue.takeAgain(bench.burst, head);
  expect(() => queue.putUsed(0, 8)).toThrow(/token is 0, want 1/);
  queue.putUsed(1, 9);
  queue.putUsed(0, 8);
});

test('split: a chain that is taken again can be given back, and be taken again once more', () => {
  const { bench, queue } = secondLife();
  const { burst } = bench;
  burst.clear();
  queue.takeAgain(burst, 1);
  queue.untake(1);
  burst.clear();
  expect(queue.takeAgain(burst, 1)).toBe(TAKE.CHAIN);
  expect(queue.counters.taken).toBe(1);
});

test.each([
  ['beyond the table', 8, RING_FAULT.HEAD_OUT_OF_RANGE],
  ['twice', 1, RING_FAULT.HEAD_IN_FLIGHT],
])('split: a head %s that is to be taken again breaks the ring', (_, head, fault) => {
  const { bench, queue } = secondLife();
  bench.burst.clear();
  queue.takeAgain(bench.burst, 1);
  expect(queue.takeAgain(bench.burst, head)).toBe(TAKE.RING_FAULT);
  expect(queue.ringFault).toBe(fault);
  expect(queue.takeAgain(bench.burst, 2)).toBe(TAKE.RING_FAULT);
});

test('split: a faulty chain stays one when it is taken again', () => {
  const bench = new DeviceBench<HandSplit>('split');
  bench.ring.offer([{ addr: AT.hole, len: 8 }]);
  const queue = bench.open({ layout: 'split', lastAvailIdx: 0, usedIdx: 0 }) as DeviceSplitQueue;
  bench.burst.clear();
  expect(queue.takeAgain(bench.burst, 0)).toBe(TAKE.CHAIN_FAULT);
});

test('packed: the slots of a chain in flight can be asked for', () => {
  const bench = new DeviceBench<HandPacked>('packed', { size: SIZE });
  bench.ring.offer([buffer(0)]);
  bench.ring.offer([buffer(1), buffer(2), buffer(3)]);
  const queue = bench.queue as DevicePackedQueue;
  const burst = new ChainBurst(4);
  queue.takeBurst(burst, 4);
  expect([...burst.token.subarray(0, 2)].map((token) => queue.slotsOf(token))).toEqual([1, 3]);
});
