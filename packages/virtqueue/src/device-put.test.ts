import { VIRTIO_F, VirtioError } from '@ringwire/virtio-spec';
import { describe, expect, test } from 'vitest';
import { TAKE } from './device-queue.js';
import { CHAIN_FAULT, RING_FAULT } from './queue-fault.js';
import { AT, type BenchOptions, DeviceBench } from './testing/device-bench.js';
import { WRITE } from './testing/ring-bytes.js';

const SIZE = 8;

describe.each(['split', 'packed'] as const)('%s', (layout) => {
  const open = (options?: BenchOptions): DeviceBench => new DeviceBench(layout, options);
  /** Offer buffers of 1, 2, … bytes to be read. @returns their ids */
  const offer = (bench: DeviceBench, count: number): number[] =>
    Array.from({ length: count }, (_, n) => bench.ring.offer([{ addr: AT.buffers + 16 * n, len: n + 1 }]));

  test('a token that is not in flight cannot be put: never taken, put already, or no token at all', () => {
    const bench = open();
    const { queue, burst } = bench;
    expect(() => queue.putUsed(0, 0)).toThrow(VirtioError);
    offer(bench, 1);
    queue.takeBurst(burst, 1);
    const token = burst.token[0]!;
    queue.putUsed(token, 0);
    for (const wrong of [token, SIZE, 65535, -1, 0.5, Number.NaN])
      expect(() => queue.putUsed(wrong, 0)).toThrow(expect.objectContaining({ field: 'token', value: wrong }));
    expect(() => queue.putUsedBurst(burst, 0, 1)).toThrow(/token/);
    expect([queue.inFlight, queue.counters.used]).toEqual([0, 1]);
  });

  test('written cannot be more than the chain has for the device to write', () => {
    const bench = open();
    bench.ring.offer([
      { addr: AT.buffers, len: 9 },
      { addr: AT.buffers, len: 5, flags: WRITE },
    ]);
    bench.ring.offer([{ addr: AT.buffers, len: 9 }]);
    bench.ring.offer([{ addr: AT.end, len: 9, flags: WRITE }]);
    const { queue, burst } = bench;
    queue.takeBurst(burst, 16);
    for (const [i, written] of [
      [0, 6],
      [0, -1],
      [0, Number.NaN],
      [1, 1],
      [2, 1],
      [2, 9],
    ] as const)
      expect(() => queue.putUsed(burst.token[i]!, written)).toThrow(
        expect.objectContaining({ field: 'written', value: written }),
      );
    expect(queue.inFlight).toBe(3);
    burst.written.set([5, 0, 0]);
    queue.putUsedBurst(burst, 0, 3);
    queue.publishUsed();
    expect(bench.ring.collect().map(({ len }) => len)).toEqual([5, 0, 0]);
  });

  test('a chain that was given up is forgotten when it is put: a good one of the same token can be put back uncounted', () => {
    const bench = open();
    const { queue, burst } = bench;
    bench.ring.offer([{ addr: AT.end, len: 9 }]);
    offer(bench, SIZE - 1);
    expect(queue.takeBurst(burst, SIZE)).toBe(SIZE);
    const bad = burst.token[0]!;
    queue.putUsedBurst(burst, 0, SIZE);
    queue.publishUsed();
    bench.ring.collect();
    const faults = [...queue.counters.chainFaults];
    expect(faults.reduce((sum, each) => sum + each)).toBe(1);
    burst.clear();
    offer(bench, 1);
    queue.takeBurst(burst, 1);
    while (burst.token[0] !== bad) {
      queue.putUsedBurst(burst, 0, 1);
      queue.publishUsed();
      bench.ring.collect();
      burst.clear();
      offer(bench, 1);
      queue.takeBurst(burst, 1);
    }
    queue.untake(bad);
    expect([...queue.counters.chainFaults]).toEqual(faults);
  });

  test('of a burst with a wrong length, the chains before it are put, and it and the others stay in flight', () => {
    const bench = open();
    const ids = offer(bench, 4);
    const { queue, burst } = bench;
    queue.takeBurst(burst, 16);
    burst.written[2] = 1;
    expect(() => queue.putUsedBurst(burst, 0, 4)).toThrow(/written is 1/);
    expect(queue.inFlight).toBe(2);
    burst.written[2] = 0;
    queue.putUsedBurst(burst, 2, 2);
    queue.publishUsed();
    expect(bench.ring.collect()).toEqual(ids.map((id) => ({ id, len: 0 })));
  });

  test('the chain taken last can be given back, one after the other, and comes again', () => {
    for (const features of [[], [VIRTIO_F.IN_ORDER]]) {
      const bench = open({ features, size: 4 });
      // Begin before the end of the ring, so that giving back goes over it.
      for (let n = 0; n < 3; n++) {
        offer(bench, 1);
        bench.turn();
      }
      bench.ring.collect();
      const chains = [[1, 1], [1], [1]].map((lens) => lens.map((len) => ({ addr: AT.buffers, len })));
      for (const chain of chains) bench.ring.offer(chain);
      const { queue, burst } = bench;
      burst.clear();
      const since = bench.guest.snapshot();
      expect(queue.takeBurst(burst, 16)).toBe(3);
      const tokens = [...burst.token.subarray(0, 3)];
      for (const wrong of [tokens[0]!, tokens[1]!, 9]) expect(() => queue.untake(wrong)).toThrow(/token/);
      for (const token of tokens.toReversed()) {
        queue.untake(token);
        burst.dropLast();
      }
      expect([queue.inFlight, burst.count, burst.segments.count, queue.counters.taken]).toEqual([0, 0, 0, 3]);
      bench.expectUntouched(since, []);
      expect(() => queue.untake(tokens[0]!)).toThrow(VirtioError);
      expect(queue.save()).toMatchObject({ lastAvailIdx: 3, usedIdx: 3 });
      expect(queue.takeBurst(burst, 16)).toBe(3);
      expect([0, 1, 2].map((i) => burst.readableBytes(i))).toEqual([2, 1, 1]);
      queue.putUsedBurst(burst, 0, 3);
      queue.publishUsed();
      expect(queue.inFlight).toBe(0);
    }
  });

  test('a chain with a fault that is given back counts once: when it is taken for good', () => {
    const bench = open();
    bench.ring.offer([{ addr: AT.end, len: 8 }]);
    const { queue, burst } = bench;
    burst.clear();
    const faults = (): number => queue.counters.chainFaults[CHAIN_FAULT.ADDRESS]!;
    for (let n = 0; n < 3; n++) {
      expect([queue.takeBurst(burst, 16), burst.fault[0], faults()]).toEqual([1, CHAIN_FAULT.ADDRESS, 1]);
      queue.untake(burst.token[0]!);
      burst.dropLast();
      expect([faults(), burst.faults]).toEqual([0, 0]);
    }
    expect(queue.takeBurst(burst, 16)).toBe(1);
    queue.putUsedBurst(burst, 0, 1);
    expect(faults()).toBe(1);
  });

  test('a chain that was put cannot be given back, nor one taken before it', () => {
    const bench = open();
    offer(bench, 3);
    const { queue, burst } = bench;
    queue.takeBurst(burst, 16);
    queue.putUsed(burst.token[2]!, 0);
    for (const i of [0, 1, 2]) expect(() => queue.untake(burst.token[i]!)).toThrow(/token/);
    expect(queue.inFlight).toBe(2);
  });

  test('chains put out of order leave the others as they were', () => {
    const bench = open();
    const { queue, burst } = bench;
    const lengths = new Map<number, number>();
    for (let round = 0; round < 20; round++) {
      const ids = Array.from({ length: 5 }, (_, n) =>
        bench.ring.offer([{ addr: AT.buffers, len: 10 * round + n + 1, flags: WRITE }]),
      );
      burst.clear();
      expect(queue.takeBurst(burst, 16)).toBe(5);
      expect(new Set(burst.token.subarray(0, 5)).size).toBe(5);
      ids.forEach((id, n) => {
        lengths.set(id, 10 * round + n + 1);
      });
      for (const i of [3, 1, 4, 0, 2]) queue.putUsed(burst.token[i]!, burst.writableBytes(i));
      queue.publishUsed();
      const used = bench.ring.collect();
      expect(used.map(({ id }) => id)).toEqual([3, 1, 4, 0, 2].map((i) => ids[i]));
      expect(used.every(({ id, len }) => len === lengths.get(id))).toBe(true);
    }
  });

  test('a stopped queue touches guest memory no more; chains in flight may be put', () => {
    const bench = open();
    offer(bench, 4);
    const { queue, burst } = bench;
    queue.takeBurst(burst, 2);
    queue.putUsed(burst.token[0]!, 0);
    queue.stop();
    const since = bench.guest.snapshot();
    expect([queue.takeBurst(burst, 4), queue.takeAvailable(burst)]).toEqual([0, TAKE.EMPTY]);
    expect([queue.hasAvailable(), queue.enableNotifications()]).toEqual([false, false]);
    queue.disableNotifications();
    queue.putUsedBurst(burst, 1, 1);
    expect([queue.publishUsed(), queue.inFlight, queue.ringFault]).toEqual([false, 0, RING_FAULT.NONE]);
    bench.expectUntouched(since, []);
  });
});
