import { afterEach, expect, test, vi } from 'vitest';
import { bufferOf, DriverBench, F } from './testing/driver-bench.js';

/** One sequentially consistent access: the only memory barrier that JavaScript has. */
interface Access {
  readonly op: 'store' | 'load';
  /** Guest address of the 16-bit word. */
  readonly at: number;
  /** All three parts of the ring right before the access. */
  readonly ring: string;
}

/** Note every Atomics access from now on, with what another thread could see at that moment. */
function watch(bench: DriverBench): Access[] {
  const { store, load } = Atomics;
  const { desc, driver, device, space } = bench.config;
  const log: Access[] = [];
  const note = (op: Access['op'], index: number): void => {
    const parts = [bench.show(desc, 16, 16, 16, 16), bench.show(driver, 12), bench.show(device, 4)];
    log.push({ op, at: 2 * index - space.resolve(desc, 1, 1) + desc, ring: parts.join('\n') });
  };
  vi.spyOn(Atomics, 'store').mockImplementation(((array: Uint16Array, index: number, value: number) => {
    note('store', index);
    return store(array, index, value);
  }) as typeof Atomics.store);
  vi.spyOn(Atomics, 'load').mockImplementation(((array: Uint16Array, index: number) => {
    note('load', index);
    return load(array, index);
  }) as typeof Atomics.load);
  return log;
}

afterEach(() => {
  vi.restoreAllMocks();
});

const TWO = bufferOf([[0x1000, 1]], [[0x2000, 2]]);

test('drv.split.update-idx.1: descriptors and ring entries are in memory before the barrier that moves idx', () => {
  const bench = new DriverBench('split', { size: 4 });
  const { queue, config } = bench;
  queue.add(TWO);
  queue.addReadable(0x3000, 3);
  const log = watch(bench);
  queue.publish();
  vi.restoreAllMocks();
  const idx = log.filter(({ op, at }) => op === 'store' && at === config.driver + 2);
  expect(idx.map(({ ring }) => ring.split('\n').slice(0, 2))).toEqual([
    [
      [
        '00100000000000000100000001000100',
        '00200000000000000200000002000000',
        '00300000000000000300000000000000',
        '00000000000000000000000000000000',
      ].join(' '),
      // flags, idx still 0, the two heads
      '000000000000020000000000',
    ],
  ]);
  expect(bench.peek16(config.driver + 2)).toBe(2);
});

test('drv.split.update-idx.1: idx is written by nothing but that barrier', () => {
  const bench = new DriverBench('split', { size: 4 });
  for (let round = 0; round < 3; round++) {
    const log = watch(bench);
    bench.queue.addReadable(0x1000, 1);
    bench.queue.addWritable(0x2000, 2);
    expect(log).toEqual([]);
    expect(bench.peek16(bench.config.driver + 2)).toBe(2 * round);
    bench.queue.publish();
    vi.restoreAllMocks();
    bench.use(0, 0);
    bench.use(1, 0);
    bench.take();
  }
});

test.each([
  ['flags', [], 0],
  ['avail_event', [F.EVENT_IDX], 4 + 8 * 4],
] as const)(
  'drv.split.notify.1: %s of the used ring is read behind the barrier that moved idx',
  (_, features, offset) => {
    const bench = new DriverBench('split', { size: 4, features });
    const { queue, config } = bench;
    queue.addReadable(0x1000, 1);
    const log = watch(bench);
    queue.publish();
    vi.restoreAllMocks();
    expect(log.map(({ op, at }) => [op, at])).toEqual([
      ['store', config.driver + 2],
      ['load', config.device + offset],
    ]);
  },
);

test('drv.packed.update-flags.1: address, length and id are in memory before the barrier that sets flags', () => {
  const bench = new DriverBench('packed', { size: 4 });
  const { queue, config } = bench;
  queue.addReadable(0x5000, 5);
  queue.publish();
  queue.addWritable(0x1_0000_3000, 3);
  const log = watch(bench);
  queue.publish();
  vi.restoreAllMocks();
  const flags = log.filter(({ op }) => op === 'store');
  expect(flags.map(({ at }) => at)).toEqual([config.desc + 16 + 14]);
  const [first, second] = flags[0]!.ring.split('\n')[0]!.split(' ');
  expect(first).toBe('00500000000000000500000000008000');
  // Everything but the flags, which are 0 as in a slot never used.
  expect(second).toBe('00300000010000000300000001000000');
  expect(bench.desc(1)).toBe('0030000001000000 03000000 0100 8200');
});

test('drv.packed.scatter-gather.6: all later descriptors of a list are available before the first one', () => {
  const bench = new DriverBench('packed', { size: 4 });
  const { queue, config } = bench;
  queue.add(
    bufferOf(
      [
        [0x1000, 1],
        [0x2000, 2],
      ],
      [[0x3000, 3]],
    ),
  );
  queue.addReadable(0x4000, 4);
  // Nothing to be seen yet where the device polls.
  expect(bench.desc(0)).toBe('0010000000000000 01000000 0000 0000');
  const log = watch(bench);
  queue.publish();
  vi.restoreAllMocks();
  expect(log[0]).toMatchObject({ op: 'store', at: config.desc + 14 });
  expect(log[0]!.ring.split('\n')[0]!.split(' ')).toEqual([
    '00100000000000000100000000000000',
    '00200000000000000200000000008100',
    '00300000000000000300000000008200',
    '00400000000000000400000001008000',
  ]);
  expect(bench.desc(0)).toBe('0010000000000000 01000000 0000 8100');
});

test('drv.packed.scatter-gather.6: the first descriptor is last over the end of the ring and with old marks in it', () => {
  const bench = new DriverBench('packed', { size: 4 });
  const { queue, config } = bench;
  for (const id of [0, 1, 2, 3, 0, 1, 2]) {
    expect(queue.addReadable(0x9000, 9)).toBe(id);
    queue.publish();
    bench.use(id, 0);
    bench.take();
  }
  // Slot 3 is used on the first lap, slots 0 to 2 on the second.
  queue.add(TWO);
  const log = watch(bench);
  queue.publish();
  vi.restoreAllMocks();
  expect(log[0]).toMatchObject({ op: 'store', at: config.desc + 3 * 16 + 14 });
  const ring = log[0]!.ring.split('\n')[0]!.split(' ');
  expect([ring[3], ring[0]]).toEqual(['00100000000000000100000003008080', '00200000000000000200000003008200']);
  expect(bench.desc(3)).toBe('0010000000000000 01000000 0300 0180');
});

test.each([
  ['flags', [], [2]],
  ['flags, then desc,', [F.EVENT_IDX], [2, 0]],
] as const)(
  'drv.packed.notify.1: %s of the device event suppression is read behind the barrier that set flags',
  (_, features, offsets) => {
    const bench = new DriverBench('packed', { size: 4, features });
    const { queue, config } = bench;
    queue.addReadable(0x1000, 1);
    // Enable events for a specific descriptor: the other word counts as well.
    bench.poke16(config.device + 2, features.length > 0 ? 2 : 0);
    const log = watch(bench);
    queue.publish();
    vi.restoreAllMocks();
    expect(log.map(({ op, at }) => [op, at])).toEqual([
      ['store', config.desc + 14],
      ...offsets.map((offset) => ['load', config.device + offset]),
    ]);
  },
);

test.each([
  ['split', [F.EVENT_IDX]],
  ['split', []],
  ['packed', [F.EVENT_IDX]],
  ['packed', []],
] as const)(
  'virtio 1.4 §2.7.14, §2.8.22: %s %j, notifications are enabled before the ring is looked at once more',
  (layout, features) => {
    const bench = new DriverBench(layout, { size: 4, features });
    const { queue, config } = bench;
    const id = queue.addReadable(0x1000, 1);
    queue.publish();
    queue.disableNotifications();
    // The device uses the buffer in the last moment: after the look that found nothing, before the enabling is seen.
    expect(queue.hasUsed()).toBe(false);
    const { store } = Atomics;
    let stores = 0;
    vi.spyOn(Atomics, 'store').mockImplementation(((array: Uint16Array, index: number, value: number) => {
      if (stores++ === 0) bench.use(id, 0);
      return store(array, index, value);
    }) as typeof Atomics.store);
    expect(queue.enableNotifications()).toBe(true);
    vi.restoreAllMocks();
    expect(stores).toBe(layout === 'packed' && features.length > 0 ? 2 : 1);
    expect(bench.peek16(config.driver + (layout === 'packed' ? 2 : 0))).not.toBe(1);
  },
);
