import { describe, expect, test } from 'vitest';
import { BROKEN } from './driver-queue.js';
import { DriverBench, F } from './testing/driver-bench.js';
import { expectBroken, withThree } from './testing/expect-broken.js';
import { USED, UsedBurst } from './used-burst.js';

describe('split', () => {
  test.each([[[]], [[F.IN_ORDER]]])(
    'DR-06: a used index ahead of what is outstanding breaks the queue, features %j',
    (features) => {
      for (const idx of [4, 5, 0x8000]) {
        const bench = withThree('split', features);
        bench.setUsedIdx(idx);
        expect(bench.take()).toEqual([]);
        expectBroken(bench, BROKEN.USED_INDEX, 3);
      }
    },
  );

  test('DR-06: a used index up to what is outstanding is right, also for a full ring of the largest size', () => {
    const bench = new DriverBench('split', { size: 32768 });
    for (let at = 0; at < 32768; at++) bench.queue.addReadable(0x1000, 1);
    bench.queue.publish();
    for (let at = 0; at < 32768; at++) bench.writeUsedElement(at, at, 0);
    bench.setUsedIdx(32768);
    const burst = new UsedBurst(32768);
    expect(bench.queue.takeUsed(burst, 32768)).toBe(32768);
    expect(bench.queue.broken).toBe(0);
    bench.setUsedIdx(32769);
    expect(bench.queue.hasUsed()).toBe(false);
    expect(bench.queue.broken).toBe(BROKEN.USED_INDEX);
  });

  test('DR-06: an index ahead of an empty queue, or of buffers that are not published, breaks it', () => {
    const empty = new DriverBench('split', { size: 4 });
    empty.setUsedIdx(1);
    expect(empty.queue.hasUsed()).toBe(false);
    expectBroken(empty, BROKEN.USED_INDEX, 0);

    const unpublished = withThree('split');
    unpublished.queue.addReadable(0x1000, 1);
    unpublished.setUsedIdx(4);
    expect(unpublished.take()).toEqual([]);
    expectBroken(unpublished, BROKEN.USED_INDEX, 4);
  });

  test.each([[[]], [[F.IN_ORDER]]])(
    'DR-07: a used index that goes backwards breaks the queue, features %j',
    (features) => {
      for (const back of [1, 0, 0xffff]) {
        const bench = withThree('split', features);
        bench.use(0, 10);
        bench.use(1, 10);
        expect(bench.take()).toEqual([
          [0, 10, USED.GOOD],
          [1, 10, USED.GOOD],
        ]);
        bench.setUsedIdx(back);
        expect(bench.take()).toEqual([]);
        expectBroken(bench, BROKEN.USED_INDEX, 1);
      }
    },
  );

  test.each([[[]], [[F.IN_ORDER]]])(
    'DR-07: buffers seen before the index went bad are not taken afterwards, features %j',
    (features) => {
      const bench = withThree('split', features);
      bench.use(2, 10, features.length > 0 ? 3 : 1);
      if (features.length === 0) bench.use(1, 10);
      expect(bench.queue.hasUsed()).toBe(true);
      bench.setUsedIdx(0x7777);
      expect(bench.queue.hasUsed()).toBe(false);
      expectBroken(bench, BROKEN.USED_INDEX, 3);
    },
  );

  test.each([[[]], [[F.IN_ORDER]]])(
    'DR-07: the index goes from 65535 on to 0 without being taken for backwards, features %j',
    (features) => {
      const bench = new DriverBench('split', { size: 256, features });
      for (let round = 0; round < 257; round++) {
        let id = -1;
        for (let at = 0; at < 256; at++) id = bench.queue.addReadable(0x1000, 1);
        bench.queue.publish();
        if (features.length > 0) bench.use(id, 0, 256);
        else for (let at = 0; at < 256; at++) bench.use(at, 0);
        expect(bench.take().length).toBe(256);
      }
      expect([bench.queue.broken, bench.queue.counters.used]).toEqual([0, 257 * 256]);
    },
  );
});

describe('packed', () => {
  test('DR-09: marks of the wrong turn, or half of them, are no used descriptor', () => {
    // First lap: both marks are to be 1.
    for (const flags of [0x0000, 0x0002, 0x0080, 0x8000, 0x7f7f]) {
      const bench = withThree('packed');
      bench.writeUsedDescriptor(0, 0, 10, flags);
      expect([bench.take(), bench.queue.hasUsed(), bench.queue.broken]).toEqual([[], false, 0]);
      bench.writeUsedDescriptor(0, 0, 10, 0x8082);
      expect(bench.take()).toEqual([[0, 10, USED.GOOD]]);
    }
  });

  test('DR-09: on the second lap both marks are to be 0, and the first lap counts no more', () => {
    const bench = new DriverBench('packed', { size: 2 });
    const ids = [0, 1].map(() => bench.queue.addWritable(0x1000, 100));
    bench.queue.publish();
    for (const id of ids) bench.use(id, 10);
    expect(bench.take().length).toBe(2);
    const id = bench.queue.addWritable(0x1000, 100);
    bench.queue.publish();
    for (const flags of [0x8080, 0x8082, 0x8000, 0x0080]) {
      bench.writeUsedDescriptor(0, id, 10, flags);
      expect([bench.take(), bench.queue.broken]).toEqual([[], 0]);
    }
    bench.writeUsedDescriptor(0, id, 10, 0x0002);
    expect(bench.take()).toEqual([[id, 10, USED.GOOD]]);
  });

  test('DR-09: flags that only the driver sets are ignored in a used descriptor', () => {
    const bench = withThree('packed');
    // NEXT, INDIRECT and all reserved bits.
    bench.writeUsedDescriptor(0, 0, 10, 0xffff);
    expect(bench.take()).toEqual([[0, 10, USED.GOOD]]);
    expect([bench.queue.free, bench.queue.broken]).toEqual([2, 0]);
  });

  test('DR-09: an id that is not outstanding breaks the queue behind the good ones', () => {
    const bench = withThree('packed');
    bench.use(2, 10);
    bench.use(0, 10);
    bench.use(2, 10);
    expect(bench.take().map(([id]) => id)).toEqual([2, 0]);
    expectBroken(bench, BROKEN.USED_ID_NOT_OUTSTANDING, 1);
  });

  test('DR-06 and its like: slots marked used beyond the outstanding ones are not looked at', () => {
    for (const features of [[], [F.IN_ORDER]]) {
      const bench = withThree('packed', features);
      for (const id of [0, 1, 2]) bench.use(id, 10);
      bench.use(0, 10);
      expect(bench.take().map(([id]) => id)).toEqual([0, 1, 2]);
      expect([bench.take(), bench.queue.hasUsed(), bench.queue.broken]).toEqual([[], false, 0]);
      expect([bench.queue.free, bench.queue.outstanding]).toEqual([4, 0]);
    }
  });

  test('DR-09: stale marks in the slots of a list are not taken for more used buffers', () => {
    const bench = withThree('packed', [], 3);
    for (const id of [0, 1, 2]) bench.use(id, 10);
    bench.take();
    const id = bench.queue.addWritable(0x1000, 100);
    bench.queue.publish();
    // Slots 1 and 2 still carry the marks of the first lap; the device turns them to the second's.
    for (const slot of [0, 1, 2]) bench.writeUsedDescriptor(slot, id, 10, 2);
    expect(bench.take()).toEqual([[id, 10, USED.GOOD]]);
    expect([bench.take(), bench.queue.broken, bench.queue.free]).toEqual([[], 0, 3]);
  });
});
