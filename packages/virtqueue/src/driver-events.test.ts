import { describe, expect, test } from 'vitest';
import { bufferOf, DriverBench, F, LAYOUTS } from './testing/driver-bench.js';

const PAIR = bufferOf([[0x1000, 1]], [[0x2000, 2]]);

/** A queue with that many single buffers published. */
function withBuffers(layout: 'split' | 'packed', size: number, count: number): DriverBench {
  const bench = new DriverBench(layout, { size, features: [F.EVENT_IDX] });
  for (let at = 0; at < count; at++) bench.queue.addReadable(0x1000, 1);
  bench.queue.publish();
  return bench;
}

describe('split', () => {
  test('drv.split.used-notif-suppression.1, .2: without EVENT_IDX flags is 0 or 1, and 1 when disabled', () => {
    const bench = new DriverBench('split', { size: 4 });
    const { driver } = bench.config;
    const event = bench.driverEvent();
    const seen = [bench.show(driver, 2)];
    bench.queue.disableNotifications();
    seen.push(bench.show(driver, 2));
    bench.queue.addReadable(0x1000, 1);
    bench.queue.publish();
    seen.push(bench.show(driver, 2));
    expect(bench.queue.enableNotifications(3)).toBe(false);
    seen.push(bench.show(driver, 2));
    expect(seen).toEqual(['0000', '0100', '0100', '0000']);
    // used_event is not for a queue without EVENT_IDX.
    expect(bench.driverEvent()).toBe(event);
  });

  test('drv.split.used-notif-suppression.3: with EVENT_IDX flags stays 0', () => {
    const bench = withBuffers('split', 4, 3);
    const { queue, config } = bench;
    const flags = (): string => bench.show(config.driver, 2);
    expect(flags()).toBe('0000');
    queue.disableNotifications();
    expect(flags()).toBe('0000');
    bench.use(0, 0);
    bench.take();
    queue.enableNotifications();
    expect(flags()).toBe('0000');
    queue.enableNotifications(1);
    expect(flags()).toBe('0000');
  });

  test('drv.split.used-notif-suppression.4: used_event is the index of the entry to be notified of', () => {
    const bench = withBuffers('split', 4, 4);
    const { queue } = bench;
    expect(queue.enableNotifications()).toBe(false);
    expect(bench.driverEvent()).toBe('0000');
    expect(queue.enableNotifications(2)).toBe(false);
    expect(bench.driverEvent()).toBe('0200');
    bench.use(0, 0);
    bench.take();
    expect(queue.enableNotifications()).toBe(false);
    expect(bench.driverEvent()).toBe('0100');
    // Disabled: the index just behind comes by again after 65535 entries.
    queue.disableNotifications();
    expect(bench.driverEvent()).toBe('0000');
  });

  test('drv.split.used-notif-suppression.4: used_event goes from 65535 on to 0', () => {
    const bench = new DriverBench('split', { size: 32768, features: [F.EVENT_IDX, F.IN_ORDER] });
    const { queue } = bench;
    queue.disableNotifications();
    expect(bench.driverEvent()).toBe('ffff');
    for (const count of [32768, 32766]) {
      let id = -1;
      for (let at = 0; at < count; at++) id = queue.addReadable(0x1000, 1);
      queue.publish();
      bench.use(id, 0, count);
      bench.take();
    }
    for (let at = 0; at < 4; at++) queue.addReadable(0x1000, 1);
    queue.publish();
    const events = [0, 1, 2, 3].map((after) => {
      expect(queue.enableNotifications(after)).toBe(false);
      return bench.driverEvent();
    });
    expect(events).toEqual(['feff', 'ffff', '0000', '0100']);
  });
});

describe('packed', () => {
  test('virtio 1.4 §2.8.10: without EVENT_IDX flags is ENABLE or DISABLE, and desc is left alone', () => {
    const bench = new DriverBench('packed', { size: 3 });
    const seen = [bench.driverEvent()];
    bench.queue.disableNotifications();
    seen.push(bench.driverEvent());
    bench.queue.addReadable(0x1000, 1);
    bench.queue.publish();
    expect(bench.queue.enableNotifications(2)).toBe(false);
    seen.push(bench.driverEvent());
    expect(seen).toEqual(['0000 0000', '0000 0100', '0000 0000']);
  });

  test('virtio 1.4 §2.8.10: with EVENT_IDX desc names slot and wrap counter, and flags is DESC', () => {
    const bench = withBuffers('packed', 3, 3);
    const { queue } = bench;
    const seen: string[] = [];
    for (const after of [0, 1, 2, 3]) {
      expect(queue.enableNotifications(after)).toBe(false);
      seen.push(bench.driverEvent());
    }
    // Slots 0, 1, 2 of the first lap; 3 buffers more than the first are not outstanding.
    expect(seen).toEqual(['0080 0200', '0180 0200', '0280 0200', '0280 0200']);
    queue.disableNotifications();
    expect(bench.driverEvent()).toBe('0280 0100');
    bench.use(0, 0);
    bench.use(1, 0);
    bench.take();
    queue.addReadable(0x1000, 1);
    queue.publish();
    expect(queue.enableNotifications(1)).toBe(false);
    // Slot 0 of the second lap.
    expect(bench.driverEvent()).toBe('0000 0200');
  });

  test('a device that went past the slot inside a list has notified of nothing: the driver takes what there is', () => {
    const bench = new DriverBench('packed', { size: 4, features: [F.EVENT_IDX] });
    const { queue } = bench;
    const ids = [queue.add(PAIR), queue.add(PAIR)];
    queue.publish();
    // Used descriptors lie in slots 0 and 2, never in slot 1.
    bench.use(ids[0]!, 2, 2);
    bench.use(ids[1]!, 2, 2);
    expect(queue.enableNotifications(1)).toBe(true);
  });

  test('with IN_ORDER a batch may step over the slot as well', () => {
    const bench = new DriverBench('packed', { size: 4, features: [F.EVENT_IDX, F.IN_ORDER] });
    const { queue } = bench;
    const ids = [1, 2, 3].map(() => queue.addReadable(0x1000, 1));
    queue.publish();
    bench.use(ids[2]!, 0, 3);
    expect(queue.enableNotifications(1)).toBe(true);
  });
});

describe.each(LAYOUTS)('%s', (layout) => {
  test('drv.split.used-notif-suppression.5 and its like: a notification without a used buffer does nothing', () => {
    const bench = withBuffers(layout, 4, 2);
    const { queue } = bench;
    const before = bench.guest.snapshot();
    for (let at = 0; at < 1000; at++) {
      expect(queue.hasUsed()).toBe(false);
      expect(bench.take()).toEqual([]);
    }
    expect(bench.guest.changes(before)).toEqual([]);
    expect([queue.broken, queue.outstanding]).toEqual([0, 2]);
    bench.use(1, 0);
    expect(queue.hasUsed()).toBe(true);
    expect(bench.take()).toEqual([[1, 0, 0]]);
    expect(bench.take()).toEqual([]);
  });

  test('enabling says at once that a used buffer waits, with EVENT_IDX and without', () => {
    for (const features of [[], [F.EVENT_IDX]]) {
      const bench = new DriverBench(layout, { size: 4, features });
      bench.queue.addReadable(0x1000, 1);
      bench.queue.addReadable(0x1000, 1);
      bench.queue.publish();
      expect(bench.queue.enableNotifications()).toBe(false);
      bench.use(0, 0);
      expect(bench.queue.enableNotifications()).toBe(true);
      bench.take();
      expect(bench.queue.enableNotifications()).toBe(false);
    }
  });

  test('enabling for later says at once when enough buffers wait', () => {
    const bench = withBuffers(layout, 4, 4);
    for (const id of [0, 1, 2]) bench.use(id, 0);
    expect(bench.queue.enableNotifications(2)).toBe(true);
    expect(bench.queue.enableNotifications(1)).toBe(true);
  });

  test('enabling for later counts published buffers only: one that the device cannot see brings no notification', () => {
    const bench = withBuffers(layout, 8, 2);
    for (let at = 0; at < 3; at++) bench.queue.addReadable(0x1000, 1);
    expect(bench.queue.enableNotifications(4)).toBe(false);
    expect(bench.driverEvent().slice(0, 4)).toBe(layout === 'split' ? '0100' : '0180');
    bench.queue.publish();
    expect(bench.queue.enableNotifications(4)).toBe(false);
    expect(bench.driverEvent().slice(0, 4)).toBe(layout === 'split' ? '0400' : '0480');
  });

  test('enabling for later on an empty queue means the next buffer', () => {
    const bench = withBuffers(layout, 4, 0);
    expect(bench.queue.enableNotifications(3)).toBe(false);
    expect(bench.driverEvent().slice(0, 4)).toBe(layout === 'split' ? '0000' : '0080');
  });
});
