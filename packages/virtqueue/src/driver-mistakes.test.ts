import { VirtioError } from '@ringwire/virtio-spec';
import { describe, expect, test } from 'vitest';
import { BufferList } from './buffer-list.js';
import { openDriverQueue } from './open-queue.js';
import { bufferOf, DriverBench, F, LAYOUTS } from './testing/driver-bench.js';

/** What a call throws, as the three things that an error has to name. */
function mistake(call: () => unknown): Pick<VirtioError, 'field' | 'value' | 'message'> | undefined {
  try {
    call();
  } catch (error) {
    if (!(error instanceof VirtioError)) throw error;
    return { field: error.field, value: error.value, message: error.message };
  }
  return undefined;
}

describe('opening a queue', () => {
  test.each([0, 3, 12, 65536, -4, 2.5, Number.NaN])('split: Queue Size %d is refused', (size) => {
    const { config } = new DriverBench('split', { size: 4 });
    expect(mistake(() => openDriverQueue({ ...config, size }))).toEqual({
      field: 'size',
      value: size,
      message: `size is ${size}, want a power of two ≤ 32768 (virtio 1.4 §2.7)`,
    });
  });

  test.each([0, 32769, -1, 1.5])('packed: Queue Size %d is refused', (size) => {
    const { config } = new DriverBench('packed', { size: 4 });
    expect(mistake(() => openDriverQueue({ ...config, size }))).toEqual({
      field: 'size',
      value: size,
      message: `size is ${size}, want 1 to 32768 (virtio 1.4 §2.8)`,
    });
  });

  test.each(LAYOUTS)('%s: a part out of memory, or over another part, is refused and named', (layout) => {
    const { config, guest } = new DriverBench(layout, { size: 4 });
    const before = guest.snapshot();
    const far = 0x7000_0000;
    for (const field of ['desc', 'driver', 'device'] as const) {
      const error = mistake(() => openDriverQueue({ ...config, [field]: far }));
      expect(error).toMatchObject({ field, value: far });
      expect(error!.message).toMatch(new RegExp(`^${field} is ${far}, want \\d+ bytes of contiguous memory`));
    }
    const over = mistake(() => openDriverQueue({ ...config, device: config.desc + 16 }));
    expect(over).toMatchObject({ field: 'device', value: config.desc + 16 });
    expect(over!.message).toContain('want memory apart from the desc area');
    expect(guest.changes(before)).toEqual([]);
  });

  test.each(LAYOUTS)('%s: indirect tables have to have a place and a size', (layout) => {
    const { config, tables } = new DriverBench(layout, { size: 4, features: [F.INDIRECT_DESC] });
    for (const entries of [0, 5, 1.5]) {
      expect(mistake(() => openDriverQueue(config, { address: tables, entries }))).toMatchObject({
        field: 'indirect.entries',
        value: entries,
        message: `indirect.entries is ${entries}, want 1 to Queue Size, 4 (virtio 1.4 §2.7.5.3)`,
      });
    }
    for (const address of [tables + 8, 0x7000_0000, -16]) {
      expect(mistake(() => openDriverQueue(config, { address, entries: 4 }))).toMatchObject({
        field: 'indirect.address',
        value: address,
        message: `indirect.address is ${address}, want 256 reachable bytes, aligned to 16 (virtio 1.4 §2.7.5.3)`,
      });
    }
    expect(openDriverQueue(config, { address: tables, entries: 4 }).free).toBe(4);
  });

  test('a device that accepts no indirect descriptors needs no memory for them', () => {
    const { config } = new DriverBench('split', { size: 4 });
    expect(openDriverQueue(config, { address: 7, entries: 99 }).size).toBe(4);
  });
});

describe.each(LAYOUTS)('%s: adding', (layout) => {
  const PAIR = bufferOf([[0x1000, 1]], [[0x2000, 2]]);

  test.each([
    [new BufferList(1), undefined, 'count', 0, 'count is 0, want 1 to Queue Size, 4, elements'],
    [
      bufferOf([1, 2, 3, 4, 5].map((at) => [at, at])),
      undefined,
      'count',
      5,
      'count is 5, want 1 to Queue Size, 4, elements',
    ],
    [PAIR, -1, 'direct', -1, 'direct is -1, want 0 to 2 elements'],
    [PAIR, 3, 'direct', 3, 'direct is 3, want 0 to 2 elements'],
    [PAIR, 0.5, 'direct', 0.5, 'direct is 0.5, want 0 to 2 elements'],
    [PAIR, Number.NaN, 'direct', Number.NaN, 'direct is NaN, want 0 to 2 elements'],
  ])('a wrong list or split is named and leaves the queue as it was (%#)', (list, direct, field, value, message) => {
    const bench = new DriverBench(layout, { size: 4, features: [F.INDIRECT_DESC], entries: 4 });
    const before = bench.guest.snapshot();
    const error = mistake(() => bench.queue.add(list, direct));
    expect(error).toMatchObject({ field, value });
    expect(error!.message).toContain(message);
    expect(bench.guest.changes(before)).toEqual([]);
    expect([bench.queue.free, bench.queue.outstanding, bench.queue.publish()]).toEqual([4, 0, false]);
  });

  test('a mistake is one in a full ring too', () => {
    const bench = new DriverBench(layout, { size: 1 });
    bench.queue.addReadable(0x1000, 1);
    expect(mistake(() => bench.queue.add(PAIR))).toMatchObject({ field: 'count', value: 2 });
  });
});
