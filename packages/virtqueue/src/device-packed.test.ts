import { ACCESS } from '@ringwire/guest-memory';
import { VIRTIO_F } from '@ringwire/virtio-spec';
import { afterEach, expect, test } from 'vitest';
import { CHAIN_FAULT } from './queue-fault.js';
import { AT, type BenchOptions, DeviceBench } from './testing/device-bench.js';
import { PAYLOAD } from './testing/device-turn.js';
import type { HandPacked } from './testing/hand-ring.js';
import { MeddlingSpace } from './testing/meddling-space.js';
import { type MemoryTrace, traceMemory } from './testing/memory-trace.js';
import { AVAIL_0, AVAIL_1, hex, NEXT, USED_0, USED_1, WRITE } from './testing/ring-bytes.js';

const SIZE = 8;
const packed = (options?: BenchOptions): DeviceBench<HandPacked> => new DeviceBench<HandPacked>('packed', options);

let trace: MemoryTrace | undefined;
afterEach(() => {
  trace?.stop();
  trace = undefined;
});
/** From now on the queue's accesses to guest memory are noted. */
function traced(bench: DeviceBench<HandPacked>): MemoryTrace {
  trace = traceMemory(bench.guest.space, bench.guest.space.regions);
  Object.assign(bench.config, { space: trace.space });
  bench.open(bench.queue.save());
  return trace;
}

test('virtio 1.4 §2.8.6: a used descriptor has id, len and flags of the buffer, in the first of its slots; the others stay', () => {
  const bench = packed();
  const { guest, queue, burst } = bench;
  // Two slots of one buffer: { addr 0x18000, len 3, NEXT | AVAIL }, { addr 0x18100, len 16, id 9, WRITE | AVAIL }
  guest.write(AT.desc, hex`0080010000000000 03000000 0000 8100  0081010000000000 10000000 0900 8200`);
  // One slot of another: { addr 0x18200, len 5, id 4, AVAIL }
  guest.write(AT.desc + 32, hex`0082010000000000 05000000 0400 8000`);
  expect(queue.takeBurst(burst, 16)).toBe(2);
  queue.putUsed(burst.token[0]!, 12);
  queue.putUsed(burst.token[1]!, 0);
  queue.publishUsed();
  // { len 12, id 9, WRITE | AVAIL | USED }; addr is left as it was, and so is the second slot.
  expect(guest.read(AT.desc, 32)).toEqual(
    hex`0080010000000000 0c000000 0900 8280  0081010000000000 10000000 0900 8200`,
  );
  // { len 0, id 4, AVAIL | USED }: without WRITE, because nothing was written
  expect(guest.read(AT.desc + 32, 16)).toEqual(hex`0082010000000000 00000000 0400 8080`);
});

test('in its second lap the device marks used descriptors with both bits 0', () => {
  const bench = packed({ size: 2 });
  for (const marks of [USED_1, USED_0, USED_1]) {
    const ids = [
      bench.ring.offer([{ addr: AT.buffers, len: 4, flags: WRITE }]),
      bench.ring.offer([{ addr: AT.buffers, len: 4 }]),
    ];
    bench.turn();
    expect(bench.ring.bytes.read(0)).toEqual({ len: 4, id: ids[0], flags: marks | WRITE });
    expect(bench.ring.bytes.read(1)).toEqual({ len: 0, id: ids[1], flags: marks });
    expect(bench.ring.collect()).toHaveLength(2);
  }
});

test('dev.packed.ordering.1: buffers are taken in ring order, whatever their ids', () => {
  const bench = packed();
  const ids = [7, 3, 3, 0, 65535, 1];
  const sent: Uint8Array[] = [];
  // Ring order is not address order either, and it goes on over the end of the ring.
  for (let lap = 0; lap < 3; lap++) {
    ids.forEach((id, n) => {
      bench.guest.write(AT.buffers + 16 * (6 - n), Uint8Array.of(lap, n));
      bench.ring.offer([{ addr: AT.buffers + 16 * (6 - n), len: 2 }], id);
    });
    sent.push(...bench.turn().sent);
    expect(bench.ring.collect().map((used) => used.id)).toEqual(ids);
  }
  expect(sent).toEqual([0, 1, 2].flatMap((lap) => ids.map((_, n) => Uint8Array.of(lap, n))));
});

test('dev.packed.ordering.2: used descriptors are written in the order in which buffers are completed', () => {
  const bench = packed();
  const { queue, burst } = bench;
  for (const id of [10, 11, 12, 13]) bench.ring.offer([{ addr: AT.buffers, len: 4 }], id);
  queue.takeBurst(burst, 16);
  for (const i of [2, 0]) queue.putUsed(burst.token[i]!, 0);
  queue.publishUsed();
  for (const i of [3, 1]) queue.putUsed(burst.token[i]!, 0);
  queue.publishUsed();
  expect([0, 1, 2, 3].map((slot) => bench.ring.bytes.read(slot))).toEqual(
    [12, 10, 13, 11].map((id) => ({ len: 0, id, flags: USED_1 })),
  );
});

test('dev.packed.ordering.2: a used descriptor stands behind as many slots as the buffers completed before it had', () => {
  const bench = packed();
  const { queue, burst } = bench;
  const piece = { addr: AT.buffers, len: 4 };
  bench.ring.offer([piece, piece, piece], 1);
  bench.ring.offer([piece], 2);
  bench.ring.offer([piece, piece], 3);
  queue.takeBurst(burst, 16);
  for (const i of [1, 2, 0]) queue.putUsed(burst.token[i]!, 0);
  queue.publishUsed();
  expect([0, 1, 3].map((slot) => bench.ring.bytes.read(slot))).toEqual(
    [2, 3, 1].map((id) => ({ len: 0, id, flags: USED_1 })),
  );
});

test('dev.packed.ordering.3: the flags of the first used descriptor of a batch are stored last and show the whole batch', () => {
  const bench = packed();
  for (let n = 0; n < 4; n++) bench.ring.offer([{ addr: AT.buffers, len: 8, flags: WRITE }]);
  const { accesses } = traced(bench);
  const { queue, burst } = bench;
  queue.takeBurst(burst, 16);
  burst.written.fill(8, 0, 4);
  queue.putUsedBurst(burst, 0, 4);
  // What the driver polls is unchanged, so it has seen nothing yet.
  expect(bench.ring.bytes.read(0).flags).toBe(AVAIL_1 | WRITE);
  expect(bench.ring.collect()).toEqual([]);
  queue.publishUsed();
  const stores = accesses.filter((one) => one.kind === 'store');
  expect(stores.at(-1)).toMatchObject({ gpa: AT.desc + 14, bytes: 2, value: USED_1 | WRITE, atomic: true });
  expect(stores.filter((one) => one.gpa === AT.desc + 14)).toHaveLength(1);
  expect(bench.ring.collect()).toEqual([0, 1, 2, 3].map((id) => ({ id, len: 8 })));
  // The driver's wish is looked at behind them.
  expect(accesses.at(-1)).toMatchObject({ kind: 'load', gpa: AT.driver + 2, atomic: true });
});

test('dev.packed.desc-table.1: a device-readable buffer is only ever asked for with the right to read', () => {
  let space: MeddlingSpace | undefined;
  const bench = packed({
    wrapSpace: (inner) => {
      space = new MeddlingSpace(inner);
      return space;
    },
  });
  const chain = [
    { addr: AT.rom, len: 6 },
    { addr: AT.seam - 2, len: 6 },
    { addr: AT.buffers, len: 30, flags: WRITE },
  ];
  const ids = [bench.ring.offer(chain), bench.ring.offer([bench.ring.table(AT.tables, chain)])];
  const sent = Uint8Array.of(...bench.guest.read(AT.rom, 6), ...bench.guest.read(AT.seam - 2, 6));
  space!.meddle = () => undefined;
  const since = bench.guest.snapshot();
  expect(bench.turn().sent).toEqual([sent, sent]);
  expect(bench.ring.collect()).toEqual(ids.map((id) => ({ id, len: 30 })));
  bench.expectUntouched(since, [...bench.ring.deviceBytes(), { gpa: AT.buffers, length: 30 }]);
  const asked = space!.asked.filter(([address]) => address !== AT.buffers);
  expect(asked.length).toBeGreaterThanOrEqual(5);
  expect(asked.every(([, , access]) => access === ACCESS.READ)).toBe(true);
});

test('dev.packed.desc-table.2: of a device-writable buffer nothing is loaded, and its content makes no difference', () => {
  const used: unknown[] = [];
  for (const content of [0x00, 0xff]) {
    const bench = packed();
    bench.guest.write(AT.buffers, new Uint8Array(64).fill(content));
    const { within } = traced(bench);
    bench.ring.offer([
      { addr: AT.buffers, len: 32, flags: WRITE },
      { addr: AT.buffers + 32, len: 32, flags: WRITE },
    ]);
    bench.turn();
    expect(within(AT.buffers, 64)).toEqual([]);
    used.push(bench.ring.collect());
    trace?.stop();
  }
  expect(used).toEqual([[{ id: 0, len: 48 }], [{ id: 0, len: 48 }]]);
});

test('dev.packed.desc-table.3: a descriptor is not used before its AVAIL flag changes', () => {
  const bench = packed();
  const { bytes } = bench.ring;
  // All but the flags is there; then the flags come.
  bytes.slot(0, AT.buffers, 4, 1, 0);
  expect(bench.queue.hasAvailable()).toBe(false);
  expect(bench.turn().taken).toBe(0);
  bytes.flags(0, AVAIL_1);
  expect(bench.queue.hasAvailable()).toBe(true);
  expect(bench.turn().taken).toBe(1);
  // Neither the used descriptor nor what lies behind it is available, and in the next lap AVAIL has to change again.
  expect(bench.turn().taken).toBe(0);
  for (let slot = 1; slot < SIZE; slot++) bytes.slot(slot, AT.buffers, 4, slot, AVAIL_1);
  expect(bench.turn().taken).toBe(SIZE - 1);
  bytes.flags(0, AVAIL_1);
  expect(bench.turn().taken).toBe(0);
  bytes.flags(0, AVAIL_0);
  expect(bench.turn().taken).toBe(1);
});

test('dev.packed.desc-table.3: a later available descriptor waits for the one before it', () => {
  const bench = packed();
  for (let slot = 1; slot < SIZE; slot++) bench.ring.bytes.slot(slot, AT.buffers, 4, slot, AVAIL_1);
  const since = bench.guest.snapshot();
  expect(bench.turn().taken).toBe(0);
  bench.expectUntouched(since, []);
  bench.ring.bytes.slot(0, AT.buffers, 4, 0, AVAIL_1);
  expect(bench.turn().taken).toBe(SIZE);
});

test('dev.packed.desc-table.4: a descriptor is not changed after its USED flag', () => {
  for (const features of [[], [VIRTIO_F.EVENT_IDX], [VIRTIO_F.IN_ORDER]]) {
    const bench = packed({ features });
    const { accesses } = traced(bench);
    const { queue, burst } = bench;
    const elements = [{ addr: AT.buffers, len: 8, flags: WRITE }];
    for (let n = 0; n < 5; n++) bench.ring.offer(elements);
    // Batches of 2, 2 and 1, with other work in between; one buffer is not filled, which ends a batch of IN_ORDER.
    queue.takeBurst(burst, 16);
    queue.putUsed(burst.token[0]!, 3);
    queue.putUsed(burst.token[1]!, 8);
    queue.publishUsed();
    queue.disableNotifications();
    burst.written.fill(8, 2, 4);
    queue.putUsedBurst(burst, 2, 2);
    queue.publishUsed();
    queue.enableNotifications();
    queue.putUsed(burst.token[4]!, 8);
    queue.publishUsed();
    const last = new Map<number, number>();
    const marked = new Map<number, number>();
    accesses.forEach(({ kind, gpa, bytes, value }, at) => {
      if (kind !== 'store' || gpa >= AT.desc + 16 * SIZE) return;
      const slot = (gpa - AT.desc) >> 4;
      last.set(slot, at);
      const flags = bytes === 2 ? value : value >>> 16;
      const isFlags = (gpa & 15) + bytes === 16;
      if (isFlags && (flags & USED_1) === USED_1) marked.set(slot, at);
    });
    expect(last.size).toBeGreaterThanOrEqual(3);
    // The last store into each slot is the one that marks it used.
    expect(marked).toEqual(last);
  }
});

test('dev.packed.scatter-gather.1: descriptors chained by NEXT are used in the order of the ring, over its end too', () => {
  const bench = packed({ size: 5 });
  bench.guest.write(AT.buffers, hex`00 01 02 03 04 05 06 07`);
  // Laps of 3 slots in a ring of 5: each chain begins elsewhere.
  for (let n = 0; n < 10; n++) {
    const id = bench.ring.offer([
      { addr: AT.buffers + 6, len: 2 },
      { addr: AT.buffers, len: 3 },
      { addr: AT.buffers + 0x100, len: 4, flags: WRITE },
    ]);
    expect(bench.turn().sent).toEqual([hex`06 07 00 01 02`]);
    expect(bench.ring.collect()).toEqual([{ id, len: 4 }]);
    expect(bench.guest.read(AT.buffers + 0x100, 4)).toEqual(PAYLOAD.subarray(0, 4));
  }
});

test('dev.packed.scatter-gather.1: the id of a list is that of its last descriptor', () => {
  const bench = packed();
  bench.ring.bytes.slot(1, AT.buffers, 1, 0x2222, AVAIL_1 | NEXT);
  bench.ring.bytes.slot(2, AT.buffers, 1, 0x3333, AVAIL_1);
  bench.ring.bytes.slot(0, AT.buffers, 1, 0x1111, AVAIL_1 | NEXT);
  bench.turn();
  expect(bench.ring.bytes.read(0)).toEqual({ len: 0, id: 0x3333, flags: USED_1 });
});

test('dev.packed.scatter-gather.2: a list has at most Queue Size buffers', () => {
  const one = { addr: AT.buffers, len: 1 };
  const many = (count: number): (typeof one)[] => Array.from({ length: count }, () => one);
  const chained = packed();
  const whole = chained.ring.offer(many(SIZE));
  chained.expectAllowed([new Uint8Array(SIZE).fill(chained.guest.read(AT.buffers, 1)[0]!)], [{ id: whole, len: 0 }]);
  const table = packed();
  table.expectDrop(CHAIN_FAULT.INDIRECT_LENGTH, table.ring.offer([table.ring.table(AT.tables, many(SIZE + 1))]));
});
