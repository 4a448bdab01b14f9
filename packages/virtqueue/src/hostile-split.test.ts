import { VIRTIO_F } from '@ringwire/virtio-spec';
import { afterEach, expect, test } from 'vitest';
import { CHAIN_FAULT, RING_FAULT } from './queue-fault.js';
import { AT, type BenchOptions, DeviceBench } from './testing/device-bench.js';
import { deviceTurn, PAYLOAD } from './testing/device-turn.js';
import type { HandSplit } from './testing/hand-ring.js';
import { type MemoryTrace, traceMemory } from './testing/memory-trace.js';
import { descriptor, hex, INDIRECT, NEXT, WRITE } from './testing/ring-bytes.js';

// What a hostile driver can do with a split ring alone; hostile-chains.test.ts has what both layouts share.

const SIZE = 8;
const split = (options?: BenchOptions): DeviceBench<HandSplit> => new DeviceBench<HandSplit>('split', options);

/** A bench that notes every access to guest memory. */
let trace: MemoryTrace | undefined;
function traced(options?: BenchOptions): { bench: DeviceBench<HandSplit>; trace: MemoryTrace } {
  const bench = split(options);
  trace = traceMemory(bench.guest.space, bench.guest.space.regions);
  Object.assign(bench.config, { space: trace.space });
  bench.open();
  return { bench, trace };
}
afterEach(() => {
  trace?.stop();
  trace = undefined;
});

test.each([
  ['to itself', [0]],
  ['back to the head', [1, 2, 0]],
  ['back to an entry in the middle', [1, 2, 3, 1]],
  ['through the whole table and round again', [1, 2, 3, 4, 5, 6, 7, 0]],
])('SP-01: a chain whose next leads %s is given up after Queue Size entries', (_, next) => {
  for (const [len, flags] of [
    [16, 0],
    [0, 0],
    [16, WRITE],
  ] as const) {
    const bench = split();
    next.forEach((to, index) => {
      bench.ring.bytes.desc(index, AT.buffers, len, flags | NEXT, to);
    });
    bench.ring.publish(0);
    bench.expectDrop(CHAIN_FAULT.CHAIN_TOO_LONG, 0);
  }
});

test('SP-01: the walk loads Queue Size + 1 descriptors at most', () => {
  const { bench, trace } = traced();
  bench.ring.bytes.desc(0, AT.buffers, 16, NEXT, 0);
  bench.ring.publish(0);
  expect(bench.turn().faults).toEqual([CHAIN_FAULT.CHAIN_TOO_LONG]);
  // Four words each; the first one may be looked at twice.
  const loads = trace.within(AT.desc, 16 * SIZE).length;
  expect(loads).toBeGreaterThanOrEqual(4 * SIZE);
  expect(loads).toBeLessThanOrEqual(4 * (SIZE + 2));
});

test.each([SIZE, SIZE + 1, 0x7fff, 65535])('SP-02: next = %i leads out of the table and is not followed', (next) => {
  const { bench, trace } = traced();
  bench.ring.bytes.desc(0, AT.buffers, 16, NEXT, next);
  bench.ring.publish(0);
  bench.expectDrop(CHAIN_FAULT.NEXT_OUT_OF_RANGE, 0);
  expect(trace.within(AT.desc + 16 * SIZE, AT.driver - AT.desc - 16 * SIZE)).toEqual([]);
  expect(trace.accesses.filter((one) => Number.isNaN(one.gpa))).toEqual([]);
});

test('SP-03: one plain descriptor and an indirect table of Queue Size entries are one descriptor too many', () => {
  const bench = split();
  const entries = Array.from({ length: SIZE }, () => ({ addr: AT.buffers, len: 1 }));
  const table = bench.ring.table(AT.tables, entries);
  const id = bench.ring.offer([{ addr: AT.buffers, len: 1 }, table]);
  bench.expectDrop(CHAIN_FAULT.CHAIN_TOO_LONG, id);
  // One fewer is the longest legal chain.
  const shorter = bench.ring.table(AT.tables, entries.slice(1));
  const good = bench.ring.offer([{ addr: AT.buffers, len: 1 }, shorter]);
  bench.expectAllowed(
    [bench.guest.read(AT.buffers, 1 * SIZE).fill(bench.guest.read(AT.buffers, 1)[0]!)],
    [{ id: good, len: 0 }],
  );
});

test.each([SIZE, 65535])('SP-04: head = %i is a ring fault; no table entry is read', (head) => {
  const { bench, trace } = traced();
  bench.ring.publish(head);
  bench.turn();
  expect(trace.within(AT.desc, 0x1000)).toEqual([]);
  bench.open();
  bench.expectReset(RING_FAULT.HEAD_OUT_OF_RANGE);
});

test('SP-04: the good chain before a head out of range is not completed either: the used ring is left alone', () => {
  const bench = split();
  bench.ring.offer([{ addr: AT.buffers, len: 4 }]);
  bench.ring.publish(SIZE);
  bench.expectReset(RING_FAULT.HEAD_OUT_OF_RANGE);
});

test('SP-05: a whole ring of heads out of range is one ring fault', () => {
  const bench = split();
  for (let slot = 0; slot < SIZE; slot++) bench.ring.publish(0xfff0 + slot);
  bench.expectReset(RING_FAULT.HEAD_OUT_OF_RANGE);
});

test('SP-05: asking again and again, chain by chain, finds the same one ring fault', () => {
  const bench = split();
  for (let slot = 0; slot < SIZE; slot++) bench.ring.publish(SIZE + slot);
  for (let n = 0; n < SIZE; n++) expect(bench.queue.takeBurst(bench.burst, 1)).toBe(0);
  expect(bench.queue.counters.ringFaults.reduce((sum, count) => sum + count)).toBe(1);
});

test.each([SIZE + 1, 0x7fff, 0x8000, 0xfffe])(
  'SP-06: an available index that jumps forward by %i is a ring fault',
  (jump) => {
    const { bench, trace } = traced();
    bench.ring.bytes.availIdx(jump);
    bench.turn();
    // Neither an entry nor a descriptor of a stale slot is looked at.
    expect(trace.within(AT.driver + 4, 2 * SIZE)).toEqual([]);
    expect(trace.within(AT.desc, 16 * SIZE)).toEqual([]);
    bench.open();
    bench.expectReset(RING_FAULT.AVAIL_INDEX);
  },
);

test('SP-06: a jump by Queue Size is a full ring', () => {
  const bench = split();
  for (let n = 0; n < SIZE; n++) bench.ring.offer([{ addr: AT.buffers + n, len: 1 }]);
  const sent = Array.from({ length: SIZE }, (_, n) => bench.guest.read(AT.buffers + n, 1));
  bench.expectAllowed(
    sent,
    sent.map((_, id) => ({ id, len: 0 })),
  );
});

test('SP-07: an available index that moves backwards by one is a ring fault', () => {
  const fresh = split();
  fresh.ring.bytes.availIdx(65535);
  fresh.expectReset(RING_FAULT.AVAIL_INDEX);
  const used = split();
  used.expectProbe();
  used.ring.bytes.availIdx(used.ring.availIdx - 1);
  used.expectReset(RING_FAULT.AVAIL_INDEX);
});

test('SP-08: the available index wraps 65535 → 0 in the middle of a full batch', () => {
  const bench = split();
  bench.ring.reset(65532);
  bench.open({ layout: 'split', lastAvailIdx: 65532, usedIdx: 65532 });
  const sent = Array.from({ length: SIZE }, (_, n) => Uint8Array.of(0x40 + n));
  sent.forEach((bytes, n) => {
    bench.guest.write(AT.buffers + n, bytes);
    bench.ring.offer([{ addr: AT.buffers + n, len: 1 }]);
  });
  expect(bench.ring.availIdx).toBe(4);
  bench.expectAllowed(
    sent,
    sent.map((_, id) => ({ id, len: 0 })),
  );
  // Eight of the batch and two of the probe.
  expect(bench.ring.bytes.usedIdx).toBe(6);
});

test('SP-09: a head published twice is a ring fault, in one burst and across two', () => {
  const once = split();
  once.ring.publish(once.ring.offer([{ addr: AT.buffers, len: 4 }]));
  once.expectReset(RING_FAULT.HEAD_IN_FLIGHT);

  const later = split();
  const head = later.ring.offer([{ addr: AT.buffers, len: 4, flags: WRITE }]);
  expect(later.queue.takeBurst(later.burst, 1)).toBe(1);
  later.ring.publish(head);
  later.expectReset(RING_FAULT.HEAD_IN_FLIGHT);
});

test('SP-09: the chain in flight keeps its own buffers when its head comes a second time', () => {
  const bench = split();
  const head = bench.ring.offer([{ addr: AT.buffers, len: 4 }]);
  bench.queue.takeBurst(bench.burst, 1);
  bench.ring.bytes.desc(head, AT.buffers + 0x100, 64, WRITE);
  bench.ring.publish(head);
  expect(bench.queue.takeBurst(bench.burst, 1)).toBe(0);
  expect([bench.burst.count, bench.burst.readableBytes(0), bench.burst.writableBytes(0)]).toEqual([1, 4, 0]);
  const since = bench.guest.snapshot();
  bench.queue.putUsed(bench.burst.token[0]!, 0);
  expect(bench.queue.publishUsed()).toBe(false);
  expect(bench.queue.inFlight).toBe(0);
  bench.expectUntouched(since, []);
});

test('SP-22: INDIRECT together with NEXT is a chain fault', () => {
  const bench = split();
  const table = bench.ring.table(AT.tables, [{ addr: AT.buffers, len: 4 }]);
  const id = bench.ring.offer([table, { addr: AT.buffers, len: 4 }]);
  bench.expectDrop(CHAIN_FAULT.INDIRECT_WITH_NEXT, id);
});

test('SP-23: an indirect table inside an indirect table is not followed', () => {
  const { bench, trace } = traced();
  const inner = bench.ring.table(AT.tables + 0x100, [{ addr: AT.buffers, len: 4 }]);
  const outer = bench.ring.table(AT.tables, [{ addr: AT.buffers, len: 4 }, inner]);
  bench.expectDrop(CHAIN_FAULT.INDIRECT_NESTED, bench.ring.offer([outer]));
  expect(trace.within(AT.tables + 0x100, 16)).toEqual([]);
  // A table that is its own inner table ends as soon.
  bench.guest.write(AT.tables, descriptor(AT.tables, 16, INDIRECT, 0));
  bench.expectDrop(CHAIN_FAULT.INDIRECT_NESTED, bench.ring.offer([{ addr: AT.tables, len: 16, flags: INDIRECT }]));
});

test('SP-26: a next far into a table of 4 GiB is not followed', () => {
  const bench = split();
  bench.guest.write(AT.tables, descriptor(AT.buffers, 4, NEXT, 60000));
  const id = bench.ring.offer([{ addr: AT.tables, len: 0xffff_fff0, flags: INDIRECT }]);
  bench.expectDrop(CHAIN_FAULT.INDIRECT_LENGTH, id);
  // In a table that is short enough, its own length is what counts, not Queue Size.
  bench.guest.write(AT.tables, descriptor(AT.buffers, 4, NEXT, 2));
  const short = bench.ring.offer([{ addr: AT.tables, len: 32, flags: INDIRECT }]);
  bench.expectDrop(CHAIN_FAULT.NEXT_OUT_OF_RANGE, short);
});

test('SP-28: a cycle inside an indirect table ends after Queue Size entries', () => {
  const bench = split();
  for (const len of [16, 0]) {
    bench.guest.write(AT.tables, descriptor(AT.buffers, len, NEXT, 1));
    bench.guest.write(AT.tables + 16, descriptor(AT.buffers, len, NEXT, 0));
    const id = bench.ring.offer([{ addr: AT.tables, len: 32, flags: INDIRECT }]);
    bench.expectDrop(CHAIN_FAULT.CHAIN_TOO_LONG, id);
  }
});

test('SP-30: plain descriptors and one indirect table at the end are one chain', () => {
  for (const plain of [0, 1, 2]) {
    const bench = split();
    bench.guest.write(AT.buffers, hex`01 02 03 04 05 06 07 08`);
    const table = bench.ring.table(AT.tables, [
      { addr: AT.buffers + 4, len: 3 },
      { addr: AT.buffers + 0x100, len: 5, flags: WRITE },
    ]);
    const elements = Array.from({ length: plain }, (_, n) => ({ addr: AT.buffers + n, len: 1 }));
    const id = bench.ring.offer([...elements, table]);
    const sent = [...[1, 2].slice(0, plain), 5, 6, 7];
    bench.expectAllowed([Uint8Array.from(sent)], [{ id, len: 5 }], [{ gpa: AT.buffers + 0x100, length: 5 }]);
    expect(bench.guest.read(AT.buffers + 0x100, 5)).toEqual(PAYLOAD.subarray(0, 5));
  }
});

test('SP-33: the used ring is never read back, so overwriting it changes nothing', () => {
  const { bench, trace } = traced();
  const { queue, guest } = bench;
  for (let round = 0; round < 3; round++) {
    guest.write(AT.device, new Uint8Array(6 + 8 * SIZE).fill(0xee));
    bench.ring.offer([{ addr: AT.buffers, len: 4 }]);
    bench.turn();
    expect(bench.ring.bytes.usedIdx).toBe(round + 1);
    expect(bench.ring.bytes.usedElement(round)).toEqual({ id: round, len: 0 });
    queue.disableNotifications();
    queue.enableNotifications();
  }
  const touched = trace.within(AT.device, 6 + 8 * SIZE);
  expect(touched.length).toBeGreaterThan(9);
  expect(touched.filter((one) => one.kind === 'load')).toEqual([]);
});

test.each([
  [0xfffe, true],
  [0x8000, true],
  [0xffff, false],
  [0x0001, false],
])('SP-34: of the available ring flags 0x%s, only bit 0 is looked at', (flags, notify) => {
  const bench = split();
  bench.ring.bytes.availFlags(flags);
  const id = bench.ring.offer([{ addr: AT.buffers, len: 4 }]);
  expect(bench.expectAllowed([bench.guest.read(AT.buffers, 4)], [{ id, len: 0 }]).notify).toBe(notify);
});

test.each([65535, 65534, 0x8000, 7])('SP-35: used_event %i, behind the used index, suppresses modulo 2^16', (event) => {
  const bench = split({ features: [VIRTIO_F.EVENT_IDX] });
  bench.ring.reset(8);
  bench.open({ layout: 'split', lastAvailIdx: 8, usedIdx: 8 });
  bench.ring.bytes.usedEvent(event);
  const id = bench.ring.offer([{ addr: AT.buffers, len: 4 }]);
  expect(bench.expectAllowed([bench.guest.read(AT.buffers, 4)], [{ id, len: 0 }]).notify).toBe(false);
  // An honest driver's next wish is granted.
  bench.ring.bytes.usedEvent(bench.ring.availIdx);
  bench.ring.offer([{ addr: AT.buffers, len: 4 }]);
  expect(bench.turn().notify).toBe(true);
});

test('SP-35: used_event 65535 is granted when the used index passes it', () => {
  const bench = split({ features: [VIRTIO_F.EVENT_IDX] });
  bench.ring.reset(65534);
  bench.open({ layout: 'split', lastAvailIdx: 65534, usedIdx: 65534 });
  bench.ring.bytes.usedEvent(65535);
  const notify: boolean[] = [];
  for (let n = 0; n < 3; n++) {
    bench.ring.offer([{ addr: AT.buffers, len: 4 }]);
    notify.push(bench.turn().notify);
  }
  expect(notify).toEqual([false, true, false]);
});

test('SP-40: with IN_ORDER, heads out of ring order are taken as published and completed in that order', () => {
  const bench = split({ features: [VIRTIO_F.IN_ORDER] });
  const { bytes } = bench.ring;
  const heads = [6, 1, 7, 0, 3];
  heads.forEach((head) => {
    bench.guest.write(AT.buffers + head, Uint8Array.of(head));
    bytes.desc(head, AT.buffers + head, 1, 0);
    bench.ring.publish(head);
  });
  const turn = deviceTurn(bench.guest.memory, bench.queue, bench.burst);
  expect(turn.sent).toEqual(heads.map((head) => Uint8Array.of(head)));
  // One element for the batch, in its first slot, with the last head.
  expect([bytes.usedIdx, bytes.usedElement(0)]).toEqual([5, { id: 3, len: 0 }]);
  expect([bytes.usedElement(1), bench.queue.inFlight]).toEqual([{ id: 0, len: 0 }, 0]);
});

test('SP-40: with IN_ORDER, a head out of range or in flight is still a ring fault', () => {
  for (const [heads, fault] of [
    [[2, SIZE], RING_FAULT.HEAD_OUT_OF_RANGE],
    [[2, 2], RING_FAULT.HEAD_IN_FLIGHT],
  ] as const) {
    const bench = split({ features: [VIRTIO_F.IN_ORDER] });
    bench.ring.bytes.desc(2, AT.buffers, 4, 0);
    for (const head of heads) bench.ring.publish(head);
    const since = bench.guest.snapshot();
    bench.turn();
    expect(bench.queue.ringFault).toBe(fault);
    bench.expectUntouched(since, []);
  }
});
