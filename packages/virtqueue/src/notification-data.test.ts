import { describe, expect, test } from 'vitest';
import { bufferOf, DriverBench, LAYOUTS } from './testing/driver-bench.js';

describe('split', () => {
  test('virtio 1.4 §2.9: next_off and next_wrap are the 16 bits of the available index', () => {
    const { queue } = new DriverBench('split', { size: 4 });
    expect(queue.notificationData(7)).toBe(0x0000_0007);
    queue.addReadable(0x1000, 1);
    queue.addReadable(0x1000, 1);
    queue.publish();
    expect(queue.notificationData(7)).toBe(0x0002_0007);
    expect(queue.notificationData(0xffff)).toBe(0x0002_ffff);
  });

  test('virtio 1.4 §2.9: the index runs on past Queue Size, through bit 15, and from 65535 to 0', () => {
    const bench = new DriverBench('split', { size: 1 });
    const { queue } = bench;
    const seen = new Map<number, number>();
    for (let count = 1; count <= 0x1_0001; count++) {
      const id = queue.addReadable(0x1000, 1);
      queue.publish();
      bench.use(id, 0);
      bench.take();
      seen.set(count, queue.notificationData(3));
    }
    expect(seen.get(2)).toBe(0x0002_0003);
    expect(seen.get(0x7fff)).toBe(0x7fff_0003);
    expect(seen.get(0x8000)).toBe(0x8000_0003);
    expect(seen.get(0xffff)).toBe(0xffff_0003);
    expect(seen.get(0x1_0000)).toBe(0x0000_0003);
    expect(seen.get(0x1_0001)).toBe(0x0001_0003);
  });
});

test('drv.packed.desc-table.3: next_off and next_wrap name the next descriptor not yet made available', () => {
  const bench = new DriverBench('packed', { size: 3 });
  const { queue } = bench;
  const words = [queue.notificationData(5)];
  for (let count = 0; count < 7; count++) {
    const id = queue.addWritable(0x1000, 8);
    queue.publish();
    words.push(queue.notificationData(5));
    bench.use(id, 8);
    bench.take();
  }
  expect(words.map((word) => word.toString(16))).toEqual([
    '80000005', // slot 0, wrap counter 1
    '80010005',
    '80020005',
    '5', // slot 0 once more, wrap counter 0
    '10005',
    '20005',
    '80000005',
    '80010005',
  ]);
});

test('drv.packed.desc-table.3: a list counts with all its descriptors, over the end of the ring too', () => {
  const bench = new DriverBench('packed', { size: 5 });
  const { queue } = bench;
  const list = bufferOf([
    [0x1000, 1],
    [0x2000, 1],
    [0x3000, 1],
  ]);
  const id = queue.add(list);
  queue.publish();
  expect(queue.notificationData(5)).toBe(0x8003_0005);
  bench.use(id, 0, 3);
  bench.take();
  queue.add(list);
  queue.publish();
  expect(queue.notificationData(5)).toBe(0x0001_0005);
});

test('drv.packed.desc-table.3: in the largest ring next_off takes all of its 15 bits', () => {
  const { queue } = new DriverBench('packed', { size: 32768 });
  for (let count = 0; count < 32767; count++) queue.addReadable(0x1000, 1);
  queue.publish();
  expect(queue.notificationData(1)).toBe(0xffff_0001);
  queue.addReadable(0x1000, 1);
  queue.publish();
  expect(queue.notificationData(1)).toBe(0x0000_0001);
});

test.each(LAYOUTS)(
  'drv.packed.desc-table.3 and its like: %s, a buffer added and not published is not in it',
  (layout) => {
    const { queue } = new DriverBench(layout, { size: 4 });
    queue.addReadable(0x1000, 1);
    queue.publish();
    const word = queue.notificationData(9);
    queue.addReadable(0x1000, 1);
    expect(queue.notificationData(9)).toBe(word);
    queue.publish();
    expect(queue.notificationData(9)).not.toBe(word);
  },
);
