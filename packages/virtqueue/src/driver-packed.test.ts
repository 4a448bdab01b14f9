import { VirtioError } from '@ringwire/virtio-spec';
import { expect, test } from 'vitest';
import { NO_ROOM } from './driver-queue.js';
import { openDriverQueue } from './open-queue.js';
import { bufferOf, DriverBench, F } from './testing/driver-bench.js';

const packed = (size: number, features: readonly number[] = []): DriverBench =>
  new DriverBench('packed', { size, features });
const EMPTY = '0000000000000000 00000000 0000 0000';

test('drv.packed.alignment.1: parts not aligned to 16, 4 and 4 are refused before a byte is written', () => {
  const { config, guest } = packed(3);
  const before = guest.snapshot();
  for (const [field, by] of [
    ['desc', 8],
    ['driver', 2],
    ['device', 2],
  ] as const) {
    const crooked = { ...config, [field]: config[field] + by };
    expect(() => openDriverQueue(crooked)).toThrow(VirtioError);
    expect(() => openDriverQueue(crooked)).toThrow(new RegExp(`^${field} is ${config[field] + by}, want`));
  }
  expect(guest.changes(before)).toEqual([]);
  const tight = { ...config, desc: config.desc + 16, driver: config.driver + 4, device: config.device + 4 };
  expect(openDriverQueue(tight).size).toBe(3);
});

test('virtio 1.4 §2.8.13: a new queue has zeros in the ring and in both event suppression structures', () => {
  const bench = packed(3);
  const { desc, driver, device } = bench.config;
  expect(bench.guest.read(desc, 48).every((byte) => byte === 0)).toBe(true);
  expect([bench.show(driver, 4), bench.show(device, 4)]).toEqual(['00000000', '00000000']);
  expect(bench.strayChanges()).toEqual([]);
});

test('virtio 1.4 §2.8.21.1: AVAIL is the wrap counter, USED its inverse, and both turn over at the end of the ring', () => {
  const bench = packed(2);
  const { queue } = bench;
  const flags: string[] = [];
  for (let count = 0; count < 5; count++) {
    const id = count % 2 === 0 ? queue.addReadable(0x1234_5678_9abc, 0x0102) : queue.addWritable(0x10, 0xffff_fff0);
    queue.publish();
    flags.push(bench.desc(count % 2).slice(-4));
    bench.use(id, 0);
    bench.take();
  }
  // AVAIL, AVAIL | WRITE; USED, USED | WRITE; AVAIL
  expect(flags).toEqual(['8000', '8200', '0080', '0280', '8000']);
});

test('virtio 1.4 §2.8.13: address, length and id of a descriptor', () => {
  const bench = packed(3);
  const { queue } = bench;
  expect([queue.addReadable(0x1234_5678_9abc, 0x0102), queue.addWritable(0x10, 0xffff_fff0)]).toEqual([0, 1]);
  queue.publish();
  expect([0, 1, 2].map((slot) => bench.desc(slot))).toEqual([
    'bc9a785634120000 02010000 0000 8000',
    '1000000000000000 f0ffffff 0100 8200',
    EMPTY,
  ]);
  expect([queue.outstanding, queue.free, queue.counters.added]).toEqual([2, 1, 2]);
});

test('drv.packed.scatter-gather.3: a list has its device-readable elements first, NEXT in all but the last', () => {
  const bench = packed(5);
  expect(bench.queue.addReadable(0x9000, 9)).toBe(0);
  const list = bufferOf(
    [
      [0x1000, 0x10],
      [0x2000, 0x20],
    ],
    [
      [0x3000, 0x30],
      [0x4000, 0x40],
    ],
  );
  expect(bench.queue.add(list)).toBe(1);
  bench.queue.publish();
  // The buffer id counts in the last descriptor of the list.
  expect([1, 2, 3, 4].map((slot) => bench.desc(slot))).toEqual([
    '0010000000000000 10000000 0100 8100',
    '0020000000000000 20000000 0100 8100',
    '0030000000000000 30000000 0100 8300',
    '0040000000000000 40000000 0100 8200',
  ]);
  expect(bench.strayChanges()).toEqual([]);
});

test('virtio 1.4 §2.8.6: a list over the end of the ring has each slot marked with its own wrap counter', () => {
  const bench = packed(3);
  const { queue } = bench;
  for (const address of [0x1000, 0x2000]) {
    const id = queue.addReadable(address, 1);
    queue.publish();
    bench.use(id, 0);
    bench.take();
  }
  const id = queue.add(
    bufferOf(
      [[0x5000, 5]],
      [
        [0x6000, 6],
        [0x7000, 7],
      ],
    ),
  );
  queue.publish();
  expect(id).toBe(2);
  expect([2, 0, 1].map((slot) => bench.desc(slot))).toEqual([
    '0050000000000000 05000000 0200 8100', // wrap counter 1: AVAIL
    '0060000000000000 06000000 0200 0380', // wrap counter 0: USED
    '0070000000000000 07000000 0200 0280',
  ]);
});

test('drv.packed.scatter-gather.1, .2: a list has at most Queue Size descriptors, which is all that a queue limits', () => {
  const bench = packed(3);
  const elements = [1, 2, 3, 4].map((at) => [0x1000 * at, at] as const);
  const before = bench.guest.snapshot();
  expect(() => bench.queue.add(bufferOf(elements))).toThrow('count is 4, want 1 to Queue Size, 3, elements');
  expect(bench.guest.changes(before)).toEqual([]);
  expect(bench.queue.add(bufferOf(elements.slice(0, 3)))).toBe(0);
  expect(bench.queue.free).toBe(0);
});

test('drv.packed.scatter-gather.4, .5: a list goes into the ring as a whole or not at all', () => {
  const bench = packed(4);
  const { queue } = bench;
  const three = bufferOf(
    [[0x1000, 1]],
    [
      [0x2000, 2],
      [0x3000, 3],
    ],
  );
  const first = queue.add(three);
  queue.publish();
  const before = bench.guest.snapshot();
  expect(queue.add(three)).toBe(NO_ROOM);
  expect(queue.publish()).toBe(false);
  // Nothing of the list waits in the ring for the device to make room.
  expect(bench.guest.changes(before)).toEqual([]);
  expect([queue.free, queue.outstanding]).toEqual([1, 1]);
  bench.use(first, 5, 3);
  bench.take();
  expect([queue.free, queue.add(three)]).toEqual([4, 1]);
});

test('drv.packed.desc-table.1, .2: a descriptor made available stays as it is until its used descriptor was seen', () => {
  const bench = packed(4);
  const { queue } = bench;
  const ids = [queue.addReadable(0x1000, 1), queue.addWritable(0x2000, 2), queue.addReadable(0x3000, 3)];
  queue.publish();
  const published = [0, 1, 2].map((slot) => bench.desc(slot));
  const unchanged = (slots: number[]): void => {
    for (const slot of slots) expect(bench.desc(slot)).toBe(published[slot]);
  };
  queue.addWritable(0x4000, 4);
  unchanged([0, 1, 2]);
  queue.publish();
  expect(queue.addReadable(0x5000, 5)).toBe(NO_ROOM);
  queue.disableNotifications();
  queue.enableNotifications();
  bench.take();
  unchanged([0, 1, 2]);
  // Buffer 1 first: its used descriptor lies in slot 0, and slot 0 alone is free again.
  bench.use(ids[1]!, 2);
  const used = bench.desc(0);
  expect(queue.addReadable(0x5000, 5)).toBe(NO_ROOM);
  expect(bench.desc(0)).toBe(used);
  bench.take();
  expect(bench.desc(0)).toBe(used);
  expect(queue.addReadable(0x5000, 5)).toBe(1);
  queue.publish();
  expect(bench.desc(0)).toBe('0050000000000000 05000000 0100 0080');
  unchanged([1, 2]);
});

test('virtio 1.4 §2.8.14: publishing without a new buffer changes nothing and asks for no notification', () => {
  const bench = packed(2);
  bench.queue.addReadable(0x1000, 1);
  expect(bench.queue.publish()).toBe(true);
  const before = bench.guest.snapshot();
  expect([bench.queue.publish(), bench.queue.publish()]).toEqual([false, false]);
  expect(bench.guest.changes(before)).toEqual([]);
  expect(bench.queue.counters.notifications).toBe(1);
});

test('virtio 1.4 §2.8.6: a list used out of order frees its own number of slots', () => {
  const bench = packed(5);
  const { queue } = bench;
  const list = queue.add(bufferOf([[0x1000, 1]], [[0x2000, 2]]));
  const single = queue.addWritable(0x3000, 3);
  queue.publish();
  bench.use(single, 3);
  expect(bench.take()).toEqual([[1, 3, 0]]);
  expect(queue.free).toBe(3);
  bench.use(list, 2, 2);
  expect(bench.take()).toEqual([[0, 2, 0]]);
  expect([queue.free, queue.outstanding]).toEqual([5, 0]);
});

test('virtio 1.4 §2.8.13: with IN_ORDER ids are given in a circle as long as they are used in order', () => {
  const bench = packed(3, [F.IN_ORDER]);
  const given: number[] = [];
  for (let count = 0; count < 7; count++) {
    const id = bench.queue.addReadable(0x1000, 1);
    given.push(id);
    bench.queue.publish();
    bench.use(id, 0);
    bench.take();
  }
  expect(given).toEqual([0, 1, 2, 0, 1, 2, 0]);
});
