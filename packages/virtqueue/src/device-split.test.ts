import { ACCESS } from '@ringwire/guest-memory';
import { VIRTIO_F } from '@ringwire/virtio-spec';
import { afterEach, expect, test } from 'vitest';
import { CHAIN_FAULT } from './queue-fault.js';
import { AT, type BenchOptions, DeviceBench } from './testing/device-bench.js';
import { PAYLOAD } from './testing/device-turn.js';
import type { HandSplit } from './testing/hand-ring.js';
import { MeddlingSpace } from './testing/meddling-space.js';
import { type MemoryTrace, traceMemory } from './testing/memory-trace.js';
import { hex, WRITE } from './testing/ring-bytes.js';

const SIZE = 8;
const split = (options?: BenchOptions): DeviceBench<HandSplit> => new DeviceBench<HandSplit>('split', options);

let trace: MemoryTrace | undefined;
afterEach(() => {
  trace?.stop();
  trace = undefined;
});
/** From now on the queue's accesses to guest memory are noted. */
function traced(bench: DeviceBench<HandSplit>): MemoryTrace {
  trace = traceMemory(bench.guest.space, bench.guest.space.regions);
  Object.assign(bench.config, { space: trace.space });
  bench.open(bench.queue.save());
  return trace;
}

test('dev.split.used-ring.1: the device returns the head it took, with len, before idx', () => {
  const bench = split();
  const { guest } = bench;
  // descriptor 2 = { addr 0x18000, len 64, WRITE }, descriptor 5 = { addr 0x18100, len 3 }
  guest.write(AT.desc + 2 * 16, hex`0080010000000000 40000000 0200 0000`);
  guest.write(AT.desc + 5 * 16, hex`0081010000000000 03000000 0000 0000`);
  // avail = { flags 0, idx 2, ring [2, 5] }
  guest.write(AT.driver, hex`0000 0200 0200 0500`);
  const { accesses, within } = traced(bench);
  const { queue, burst } = bench;
  expect(queue.takeBurst(burst, 16)).toBe(2);
  queue.putUsed(burst.token[0]!, 12);
  queue.putUsed(burst.token[1]!, 0);
  // Elements are there, idx is not.
  expect(guest.read(AT.device, 20)).toEqual(hex`0000 0000 02000000 0c000000 05000000 00000000`);
  queue.publishUsed();
  // used = { flags 0, idx 2, ring [{ id 2, len 12 }, { id 5, len 0 }] }
  expect(guest.read(AT.device, 22)).toEqual(hex`0000 0200 02000000 0c000000 05000000 00000000 0000`);
  const stores = accesses.filter((one) => one.kind === 'store');
  expect(stores.at(-1)).toMatchObject({ gpa: AT.device + 2, bytes: 2, value: 2, atomic: true });
  expect(stores.map((one) => one.gpa).sort((a, b) => a - b)).toEqual([2, 4, 8, 12, 16].map((at) => AT.device + at));
  // The driver's wish is looked at behind idx: what it asks for in between is not missed.
  expect(accesses.at(-1)).toMatchObject({ kind: 'load', gpa: AT.driver, atomic: true });
  expect(within(AT.driver + 2, 2).every((one) => one.atomic)).toBe(true);
});

test('dev.split.used-ring.1: a burst put at once has every element before idx', () => {
  const bench = split();
  const { accesses } = traced(bench);
  for (let n = 0; n < SIZE; n++) bench.ring.offer([{ addr: AT.buffers, len: 8, flags: WRITE }]);
  const { queue, burst } = bench;
  queue.takeBurst(burst, 16);
  burst.written.fill(7, 0, SIZE);
  queue.putUsedBurst(burst, 0, SIZE);
  expect(bench.ring.bytes.usedIdx).toBe(0);
  queue.publishUsed();
  const stores = accesses.filter((one) => one.kind === 'store');
  expect(stores.findIndex((one) => one.gpa === AT.device + 2)).toBe(stores.length - 1);
  expect(stores).toHaveLength(2 * SIZE + 1);
  expect(bench.ring.collect()).toEqual(Array.from({ length: SIZE }, (_, id) => ({ id, len: 7 })));
});

test('dev.split.used-ring.2: the bytes counted by len are in the buffer, from its first writable byte on, before idx', () => {
  const bench = split();
  bench.ring.offer([
    { addr: AT.buffers, len: 4 },
    { addr: AT.buffers + 0x100, len: 5, flags: WRITE },
    { addr: AT.buffers + 0x200, len: 9, flags: WRITE },
  ]);
  let seen: Uint8Array | undefined;
  const { queue, guest } = bench;
  const publish = queue.publishUsed.bind(queue);
  Object.assign(queue, {
    publishUsed: () => {
      expect(bench.ring.bytes.usedIdx).toBe(0);
      seen = Uint8Array.of(...guest.read(AT.buffers + 0x100, 5), ...guest.read(AT.buffers + 0x200, 9));
      return publish();
    },
  });
  bench.turn();
  expect(bench.ring.collect()).toEqual([{ id: 0, len: 14 }]);
  expect(seen).toEqual(PAYLOAD.subarray(0, 14));
});

test.each([
  ['one descriptor', [16]],
  ['a header of its own', [12, 4]],
  ['a header cut in the middle', [5, 11]],
  ['byte by byte', [1, 1, 1, 1, 1, 1, 1, 9]],
])('dev.split.framing.1: the same 16 bytes are the same message as %s', (_, lengths) => {
  const bytes = hex`10 11 12 13 14 15 16 17 18 19 1a 1b 1c 1d 1e 1f`;
  for (const indirect of [false, true]) {
    const bench = split();
    bench.guest.write(AT.buffers, bytes);
    let at = 0;
    const elements = lengths.map((len) => {
      const addr = AT.buffers + at;
      at += len;
      return { addr, len };
    });
    const id = bench.ring.offer(indirect ? [bench.ring.table(AT.tables, elements)] : elements);
    bench.expectAllowed([bytes], [{ id, len: 0 }]);
  }
});

test('dev.split.framing.2: a chain has at most Queue Size descriptors, however they are split between ring and table', () => {
  const one = { addr: AT.buffers, len: 1 };
  for (const plain of [0, 1, SIZE - 1]) {
    for (const [total, faults] of [
      [SIZE, []],
      [SIZE + 1, [plain === 0 ? CHAIN_FAULT.INDIRECT_LENGTH : CHAIN_FAULT.CHAIN_TOO_LONG]],
    ] as const) {
      const bench = split();
      const table = bench.ring.table(
        AT.tables,
        Array.from({ length: total - plain }, () => one),
      );
      bench.ring.offer([...Array.from({ length: plain }, () => one), table]);
      expect(bench.turn()).toMatchObject({ taken: 1, faults });
    }
  }
});

test('dev.split.desc-table.1: a device-readable buffer is only ever asked for with the right to read', () => {
  let space: MeddlingSpace | undefined;
  const bench = split({
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

test('dev.split.desc-table.2: of a device-writable buffer nothing is loaded, and its content makes no difference', () => {
  const used: unknown[] = [];
  for (const content of [0x00, 0xff]) {
    const bench = split();
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

test('dev.split.desc-table.4: the descriptor table and the available ring are never written, nor an indirect table', () => {
  for (const features of [[VIRTIO_F.INDIRECT_DESC], [VIRTIO_F.INDIRECT_DESC, VIRTIO_F.EVENT_IDX, VIRTIO_F.IN_ORDER]]) {
    const bench = split({ features });
    const { accesses } = traced(bench);
    bench.ring.offer([
      { addr: AT.buffers, len: 4 },
      { addr: AT.buffers + 8, len: 4, flags: WRITE },
    ]);
    bench.ring.offer([bench.ring.table(AT.tables, [{ addr: AT.buffers, len: 4 }])]);
    bench.ring.offer([{ addr: AT.end, len: 4 }]);
    bench.queue.disableNotifications();
    bench.turn();
    bench.queue.enableNotifications();
    const stores = accesses.filter((one) => one.kind === 'store');
    expect(stores.length).toBeGreaterThan(3);
    expect(stores.every(({ gpa }) => gpa >= AT.device && gpa < AT.device + 6 + 8 * SIZE)).toBe(true);
  }
});

test('a queue runs with its descriptor table and available ring in memory that it may not write', () => {
  const bench = split({ place: { desc: AT.rom, driver: AT.rom + 0x800, device: AT.device } });
  const id = bench.ring.offer([{ addr: AT.buffers, len: 4 }]);
  bench.expectAllowed([bench.guest.read(AT.buffers, 4)], [{ id, len: 0 }]);
});

test('dev.split.indirect.1: WRITE on a descriptor that points to an indirect table is ignored', () => {
  const bench = split();
  // table = [{ addr 0x18000, len 4 }, { addr 0x18100, len 8, WRITE }], 32 bytes at 0x14000
  bench.guest.write(AT.tables, hex`0080010000000000 04000000 0100 0100  0081010000000000 08000000 0200 0000`);
  // descriptor 0 = { addr 0x14000, len 32, INDIRECT | WRITE }
  bench.guest.write(AT.desc, hex`0040010000000000 20000000 0600 0000`);
  bench.ring.publish(0);
  const { queue, burst } = bench;
  expect(queue.takeBurst(burst, 1)).toBe(1);
  expect([burst.fault[0], burst.readableBytes(0), burst.writableBytes(0)]).toEqual([0, 4, 8]);
});

test('dev.split.indirect.2: plain descriptors that end in an INDIRECT one are one buffer, in order', () => {
  const bench = split();
  bench.guest.write(AT.buffers, hex`01 02 03 04 05 06`);
  // descriptor 3 = { addr 0x18000, len 2, NEXT, next 1 }, descriptor 1 = { addr 0x18002, len 1, NEXT, next 6 }
  bench.guest.write(AT.desc + 3 * 16, hex`0080010000000000 02000000 0100 0100`);
  bench.guest.write(AT.desc + 1 * 16, hex`0280010000000000 01000000 0100 0600`);
  // descriptor 6 = { addr 0x14000, len 48, INDIRECT }; its table goes from entry 0 over 2 to 1
  bench.guest.write(AT.desc + 6 * 16, hex`0040010000000000 30000000 0400 0000`);
  bench.guest.write(AT.tables, hex`0380010000000000 02000000 0100 0200`);
  bench.guest.write(AT.tables + 16, hex`0081010000000000 0a000000 0200 0000`);
  bench.guest.write(AT.tables + 32, hex`0580010000000000 01000000 0100 0100`);
  bench.ring.publish(3);
  expect(bench.turn().sent).toEqual([hex`01 02 03 04 05 06`]);
  expect(bench.ring.collect()).toEqual([{ id: 3, len: 10 }]);
  expect(bench.guest.read(AT.buffers + 0x100, 10)).toEqual(PAYLOAD.subarray(0, 10));
});
