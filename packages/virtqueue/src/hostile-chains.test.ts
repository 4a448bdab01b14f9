import { VIRTIO_F } from '@ringwire/virtio-spec';
import { describe, expect, test } from 'vitest';
import { CHAIN_FAULT } from './queue-fault.js';
import { AT, DeviceBench } from './testing/device-bench.js';
import { PAYLOAD } from './testing/device-turn.js';
import type { Element } from './testing/hand-ring.js';
import { hex, INDIRECT, WRITE } from './testing/ring-bytes.js';

// What a hostile driver can do in one chain of either layout: the promise is the same, and so is the test.

const SIZE = 8;
const FOUR = 2 ** 32;

describe.each(['split', 'packed'] as const)('%s', (layout) => {
  /** One chain, given up for `fault`, whether its elements are to be read or to be written. */
  function expectDropped(elements: readonly Element[], fault: number, flags: readonly number[] = [0, WRITE]): void {
    for (const direction of flags) {
      const bench = new DeviceBench(layout);
      const id = bench.ring.offer(elements.map((one) => ({ ...one, flags: (one.flags ?? 0) | direction })));
      bench.expectDrop(fault, id);
    }
  }

  /** The same bytes as a chain, and as an indirect table. */
  function expectDroppedBothWays(elements: readonly Element[], fault: number): void {
    expectDropped(elements, fault);
    const bench = new DeviceBench(layout);
    const id = bench.ring.offer([bench.ring.table(AT.tables, elements)]);
    bench.expectDrop(fault, id);
  }

  test('SP-03: an indirect table of Queue Size + 1 entries is refused, one of Queue Size is not', () => {
    const bench = new DeviceBench(layout);
    const entries = Array.from({ length: SIZE + 1 }, (_, n) => ({ addr: AT.buffers + n, len: 1 }));
    const id = bench.ring.offer([bench.ring.table(AT.tables, entries)]);
    bench.expectDrop(CHAIN_FAULT.INDIRECT_LENGTH, id);
    const longest = bench.ring.offer([bench.ring.table(AT.tables, entries.slice(1))]);
    bench.expectAllowed([bench.guest.read(AT.buffers + 1, SIZE)], [{ id: longest, len: 0 }]);
  });

  test('SP-10: address 0, where no RAM is, is not reached', () => {
    expectDroppedBothWays([{ addr: 0, len: 64 }], CHAIN_FAULT.ADDRESS);
  });

  test('SP-11: an address just past the end of RAM is not reached', () => {
    expectDroppedBothWays([{ addr: AT.end, len: 1 }], CHAIN_FAULT.ADDRESS);
    expectDroppedBothWays([{ addr: AT.desc - 1, len: 1 }], CHAIN_FAULT.ADDRESS);
  });

  test('SP-12: a buffer that ends past the end of RAM is given up whole, and the good part of its chain with it', () => {
    expectDroppedBothWays([{ addr: AT.end - 16, len: 17 }], CHAIN_FAULT.ADDRESS);
    const good = { addr: AT.buffers, len: 64 };
    expectDroppedBothWays([good, { addr: AT.end - 16, len: 17 }], CHAIN_FAULT.ADDRESS);
    expectDroppedBothWays([{ addr: AT.end - 16, len: 17 }, good], CHAIN_FAULT.ADDRESS);
  });

  test('SP-13: a buffer over a hole between two regions is given up', () => {
    expectDroppedBothWays([{ addr: AT.hole - 8, len: AT.behindHole - AT.hole + 16 }], CHAIN_FAULT.ADDRESS);
    expectDroppedBothWays([{ addr: AT.hole - 8, len: 9 }], CHAIN_FAULT.ADDRESS);
  });

  test('SP-14: a buffer over two regions that are separate in the host is gathered and scattered across the seam', () => {
    const bench = new DeviceBench(layout);
    const bytes = hex`a0 a1 a2 a3 a4 a5 a6 a7 a8 a9`;
    bench.guest.write(AT.seam - 3, bytes);
    const id = bench.ring.offer([
      { addr: AT.seam - 3, len: 10 },
      { addr: AT.seam - 20, len: 30, flags: WRITE },
    ]);
    bench.expectAllowed([bytes], [{ id, len: 30 }], [{ gpa: AT.seam - 20, length: 30 }]);
    expect(bench.guest.read(AT.seam - 20, 30)).toEqual(PAYLOAD.subarray(0, 30));
  });

  test.each([
    0xffff_ffff_ffff_fff0n,
    0xffff_ffff_ffff_ffffn,
    // What is left of these below 2^32 or 2^53 is good RAM: they are faults, never aliases.
    BigInt(AT.buffers) + 2n ** 32n,
    BigInt(AT.buffers) + 2n ** 53n,
    BigInt(AT.buffers) + 2n ** 63n,
  ])('SP-15, PK-18: address %s + length is beyond all memory, or wraps past 2^64', (addr) => {
    expectDroppedBothWays([{ addr, len: 0x20 }], CHAIN_FAULT.ADDRESS);
    expectDropped([{ addr, len: 0xffff_ffff }], CHAIN_FAULT.ADDRESS);
  });

  test('SP-16: length 0xFFFFFFFF is not reached, and nothing of that size is made', () => {
    const before = process.memoryUsage().rss;
    expectDroppedBothWays([{ addr: AT.buffers, len: 0xffff_ffff }], CHAIN_FAULT.ADDRESS);
    expect(process.memoryUsage().rss - before).toBeLessThan(2 ** 30);
  });

  test.each([0, WRITE])('SP-17: lengths that add up to more than 2^32 are refused (flags %i)', (flags) => {
    const MIB = 2 ** 20;
    const big = 0x100_0000;
    const size = 4096;
    const bench = new DeviceBench(layout, {
      size,
      moreRam: [{ gpa: big, size: MIB + 0x20000 }],
      place: { desc: big + MIB, driver: big + MIB + 0x1_0000, device: big + MIB + 0x1_4000 },
    });
    const elements = Array.from({ length: size }, () => ({ addr: big, len: MIB, flags }));
    elements[7] = { addr: big, len: MIB + 1, flags };
    const id = bench.ring.offer(elements);
    expect(elements.reduce((sum, { len }) => sum + len, 0)).toBe(FOUR + 1);
    const placed = bench.guest.snapshot();
    expect(bench.turn()).toMatchObject({ taken: 1, sent: [], faults: [CHAIN_FAULT.TOTAL_LENGTH] });
    expect(bench.ring.collect()).toEqual([{ id, len: 0 }]);
    bench.expectUntouched(placed, bench.ring.deviceBytes());
    bench.expectProbe();
  });

  test('SP-18, PK-20: chains of zero-length elements only are completed with length 0', () => {
    expectDroppedBothWays([{ addr: AT.buffers, len: 0 }], CHAIN_FAULT.NO_BYTES);
    const whole = Array.from({ length: SIZE }, () => ({ addr: AT.buffers, len: 0 }));
    expectDroppedBothWays(whole, CHAIN_FAULT.NO_BYTES);
    // Nothing is looked up for a length of 0.
    expectDroppedBothWays([{ addr: 0, len: 0 }], CHAIN_FAULT.NO_BYTES);
  });

  test('SP-18, PK-20: a ring full of zero-length chains is one turn', () => {
    const bench = new DeviceBench(layout);
    const ids = times(SIZE, () => bench.ring.offer([{ addr: AT.buffers, len: 0 }]));
    expect(bench.turn().faults).toEqual(ids.map(() => CHAIN_FAULT.NO_BYTES));
    expect(bench.ring.collect()).toEqual(ids.map((id) => ({ id, len: 0 })));
    bench.expectProbe();
  });

  test('SP-19: a zero-length element in a good chain is passed over, wherever it stands and points', () => {
    const bench = new DeviceBench(layout);
    bench.guest.write(AT.buffers, hex`11 22 33 44`);
    for (const at of [0, 1, 2]) {
      const elements: Element[] = [
        { addr: AT.buffers, len: 2 },
        { addr: AT.buffers + 2, len: 2 },
      ];
      elements.splice(at, 0, { addr: 0xdead_0000, len: 0 });
      const id = bench.ring.offer(elements);
      bench.expectAllowed([hex`11 22 33 44`], [{ id, len: 0 }]);
    }
    // A writable one does not make the bytes before it writable, nor the chain longer.
    const id = bench.ring.offer([
      { addr: AT.buffers, len: 4 },
      { addr: 0, len: 0, flags: WRITE },
    ]);
    bench.expectAllowed([hex`11 22 33 44`], [{ id, len: 0 }]);
  });

  test('SP-20, PK-17: a readable element behind a writable one is an order fault, even when either is empty', () => {
    for (const [writableLen, readableLen] of [
      [8, 8],
      [0, 8],
      [8, 0],
    ] as const) {
      const elements = [
        { addr: AT.buffers, len: 8 },
        { addr: AT.buffers, len: writableLen, flags: WRITE },
        { addr: AT.buffers, len: readableLen },
      ];
      expectDropped(elements, CHAIN_FAULT.READABLE_AFTER_WRITABLE, [0]);
      const bench = new DeviceBench(layout);
      const id = bench.ring.offer([bench.ring.table(AT.tables, elements)]);
      bench.expectDrop(CHAIN_FAULT.READABLE_AFTER_WRITABLE, id);
    }
  });

  test('SP-21: INDIRECT is not honoured unless negotiated', () => {
    for (const before of [0, 1]) {
      const bench = new DeviceBench(layout, { features: [VIRTIO_F.EVENT_IDX] });
      const table = bench.ring.table(AT.tables, [{ addr: AT.buffers, len: 4 }]);
      const plain = Array.from({ length: before }, () => ({ addr: AT.buffers, len: 4 }));
      bench.expectDrop(CHAIN_FAULT.INDIRECT_NOT_NEGOTIATED, bench.ring.offer([...plain, table]));
    }
  });

  test.each([1, 15, 17, 24, 127, 0xffff_ffff])(
    'SP-24: an indirect table of %i bytes, no multiple of 16, is refused',
    (len) => {
      expectDropped([{ addr: AT.tables, len, flags: INDIRECT }], CHAIN_FAULT.INDIRECT_LENGTH);
    },
  );

  test('SP-25, PK-03: of an indirect table of length 0 no first entry is read', () => {
    const bench = new DeviceBench(layout);
    bench.ring.table(AT.tables, [{ addr: AT.buffers, len: 4 }]);
    const id = bench.ring.offer([{ addr: AT.tables, len: 0, flags: INDIRECT }]);
    bench.expectDrop(CHAIN_FAULT.INDIRECT_LENGTH, id);
  });

  test('SP-26: an indirect table of 4 GiB makes nothing of that size', () => {
    const before = process.memoryUsage().rss;
    for (const len of [0xffff_fff0, 0x8000_0000, 16 * (SIZE + 1)])
      expectDropped([{ addr: AT.tables, len, flags: INDIRECT }], CHAIN_FAULT.INDIRECT_LENGTH);
    expect(process.memoryUsage().rss - before).toBeLessThan(2 ** 30);
  });

  test.each([
    ['outside RAM', AT.end],
    ['at address 0', 0],
    ['with its last byte outside', AT.end - 63],
    ['with its last byte in a hole', AT.hole - 63],
    ['beyond 2^53', BigInt(AT.tables) + 2n ** 53n],
    ['that wraps past 2^64', 0xffff_ffff_ffff_fff0n],
  ])('SP-27: an indirect table %s is not reached', (_, addr) => {
    expectDropped([{ addr, len: 64, flags: INDIRECT }], CHAIN_FAULT.INDIRECT_ADDRESS);
  });

  test('SP-29: WRITE on a descriptor that points to an indirect table means nothing', () => {
    const bench = new DeviceBench(layout);
    bench.guest.write(AT.buffers, hex`01 02 03 04`);
    const table = bench.ring.table(AT.tables, [
      { addr: AT.buffers, len: 4 },
      { addr: AT.buffers + 0x100, len: 9, flags: WRITE },
    ]);
    const id = bench.ring.offer([{ ...table, flags: INDIRECT | WRITE }]);
    bench.expectAllowed([hex`01 02 03 04`], [{ id, len: 9 }], [{ gpa: AT.buffers + 0x100, length: 9 }]);
  });

  test('ROM may be sent from and not written to', () => {
    const bench = new DeviceBench(layout);
    const id = bench.ring.offer([{ addr: AT.rom, len: 4 }]);
    bench.expectAllowed([bench.guest.read(AT.rom, 4)], [{ id, len: 0 }]);
    expectDropped([{ addr: AT.rom, len: 4 }], CHAIN_FAULT.ADDRESS, [WRITE]);
  });

  test('with IN_ORDER, a chain given up is a used element of its own with length 0: no batch swallows it', () => {
    const bench = new DeviceBench(layout, { features: [VIRTIO_F.IN_ORDER] });
    const ids = [AT.buffers, AT.end, AT.buffers + 0x100].map((addr) =>
      bench.ring.offer([{ addr, len: 48, flags: WRITE }]),
    );
    expect(bench.turn().faults).toEqual([CHAIN_FAULT.ADDRESS]);
    // The first batch ends with the faulty chain, which alone may have fewer bytes than it has room for.
    expect(bench.ring.layout === 'split' ? bench.ring.bytes.usedIdx : bench.queue.inFlight).toBe(
      layout === 'split' ? 3 : 0,
    );
    const element = (at: number): unknown =>
      bench.ring.layout === 'split' ? bench.ring.bytes.usedElement(at) : bench.ring.bytes.read(at);
    expect(element(0)).toMatchObject({ id: ids[1], len: 0 });
    expect(element(2)).toMatchObject({ id: ids[2], len: 48 });
  });
});

function times(count: number, offer: () => number): number[] {
  return Array.from({ length: count }, offer);
}
