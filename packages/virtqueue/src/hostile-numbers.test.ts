import { describe, expect, test } from 'vitest';
import { openDeviceQueue } from './open-queue.js';
import { CHAIN_FAULT, RING_FAULT } from './queue-fault.js';
import { isRefusal, type QueueConfig } from './queue-layout.js';
import type { QueueState } from './queue-state.js';
import { AT, DeviceBench } from './testing/device-bench.js';
import { hex, WRITE } from './testing/ring-bytes.js';
import { watchNewTables } from './testing/watched-tables.js';

// Values chosen for what a double, a 32-bit operator or a missing property would make of them.

describe.each(['split', 'packed'] as const)('%s', (layout) => {
  test('NX-02: a length with bit 31 set is never negative: the buffer reaches past the end of RAM', () => {
    for (const len of [0x8000_0000, 0x8000_0040, 0xffff_fff0, 0xffff_ffff])
      for (const flags of [0, WRITE])
        for (const addr of [AT.buffers, 0xffff_fff0]) {
          const bench = new DeviceBench(layout);
          bench.expectDrop(CHAIN_FAULT.ADDRESS, bench.ring.offer([{ addr, len, flags }]));
        }
  });

  test('NX-02: the length of an indirect table with bit 31 set is refused', () => {
    for (const len of [0x8000_0000, 0xffff_fff0]) {
      const bench = new DeviceBench(layout);
      const table = bench.ring.table(AT.tables, [{ addr: AT.buffers, len: 8 }]);
      bench.expectDrop(CHAIN_FAULT.INDIRECT_LENGTH, bench.ring.offer([{ ...table, len }]));
    }
  });

  test('NX-04: a store that a table drops or cuts off is noticed by what watches all of these tests', () => {
    const problems: string[] = [];
    const table = watchNewTables(problems, () => new Uint16Array(4));
    table[3] = 7;
    expect(problems).toEqual([]);
    table[4] = 1;
    table[-1] = 2;
    table[0] = 0x1_0000;
    expect(problems).toEqual([
      'Uint16Array[4] = 1 became undefined',
      'Uint16Array[-1] = 2 became undefined',
      'Uint16Array[0] = 65536 became 0',
    ]);
    expect(table[3]).toBe(7);
  });

  test('NX-05: a queue size or a position that is no number, or is not there, is refused', () => {
    const { config } = new DeviceBench(layout);
    const { size: _, ...sizeless } = config;
    for (const wrong of [{ ...config, size: Number.NaN }, sizeless as QueueConfig, { ...config, size: '8' as never }]) {
      const outcome = openDeviceQueue(wrong);
      expect(isRefusal(outcome) && outcome.field).toBe('size');
    }
    for (const state of [{ layout }, { layout, lastAvailIdx: Number.NaN, usedIdx: Number.NaN }]) {
      const outcome = openDeviceQueue(config, state as QueueState);
      expect(isRefusal(outcome) && outcome.field).toBe('state');
    }
  });
});

test('NX-03: split: an available index one behind the first is 65535 buffers, not a slot called -1', () => {
  const bench = new DeviceBench('split');
  bench.guest.write(AT.driver + 2, hex`ffff`);
  bench.expectReset(RING_FAULT.AVAIL_INDEX);
});

test('NX-03: packed: a chain untaken from behind the last slot leaves the lap before, not slot -1', () => {
  const bench = new DeviceBench('packed', { size: 3 });
  const { queue, burst } = bench;
  // A buffer and its probe have four slots: after two of each the next one is the last of the ring.
  for (let n = 0; n < 2; n++) {
    const id = bench.ring.offer([{ addr: AT.buffers, len: 4 }]);
    bench.expectAllowed([bench.guest.read(AT.buffers, 4)], [{ id, len: 0 }]);
  }
  const before = queue.save();
  expect(before).toMatchObject({ lastAvailIdx: 2 });
  bench.ring.offer([{ addr: AT.buffers, len: 4 }]);
  burst.clear();
  expect(queue.takeBurst(burst, 1)).toBe(1);
  queue.untake(burst.token[0]!);
  expect(queue.save()).toEqual(before);
});
