import { VIRTIO_F } from '@ringwire/virtio-spec';
import { describe, expect, test } from 'vitest';
import { ChainBurst } from './chain-burst.js';
import { TAKE } from './device-queue.js';
import { CHAIN_FAULT } from './queue-fault.js';
import { AT, type BenchOptions, DeviceBench } from './testing/device-bench.js';
import { readableBytes } from './testing/device-turn.js';
import { AVAIL_1, hex, NEXT, WRITE } from './testing/ring-bytes.js';

const SIZE = 8;
const MIB = 2 ** 20;

describe.each(['split', 'packed'] as const)('%s', (layout) => {
  const open = (options?: BenchOptions): DeviceBench => new DeviceBench(layout, options);
  /** Offer buffers of 1, 2, … bytes to be read. @returns their ids */
  const offer = (bench: DeviceBench, count: number): number[] =>
    Array.from({ length: count }, (_, n) => bench.ring.offer([{ addr: AT.buffers + 16 * n, len: n + 1 }]));
  function breakRing({ ring }: DeviceBench): void {
    if (ring.layout === 'split') ring.publish(SIZE);
    else for (let slot = 0; slot < SIZE; slot++) ring.bytes.slot(slot, AT.buffers, 1, 0, AVAIL_1 | NEXT);
  }

  test('takeAvailable says what it found', () => {
    const bench = open();
    const { queue, burst } = bench;
    expect(queue.takeAvailable(burst)).toBe(TAKE.EMPTY);
    bench.ring.offer([{ addr: AT.buffers, len: 4 }]);
    bench.ring.offer([{ addr: AT.end, len: 4 }]);
    expect([queue.takeAvailable(burst), queue.takeAvailable(burst)]).toEqual([TAKE.CHAIN, TAKE.CHAIN_FAULT]);
    expect([burst.count, burst.fault[0], burst.fault[1]]).toEqual([2, CHAIN_FAULT.NONE, CHAIN_FAULT.ADDRESS]);
    expect(queue.takeAvailable(burst)).toBe(TAKE.EMPTY);
    queue.putUsedBurst(burst, 0, 2);
    queue.publishUsed();
    bench.reset();
    breakRing(bench);
    burst.clear();
    expect([bench.queue.takeAvailable(burst), bench.queue.takeAvailable(burst)]).toEqual([
      TAKE.RING_FAULT,
      TAKE.RING_FAULT,
    ]);
    expect([burst.count, bench.queue.inFlight]).toEqual([0, 0]);
  });

  test('a burst takes at most what is asked for and what it has room for, and the rest waits', () => {
    const bench = open();
    const { queue } = bench;
    offer(bench, 7);
    const small = new ChainBurst(3);
    expect([queue.takeBurst(small, 2), small.count]).toEqual([2, 2]);
    expect([queue.takeBurst(small, 2), small.count]).toEqual([1, 3]);
    expect([queue.takeBurst(small, 2), queue.takeBurst(small, 0)]).toEqual([0, 0]);
    expect([queue.inFlight, queue.counters.taken, queue.hasAvailable()]).toEqual([3, 3, true]);
    const rest = new ChainBurst(16);
    expect(queue.takeBurst(rest, 16)).toBe(4);
    expect([queue.inFlight, queue.counters.taken, queue.hasAvailable()]).toEqual([7, 7, false]);
    expect([0, 1, 2].map((i) => small.readableBytes(i))).toEqual([1, 2, 3]);
    expect([0, 1, 2, 3].map((i) => rest.readableBytes(i))).toEqual([4, 5, 6, 7]);
  });

  test('a burst of long chains has room for all of their segments', () => {
    const bench = open({ size: 256 });
    const burst = new ChainBurst(1);
    const elements = Array.from({ length: 255 }, (_, n) => ({
      addr: AT.buffers + n,
      len: 1,
      flags: n < 100 ? 0 : WRITE,
    }));
    for (let n = 0; n < 3; n++) {
      bench.ring.offer(elements);
      burst.clear();
      expect(bench.queue.takeBurst(burst, 1)).toBe(1);
      expect([burst.end(0), burst.readableBytes(0), burst.writableBytes(0)]).toEqual([255, 100, 155]);
      bench.queue.putUsed(burst.token[0]!, 155);
      bench.queue.publishUsed();
      expect(bench.ring.collect()).toMatchObject([{ len: 155 }]);
    }
  });

  test('plain chains behind a chain of many segments have room for theirs', () => {
    for (let segments = 4; segments <= 17; segments++) {
      const long = segments % 3;
      const bench = open({ size: 64, burst: 4 });
      const elements = Array.from({ length: segments }, (_, n) => ({ addr: AT.buffers + 0x100 + n, len: 1 }));
      const chains = [0, 1, 2, 3].map((n) => (n === long ? elements : [{ addr: AT.buffers + n, len: 2 }]));
      for (const chain of chains) bench.ring.offer(chain);
      const sent = chains.map((chain) => bench.guest.read(chain[0]!.addr, chain.length === 1 ? 2 : segments));
      expect(bench.turn().sent).toEqual(sent);
    }
  });

  test('chains of all kinds lie side by side in one burst, faulty ones without segments', () => {
    const bench = open();
    bench.guest.write(AT.buffers, hex`01 02 03 04 05 06 07 08`);
    const chains = [
      [{ addr: AT.buffers, len: 2 }],
      [
        { addr: AT.buffers, len: 2 },
        { addr: AT.end, len: 2 },
      ],
      [
        { addr: AT.buffers + 2, len: 1 },
        { addr: AT.buffers + 3, len: 9, flags: WRITE },
      ],
      [bench.ring.table(AT.tables, [{ addr: AT.buffers + 4, len: 4 }])],
      [{ addr: AT.buffers, len: 7, flags: WRITE }],
    ];
    for (const chain of chains) bench.ring.offer(chain);
    const { queue, burst, guest } = bench;
    expect(queue.takeBurst(burst, 16)).toBe(5);
    expect([...burst.fault.subarray(0, 5)]).toEqual([0, CHAIN_FAULT.ADDRESS, 0, 0, 0]);
    const all = [0, 1, 2, 3, 4];
    expect(all.map((i) => readableBytes(guest.memory, burst, i))).toEqual([
      hex`01 02`,
      hex``,
      hex`03`,
      hex`05 06 07 08`,
      hex``,
    ]);
    expect(all.map((i) => burst.writableBytes(i))).toEqual([0, 0, 9, 0, 7]);
    expect(all.map((i) => burst.end(i) - burst.first[i]!)).toEqual([1, 0, 2, 1, 1]);
  });

  test('a burst that is cleared and filled again knows nothing of its faults and lengths before', () => {
    const bench = open();
    const { queue, burst } = bench;
    bench.ring.offer([{ addr: AT.end, len: 4 }]);
    bench.ring.offer([{ addr: AT.buffers, len: 4, flags: WRITE }]);
    queue.takeBurst(burst, 16);
    burst.written[1] = 4;
    queue.putUsedBurst(burst, 0, 2);
    queue.publishUsed();
    const ids = offer(bench, 2);
    bench.ring.collect();
    burst.clear();
    expect(queue.takeBurst(burst, 16)).toBe(2);
    expect([...burst.fault.subarray(0, 2), ...burst.written.subarray(0, 2)]).toEqual([0, 0, 0, 0]);
    queue.putUsedBurst(burst, 0, 2);
    queue.publishUsed();
    expect(bench.ring.collect()).toEqual(ids.map((id) => ({ id, len: 0 })));
  });

  test.each([0, 1, 2, 3, 4, 8])('an indirect table may lie at any address: %i bytes behind a multiple of 16', (off) => {
    for (const at of [AT.tables + off, AT.seam - 40 + off]) {
      const bench = open();
      bench.guest.write(AT.buffers, hex`01 02 03 04 05`);
      const elements = [
        { addr: AT.buffers, len: 2 },
        { addr: AT.buffers + 2, len: 3 },
        { addr: AT.buffers + 0x100, len: 6, flags: WRITE },
      ];
      // Written elsewhere and copied byte by byte: across the seam it lies in two pieces.
      const table = bench.ring.table(AT.tables + 0x100, elements);
      bench.guest.write(at, bench.guest.read(AT.tables + 0x100, table.len));
      const id = bench.ring.offer([{ ...table, addr: at }]);
      bench.expectAllowed([hex`01 02 03 04 05`], [{ id, len: 6 }], [{ gpa: AT.buffers + 0x100, length: 6 }]);
    }
  });

  test('an indirect table larger than any before is fetched whole, and a smaller one behind it', () => {
    const bench = open({ size: 256 });
    for (const count of [1, 8, 9, 33, 200, 256, 2]) {
      const elements = Array.from({ length: count }, (_, n) => ({ addr: AT.buffers + n, len: 1 }));
      const id = bench.ring.offer([bench.ring.table(AT.tables, elements)]);
      bench.expectAllowed([bench.guest.read(AT.buffers, count)], [{ id, len: 0 }]);
    }
  });

  test('a buffer of 2^32 bytes, the most there is, is reported as 2^32 - 1 when all of it was written', () => {
    const ram = 0x100_0000;
    const size = 4096;
    for (const features of [[], [VIRTIO_F.IN_ORDER]]) {
      const bench = open({
        features,
        size,
        moreRam: [{ gpa: ram, size: MIB + 0x2_0000 }],
        place: { desc: ram + MIB, driver: ram + MIB + 0x1_0000, device: ram + MIB + 0x1_4000 },
      });
      const id = bench.ring.offer(Array.from({ length: size }, () => ({ addr: ram, len: MIB, flags: WRITE })));
      const { queue, burst } = bench;
      expect(queue.takeAvailable(burst)).toBe(TAKE.CHAIN);
      expect(burst.writableBytes(0)).toBe(2 ** 32);
      expect(() => queue.putUsed(burst.token[0]!, 2 ** 32 + 1)).toThrow(/written/);
      queue.putUsed(burst.token[0]!, 2 ** 32);
      queue.publishUsed();
      expect(bench.ring.collect()).toEqual([{ id, len: 0xffff_ffff }]);
    }
  });

  test('chains behind one of 2^32 - 1 written bytes are put with their burst', () => {
    const ram = 0x100_0000;
    const size = 8192;
    const place = { desc: ram + MIB, driver: ram + MIB + 0x2_0000, device: ram + MIB + 0x2_8000 };
    const bench = open({ size, features: [], moreRam: [{ gpa: ram, size: MIB + 0x4_0000 }], place });
    const small = { addr: ram, len: 64, flags: WRITE };
    const ids = [
      bench.ring.offer(Array.from({ length: 4096 }, () => ({ addr: ram, len: MIB, flags: WRITE }))),
      bench.ring.offer([small]),
      bench.ring.offer([small]),
    ];
    const { queue, burst } = bench;
    expect(queue.takeBurst(burst, 3)).toBe(3);
    burst.written.set([0xffff_ffff, 5, 6]);
    queue.putUsedBurst(burst, 0, 3);
    queue.publishUsed();
    expect(queue.inFlight).toBe(0);
    expect(bench.ring.collect()).toEqual([0xffff_ffff, 5, 6].map((len, i) => ({ id: ids[i], len })));
  });
});
