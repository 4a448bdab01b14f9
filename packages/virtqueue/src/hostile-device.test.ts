import type { GuestMemory, HostMemory } from '@ringwire/guest-memory';
import { describe, expect, test } from 'vitest';
import { BROKEN, NO_ROOM } from './driver-queue.js';
import { openDriverQueue } from './open-queue.js';
import { bufferOf, DriverBench, F, LAYOUTS, outcomes } from './testing/driver-bench.js';
import { expectBroken, withThree } from './testing/expect-broken.js';
import { USED, UsedBurst } from './used-burst.js';

describe.each(LAYOUTS)('%s', (layout) => {
  test.each([4, 5, 0x7fff, 0xffff])('DR-01: a used id of %d in a queue of 4 breaks it', (id) => {
    const bench = withThree(layout);
    bench.use(1, 10);
    bench.use(id, 10);
    expect(bench.take()).toEqual([[1, 10, USED.GOOD]]);
    expectBroken(bench, BROKEN.USED_ID_OUT_OF_RANGE, 2);
  });

  test('DR-02: a used id that was never posted breaks the queue', () => {
    const bench = withThree(layout);
    bench.use(3, 10);
    expect(bench.take()).toEqual([]);
    expectBroken(bench, BROKEN.USED_ID_NOT_OUTSTANDING, 3);
  });

  test('DR-02: a used id that came back already is not delivered or freed twice', () => {
    for (const isSeparate of [false, true]) {
      const bench = withThree(layout);
      bench.use(1, 10);
      const first = isSeparate ? bench.take() : [];
      bench.use(1, 10);
      expect([...first, ...bench.take()]).toEqual([[1, 10, USED.GOOD]]);
      expect(bench.queue.free).toBe(2);
      expectBroken(bench, BROKEN.USED_ID_NOT_OUTSTANDING, 2);
    }
  });

  test('DR-02: a used id of a buffer that is in the ring but not published breaks the queue', () => {
    for (const features of [[], [F.IN_ORDER]]) {
      const bench = withThree(layout, features);
      const fourth = bench.queue.addWritable(0x1000, 100);
      bench.use(fourth, 10);
      expect(bench.take()).toEqual([]);
      expectBroken(bench, BROKEN.USED_ID_NOT_OUTSTANDING, 4);
    }
  });

  test('DR-03: a used length beyond the writable bytes gives the buffer up, its length is 0, and the queue goes on', () => {
    const bench = withThree(layout);
    bench.use(0, 101);
    bench.use(2, 0xffff_ffff);
    bench.use(1, 100);
    expect(bench.take()).toEqual([
      [0, 0, USED.TOO_LONG],
      [2, 0, USED.TOO_LONG],
      [1, 100, USED.GOOD],
    ]);
    const { queue } = bench;
    expect([queue.broken, queue.counters.tooLong, queue.counters.used]).toEqual([0, 2, 3]);
    expect([queue.free, queue.outstanding, queue.addWritable(1, 1) !== NO_ROOM]).toEqual([4, 0, true]);
  });

  test('DR-03: the readable bytes of a list are no bytes that a device may write', () => {
    for (const features of [[], [F.IN_ORDER]]) {
      const bench = new DriverBench(layout, { size: 4, features });
      const id = bench.queue.add(bufferOf([[0x1000, 1000]], [[0x2000, 10]]));
      bench.queue.publish();
      bench.use(id, 11, layout === 'split' ? 1 : 2);
      expect(bench.take()).toEqual([[0, 0, USED.TOO_LONG]]);
      expect([bench.queue.counters.tooLong, bench.queue.free]).toEqual([1, 4]);
    }
  });

  test('DR-05: a used length of a buffer without writable bytes is ignored', () => {
    for (const features of [[], [F.IN_ORDER]]) {
      const bench = new DriverBench(layout, { size: 4, features });
      for (let at = 0; at < 3; at++) bench.queue.addReadable(0x1000, 60);
      bench.queue.publish();
      bench.use(0, 60);
      bench.use(1, 0xffff_ffff);
      bench.use(2, 0);
      expect(bench.take()).toEqual([
        [0, 0, USED.GOOD],
        [1, 0, USED.GOOD],
        [2, 0, USED.GOOD],
      ]);
      expect([bench.queue.broken, bench.queue.counters.tooLong]).toEqual([0, 0]);
    }
  });

  test('DR-08: descriptors and tables rewritten by the device are not read back', () => {
    const features = [F.INDIRECT_DESC];
    const bench = new DriverBench(layout, { size: 8, features, entries: 3 });
    const { queue } = bench;
    const list = bufferOf(
      [[0x1000, 10]],
      [
        [0x2000, 20],
        [0x3000, 30],
      ],
    );
    const chain = queue.add(list, 3);
    const table = queue.add(list, 0);
    queue.publish();
    const flags = layout === 'split' ? 12 : 14;
    for (let index = 0; index < 8; index++) {
      const at = bench.config.desc + 16 * index;
      bench.poke(at, 'ffffffffffffffff ffffffff');
      if (layout === 'split') bench.poke(at + flags, 'ffff ffff');
    }
    bench.poke(bench.tables, 'ff'.repeat(16 * 8 * 3));
    bench.use(chain, 50, layout === 'split' ? 1 : 3);
    bench.use(table, 50);
    expect(bench.take()).toEqual([
      [chain, 50, USED.GOOD],
      [table, 50, USED.GOOD],
    ]);
    expect([queue.free, queue.outstanding, queue.broken]).toEqual([8, 0, 0]);
    // All eight descriptors can be had again, once each.
    const ids = Array.from({ length: 9 }, () => queue.addReadable(0x9000, 9));
    expect([...ids].sort((a, b) => a - b)).toEqual([NO_ROOM, 0, 1, 2, 3, 4, 5, 6, 7]);
  });

  test('DR-10: with IN_ORDER a used id beyond the newest posted one breaks the queue', () => {
    const bench = withThree(layout, [F.IN_ORDER]);
    bench.use(3, 10, 3);
    expect(bench.take()).toEqual([]);
    expectBroken(bench, BROKEN.USED_ID_NOT_OUTSTANDING, 3);
  });

  test('DR-10: with IN_ORDER a used id from before breaks the queue, and so does one out of range', () => {
    const back = withThree(layout, [F.IN_ORDER]);
    back.use(1, 10, 2);
    expect(back.take().map(([id]) => id)).toEqual([0, 1]);
    back.use(0, 10);
    expect(back.take()).toEqual([]);
    expectBroken(back, BROKEN.USED_ID_NOT_OUTSTANDING, 1);

    const out = withThree(layout, [F.IN_ORDER]);
    out.use(0xfffe, 10);
    expect(out.take()).toEqual([]);
    expectBroken(out, BROKEN.USED_ID_OUT_OF_RANGE, 3);
  });

  test('DR-16: interrupts before the first buffer do nothing', () => {
    const bench = new DriverBench(layout, { size: 4 });
    const before = bench.guest.snapshot();
    for (let at = 0; at < 1000; at++) expect(bench.take()).toEqual([]);
    expect(bench.guest.changes(before)).toEqual([]);
    expect(bench.queue.broken).toBe(BROKEN.NONE);
  });

  test('DR-16: interrupts after the buffers were detached give none of them a second time', () => {
    for (const features of [[], [F.IN_ORDER]]) {
      for (const taken of [0, 1]) {
        for (const unpublished of [0, 1]) {
          const bench = withThree(layout, features);
          const { queue } = bench;
          // All three are used, as single ones or as a batch; the driver sees some of them before the reset.
          if (features.length > 0) bench.use(2, 50, 3);
          else for (const id of [0, 1, 2]) bench.use(id, 50);
          for (let at = 0; at < unpublished; at++) queue.addReadable(0x1000, 1);
          expect([bench.take(taken).length, queue.hasUsed()]).toEqual([taken, true]);
          for (const burst of [new UsedBurst(1), new UsedBurst(4)]) {
            queue.detachUnused(burst);
            expect([bench.take(), queue.hasUsed(), queue.enableNotifications()]).toEqual([[], false, false]);
          }
          expect([queue.broken, queue.outstanding, queue.free]).toEqual([0, 0, 4]);
        }
      }
    }
  });

  test('DR-17: after a reset each buffer that was never used is given back once, in bursts of any size', () => {
    const bench = new DriverBench(layout, { size: 8 });
    const { queue } = bench;
    const list = queue.add(bufferOf([[0x1000, 1]], [[0x2000, 2]]));
    const ids = [list, queue.addReadable(0x3000, 3), queue.addWritable(0x4000, 4), queue.addWritable(0x5000, 5)];
    queue.publish();
    bench.use(ids[2]!, 4);
    expect(bench.take()).toEqual([[ids[2], 4, USED.GOOD]]);
    // Added and never published: it is the driver's own, and comes back too.
    ids.push(queue.addReadable(0x6000, 6));
    const detached: number[] = [];
    const burst = new UsedBurst(3);
    for (;;) {
      burst.clear();
      const count = queue.detachUnused(burst);
      if (count === 0) break;
      expect([burst.count, ...burst.outcome.subarray(0, count)]).toEqual([
        count,
        ...new Array(count).fill(USED.UNUSED),
      ]);
      detached.push(...burst.token.subarray(0, count));
    }
    expect(detached.sort()).toEqual([ids[0], ids[1], ids[3], ids[4]].sort());
    expect([queue.outstanding, queue.free, queue.counters.used]).toEqual([0, 8, 1]);
    // The ring is opened again at the same place, as new.
    const again = openDriverQueue(bench.config);
    expect([again.free, again.addReadable(0x1000, 1), again.publish()]).toEqual([8, 0, true]);
    expect(outcomes(again)).toEqual([]);
  });

  test('DR-30: nonsense in the device event words brings notifications too many, and none too few afterwards', () => {
    for (const features of [[], [F.EVENT_IDX]]) {
      const bench = new DriverBench(layout, { size: 4, features });
      const { queue, config } = bench;
      const eventAt = config.device + (layout === 'split' ? 4 + 8 * 4 : 0);
      const flagsAt = config.device + (layout === 'split' ? 0 : 2);
      let added = 0;
      const publish = (): boolean => {
        const id = queue.addReadable(0x1000, 1);
        const notify = queue.publish();
        bench.use(id, 0);
        expect(bench.take()).toEqual([[id, 0, USED.GOOD]]);
        added++;
        return notify;
      };
      for (const event of [0xffff, 0x8004, 0x0004, 0x7fff]) {
        for (const flags of [0xffff, 0xfffe, 3, 0x8000, 0x5555]) {
          bench.poke16(eventAt, event);
          bench.poke16(flagsAt, flags);
          const notify = publish();
          // Packed: reserved values and places that no ring of 4 has are taken as ENABLE; reserved bits count for nothing.
          if (layout === 'packed') expect(notify).toBe((flags & 3) !== 1);
          // Good again: the very next buffer.
          bench.poke16(eventAt, layout === 'split' ? added : (added % 4) | ((added & 4) === 0 ? 0x8000 : 0));
          bench.poke16(flagsAt, layout === 'packed' && features.length > 0 ? 2 : 0);
          expect(publish()).toBe(true);
        }
      }
    }
  });

  test('DR-31: what was taken stays as it was taken, whatever the device writes afterwards', () => {
    const bench = withThree(layout);
    bench.use(1, 10);
    const burst = new UsedBurst(4);
    bench.queue.takeUsed(burst, 4);
    bench.poke(bench.config.desc, 'ee'.repeat(64));
    bench.poke(bench.config.device + 4, 'ee'.repeat(32));
    expect([burst.count, burst.token[0], burst.written[0], burst.outcome[0]]).toEqual([1, 1, 10, USED.GOOD]);
  });

  test.each([[[100, 101, 100]], [[101, 100, 0xffff_ffff]], [[50, 0xffff_ffff]], [[0xffff_ffff, 100, 101]]])(
    'DR-31: a length that changes between two looks, %j, never gives more than the buffer has',
    (lengths) => {
      for (const features of [[], [F.IN_ORDER]]) {
        const bench = new DriverBench(layout, { size: 4, features });
        let looks = 0;
        const length32 = (bench.guest.space.resolve(bench.config.desc, 1, 1) >>> 2) + 2;
        const used32 = (bench.guest.space.resolve(bench.config.device, 1, 1) >>> 2) + 2;
        const racing = racingSpace(
          bench,
          layout === 'split' ? used32 : length32,
          () => lengths[looks++ % lengths.length]!,
        );
        const queue = openDriverQueue({ ...bench.config, space: racing });
        queue.addWritable(0x1000, 100);
        queue.publish();
        bench.use(0, 7);
        looks = 0;
        const [taken] = outcomes(queue);
        expect(looks).toBeGreaterThan(0);
        expect(taken![1]).toBeLessThanOrEqual(100);
        expect(lengths.includes(taken![1]) || taken![2] === USED.TOO_LONG).toBe(true);
      }
    },
  );

  test.each([[[0, 3]], [[3, 0]], [[0, 0, 3]], [[0, 0xffff, 3]], [[1, 0]]])(
    'DR-31: an id that changes between two looks, %j, gives back no buffer but the one that is out',
    (ids) => {
      for (const features of [[], [F.IN_ORDER]]) {
        const bench = new DriverBench(layout, { size: 4, features });
        let looks = 0;
        const isSplit = layout === 'split';
        const part = isSplit ? bench.config.device + 4 : bench.config.desc + 12;
        const id32 = bench.guest.space.resolve(part, 1, 1) >>> 2;
        const flags = isSplit ? 0 : 0x8082 * 0x1_0000;
        const racing = racingSpace(bench, id32, () => ids[looks++ % ids.length]! + flags);
        const queue = openDriverQueue({ ...bench.config, space: racing });
        queue.addWritable(0x1000, 100);
        queue.publish();
        bench.use(0, 7);
        looks = 0;
        const taken = outcomes(queue);
        expect(looks).toBeGreaterThan(0);
        expect(taken.length === 1 ? taken : queue.broken > 0).toEqual(taken.length === 1 ? [[0, 7, USED.GOOD]] : true);
        expect([queue.outstanding, queue.free]).toEqual([1 - taken.length, 3 + taken.length]);
      }
    },
  );
});

/** Memory in which one 32-bit word has another value each time the queue looks at it. */
function racingSpace(bench: DriverBench, word: number, value: () => number): GuestMemory {
  const { memory, space } = bench.guest;
  const u32 = new Proxy(memory.u32, {
    get: (words, key) => (key === String(word) ? value() : Reflect.get(words, key, words)),
    set: (words, key, stored) => Reflect.set(words, key, stored, words),
  });
  const racing = Object.create(memory, { u32: { value: u32 } }) as HostMemory;
  return Object.create(space, { memory: { value: racing } }) as GuestMemory;
}
