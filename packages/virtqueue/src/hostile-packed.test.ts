import { VIRTIO_F } from '@ringwire/virtio-spec';
import { expect, test } from 'vitest';
import { ChainBurst } from './chain-burst.js';
import { openDeviceQueue } from './open-queue.js';
import { CHAIN_FAULT, RING_FAULT } from './queue-fault.js';
import { isRefusal } from './queue-layout.js';
import { AT, type BenchOptions, DeviceBench } from './testing/device-bench.js';
import { deviceTurn, PAYLOAD } from './testing/device-turn.js';
import { type HandPacked, HandSplit } from './testing/hand-ring.js';
import {
  AVAIL_0,
  AVAIL_1,
  descriptor,
  hex,
  INDIRECT,
  NEXT,
  PackedBytes,
  USED_0,
  USED_1,
  WRITE,
} from './testing/ring-bytes.js';

// What a hostile driver can do with a packed ring alone; hostile-chains.test.ts has what both layouts share.

const SIZE = 8;
const packed = (options?: BenchOptions): DeviceBench<HandPacked> => new DeviceBench<HandPacked>('packed', options);

test('PK-01: NEXT on every slot of the ring is a ring fault', () => {
  for (const flags of [0, WRITE, INDIRECT]) {
    for (const size of [1, 2, 7, SIZE]) {
      const bench = packed({ size });
      for (let slot = 0; slot < size; slot++) bench.ring.bytes.slot(slot, AT.buffers, 4, 0, AVAIL_1 | NEXT | flags);
      bench.expectReset(RING_FAULT.ENDLESS_CHAIN);
    }
  }
});

test('PK-01: a chain that starts in the middle of the ring and has no end is a ring fault, and no buffer of it is used', () => {
  const bench = packed();
  bench.ring.offer([{ addr: AT.buffers, len: 4 }]);
  for (let n = 1; n <= SIZE; n++)
    bench.ring.bytes.slot(n % SIZE, AT.buffers, 4, 0, (n < SIZE ? AVAIL_1 : AVAIL_0) | NEXT);
  // Slot 0 belongs to the endless chain as well; what it looks like is a chain of Queue Size slots and more.
  bench.ring.bytes.flags(0, AVAIL_1 | NEXT);
  bench.expectReset(RING_FAULT.ENDLESS_CHAIN);
});

test('PK-01: a chain that runs into slots which the device still holds is one ring fault', () => {
  for (const addr of [AT.buffers, AT.end]) {
    const bench = packed();
    bench.ring.offer([{ addr: AT.buffers, len: 4 }]);
    bench.ring.offer([{ addr: AT.buffers, len: 4 }]);
    for (let slot = 2; slot < SIZE; slot++) bench.ring.bytes.slot(slot, addr, 4, 0, AVAIL_1 | NEXT);
    // Slot 0 holds the first buffer, which ends the chain.
    bench.expectReset(RING_FAULT.SLOTS_REUSED);
  }
});

test('PK-02: NEXT on an indirect descriptor is a chain fault, and whether the ring is empty is soon said', () => {
  const bench = packed();
  const table = bench.ring.table(AT.tables, [{ addr: AT.buffers, len: 4 }]);
  const id = bench.ring.offer([table, { addr: AT.buffers, len: 4 }]);
  expect(bench.queue.hasAvailable()).toBe(true);
  bench.expectDrop(CHAIN_FAULT.INDIRECT_WITH_NEXT, id);
  expect(bench.queue.hasAvailable()).toBe(false);
  // An indirect descriptor at the end of a list is as wrong: a list has one kind of descriptor (virtio 1.4 §2.8.5).
  const mixed = bench.ring.offer([{ addr: AT.buffers, len: 4 }, table]);
  bench.expectDrop(CHAIN_FAULT.INDIRECT_WITH_NEXT, mixed);
});

test('PK-02: NEXT on indirect descriptors all the way round is a ring fault', () => {
  const bench = packed();
  bench.ring.table(AT.tables, [{ addr: AT.buffers, len: 4 }]);
  for (let slot = 0; slot < SIZE; slot++) bench.ring.bytes.slot(slot, AT.tables, 16, 0, AVAIL_1 | NEXT | INDIRECT);
  expect(bench.queue.hasAvailable()).toBe(true);
  bench.expectReset(RING_FAULT.ENDLESS_CHAIN);
});

test('PK-04: of the flags of indirect entries only WRITE is looked at, their ids not at all', () => {
  const bench = packed();
  bench.guest.write(AT.buffers, hex`01 02 03 04 05 06`);
  bench.guest.write(AT.tables, descriptor(AT.buffers, 2, 0x1234, 0xffff & ~WRITE));
  bench.guest.write(AT.tables + 16, descriptor(AT.buffers + 2, 2, 0xffff, NEXT | INDIRECT));
  bench.guest.write(AT.tables + 32, descriptor(AT.buffers + 4, 2, 2, 0));
  bench.guest.write(AT.tables + 48, descriptor(AT.buffers + 0x100, 6, 0, 0xffff));
  const id = bench.ring.offer([{ addr: AT.tables, len: 64, flags: INDIRECT }], 0x77);
  bench.expectAllowed([hex`01 02 03 04 05 06`], [{ id, len: 6 }], [{ gpa: AT.buffers + 0x100, length: 6 }]);
});

test('PK-05: an INDIRECT entry of an indirect table is a plain buffer: the inner table is sent, not followed', () => {
  const bench = packed();
  bench.guest.write(AT.buffers, hex`de ad be ef`);
  const inner = bench.ring.table(AT.tables + 0x100, [{ addr: AT.buffers, len: 4 }]);
  const id = bench.ring.offer([bench.ring.table(AT.tables, [inner])]);
  bench.expectAllowed([descriptor(AT.buffers, 4, 0, 0)], [{ id, len: 0 }]);
  // A table that points to itself is no recursion either.
  const itself = bench.ring.table(AT.tables, [{ addr: AT.tables, len: 16, flags: INDIRECT }]);
  const again = bench.ring.offer([itself]);
  bench.expectAllowed([descriptor(AT.tables, 16, 0, INDIRECT)], [{ id: again, len: 0 }]);
});

test('PK-06: buffer id 65535 in a ring of 8 is echoed', () => {
  const bench = packed();
  const id = bench.ring.offer([{ addr: AT.buffers, len: 4, flags: WRITE }], 65535);
  bench.expectAllowed([], [{ id, len: 4 }], [{ gpa: AT.buffers, length: 4 }]);
  const ids = [65535, 8, 0x8000, 9];
  for (const one of ids) bench.ring.offer([{ addr: AT.buffers, len: 1 }], one);
  bench.turn();
  expect(bench.ring.collect().map((used) => used.id)).toEqual(ids);
});

test('PK-07: two outstanding buffers with one id are two completions, each with its own bytes', () => {
  for (const order of [
    [0, 1],
    [1, 0],
  ]) {
    const bench = packed();
    bench.guest.write(AT.buffers, hex`01 02`);
    bench.ring.offer(
      [
        { addr: AT.buffers, len: 2 },
        { addr: AT.buffers + 0x10, len: 3, flags: WRITE },
      ],
      5,
    );
    bench.ring.offer(
      [
        { addr: AT.buffers + 1, len: 1 },
        { addr: AT.buffers + 0x20, len: 7, flags: WRITE },
      ],
      5,
    );
    expect(bench.queue.takeBurst(bench.burst, 8)).toBe(2);
    expect([bench.burst.writableBytes(0), bench.burst.writableBytes(1)]).toEqual([3, 7]);
    for (const i of order) bench.queue.putUsed(bench.burst.token[i]!, bench.burst.writableBytes(i));
    bench.queue.publishUsed();
    expect(bench.ring.collect()).toEqual(order.map((i) => ({ id: 5, len: [3, 7][i] })));
    bench.expectProbe();
  }
});

test.each([
  ['both set', USED_1],
  ['neither set', USED_0],
  ['those of the other lap', AVAIL_0],
])('PK-08: a slot whose AVAIL and USED are %s is not available', (_, marks) => {
  const bench = packed();
  bench.ring.bytes.slot(0, AT.buffers, 4, 0, marks);
  const since = bench.guest.snapshot();
  expect(bench.queue.hasAvailable()).toBe(false);
  expect(bench.turn()).toMatchObject({ taken: 0, notify: false });
  bench.expectUntouched(since, []);
  bench.expectProbe();
});

test('PK-08: in the second lap the same holds with the marks inverted', () => {
  for (const [marks, taken] of [
    [USED_0, 0],
    [USED_1, 0],
    [AVAIL_1, 0],
    [AVAIL_0, 1],
  ] as const) {
    const bench = packed();
    for (let n = 0; n < SIZE; n++) bench.ring.offer([{ addr: AT.buffers, len: 1 }]);
    bench.turn();
    bench.ring.bytes.slot(0, AT.buffers, 4, 0, marks);
    expect(bench.turn().taken).toBe(taken);
  }
});

test('PK-09: wrap bits toggled twice without a buffer are no buffer, or the one that lies there', () => {
  const bench = packed();
  // The driver thinks that it is a lap ahead, and then two: the slots look as in the lap before, and as in this one.
  for (let slot = 0; slot < SIZE; slot++) bench.ring.bytes.slot(slot, AT.buffers, 4, slot, AVAIL_0);
  expect(bench.turn().taken).toBe(0);
  expect(bench.queue.enableNotifications()).toBe(false);
  for (let slot = 0; slot < SIZE; slot++) bench.ring.bytes.flags(slot, AVAIL_1);
  expect(bench.turn()).toMatchObject({ taken: SIZE, faults: [] });
  expect(bench.turn().taken).toBe(0);
  bench.reset();
  bench.expectProbe();
});

test('PK-10: all 16 flag bits set are no available slot; in the middle of a chain they are a chain fault', () => {
  const bench = packed();
  bench.ring.bytes.slot(0, AT.buffers, 4, 0, 0xffff);
  expect(bench.turn().taken).toBe(0);
  bench.ring.reset();
  // Three slots: the second says NEXT and INDIRECT and all that nobody knows.
  const id = bench.ring.offer([
    { addr: AT.buffers, len: 4 },
    { addr: AT.tables, len: 16, flags: 0xffff },
    { addr: AT.buffers, len: 4 },
  ]);
  bench.expectDrop(CHAIN_FAULT.INDIRECT_WITH_NEXT, id);
});

test('PK-10: all flags but USED are INDIRECT with NEXT, a chain fault; unknown bits alone mean nothing', () => {
  const bench = packed();
  const id = bench.ring.offer([
    { addr: AT.tables, len: 16, flags: 0x7fff },
    { addr: AT.buffers, len: 4 },
  ]);
  bench.expectDrop(CHAIN_FAULT.INDIRECT_WITH_NEXT, id);
  bench.ring.reset();
  bench.open();
  const unknown = 0xffff & ~(NEXT | WRITE | INDIRECT | USED_1);
  const good = bench.ring.offer([{ addr: AT.buffers, len: 4, flags: unknown }]);
  bench.expectAllowed([bench.guest.read(AT.buffers, 4)], [{ id: good, len: 0 }]);
});

test('PK-12: later slots of a chain that are not written yet are read as they are', () => {
  const bench = packed();
  // The head alone: behind it lie the zeros of a new ring, an element without a byte, which ends the chain with id 0.
  bench.ring.bytes.slot(0, AT.buffers, 4, 3, AVAIL_1 | NEXT);
  expect(bench.turn()).toMatchObject({ taken: 1, sent: [bench.guest.read(AT.buffers, 4)] });
  expect(bench.ring.bytes.read(0)).toEqual({ len: 0, id: 0, flags: USED_1 });
  expect(bench.ring.bytes.read(1)).toEqual({ len: 0, id: 0, flags: 0 });
  bench.reset();
  // Behind it lies what the last lap left, which is out of reach.
  bench.ring.bytes.slot(1, AT.end, 4, 9, USED_0);
  bench.ring.bytes.slot(0, AT.buffers, 4, 3, AVAIL_1 | NEXT);
  expect(bench.turn()).toMatchObject({ sent: [], faults: [CHAIN_FAULT.ADDRESS] });
  expect(bench.ring.bytes.read(0)).toEqual({ len: 0, id: 9, flags: USED_1 });
  bench.reset();
  bench.expectProbe();
});

test('PK-13: a ring of one slot takes a chain of 1, then an indirect table of 1, over and over', () => {
  const bench = packed({ size: 1 });
  bench.guest.write(AT.buffers, hex`01 02 03`);
  for (let lap = 0; lap < 5; lap++) {
    const direct = bench.ring.offer([{ addr: AT.buffers, len: 3 }]);
    bench.expectAllowed([hex`01 02 03`], [{ id: direct, len: 0 }]);
    const table = bench.ring.table(AT.tables, [{ addr: AT.buffers + 0x10, len: 5, flags: WRITE }]);
    const indirect = bench.ring.offer([table]);
    bench.expectAllowed([], [{ id: indirect, len: 5 }], [{ gpa: AT.buffers + 0x10, length: 5 }]);
    expect(bench.guest.read(AT.buffers + 0x10, 5)).toEqual(PAYLOAD.subarray(0, 5));
  }
});

test('PK-14: a ring of 7 slots wraps exactly, over 100 000 buffers of one to three slots', () => {
  const bench = packed({ size: 7 });
  const queue = openDeviceQueue(bench.config);
  if (isRefusal(queue)) throw new Error(queue.message);
  const burst = new ChainBurst(8);
  const pieces = [1, 2, 3].map((count) =>
    Array.from({ length: count }, (_, at) => ({ addr: AT.buffers + at, len: 1 })),
  );
  for (let n = 0; n < 100_000; ) {
    const ids = [pieces[n % 3]!, pieces[(n + 1) % 3]!, pieces[0]!].map((elements, at) =>
      bench.ring.offer(elements, (n + at) & 0xffff),
    );
    burst.clear();
    if (queue.takeBurst(burst, 8) !== 3) throw new Error(`buffer ${n} was not taken`);
    queue.putUsedBurst(burst, 0, 3);
    queue.publishUsed();
    const used = bench.ring.collect();
    if (used.length !== 3 || used.some(({ id, len }, at) => id !== ids[at] || len !== 0))
      throw new Error(`buffer ${n}: ${JSON.stringify(used)}`);
    n += 3;
  }
  expect(queue.counters).toMatchObject({ taken: 100_002, used: 100_002 });
  expect([queue.inFlight, queue.ringFault]).toEqual([0, 0]);
});

test('PK-15: the reserved event flags 3 count as ENABLE, and an honest wish afterwards is granted', () => {
  for (const features of [[], [VIRTIO_F.EVENT_IDX]]) {
    const bench = packed({ features });
    bench.ring.bytes.driverEvent(0, 3);
    const id = bench.ring.offer([{ addr: AT.buffers, len: 4 }]);
    expect(bench.expectAllowed([bench.guest.read(AT.buffers, 4)], [{ id, len: 0 }]).notify).toBe(true);
    bench.ring.bytes.driverEvent(0, 1);
    bench.ring.offer([{ addr: AT.buffers, len: 4 }]);
    expect(bench.turn().notify).toBe(false);
    bench.ring.bytes.driverEvent(0, 0xfffc);
    bench.ring.offer([{ addr: AT.buffers, len: 4 }]);
    expect(bench.turn().notify).toBe(true);
  }
});

test('PK-15: an event offset beyond the ring counts as ENABLE', () => {
  const bench = packed({ features: [VIRTIO_F.EVENT_IDX] });
  for (const off of [SIZE, 0x7fff, 0xffff]) {
    bench.ring.bytes.driverEvent(off, 2);
    bench.ring.offer([{ addr: AT.buffers, len: 4 }]);
    expect(bench.turn().notify).toBe(true);
  }
});

test('PK-19: what the device itself writes into the ring is checked like any other descriptor when its turn comes', () => {
  const bench = packed();
  // A buffer of 16 bytes that is slot 1 of the ring: the payload there is a descriptor of its own.
  for (const [addr, fault] of [
    [AT.end, CHAIN_FAULT.ADDRESS],
    [AT.buffers, CHAIN_FAULT.NONE],
  ] as const) {
    bench.ring.offer([{ addr: AT.desc + 16, len: 16, flags: WRITE }]);
    const { queue, burst, guest } = bench;
    burst.clear();
    expect(queue.takeBurst(burst, 16)).toBe(1);
    guest.write(AT.desc + 16, descriptor(addr, 4, 0x55, AVAIL_1));
    queue.putUsed(burst.token[0]!, 16);
    queue.publishUsed();
    const since = guest.snapshot();
    expect(bench.turn().faults).toEqual(fault === CHAIN_FAULT.NONE ? [] : [fault]);
    expect(bench.ring.bytes.read(1)).toEqual({ len: 0, id: 0x55, flags: USED_1 });
    bench.expectUntouched(since, [{ gpa: AT.desc + 24, length: 8 }]);
    bench.reset();
    bench.expectProbe();
    bench.reset();
  }
});

test('PK-21: a packed ring laid out without RING_PACKED negotiated is read as a split one, and contained', () => {
  for (const event of [hex`0000 0000`, hex`0000 0200`, hex`0580 0200`, hex`0000 ffff`]) {
    const bench = new DeviceBench<HandSplit>('split');
    const stray = new PackedBytes(bench.guest, SIZE, AT);
    stray.zero();
    for (let slot = 0; slot < SIZE; slot++)
      stray.slot(slot, AT.buffers + 16 * slot, 16, slot, AVAIL_1 | (slot & 1 ? WRITE : 0));
    bench.guest.write(AT.driver, event);
    const since = bench.guest.snapshot();
    bench.turn();
    bench.turn();
    bench.expectUntouched(since, [...bench.ring.deviceBytes(), { gpa: AT.buffers, length: 16 * SIZE }]);
    bench.reset();
    bench.expectProbe();
  }
});

test('PK-22: split, packed and split again over the same memory: nothing of the former life is used', () => {
  const bench = packed();
  const { guest } = bench;
  const burst = new ChainBurst(16);
  // Only the driver's duty is done between two lives: each life's own parts start as it wants them.
  for (const layout of ['split', 'packed', 'split', 'packed'] as const) {
    const ring = layout === 'split' ? new HandSplit(guest, SIZE, AT) : bench.ring;
    ring.reset();
    const features = layout === 'packed' ? bench.config.features : new Uint32Array(4);
    const queue = openDeviceQueue({ ...bench.config, features });
    if (isRefusal(queue)) throw new Error(queue.message);
    expect([queue.hasAvailable(), queue.takeBurst(burst, 16), queue.inFlight]).toEqual([false, 0, 0]);
    for (let n = 0; n < SIZE + 3; n++) {
      const id = ring.offer([{ addr: AT.buffers + n, len: 1 }]);
      expect(deviceTurn(guest.memory, queue, burst).sent).toEqual([guest.read(AT.buffers + n, 1)]);
      expect(ring.collect()).toEqual([{ id, len: 0 }]);
    }
    // One chain stays in flight when the reset comes.
    ring.offer([{ addr: AT.buffers, len: 4, flags: WRITE }]);
    burst.clear();
    expect(queue.takeBurst(burst, 16)).toBe(1);
    queue.stop();
    const since = guest.snapshot();
    queue.putUsed(burst.token[0]!, 4);
    expect(queue.publishUsed()).toBe(false);
    bench.expectUntouched(since, []);
  }
});
