import { describe, expect, test } from 'vitest';
import { NO_ROOM } from './driver-queue.js';
import { bufferOf, DriverBench, F, LAYOUTS } from './testing/driver-bench.js';
import { UsedBurst } from './used-burst.js';

const PAIR = bufferOf([[0x1000, 1]], [[0x2000, 0x20]]);

test('drv.split.used-ring.1, .2: of a device-writable buffer the first len bytes count, the rest is never looked at', () => {
  const bench = new DriverBench('split', { size: 4 });
  const { queue } = bench;
  // Addresses without memory behind them: whatever is done with these buffers, it is not reading them.
  expect(bench.guest.space.resolve(0x77_0000_0000, 1, 0)).toBeLessThan(0);
  const long = queue.addWritable(0x77_0000_0000, 1500);
  const list = queue.add(
    bufferOf(
      [[0x77_0001_0000, 12]],
      [
        [0x77_0002_0000, 100],
        [0x77_0003_0000, 200],
      ],
    ),
  );
  queue.publish();
  bench.use(long, 60);
  bench.use(list, 101);
  expect(bench.take()).toEqual([
    [long, 60, 0],
    [list, 101, 0],
  ]);
});

describe.each(LAYOUTS)('%s', (layout) => {
  const open = (size: number, ...features: number[]): DriverBench => new DriverBench(layout, { size, features });

  test('used lengths from 0 to all device-writable bytes are given as they are', () => {
    const bench = open(4);
    const ids = [bench.queue.addWritable(0x1000, 10), bench.queue.addWritable(0x1000, 10), bench.queue.add(PAIR)];
    bench.queue.publish();
    bench.use(ids[0]!, 0);
    bench.use(ids[1]!, 10);
    bench.use(ids[2]!, 0x20, layout === 'split' ? 1 : 2);
    expect(bench.take()).toEqual([
      [0, 0, 0],
      [1, 10, 0],
      [2, 0x20, 0],
    ]);
  });

  test('the largest lengths keep all their 32 bits', () => {
    const bench = open(2);
    bench.queue.addWritable(0, 0xffff_ffff);
    bench.queue.add(
      bufferOf(
        [],
        [
          [0, 0x8000_0000],
          [0, 0x7fff_ffff],
        ],
      ),
    );
    bench.queue.publish();
    bench.use(0, 0xffff_ffff);
    expect(bench.take()).toEqual([[0, 0xffff_ffff, 0]]);
    expect(bench.queue.counters.tooLong).toBe(0);
  });

  test('buffers are used in any order and come back in the order of use', () => {
    const bench = open(4);
    for (let at = 0; at < 4; at++) bench.queue.addWritable(0x1000, 16);
    bench.queue.publish();
    for (const id of [2, 0, 3, 1]) bench.use(id, id);
    expect(bench.take()).toEqual([
      [2, 2, 0],
      [0, 0, 0],
      [3, 3, 0],
      [1, 1, 0],
    ]);
    expect([bench.queue.free, bench.queue.outstanding, bench.queue.counters.used]).toEqual([4, 0, 4]);
  });

  test('no more is taken than was asked for and than the burst has room for; the rest waits', () => {
    for (const features of [[], [F.IN_ORDER]]) {
      const bench = open(8, ...features);
      const { queue } = bench;
      for (let at = 0; at < 6; at++) queue.addReadable(0x1000, 1);
      queue.publish();
      if (features.length > 0) bench.use(5, 0, 6);
      else for (let id = 0; id < 6; id++) bench.use(id, 0);
      const burst = new UsedBurst(3);
      expect([queue.takeUsed(burst, 0), queue.takeUsed(burst, 2), queue.takeUsed(burst, 2)]).toEqual([0, 2, 1]);
      expect([...burst.token]).toEqual([0, 1, 2]);
      expect([queue.takeUsed(burst, 5), queue.outstanding, queue.free]).toEqual([0, 3, 5]);
      expect(queue.hasUsed()).toBe(true);
      burst.clear();
      expect([queue.takeUsed(burst, 5), [...burst.token]]).toEqual([3, [3, 4, 5]]);
      expect(queue.hasUsed()).toBe(false);
    }
  });

  test('an id is given again only after its buffer came back', () => {
    const bench = open(3 + (layout === 'split' ? 1 : 0));
    const { queue } = bench;
    const out = new Set<number>();
    let random = 1;
    for (let round = 0; round < 300; round++) {
      const id = queue.addReadable(0x1000, 1);
      if (id !== NO_ROOM) {
        expect(out.has(id)).toBe(false);
        expect(id).toBeLessThan(queue.size);
        out.add(id);
      }
      queue.publish();
      random = (random * 48271) % 0x7fff_ffff;
      if (random % 3 !== 0 && out.size > 0) {
        const used = [...out][random % out.size]!;
        bench.use(used, 0);
        expect(bench.take()).toEqual([[used, 0, 0]]);
        out.delete(used);
      }
      expect([queue.outstanding, queue.free]).toEqual([out.size, queue.size - out.size]);
    }
  });

  test('virtio 1.4 §2.7.9, §2.8.9: with IN_ORDER one used element stands for all buffers before it', () => {
    const bench = open(8, F.IN_ORDER);
    const { queue } = bench;
    queue.addWritable(0x1000, 100);
    queue.addReadable(0x2000, 200);
    queue.add(PAIR);
    queue.addWritable(0x4000, 400);
    queue.publish();
    // The third is the last of the batch; the skipped ones were used completely.
    bench.use(2, 7, layout === 'split' ? 3 : 4);
    expect(bench.take()).toEqual([
      [0, 100, 0],
      [1, 0, 0],
      [2, 7, 0],
    ]);
    expect([queue.outstanding, queue.free]).toEqual([1, 7]);
    const fourth = layout === 'split' ? 4 : 3;
    bench.use(fourth, 0);
    expect(bench.take()).toEqual([[fourth, 0, 0]]);
  });

  test('virtio 1.4 §2.7.9, §2.8.9: batches of every length, taken in pieces, lap after lap', () => {
    const bench = open(8, F.IN_ORDER);
    const { queue } = bench;
    for (let round = 0; round < 50; round++) {
      const count = 1 + (round % 8);
      const ids = Array.from({ length: count }, () => queue.addWritable(0x1000, 16));
      queue.publish();
      bench.use(ids.at(-1)!, 3, count);
      const taken = [...bench.take(round % 3), ...bench.take()];
      expect(taken).toEqual(ids.map((id, at) => [id, at === count - 1 ? 3 : 16, 0]));
    }
  });

  test('buffers added and not published do not disturb the published ones coming back', () => {
    for (const features of [[], [F.IN_ORDER]]) {
      const bench = open(8, ...features);
      const { queue } = bench;
      for (let at = 0; at < 4; at++) queue.addWritable(0x1000, 16);
      queue.publish();
      for (let at = 0; at < 4; at++) queue.addWritable(0x1000, 16);
      for (const id of [0, 1, 2, 3]) bench.use(id, id);
      expect(bench.take().map(([id]) => id)).toEqual([0, 1, 2, 3]);
      expect([queue.outstanding, queue.free, queue.hasUsed()]).toEqual([4, 4, false]);
      queue.publish();
      for (const id of [4, 5, 6, 7]) bench.use(id, id);
      expect(bench.take().map(([id]) => id)).toEqual([4, 5, 6, 7]);
    }
  });
});

describe.each(LAYOUTS)('%s, sizes', (layout) => {
  const sizes = layout === 'split' ? [1, 2, 4, 256, 32768] : [1, 2, 3, 5, 7, 255, 256, 32767, 32768];
  test.each(sizes)('a ring of %d is filled to the last place, emptied and filled again', (size) => {
    const bench = new DriverBench(layout, { size });
    const { queue } = bench;
    const burst = new UsedBurst(size);
    for (let lap = 0; lap < (size > 256 ? 1 : 5); lap++) {
      const ids: number[] = [];
      for (let at = 0; at < size; at++) ids.push(queue.addWritable(0x1000, 4));
      expect([queue.free, queue.addWritable(0x1000, 4)]).toEqual([0, NO_ROOM]);
      expect([...ids].sort((a, b) => a - b)).toEqual(Array.from({ length: size }, (_, id) => id));
      queue.publish();
      // From the newest to the oldest.
      for (const id of ids.toReversed()) bench.use(id, id & 3);
      burst.clear();
      expect(queue.takeUsed(burst, size)).toBe(size);
      expect([...burst.token]).toEqual(ids.toReversed());
      expect([...burst.written]).toEqual(ids.toReversed().map((id) => id & 3));
      expect([queue.free, queue.outstanding]).toEqual([size, 0]);
    }
    expect(bench.strayChanges()).toEqual([]);
  });
});
