import { VIRTIO_F } from '@ringwire/virtio-spec';
import { expect, test } from 'vitest';
import { AT, DeviceBench } from './testing/device-bench.js';
import type { HandSplit } from './testing/hand-ring.js';

const SIZE = 8;

/** A queue whose both indexes start at `idx`. */
function splitAt(idx: number, features: readonly number[]): DeviceBench<HandSplit> {
  const bench = new DeviceBench<HandSplit>('split', { features });
  bench.ring.reset(idx);
  bench.open({ layout: 'split', lastAvailIdx: idx, usedIdx: idx });
  return bench;
}
const plain = (idx = 0): DeviceBench<HandSplit> => splitAt(idx, []);
const eventIdx = (idx = 0): DeviceBench<HandSplit> => splitAt(idx, [VIRTIO_F.EVENT_IDX]);

/** Use `count` buffers and publish them in one step. @returns whether the driver is to be notified */
function use(bench: DeviceBench<HandSplit>, count: number): boolean {
  for (let n = 0; n < count; n++) bench.ring.offer([{ addr: AT.buffers, len: 1 }]);
  const turn = bench.turn();
  expect(turn.taken).toBe(count);
  return turn.notify;
}

test('dev.split.used-notif-suppression.1: without EVENT_IDX, used_event makes no difference', () => {
  for (const event of [0, 1, 0x7fff, 0xffff]) {
    const bench = plain();
    bench.ring.bytes.usedEvent(event);
    expect([use(bench, 1), use(bench, 3)]).toEqual([true, true]);
    bench.ring.bytes.availFlags(1);
    expect([use(bench, 1), use(bench, 3)]).toEqual([false, false]);
  }
});

test('dev.split.used-notif-suppression.2,.3: without EVENT_IDX, flags 1 suppresses the notification and flags 0 does not', () => {
  const bench = plain(65530);
  const notified: boolean[] = [];
  for (const flags of [0, 1, 1, 0, 1, 0, 0, 1]) {
    bench.ring.bytes.availFlags(flags);
    notified.push(use(bench, 2));
  }
  expect(notified).toEqual([true, false, false, true, false, true, true, false]);
  expect(bench.queue.counters.notifications).toBe(4);
});

test('dev.split.used-notif-suppression.4: with EVENT_IDX, bit 0 of flags makes no difference', () => {
  for (const flags of [0, 1, 0xffff]) {
    const bench = eventIdx();
    bench.ring.bytes.availFlags(flags);
    bench.ring.bytes.usedEvent(1);
    expect([use(bench, 1), use(bench, 1), use(bench, 1)]).toEqual([false, true, false]);
  }
});

// The driver is notified exactly when an entry was written at an index equal to used_event: first ≤ event < first + count.
test.each([
  { from: 0, count: 1, event: 0, notify: true },
  { from: 0, count: 1, event: 1, notify: false },
  { from: 0, count: 1, event: 65535, notify: false },
  { from: 5, count: 3, event: 4, notify: false },
  { from: 5, count: 3, event: 5, notify: true },
  { from: 5, count: 3, event: 6, notify: true },
  { from: 5, count: 3, event: 7, notify: true },
  { from: 5, count: 3, event: 8, notify: false },
  { from: 5, count: 3, event: 5 + 0x8000, notify: false },
  { from: 65534, count: 4, event: 65533, notify: false },
  { from: 65534, count: 4, event: 65534, notify: true },
  { from: 65534, count: 4, event: 65535, notify: true },
  { from: 65534, count: 4, event: 0, notify: true },
  { from: 65534, count: 4, event: 1, notify: true },
  { from: 65534, count: 4, event: 2, notify: false },
  { from: 65528, count: SIZE, event: 65535, notify: true },
  { from: 65528, count: SIZE, event: 0, notify: false },
])(
  'dev.split.used-notif-suppression.5,.6: with EVENT_IDX, $count entries from index $from on and used_event $event: $notify',
  ({ from, count, event, notify }) => {
    const bench = eventIdx(from);
    bench.ring.bytes.usedEvent(event);
    expect(use(bench, count)).toBe(notify);
    expect(bench.queue.counters.notifications).toBe(notify ? 1 : 0);
  },
);

test('dev.split.used-notif-suppression.5: used_event 0 asks again behind the 65536th entry', () => {
  const bench = eventIdx(65535);
  bench.ring.bytes.usedEvent(0);
  expect([use(bench, 1), use(bench, 1), use(bench, 1)]).toEqual([false, true, false]);
});

test('with nothing put, nothing is published and nobody notified', () => {
  for (const bench of [plain(), eventIdx(65535)]) {
    const since = bench.guest.snapshot();
    expect(bench.queue.publishUsed()).toBe(false);
    bench.expectUntouched(since, []);
    // The driver is not notified twice of the same entries.
    bench.ring.bytes.usedEvent(65535);
    expect([use(bench, 1), bench.queue.publishUsed()]).toEqual([true, false]);
  }
});

test('dev.split.avail-notif-suppression.1,.2: without EVENT_IDX, used ring flags are 1 while notifications are unwanted, else 0', () => {
  const bench = plain();
  const flags = (): number => bench.ring.bytes.usedFlags;
  expect(flags()).toBe(0);
  bench.queue.disableNotifications();
  expect(flags()).toBe(1);
  bench.queue.disableNotifications();
  use(bench, 3);
  expect(flags()).toBe(1);
  expect(bench.queue.enableNotifications()).toBe(false);
  expect(flags()).toBe(0);
  use(bench, 3);
  expect(flags()).toBe(0);
  expect(bench.ring.bytes.availEvent).toBe(0);
});

test('dev.split.avail-notif-suppression.3: with EVENT_IDX, used ring flags stay 0', () => {
  const bench = eventIdx();
  bench.queue.disableNotifications();
  expect(bench.ring.bytes.usedFlags).toBe(0);
  use(bench, 2);
  bench.queue.enableNotifications();
  expect(bench.ring.bytes.usedFlags).toBe(0);
});

test('dev.split.avail-notif-suppression.4: with EVENT_IDX, enabling asks for the next entry by avail_event, disabling leaves it behind', () => {
  const bench = eventIdx(65534);
  bench.queue.enableNotifications();
  expect(bench.ring.bytes.availEvent).toBe(65534);
  bench.queue.disableNotifications();
  use(bench, 3);
  // An index that the driver has passed asks for nothing.
  expect(bench.ring.bytes.availEvent).toBe(65534);
  bench.queue.enableNotifications();
  expect(bench.ring.bytes.availEvent).toBe(1);
});

test('enabling notifications tells of a buffer that came in between', () => {
  for (const bench of [plain(), eventIdx()]) {
    bench.queue.disableNotifications();
    bench.ring.offer([{ addr: AT.buffers, len: 1 }]);
    expect(bench.queue.enableNotifications()).toBe(true);
    bench.turn();
    expect(bench.queue.enableNotifications()).toBe(false);
  }
});

test('dev.split.avail-notif-suppression.5: a notification with nothing behind it changes nothing', () => {
  for (const bench of [plain(), eventIdx()]) {
    use(bench, 2);
    const since = bench.guest.snapshot();
    for (let kick = 0; kick < 100; kick++) expect(bench.turn()).toMatchObject({ taken: 0, notify: false });
    bench.expectUntouched(since, []);
    bench.ring.bytes.usedEvent(2);
    expect(use(bench, 1)).toBe(true);
  }
});
