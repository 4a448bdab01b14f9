import { VIRTIO_F } from '@ringwire/virtio-spec';
import { expect, test } from 'vitest';
import { AT, DeviceBench } from './testing/device-bench.js';
import type { HandPacked } from './testing/hand-ring.js';
import { hex } from './testing/ring-bytes.js';

const SIZE = 7;
const ENABLE = 0;
const DISABLE = 1;
const DESC = 2;

const packed = (features: readonly number[] = [], size = SIZE): DeviceBench<HandPacked> =>
  new DeviceBench<HandPacked>('packed', { size, features });

/** Use `count` buffers of one slot and publish them in one step. @returns whether the driver is to be notified */
function use(bench: DeviceBench<HandPacked>, count: number): boolean {
  for (let n = 0; n < count; n++) bench.ring.offer([{ addr: AT.buffers, len: 1 }]);
  const turn = bench.turn();
  expect([turn.taken, bench.ring.collect().length]).toEqual([count, count]);
  return turn.notify;
}

test('virtio 1.4 §2.8.10: the driver is notified while its event flags are ENABLE, not while they are DISABLE', () => {
  for (const features of [[], [VIRTIO_F.EVENT_IDX]]) {
    const bench = packed(features);
    const notified = [ENABLE, DISABLE, DISABLE, ENABLE, DISABLE].map((flags) => {
      bench.ring.bytes.driverEvent(0xffff, flags);
      return use(bench, 2);
    });
    expect(notified).toEqual([true, false, false, true, false]);
    expect(bench.queue.counters.notifications).toBe(2);
  }
});

test('DESC without EVENT_IDX negotiated counts as ENABLE', () => {
  const bench = packed();
  bench.ring.bytes.driverEvent(SIZE - 1, DESC);
  expect([use(bench, 1), use(bench, 1)]).toEqual([true, true]);
});

// Slots from … from + count - 1 of a ring of 7 are used in the lap with this wrap counter; bit 15 of the event is a wrap counter.
test.each([
  { from: 0, count: 1, event: [0, 1], notify: true },
  { from: 0, count: 1, event: [0, 0], notify: false },
  { from: 0, count: 1, event: [1, 1], notify: false },
  { from: 2, count: 3, event: [1, 1], notify: false },
  { from: 2, count: 3, event: [2, 1], notify: true },
  { from: 2, count: 3, event: [4, 1], notify: true },
  { from: 2, count: 3, event: [5, 1], notify: false },
  { from: 2, count: 3, event: [3, 0], notify: false },
  { from: 5, count: 4, event: [4, 1], notify: false },
  { from: 5, count: 4, event: [6, 1], notify: true },
  { from: 5, count: 4, event: [0, 0], notify: true },
  { from: 5, count: 4, event: [1, 0], notify: true },
  { from: 5, count: 4, event: [2, 0], notify: false },
  { from: 5, count: 4, event: [0, 1], notify: false },
  { from: 5, count: 4, event: [6, 0], notify: false },
  { from: 0, count: 7, event: [6, 1], notify: true },
  { from: 0, count: 7, event: [0, 0], notify: false },
  { from: 3, count: 7, event: [2, 0], notify: true },
  { from: 3, count: 7, event: [3, 0], notify: false },
])(
  'virtio 1.4 §2.8.10: DESC: $count slots used from slot $from of the first lap on, event [slot, wrap] $event: $notify',
  ({ from, count, event: [slot, wrap], notify }) => {
    const bench = packed([VIRTIO_F.EVENT_IDX]);
    bench.ring.bytes.driverEvent(0, DISABLE);
    for (let n = 0; n < from; n++) use(bench, 1);
    bench.ring.bytes.driverEvent(slot! | (wrap! << 15), DESC);
    expect(use(bench, count)).toBe(notify);
  },
);

test('DESC: in the second lap the wrap counter of the event is 0, in the third 1 again', () => {
  const bench = packed([VIRTIO_F.EVENT_IDX]);
  const notified: boolean[] = [];
  for (let n = 0; n < 3 * SIZE; n++) {
    bench.ring.bytes.driverEvent(3 | (n < 2 * SIZE ? 0 : 0x8000), DESC);
    notified.push(use(bench, 1));
  }
  expect(notified.flatMap((notify, n) => (notify ? [n] : []))).toEqual([SIZE + 3, 2 * SIZE + 3]);
});

test('DESC: the slots that a buffer of several has count as used with it', () => {
  for (const [slot, notify] of [
    [2, true],
    [4, true],
    [5, false],
  ] as const) {
    const bench = packed([VIRTIO_F.EVENT_IDX]);
    bench.ring.bytes.driverEvent(0, DISABLE);
    use(bench, 2);
    bench.ring.bytes.driverEvent(slot | 0x8000, DESC);
    const piece = { addr: AT.buffers, len: 1 };
    bench.ring.offer([piece, piece, piece]);
    expect(bench.turn().notify).toBe(notify);
  }
});

test('reserved bits of the driver event flags are not looked at', () => {
  const bench = packed();
  bench.ring.bytes.driverEvent(0, 0xfffc | DISABLE);
  expect(use(bench, 1)).toBe(false);
  bench.ring.bytes.driverEvent(0, 0xfffc | ENABLE);
  expect(use(bench, 1)).toBe(true);
});

test('virtio 1.4 §2.8.14: without EVENT_IDX, the device event area says DISABLE or ENABLE', () => {
  const bench = packed();
  const area = (): Uint8Array => bench.guest.read(AT.device, 4);
  expect(area()).toEqual(hex`0000 0000`);
  bench.queue.disableNotifications();
  expect(area()).toEqual(hex`0000 0100`);
  use(bench, 3);
  expect(area()).toEqual(hex`0000 0100`);
  expect(bench.queue.enableNotifications()).toBe(false);
  expect(area()).toEqual(hex`0000 0000`);
});

test('virtio 1.4 §2.8.14: with EVENT_IDX, enabling asks for the next slot with its wrap counter', () => {
  const bench = packed([VIRTIO_F.EVENT_IDX]);
  const area = (): Uint8Array => bench.guest.read(AT.device, 4);
  bench.queue.enableNotifications();
  expect(area()).toEqual(hex`0080 0200`);
  bench.queue.disableNotifications();
  expect(bench.ring.bytes.deviceEvent.flags).toBe(DISABLE);
  use(bench, 5);
  bench.queue.enableNotifications();
  expect(area()).toEqual(hex`0580 0200`);
  use(bench, 5);
  bench.queue.enableNotifications();
  // Slot 3 of the second lap: wrap counter 0.
  expect(area()).toEqual(hex`0300 0200`);
});

test('enabling notifications tells of a buffer that came in between', () => {
  for (const features of [[], [VIRTIO_F.EVENT_IDX]]) {
    const bench = packed(features);
    bench.queue.disableNotifications();
    bench.ring.offer([{ addr: AT.buffers, len: 1 }]);
    expect(bench.queue.enableNotifications()).toBe(true);
    bench.turn();
    expect(bench.queue.enableNotifications()).toBe(false);
  }
});

test('with nothing put, nothing is published and nobody notified', () => {
  const bench = packed();
  use(bench, 3);
  const since = bench.guest.snapshot();
  expect(bench.queue.publishUsed()).toBe(false);
  bench.expectUntouched(since, []);
});
