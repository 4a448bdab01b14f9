import { describe, expect, test } from 'vitest';
import { bufferOf, DriverBench, F } from './testing/driver-bench.js';

describe('split without EVENT_IDX', () => {
  test('drv.split.avail-notif-suppression.4: the device is notified while used flags is 0', () => {
    const bench = new DriverBench('split', { size: 4 });
    bench.queue.addReadable(0x1000, 1);
    bench.queue.addReadable(0x1000, 1);
    expect(bench.queue.publish()).toBe(true);
    bench.queue.addReadable(0x1000, 1);
    expect(bench.queue.publish()).toBe(true);
    expect(bench.queue.counters.notifications).toBe(2);
  });

  test('drv.split.avail-notif-suppression.3: the device is not notified while used flags is 1', () => {
    const bench = new DriverBench('split', { size: 4 });
    bench.poke16(bench.config.device, 1);
    bench.queue.addReadable(0x1000, 1);
    expect(bench.queue.publish()).toBe(false);
    bench.poke16(bench.config.device, 0);
    bench.queue.addReadable(0x1000, 1);
    expect(bench.queue.publish()).toBe(true);
    expect(bench.queue.counters.notifications).toBe(1);
  });

  test('drv.split.avail-notif-suppression.2: avail_event is ignored, whatever it says', () => {
    const bench = new DriverBench('split', { size: 2 });
    const event = bench.config.device + 4 + 8 * 2;
    let idx = 0;
    for (const flags of [0, 1]) {
      bench.poke16(bench.config.device, flags);
      for (const value of [idx, idx + 1, idx + 7, 0, 0xffff]) {
        bench.poke16(event, value);
        const id = bench.queue.addReadable(0x1000, 1);
        expect(bench.queue.publish()).toBe(flags === 0);
        bench.use(id, 0);
        bench.take();
        idx++;
      }
    }
  });
});

describe('split with EVENT_IDX', () => {
  /** Runs a queue to any position in three steps: IN_ORDER lets one used element stand for 32768 buffers. */
  class Runner {
    readonly bench: DriverBench = new DriverBench('split', { size: 32768, features: [F.EVENT_IDX, F.IN_ORDER] });
    idx = 0;

    /** Add and publish buffers with avail_event at `event`. */
    publish(count: number, event: number): boolean {
      this.bench.poke16(this.bench.config.device + 4 + 8 * 32768, event);
      let id = -1;
      for (let at = 0; at < count; at++) id = this.bench.queue.addReadable(0x1000, 1);
      const notify = this.bench.queue.publish();
      this.bench.use(id, 0, count);
      expect(this.bench.take().length).toBe(count);
      this.idx = (this.idx + count) & 0xffff;
      return notify;
    }

    runTo(idx: number): void {
      while (this.idx !== idx) this.publish(Math.min((idx - this.idx) & 0xffff, 32768), 0);
    }
  }

  test('drv.split.avail-notif-suppression.6, .7: each batch is notified of exactly when one of its entries is avail_event', () => {
    const runner = new Runner();
    for (const start of [0, 3, 0x7ffe, 0x8000, 0xfffd, 0xffff]) {
      for (const batch of [1, 2, 4]) {
        for (let event = start - 2; event <= start + batch + 1; event++) {
          runner.runTo(start);
          // What the text says, entry by entry: was this entry's place the idx that avail_event names?
          let wanted = false;
          for (let entry = start; entry < start + batch; entry++) {
            if ((entry & 0xffff) === (event & 0xffff)) wanted = true;
          }
          expect([start, batch, event, runner.publish(batch, event)]).toEqual([start, batch, event, wanted]);
        }
      }
    }
  });

  test('drv.split.avail-notif-suppression.6, .7: an avail_event far off asks for nothing, even half a turn away', () => {
    const runner = new Runner();
    for (const event of [0x10, 0x4000, 0x7fff, 0x8000, 0x8001, 0xfff0]) {
      runner.runTo(0);
      expect(runner.publish(4, event)).toBe(false);
    }
    // All of a full ring of the largest size counts.
    runner.runTo(0);
    expect(runner.publish(32768, 32767)).toBe(true);
    expect(runner.publish(32768, 32767)).toBe(false);
  });

  test('drv.split.avail-notif-suppression.5: the low bit of used flags is ignored', () => {
    const bench = new DriverBench('split', { size: 4, features: [F.EVENT_IDX] });
    bench.poke16(bench.config.device, 1);
    bench.queue.addReadable(0x1000, 1);
    expect(bench.queue.publish()).toBe(true);
    bench.poke16(bench.config.device, 0);
    bench.queue.addReadable(0x1000, 1);
    expect(bench.queue.publish()).toBe(false);
  });
});

describe('packed', () => {
  /** virtio 1.4 §2.8.10, descriptor by descriptor: may one of those made available be the reason for a notification? */
  function wanted(
    size: number,
    from: number,
    slots: number,
    flags: number,
    off: number,
    wrap: number,
    eventIdx: boolean,
  ) {
    if ((flags & 3) === 1) return false;
    // ENABLE, the reserved value, DESC that was not negotiated, and a descriptor that no ring of this size has: a
    // notification too many does no harm, one too few does.
    if ((flags & 3) !== 2 || !eventIdx || off >= size) return true;
    for (let made = from; made < from + slots; made++) {
      const counter = Math.floor(made / size) % 2 === 0 ? 1 : 0;
      if (made % size === off && counter === wrap) return true;
    }
    return false;
  }

  test.each([
    [false, 3],
    [true, 1],
    [true, 2],
    [true, 3],
    [true, 5],
  ])('virtio 1.4 §2.8.10: EVENT_IDX %s, %d descriptors: every position, batch, event and flags', (eventIdx, size) => {
    const bench = new DriverBench('packed', { size, features: eventIdx ? [F.EVENT_IDX] : [] });
    const { queue, config } = bench;
    let position = 0;
    const publish = (slots: number): boolean => {
      const ids = Array.from({ length: slots }, () => queue.addReadable(0x1000, 1));
      const notify = queue.publish();
      for (const id of ids) bench.use(id, 0);
      expect(bench.take().length).toBe(slots);
      position = (position + slots) % (2 * size);
      return notify;
    };
    const reserved = [0, 0xfffc];
    let cases = 0;
    for (let from = 0; from < 2 * size; from++) {
      for (let slots = 1; slots <= size; slots++) {
        for (let event = 0; event < 4 * 2 * (size + 2); event++) {
          const flags = (event & 3) | reserved[event % 3 === 0 ? 1 : 0]!;
          const wrap = (event >>> 2) & 1;
          const off = event >>> 3 === size + 1 ? 0x7fff : event >>> 3;
          bench.poke16(config.device + 2, 1);
          while (position !== from) publish(1);
          bench.poke16(config.device, off | (wrap << 15));
          bench.poke16(config.device + 2, flags);
          const got = publish(slots);
          if (got !== wanted(size, from, slots, flags, off, wrap, eventIdx)) {
            expect.fail(`from ${from}, ${slots} slots, flags ${flags}, event ${off}/${wrap}: ${got}`);
          }
          cases++;
        }
      }
    }
    expect(cases).toBe(2 * size * size * 8 * (size + 2));
  });

  test('virtio 1.4 §2.8.10: a list counts with each of its descriptors, over the end of the ring too', () => {
    const size = 5;
    for (let first = 0; first < size; first++) {
      for (let off = 0; off < size; off++) {
        for (const wrap of [1, 0]) {
          const bench = new DriverBench('packed', { size, features: [F.EVENT_IDX] });
          bench.poke16(bench.config.device + 2, 1);
          for (let count = 0; count < first; count++) {
            const id = bench.queue.addReadable(0x1000, 1);
            expect(bench.queue.publish()).toBe(false);
            bench.use(id, 0);
            bench.take();
          }
          bench.poke16(bench.config.device, off | (wrap << 15));
          bench.poke16(bench.config.device + 2, 2);
          bench.queue.add(THREE_ELEMENTS);
          expect([first, off, wrap, bench.queue.publish()]).toEqual([
            first,
            off,
            wrap,
            wanted(size, first, 3, 2, off, wrap, true),
          ]);
        }
      }
    }
  });
});

const THREE_ELEMENTS = bufferOf([
  [0x1000, 1],
  [0x2000, 2],
  [0x3000, 3],
]);
