import { expect, test } from 'vitest';
import { NO_ROOM } from './driver-queue.js';
import { bufferOf, DriverBench, F, LAYOUTS } from './testing/driver-bench.js';

const THREE = bufferOf(
  [[0x1_0000_1000, 0x10]],
  [
    [0x2000, 0x20],
    [0x3000, 0x30],
  ],
);
const FOUR = bufferOf(
  [
    [0x1000, 1],
    [0x2000, 2],
  ],
  [
    [0x3000, 3],
    [0x4000, 4],
  ],
);
const EMPTY = '0000000000000000 00000000 0000 0000';

test('drv.split.indirect.5: a table is linked 1, 2, …, with IN_ORDER and without', () => {
  for (const features of [[F.INDIRECT_DESC], [F.INDIRECT_DESC, F.IN_ORDER]]) {
    const bench = new DriverBench('split', { size: 4, features, entries: 3 });
    expect([bench.queue.addReadable(0x9000, 9), bench.queue.add(THREE)]).toEqual([0, 1]);
    // Table 1 begins behind the 48 bytes of table 0; 3 entries are 48 bytes.
    expect(bench.desc(1)).toBe('3040000000000000 30000000 0400 0000');
    expect([0, 1, 2].map((index) => bench.entry(1, 3, index))).toEqual([
      '0010000001000000 10000000 0100 0100',
      '0020000000000000 20000000 0300 0200',
      '0030000000000000 30000000 0200 0000',
    ]);
    expect([bench.queue.free, bench.desc(2)]).toEqual([2, EMPTY]);
    expect(bench.strayChanges()).toEqual([]);
  }
});

test('drv.packed.indirect.2: a table has no flag but WRITE', () => {
  const bench = new DriverBench('packed', { size: 4, features: [F.INDIRECT_DESC], entries: 3 });
  expect([bench.queue.addReadable(0x9000, 9), bench.queue.add(THREE)]).toEqual([0, 1]);
  bench.queue.publish();
  expect(bench.desc(1)).toBe('3040000000000000 30000000 0100 8400');
  expect([0, 1, 2].map((index) => bench.entry(1, 3, index))).toEqual([
    '0010000001000000 10000000 0000 0000',
    '0020000000000000 20000000 0000 0200',
    '0030000000000000 30000000 0000 0200',
  ]);
  expect([bench.queue.free, bench.desc(2)]).toEqual([2, EMPTY]);
  expect(bench.strayChanges()).toEqual([]);
});

test.each(LAYOUTS)(
  'drv.split.indirect.1, drv.packed.indirect.1: %s, no INDIRECT unless it was negotiated',
  (layout) => {
    const bench = new DriverBench(layout, { size: 4, entries: 3 });
    expect(() => bench.queue.add(THREE, 0)).toThrow('direct is 0, want 3: the queue has no indirect tables');
    expect(bench.queue.add(THREE)).toBe(0);
    bench.queue.publish();
    expect(bench.queue.free).toBe(1);
    for (let index = 0; index < 4; index++) expect(flagsOf(bench, index) & 4).toBe(0);
    // The tables' memory was not touched.
    expect(new DriverBench(layout, { size: 4 }).show(bench.tables, 192)).toBe(bench.show(bench.tables, 192));
  },
);

test('drv.split.indirect.2, .4: a mixed buffer ends with one INDIRECT descriptor, without NEXT, over plain entries', () => {
  const bench = new DriverBench('split', { size: 4, features: [F.INDIRECT_DESC], entries: 3 });
  expect(bench.queue.add(FOUR, 1)).toBe(0);
  expect([0, 1, 2].map((index) => bench.desc(index))).toEqual([
    '0010000000000000 01000000 0100 0100',
    '0040000000000000 30000000 0400 0000',
    EMPTY,
  ]);
  expect([0, 1, 2].map((index) => bench.entry(0, 3, index))).toEqual([
    '0020000000000000 02000000 0100 0100',
    '0030000000000000 03000000 0300 0200',
    '0040000000000000 04000000 0200 0000',
  ]);
  expect(bench.queue.free).toBe(2);
  // Two elements and a table need three descriptors.
  expect(bench.queue.add(THREE, 2)).toBe(NO_ROOM);
});

test('drv.split.indirect.2, .4: with every place of the table, flags are NEXT or INDIRECT in the ring, never in it', () => {
  for (let direct = 0; direct <= 4; direct++) {
    const bench = new DriverBench('split', { size: 8, features: [F.INDIRECT_DESC], entries: 4 });
    bench.queue.add(FOUR, direct);
    const flags = Array.from({ length: direct + 1 }, (_, index) => flagsOf(bench, index) & 5);
    const chained = new Array<number>(direct).fill(1);
    expect(flags).toEqual(direct === 4 ? [1, 1, 1, 0, 0] : [...chained, 4]);
    for (let index = 0; index < 4 - direct; index++) {
      expect(bench.peek16(bench.tables + 16 * index + 12) & 4).toBe(0);
    }
    expect(bench.queue.free).toBe(direct === 4 ? 4 : 8 - direct - 1);
  }
});

test('drv.packed.indirect.4: a list is of one kind: all elements in the ring, or all in a table', () => {
  const bench = new DriverBench('packed', { size: 8, features: [F.INDIRECT_DESC], entries: 4 });
  const before = bench.guest.snapshot();
  for (const direct of [1, 2, 3]) {
    const message = `direct is ${direct}, want 0 or 4: a list is of one kind (virtio 1.4 §2.8.19)`;
    expect(() => bench.queue.add(FOUR, direct)).toThrow(message);
  }
  expect(bench.guest.changes(before)).toEqual([]);
  expect(bench.queue.add(FOUR, 4)).toBe(0);
  expect(bench.queue.add(FOUR, 0)).toBe(1);
  bench.queue.publish();
  const flags = [0, 1, 2, 3, 4].map((slot) => bench.desc(slot).slice(-4));
  expect(flags).toEqual(['8100', '8100', '8300', '8200', '8400']);
});

test.each(LAYOUTS)(
  'drv.split.indirect.3, drv.packed.indirect.3: %s, no more elements than Queue Size, nor than a table has',
  (layout) => {
    const features = [F.INDIRECT_DESC];
    const bench = new DriverBench(layout, { size: 4, features, entries: 4 });
    const five = bufferOf([
      [0x1000, 1],
      [0x2000, 2],
      [0x3000, 3],
      [0x4000, 4],
      [0x5000, 5],
    ]);
    for (const direct of [undefined, 0, 1, 5]) {
      expect(() => bench.queue.add(five, direct)).toThrow('count is 5, want 1 to Queue Size, 4, elements');
    }
    expect(bench.queue.add(FOUR)).toBe(0);
    expect(bench.queue.free).toBe(3);

    const short = new DriverBench(layout, { size: 4, features, entries: 3 });
    expect(() => short.queue.add(FOUR, 0)).toThrow('direct is 0, want 4: the queue has tables of 3 entries');
    // Left to itself, the queue chains what no table holds.
    expect(short.queue.add(FOUR)).toBe(0);
    expect(short.queue.free).toBe(0);
  },
);

test.each(LAYOUTS)(
  'virtio 1.4 §2.7.5.3, §2.8.7: %s, a single element is chained, in a table only when asked',
  (layout) => {
    const bench = new DriverBench(layout, { size: 4, features: [F.INDIRECT_DESC], entries: 2 });
    const one = bufferOf([], [[0x7000, 7]]);
    bench.queue.add(one);
    bench.queue.add(one, 0);
    bench.queue.publish();
    expect([flagsOf(bench, 0) & 6, flagsOf(bench, 1) & 6]).toEqual([2, 4]);
    const flagsAndNext = layout === 'split' ? '0200 0000' : '0000 0200';
    expect(bench.entry(1, 2, 0)).toBe(`0070000000000000 07000000 ${flagsAndNext}`);
  },
);

test.each(LAYOUTS)(
  '%s: with tables a ring holds Queue Size buffers of many elements, each in its own table',
  (layout) => {
    const bench = new DriverBench(layout, { size: 4, features: [F.INDIRECT_DESC], entries: 3 });
    const { queue } = bench;
    expect([1, 2, 3, 4, 5].map(() => queue.add(THREE))).toEqual([0, 1, 2, 3, NO_ROOM]);
    queue.publish();
    const addresses = [0, 1, 2, 3].map((index) => bench.desc(index).slice(0, 16));
    expect(addresses).toEqual(['0040000000000000', '3040000000000000', '6040000000000000', '9040000000000000']);
    const written = [0, 1, 2, 3].map((id) => bench.entry(id, 3, 2).slice(0, 25));
    expect(new Set(written)).toEqual(new Set(['0030000000000000 30000000']));
    // A table is written again when its id is: with other elements, and no leftovers read as such.
    bench.use(2, 0x50);
    expect(bench.take()).toEqual([[2, 0x50, 0]]);
    expect(queue.add(bufferOf([[0xa000, 1]], [[0xb000, 2]]))).toBe(2);
    queue.publish();
    expect(bench.entry(2, 3, 1).slice(0, 25)).toBe('00b0000000000000 02000000');
    expect(bench.desc(layout === 'split' ? 2 : 0).slice(0, 25)).toBe('6040000000000000 20000000');
  },
);

test('virtio 1.4 §2.7.5.3.2: IN_ORDER and mixed buffers keep the ring order', () => {
  const bench = new DriverBench('split', { size: 4, features: [F.INDIRECT_DESC, F.IN_ORDER], entries: 3 });
  const { queue } = bench;
  for (let round = 0, head = 0; round < 8; round++) {
    expect(queue.add(THREE, 2)).toBe(head);
    const index = [head, head + 1, head + 2].map((at) => at % 4);
    expect(bench.desc(index[0]!).slice(-9)).toBe(`0100 0${index[1]}00`);
    expect(bench.desc(index[1]!).slice(-9)).toBe(`0300 0${index[2]}00`);
    expect(bench.desc(index[2]!).slice(-9)).toBe('0400 0000');
    queue.publish();
    bench.use(head, 0x50);
    expect(bench.take()).toEqual([[head, 0x50, 0]]);
    head = (head + 3) % 4;
  }
});

function flagsOf(bench: DriverBench, index: number): number {
  return bench.peek16(bench.config.desc + 16 * index + (bench.layout === 'split' ? 12 : 14));
}
