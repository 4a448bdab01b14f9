import { VirtioError } from '@ringwire/virtio-spec';
import { expect, test } from 'vitest';
import { BufferList } from './buffer-list.js';
import { NO_ROOM } from './driver-queue.js';
import { openDriverQueue } from './open-queue.js';
import { bufferOf, DriverBench, F } from './testing/driver-bench.js';

const split = (size: number, features: readonly number[] = []): DriverBench =>
  new DriverBench('split', { size, features });

test('drv.split.alignment.1: parts not aligned to 16, 2 and 4 are refused before a byte is written', () => {
  const { config, guest } = split(4);
  const before = guest.snapshot();
  for (const [field, by] of [
    ['desc', 8],
    ['driver', 1],
    ['device', 2],
  ] as const) {
    const crooked = { ...config, [field]: config[field] + by };
    expect(() => openDriverQueue(crooked)).toThrow(VirtioError);
    expect(() => openDriverQueue(crooked)).toThrow(new RegExp(`^${field} is ${config[field] + by}, want`));
  }
  expect(guest.changes(before)).toEqual([]);
  // The smallest alignments are enough.
  const tight = { ...config, desc: config.desc + 16, driver: config.driver + 2, device: config.device + 4 };
  expect(openDriverQueue(tight).size).toBe(4);
});

test('drv.split.avail-notif-suppression.1: a new queue has zeros in all three parts, used flags among them', () => {
  const bench = split(2, [F.EVENT_IDX]);
  const { desc, driver, device } = bench.config;
  expect(bench.guest.read(desc, 32).every((byte) => byte === 0)).toBe(true);
  expect(bench.guest.read(driver, 6 + 2 * 2).every((byte) => byte === 0)).toBe(true);
  expect(bench.guest.read(device, 6 + 8 * 2).every((byte) => byte === 0)).toBe(true);
  expect(bench.strayChanges()).toEqual([]);
});

test('virtio 1.4 §2.7.13.1: one element is one descriptor, with its head in the available ring', () => {
  const bench = split(4);
  const { queue } = bench;
  expect(queue.addReadable(0x1234_5678_9abc, 0x0102)).toBe(0);
  expect(queue.addWritable(0x10, 0xffff_fff0)).toBe(1);
  expect(bench.desc(0)).toBe('bc9a785634120000 02010000 0000 0000');
  expect(bench.desc(1)).toBe('1000000000000000 f0ffffff 0200 0000');
  // Not visible yet: idx is still 0.
  expect(bench.avail()).toBe('0000 0000 0000 0100 0000 0000');
  queue.publish();
  expect(bench.avail()).toBe('0000 0200 0000 0100 0000 0000');
  expect([queue.outstanding, queue.free, queue.counters.added]).toEqual([2, 2, 2]);
});

test('drv.split.framing.1: a chain has its device-readable elements first, linked by NEXT', () => {
  const bench = split(4);
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
  expect(bench.queue.add(list)).toBe(0);
  expect([0, 1, 2, 3].map((index) => bench.desc(index))).toEqual([
    '0010000000000000 10000000 0100 0100',
    '0020000000000000 20000000 0100 0200',
    '0030000000000000 30000000 0300 0300',
    '0040000000000000 40000000 0200 0000',
  ]);
  expect(bench.queue.free).toBe(0);
  bench.queue.publish();
  // One entry for the whole chain.
  expect(bench.avail()).toBe('0000 0100 0000 0000 0000 0000');
  expect(bench.strayChanges()).toEqual([]);
});

test('drv.split.framing.2: a buffer takes as many descriptors as it has elements, however long they are', () => {
  const bench = split(4);
  bench.queue.addReadable(0, 0xffff_ffff);
  expect(bench.queue.free).toBe(3);
  bench.queue.add(bufferOf([[0x1000, 0x8000_0000]], [[0x2000, 1]]));
  expect(bench.queue.free).toBe(1);
  expect(bench.desc(3)).toBe('0000000000000000 00000000 0000 0000');
});

test('drv.split.desc-table.1: 2^32 bytes are one chain at most; one byte more is refused and nothing is queued', () => {
  const bench = split(4);
  const before = bench.guest.snapshot();
  const tooLong = bufferOf([[0, 0xffff_ffff]], [[0, 2]]);
  expect(() => bench.queue.add(tooLong)).toThrow('bytes is 4294967297, want at most 2^32 (virtio 1.4 §2.7.5.2)');
  expect(bench.guest.changes(before)).toEqual([]);
  expect([bench.queue.free, bench.queue.outstanding]).toEqual([4, 0]);
  expect(bench.queue.add(bufferOf([[0, 0xffff_ffff]], [[0, 1]]))).toBe(0);
});

test('drv.split.desc-table.1: the descriptors of a chain are all different ones, in whatever order they got free', () => {
  const bench = split(8);
  const { queue } = bench;
  for (let head = 0; head < 8; head++) queue.addReadable(0x1000, 1);
  queue.publish();
  for (const id of [3, 0, 7, 5, 1, 6, 2, 4]) bench.use(id, 0);
  bench.take();
  const list = new BufferList(8);
  for (let at = 0; at < 8; at++) list.addReadable(0x1000 * at, 1 + at);
  const head = queue.add(list);
  const walked = [head];
  for (let flags = 1; (flags & 1) === 1; ) {
    const at = bench.config.desc + 16 * walked.at(-1)!;
    flags = bench.peek16(at + 12);
    if ((flags & 1) === 1) walked.push(bench.peek16(at + 14));
    expect(walked.length).toBeLessThanOrEqual(8);
  }
  expect([...walked].sort()).toEqual([0, 1, 2, 3, 4, 5, 6, 7]);
});

test('drv.split.desc-table.2: with IN_ORDER next is x + 1, and 0 behind the last descriptor', () => {
  const bench = split(4, [F.IN_ORDER]);
  const { queue } = bench;
  const three = bufferOf(
    [[0x1000, 1]],
    [
      [0x2000, 2],
      [0x3000, 3],
    ],
  );
  expect(queue.add(three)).toBe(0);
  expect([bench.desc(0), bench.desc(1), bench.desc(2)].map((desc) => desc.slice(-9))).toEqual([
    '0100 0100',
    '0300 0200',
    '0200 0000',
  ]);
  queue.publish();
  bench.use(0, 5);
  bench.take();
  // Descriptor 3 is where the ring goes on.
  expect(queue.add(three)).toBe(3);
  expect([bench.desc(3), bench.desc(0), bench.desc(1)].map((desc) => desc.slice(-9))).toEqual([
    '0100 0000',
    '0300 0100',
    '0200 0000',
  ]);
});

test('drv.split.desc-table.2: with IN_ORDER descriptors stay in ring order lap after lap, batches and lists mixed', () => {
  const bench = split(8, [F.IN_ORDER]);
  const { queue } = bench;
  const pair = bufferOf([[0x1000, 1]], [[0x2000, 2]]);
  let expected = 0;
  for (let round = 0; round < 40; round++) {
    const heads: number[] = [];
    // 2 + 1 + 2 + 1, or without the last: 6 or 5 descriptors, so that every place is a head some time.
    for (let at = 0; at < 3 + (round & 1); at++) {
      const isPair = (at & 1) === 0;
      heads.push(isPair ? queue.add(pair) : queue.addReadable(0x3000, 3));
      expect(heads.at(-1)).toBe(expected);
      const next = (expected + 1) % 8;
      if (isPair) expect(bench.desc(expected).slice(-9)).toBe(`0100 0${next}00`);
      expected = (expected + (isPair ? 2 : 1)) % 8;
    }
    queue.publish();
    bench.use(heads.at(-1)!, 0, heads.length);
    expect(bench.take().map(([id]) => id)).toEqual(heads);
  }
});

test('drv.split.avail-ring.1: idx only grows, from 65535 on to 0, and a reset queue leaves it where it is', () => {
  const bench = split(256);
  const { queue } = bench;
  const idxAt = bench.config.driver + 2;
  let idx = 0;
  for (let round = 0; round < 258; round++) {
    const ids: number[] = [];
    const count = round % 2 === 0 ? 256 : 255;
    for (let at = 0; at < count; at++) {
      ids.push(queue.addReadable(0x1000, 1));
      expect(bench.peek16(idxAt)).toBe(idx);
    }
    queue.publish();
    idx = (idx + count) & 0xffff;
    expect(bench.peek16(idxAt)).toBe(idx);
    for (const id of ids) bench.use(id, 0);
    expect(bench.take().length).toBe(count);
    expect(bench.peek16(idxAt)).toBe(idx);
  }
  expect(idx).toBe(258 * 255 + 129 - 0x1_0000);
});

test('virtio 1.4 §2.7.13: a full ring takes no more, and takes again what was used', () => {
  const bench = split(2);
  const { queue } = bench;
  expect([queue.addReadable(1, 1), queue.addWritable(2, 2), queue.addReadable(3, 3)]).toEqual([0, 1, NO_ROOM]);
  expect(queue.add(bufferOf([[4, 4]]))).toBe(NO_ROOM);
  queue.publish();
  bench.use(1, 2);
  expect(bench.take()).toEqual([[1, 2, 0]]);
  expect([queue.free, queue.add(bufferOf([[5, 5]], [[6, 6]]))]).toEqual([1, NO_ROOM]);
  expect(queue.addReadable(7, 7)).toBe(1);
  expect(bench.desc(0)).toBe('0100000000000000 01000000 0000 0000');
  expect(bench.desc(1)).toBe('0700000000000000 07000000 0000 0000');
  queue.publish();
  expect(bench.avail()).toBe('0000 0300 0100 0100');
});
