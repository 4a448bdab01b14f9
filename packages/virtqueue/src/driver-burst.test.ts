import { describe, expect, test } from 'vitest';
import { BufferList } from './buffer-list.js';
import type { DriverQueue } from './driver-queue.js';
import { bufferOf, DriverBench, F, LAYOUTS, type Layout } from './testing/driver-bench.js';
import { UsedBurst } from './used-burst.js';

const LIST = bufferOf(
  [
    [0x1000, 1],
    [0x1_0000_2000, 0x202],
    [0x3000, 3],
  ],
  [
    [0x4000, 4],
    [0x5000, 0xffff_ffff],
  ],
);

/** The same elements one by one, until the ring is full. @returns how many */
function addSingly(queue: DriverQueue, list: BufferList): number {
  let at = 0;
  for (; at < list.count && queue.free > 0; at++) {
    const address = list.hi(at) * 2 ** 32 + list.lo(at);
    if (at < list.readable) queue.addReadable(address, list.bytes(at));
    else queue.addWritable(address, list.bytes(at));
  }
  return at;
}

const stateOf = ({ queue }: DriverBench): number[] => [queue.free, queue.outstanding, queue.counters.added];

function parts({ config, guest, layout }: DriverBench): number[][] {
  const { size, desc, driver, device } = config;
  const isPacked = layout === 'packed';
  return [
    [...guest.read(desc, 16 * size)],
    [...guest.read(driver, isPacked ? 4 : 6 + 2 * size)],
    [...guest.read(device, isPacked ? 4 : 6 + 8 * size)],
  ];
}

test('virtio 1.4 §2.7.13: a burst in a split ring, byte by byte', () => {
  const bench = new DriverBench('split', { size: 4 });
  expect(bench.queue.addBurst(bufferOf([[0x1_0000_1000, 0x10]], [[0x2000, 0x20]]))).toBe(2);
  expect([0, 1, 2].map((index) => bench.desc(index))).toEqual([
    '0010000001000000 10000000 0000 0000',
    '0020000000000000 20000000 0200 0000',
    '0000000000000000 00000000 0000 0000',
  ]);
  expect(bench.avail()).toBe('0000 0000 0000 0100 0000 0000');
  bench.queue.publish();
  expect(bench.avail()).toBe('0000 0200 0000 0100 0000 0000');
});

test('virtio 1.4 §2.8.21.1: a burst in a packed ring, byte by byte, over the end of the ring', () => {
  const bench = new DriverBench('packed', { size: 3 });
  const { queue } = bench;
  const id = queue.addReadable(0x9000, 9);
  queue.publish();
  bench.use(id, 0);
  bench.take();
  const list = bufferOf(
    [[0x1_0000_1000, 0x10]],
    [
      [0x2000, 0x20],
      [0x3000, 0x30],
    ],
  );
  expect(queue.addBurst(list)).toBe(3);
  // The first of the burst is not available yet.
  expect([1, 2, 0].map((slot) => bench.desc(slot))).toEqual([
    '0010000001000000 10000000 0100 0000',
    '0020000000000000 20000000 0200 8200',
    '0030000000000000 30000000 0000 0280',
  ]);
  queue.publish();
  expect(bench.desc(1)).toBe('0010000001000000 10000000 0100 8000');
});

describe.each(LAYOUTS)('%s', (layout) => {
  const two = (size: number, features: readonly number[] = []): [DriverBench, DriverBench] => [
    new DriverBench(layout, { size, features }),
    new DriverBench(layout, { size, features }),
  ];

  test.each([[[]], [[F.EVENT_IDX]], [[F.IN_ORDER]]])(
    'bursts and single buffers make the same ring, features %j',
    (features) => {
      const [one, other] = two(8, features);
      for (let round = 0; round < 40; round++) {
        const list = slice(LIST, round % 5, 1 + ((round * 3) % 5));
        expect(other.queue.addBurst(list)).toBe(addSingly(one.queue, list));
        // Now and then a second burst before publishing, or a list between two.
        if (round % 4 === 1) {
          expect(other.queue.addBurst(LIST)).toBe(addSingly(one.queue, LIST));
        } else if (round % 4 === 2) {
          const pair = bufferOf([[0x1000, 1]], [[0x2000, 2]]);
          expect(other.queue.add(pair)).toBe(one.queue.add(pair));
          expect(other.queue.addBurst(list)).toBe(addSingly(one.queue, list));
        }
        expect(parts(other)).toEqual(parts(one));
        expect(other.queue.publish()).toBe(one.queue.publish());
        expect(parts(other)).toEqual(parts(one));
        expect(stateOf(other)).toEqual(stateOf(one));
        expect(drain(other)).toEqual(drain(one));
      }
    },
  );

  test('a burst takes what there is room for, and nothing in a full ring', () => {
    const [one] = two(4);
    expect(one.queue.addBurst(LIST)).toBe(4);
    expect(stateOf(one)).toEqual([0, 4, 4]);
    const before = one.guest.snapshot();
    expect(one.queue.addBurst(LIST)).toBe(0);
    expect(one.guest.changes(before)).toEqual([]);
    one.queue.publish();
    one.use(2, 0);
    one.take();
    expect(one.queue.addBurst(LIST)).toBe(1);
    expect(one.strayChanges()).toEqual([]);
  });

  test('buffers come back by their tokens, all 32 bits of them, and others by their ids', () => {
    const [one] = two(8);
    const list = new BufferList(2).addReadable(0x1000, 1, 0x7fff_ffff).addWritable(0x2000, 2, -5);
    expect(one.queue.addBurst(list)).toBe(2);
    expect(one.queue.add(bufferOf([[0x3000, 3]], [[0x4000, 4]]), undefined, 70_000)).toBe(2);
    const id = one.queue.addReadable(0x5000, 5);
    one.queue.publish();
    for (const [used, span] of heads(one)) one.use(used, 0, layout === 'packed' ? span : 1);
    expect(one.take().map(([token]) => token)).toEqual([0x7fff_ffff, -5, 70_000, id]);
  });

  test('buffers that are detached are known by their tokens, too', () => {
    const [one] = two(4);
    one.queue.addBurst(new BufferList(2).addReadable(0x1000, 1, 1000).addReadable(0x2000, 2, 2000));
    const burst = new UsedBurst(4);
    expect([one.queue.detachUnused(burst), ...burst.token.subarray(0, 2)]).toEqual([2, 1000, 2000]);
  });

  test('an empty burst is nothing', () => {
    const [one] = two(4);
    expect(one.queue.addBurst(new BufferList(1))).toBe(0);
    expect(one.queue.publish()).toBe(false);
    expect(stateOf(one)).toEqual([4, 0, 0]);
  });
});

function slice(list: BufferList, from: number, count: number): BufferList {
  const part = new BufferList(count);
  for (let at = from; at < Math.min(from + count, list.count); at++) {
    const address = list.hi(at) * 2 ** 32 + list.lo(at);
    if (at < list.readable) part.addReadable(address, list.bytes(at));
    else part.addWritable(address, list.bytes(at));
  }
  return part;
}

/** Use all that is out, oldest first, and take it back. The test knows what is out from the ring's own order. */
function drain(bench: DriverBench): number {
  const out = heads(bench);
  for (const [id, span] of out) bench.use(id, 0, bench.layout === 'packed' ? span : 1);
  return bench.take().length;
}

const walkers = new WeakMap<DriverBench, { at: number }>();

/** Published buffers and their ring slots, read as a device would. */
function heads(bench: DriverBench): [id: number, span: number][] {
  const walker = walkers.get(bench) ?? { at: 0 };
  walkers.set(bench, walker);
  const { size, desc, driver } = bench.config;
  const found: [number, number][] = [];
  const layout: Layout = bench.layout;
  if (layout === 'split') {
    for (; walker.at !== bench.peek16(driver + 2); walker.at++)
      found.push([bench.peek16(driver + 4 + 2 * (walker.at % size)), 1]);
    return found;
  }
  for (let span = 1; bench.queue.free < size && found.length < bench.queue.outstanding; walker.at++) {
    const at = desc + 16 * (walker.at % size);
    if ((bench.peek16(at + 14) & 1) === 1) span++;
    else {
      found.push([bench.peek16(at + 12), span]);
      span = 1;
    }
  }
  return found;
}
