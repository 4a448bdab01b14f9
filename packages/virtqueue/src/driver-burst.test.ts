import { describe, expect, test } from 'vitest';
import { BufferList } from './buffer-list.js';
import type { DriverQueue } from './driver-queue.js';
import { bufferOf, DriverBench, F, LAYOUTS, type Layout } from './testing/driver-bench.js';

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

/** The same elements one by one, until the ring is full. */
function addSingly(queue: DriverQueue, list: BufferList): number[] {
  const ids: number[] = [];
  for (let at = 0; at < list.count && queue.free > 0; at++) {
    const address = list.addressHi[at]! * 2 ** 32 + list.addressLo[at]!;
    const isReadable = at < list.readable;
    ids.push(isReadable ? queue.addReadable(address, list.length[at]!) : queue.addWritable(address, list.length[at]!));
  }
  return ids;
}

function addInBurst(queue: DriverQueue, list: BufferList): number[] {
  const ids = new Uint16Array(list.length.length);
  return [...ids.subarray(0, queue.addBurst(list, ids))].map((_, at) => ids[at]!);
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
  expect(addInBurst(bench.queue, bufferOf([[0x1_0000_1000, 0x10]], [[0x2000, 0x20]]))).toEqual([0, 1]);
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
  expect(addInBurst(queue, list)).toEqual([1, 2, 0]);
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
        const ids = addSingly(one.queue, list);
        expect(addInBurst(other.queue, list)).toEqual(ids);
        // Now and then a second burst before publishing, or a list between two.
        if (round % 4 === 1) {
          expect(addInBurst(other.queue, LIST)).toEqual(addSingly(one.queue, LIST));
        } else if (round % 4 === 2) {
          const pair = bufferOf([[0x1000, 1]], [[0x2000, 2]]);
          expect(other.queue.add(pair)).toBe(one.queue.add(pair));
          expect(addInBurst(other.queue, list)).toEqual(addSingly(one.queue, list));
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
    expect(addInBurst(one.queue, LIST).length).toBe(4);
    expect(stateOf(one)).toEqual([0, 4, 4]);
    const before = one.guest.snapshot();
    expect(addInBurst(one.queue, LIST)).toEqual([]);
    expect(one.guest.changes(before)).toEqual([]);
    one.queue.publish();
    one.use(2, 0);
    one.take();
    expect(addInBurst(one.queue, LIST)).toEqual([2]);
    expect(one.strayChanges()).toEqual([]);
  });

  test('an empty burst is nothing', () => {
    const [one] = two(4);
    expect(addInBurst(one.queue, new BufferList(1))).toEqual([]);
    expect(one.queue.publish()).toBe(false);
    expect(stateOf(one)).toEqual([4, 0, 0]);
  });
});

function slice(list: BufferList, from: number, count: number): BufferList {
  const part = new BufferList(count);
  for (let at = from; at < Math.min(from + count, list.count); at++) {
    const address = list.addressHi[at]! * 2 ** 32 + list.addressLo[at]!;
    if (at < list.readable) part.addReadable(address, list.length[at]!);
    else part.addWritable(address, list.length[at]!);
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
