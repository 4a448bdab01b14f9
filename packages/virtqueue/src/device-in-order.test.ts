import { VIRTIO_F, VirtioError } from '@ringwire/virtio-spec';
import { describe, expect, test } from 'vitest';
import { AT, DeviceBench } from './testing/device-bench.js';
import type { HandPacked, HandSplit } from './testing/hand-ring.js';
import { AVAIL_0, AVAIL_1, hex, USED_0, USED_1, WRITE } from './testing/ring-bytes.js';

const SIZE = 8;
const features = [VIRTIO_F.IN_ORDER, VIRTIO_F.INDIRECT_DESC];
const toRead = { addr: AT.buffers, len: 8 };
const toWrite = { addr: AT.buffers, len: 8, flags: WRITE };

function split(idx = 0): DeviceBench<HandSplit> {
  const bench = new DeviceBench<HandSplit>('split', { features });
  bench.ring.reset(idx);
  bench.open({ layout: 'split', lastAvailIdx: idx, usedIdx: idx });
  // Whatever the device does not write stays as it is.
  bench.guest.write(AT.device + 4, new Uint8Array(8 * SIZE).fill(0xee));
  return bench;
}
const packed = (): DeviceBench<HandPacked> => new DeviceBench<HandPacked>('packed', { features });

/** Take all that is available and put it with these lengths. */
function use(bench: DeviceBench, written: readonly number[]): void {
  const { queue, burst } = bench;
  burst.clear();
  expect(queue.takeBurst(burst, 16)).toBe(written.length);
  burst.written.set(written);
  queue.putUsedBurst(burst, 0, written.length);
}

describe('split, virtio 1.4 §2.7.9', () => {
  const untouched = hex`eeeeeeee eeeeeeee`;
  const element = (bench: DeviceBench, slot: number): Uint8Array => bench.guest.read(AT.device + 4 + 8 * slot, 8);

  test('a batch is one element, in the slot of its first buffer, with the head of its last; idx skips the others', () => {
    const bench = split();
    for (let n = 0; n < 5; n++) bench.ring.offer([toRead]);
    use(bench, [0, 0, 0, 0, 0]);
    expect(bench.ring.bytes.usedIdx).toBe(0);
    bench.queue.publishUsed();
    // used = { flags 0, idx 5, ring [{ id 4, len 0 }, …] }
    expect(bench.guest.read(AT.device, 12)).toEqual(hex`0000 0500 04000000 00000000`);
    for (const slot of [1, 2, 3, 4, 5, 6, 7]) expect(element(bench, slot)).toEqual(untouched);
    // The next batch begins where the next buffer's element would be, and goes on over the end of the ring.
    for (let n = 0; n < 4; n++) bench.ring.offer([toRead]);
    use(bench, [0, 0, 0, 0]);
    bench.queue.publishUsed();
    expect([bench.ring.bytes.usedIdx, element(bench, 5)]).toEqual([9, hex`00000000 00000000`]);
    expect([element(bench, 6), element(bench, 7)]).toEqual([untouched, untouched]);
    expect(element(bench, 0)).toEqual(hex`04000000 00000000`);
  });

  test('completely written buffers are skipped, and the length is that of the last one', () => {
    const bench = split();
    for (const len of [3, 4, 5]) bench.ring.offer([{ ...toWrite, len }]);
    use(bench, [3, 4, 5]);
    bench.queue.publishUsed();
    expect([bench.ring.bytes.usedIdx, element(bench, 0)]).toEqual([3, hex`02000000 05000000`]);
    expect(element(bench, 1)).toEqual(untouched);
  });

  test('a buffer that is not completely written ends its batch, because a skipped one counts as full', () => {
    const bench = split();
    for (let n = 0; n < 6; n++) bench.ring.offer([toWrite]);
    use(bench, [8, 3, 8, 0, 7, 8]);
    bench.queue.publishUsed();
    expect(bench.ring.bytes.usedIdx).toBe(6);
    expect([0, 1, 2, 3, 4, 5].map((slot) => element(bench, slot))).toEqual([
      hex`01000000 03000000`,
      untouched,
      hex`03000000 00000000`,
      untouched,
      hex`04000000 07000000`,
      hex`05000000 08000000`,
    ]);
  });

  test('a batch ends where it is published, and spans any number of puts until then', () => {
    const bench = split();
    for (let n = 0; n < 4; n++) bench.ring.offer([toRead]);
    const { queue, burst } = bench;
    queue.takeBurst(burst, 16);
    queue.putUsed(0, 0);
    queue.putUsed(1, 0);
    queue.publishUsed();
    queue.putUsed(2, 0);
    queue.publishUsed();
    queue.putUsed(3, 0);
    queue.publishUsed();
    expect([element(bench, 0), element(bench, 1)]).toEqual([hex`01000000 00000000`, untouched]);
    expect([element(bench, 2), element(bench, 3)]).toEqual([hex`02000000 00000000`, hex`03000000 00000000`]);
    expect(bench.ring.bytes.usedIdx).toBe(4);
  });

  test('a batch goes over used index 65535 → 0', () => {
    const bench = split(65533);
    for (let n = 0; n < 6; n++) bench.ring.offer([toRead]);
    use(bench, [0, 0, 0, 0, 0, 0]);
    bench.queue.publishUsed();
    expect([bench.ring.bytes.usedIdx, element(bench, 5)]).toEqual([3, hex`05000000 00000000`]);
    expect(element(bench, 0)).toEqual(untouched);
  });
});

describe('packed, virtio 1.4 §2.8.8', () => {
  const slots = (bench: DeviceBench<HandPacked>): unknown[] =>
    Array.from({ length: SIZE }, (_, slot) => bench.ring.bytes.read(slot));

  test('a batch is one used descriptor, in the first slot of its first buffer, with the id of its last', () => {
    const bench = packed();
    bench.ring.offer([toRead, toRead], 20);
    bench.ring.offer([toRead], 21);
    bench.ring.offer([toRead, toRead], 22);
    const before = slots(bench);
    use(bench, [0, 0, 0]);
    expect(slots(bench)).toEqual(before);
    bench.queue.publishUsed();
    expect(slots(bench)).toEqual([{ len: 0, id: 22, flags: USED_1 }, ...before.slice(1)]);
    // The next batch begins at slot 5 and goes on into the second lap; its mark is that of the slot where it begins.
    bench.ring.offer([toRead, toRead], 23);
    bench.ring.offer([toRead, toRead, toRead], 24);
    use(bench, [0, 0]);
    bench.queue.publishUsed();
    expect(bench.ring.bytes.read(5)).toEqual({ len: 0, id: 24, flags: USED_1 });
    expect(bench.ring.bytes.read(7).flags & USED_1).toBe(AVAIL_1);
    // The one behind it begins in the second lap.
    bench.ring.offer([toRead], 25);
    use(bench, [0]);
    bench.queue.publishUsed();
    expect(bench.ring.bytes.read(2)).toEqual({ len: 0, id: 25, flags: USED_0 });
    expect(bench.ring.bytes.read(1).flags & USED_1).toBe(AVAIL_0);
  });

  test('a buffer that is not completely written ends its batch, because a skipped one counts as full', () => {
    const bench = packed();
    for (let id = 40; id < 46; id++) bench.ring.offer([toWrite], id);
    const before = slots(bench);
    use(bench, [8, 3, 8, 0, 7, 8]);
    bench.queue.publishUsed();
    expect(slots(bench)).toEqual([
      { len: 3, id: 41, flags: USED_1 | WRITE },
      before[1],
      { len: 0, id: 43, flags: USED_1 },
      before[3],
      { len: 7, id: 44, flags: USED_1 | WRITE },
      { len: 8, id: 45, flags: USED_1 | WRITE },
      before[6],
      before[7],
    ]);
  });

  test('a batch ends where it is published', () => {
    const bench = packed();
    for (let id = 60; id < 64; id++) bench.ring.offer([toRead], id);
    const { queue, burst } = bench;
    queue.takeBurst(burst, 16);
    for (const [from, count] of [
      [0, 2],
      [2, 1],
      [3, 1],
    ] as const) {
      queue.putUsedBurst(burst, from, count);
      queue.publishUsed();
    }
    expect([0, 2, 3].map((slot) => bench.ring.bytes.read(slot))).toEqual(
      [61, 62, 63].map((id) => ({ len: 0, id, flags: USED_1 })),
    );
    expect(bench.ring.bytes.read(1).flags).toBe(AVAIL_1);
  });
});

describe.each(['split', 'packed'] as const)('%s', (layout) => {
  test('with IN_ORDER, a chain that is not the oldest one in flight cannot be put', () => {
    const bench = new DeviceBench(layout, { features });
    for (let n = 0; n < 3; n++) bench.ring.offer([toRead]);
    const { queue, burst } = bench;
    queue.takeBurst(burst, 16);
    expect(() => queue.putUsed(burst.token[1]!, 0)).toThrow(VirtioError);
    queue.putUsed(burst.token[0]!, 0);
    expect(() => queue.putUsedBurst(burst, 2, 1)).toThrow(/token/);
    queue.putUsedBurst(burst, 1, 2);
    expect([queue.inFlight, queue.counters.used]).toEqual([0, 3]);
  });

  test('without IN_ORDER, every buffer has a used element of its own', () => {
    const bench = new DeviceBench(layout);
    const ids = [toRead, toWrite, toRead].map((one) => bench.ring.offer([one]));
    use(bench, [0, 8, 0]);
    bench.queue.publishUsed();
    expect(bench.ring.collect()).toEqual(ids.map((id, n) => ({ id, len: [0, 8, 0][n] })));
  });

  test('with IN_ORDER, a stopped queue takes its chains back and writes nothing', () => {
    const bench = new DeviceBench(layout, { features });
    for (let n = 0; n < 3; n++) bench.ring.offer([toWrite]);
    const { queue, burst } = bench;
    queue.takeBurst(burst, 16);
    queue.putUsed(burst.token[0]!, 3);
    const since = bench.guest.snapshot();
    queue.stop();
    queue.putUsed(burst.token[1]!, 3);
    queue.putUsedBurst(burst, 2, 1);
    expect([queue.publishUsed(), queue.inFlight]).toEqual([false, 0]);
    bench.expectUntouched(since, []);
  });
});
