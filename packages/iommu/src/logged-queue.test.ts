import { GuestMemory, HostMemory } from '@ringwire/guest-memory';
import { featureWords, VIRTIO_F } from '@ringwire/virtio-spec';
import {
  BufferList,
  ChainBurst,
  isRefusal,
  openDeviceQueue,
  openDriverQueue,
  type QueueConfig,
  TAKE,
  UsedBurst,
} from '@ringwire/virtqueue';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { DirtyLog } from './dirty-log.js';
import { LoggedQueue, type RingLogging } from './logged-queue.js';
import { EchoDevice } from './testing/echo-device.js';

const PAGE = 4096;
const RAM = { gpa: 0x10_0000, size: 0x10_0000, host: 0x2_0000 };
const AT = { desc: 0x10_1000, driver: 0x10_2000, device: 0x10_3000, buffers: 0x11_0000 };
const SIZE = 16;
const LAYOUTS = ['split', 'packed'] as const;

function setUp(layout: (typeof LAYOUTS)[number], inOrder = false, logging?: RingLogging) {
  const memory = HostMemory.create(0x20_0000);
  const space = new GuestMemory(memory, [RAM]);
  const features: number[] = [VIRTIO_F.VERSION_1];
  if (layout === 'packed') features.push(VIRTIO_F.RING_PACKED);
  if (inOrder) features.push(VIRTIO_F.IN_ORDER);
  const { desc, driver, device } = AT;
  const config: QueueConfig = { space, size: SIZE, desc, driver, device, features: featureWords(features) };
  const driverQueue = openDriverQueue(config);
  const inner = openDeviceQueue(config);
  if (isRefusal(inner)) throw new Error(inner.message);
  const log = new DirtyLog({ memory, base: 0, bytes: 0x100, regions: [RAM] });
  const queue = new LoggedQueue(inner, config, log, logging);
  /** Pages of guest memory that are not what they were. */
  const changed = (before: Uint8Array): number[] => {
    const pages: number[] = [];
    for (let gpa = RAM.gpa; gpa < RAM.gpa + RAM.size; gpa += PAGE) {
      const at = gpa - RAM.gpa + RAM.host;
      if (Buffer.compare(before.subarray(at, at + PAGE), memory.u8.subarray(at, at + PAGE)) !== 0) pages.push(gpa);
    }
    return pages;
  };
  const ringPages = layout === 'split' ? [AT.device] : [AT.desc, AT.device];
  return { memory, space, driverQueue, queue, log, changed, ringPages };
}

describe.each(LAYOUTS)('%s', (layout) => {
  test('F23: the pages of a buffer that were written, and the ring’s, when it is put; none when it is only read', () => {
    const { driverQueue, queue, log, ringPages } = setUp(layout);
    driverQueue.addWritable(AT.buffers, 4 * PAGE);
    driverQueue.addReadable(AT.buffers + 8 * PAGE, PAGE);
    driverQueue.publish();
    const burst = new ChainBurst(4);
    queue.takeBurst(burst, 4);
    expect(log.take()).toEqual([]);
    queue.putUsed(burst.token[0]!, PAGE + 1);
    expect(log.take()).toEqual([AT.buffers, AT.buffers + PAGE]);
    queue.publishUsed();
    expect(log.take()).toEqual(ringPages);
    queue.putUsed(burst.token[1]!, 0);
    queue.publishUsed();
    expect(log.take()).toEqual(ringPages);
    // Nothing put: nothing written.
    queue.publishUsed();
    expect(log.take()).toEqual([]);
  });

  test('a buffer that is put with no bytes may have been begun: all of it counts', () => {
    const { driverQueue, queue, log } = setUp(layout);
    driverQueue.addWritable(AT.buffers + 100, PAGE);
    driverQueue.publish();
    const burst = new ChainBurst(1);
    expect(queue.takeAvailable(burst)).toBe(TAKE.CHAIN);
    queue.putUsed(burst.token[0]!, 0);
    expect(log.take()).toEqual([AT.buffers, AT.buffers + PAGE]);
  });

  test('asking for notifications writes into the ring as well', () => {
    const { queue, log } = setUp(layout);
    queue.disableNotifications();
    expect(log.take()).toContain(AT.device);
    expect(queue.enableNotifications()).toBe(false);
    expect(log.take()).toContain(AT.device);
  });

  test('the ring may be left out, or its device area be logged at another address', () => {
    const marks = (logging: RingLogging): number[] => {
      const { queue, log } = setUp(layout, false, logging);
      queue.disableNotifications();
      return log.take();
    };
    expect(marks({ ring: false })).toEqual([]);
    // 6 + 8 × 16 bytes of a used ring run into the next page, 4 bytes of event suppression do not.
    const split = [0x1000, 0x2000];
    expect(marks({ ring: true, deviceAt: 0x1ff8 })).toEqual(layout === 'split' ? split : [0x1000, AT.desc]);
  });

  test('elements that were put and not published are in memory: a stop marks them', () => {
    const { driverQueue, queue, log, ringPages } = setUp(layout);
    driverQueue.addWritable(AT.buffers, 8);
    driverQueue.publish();
    const burst = new ChainBurst(1);
    queue.takeBurst(burst, 1);
    queue.putUsed(burst.token[0]!, 8);
    log.take();
    queue.stop();
    expect(log.take()).toEqual(ringPages);
  });

  test('the rest is the queue’s own', () => {
    const { driverQueue, queue } = setUp(layout);
    driverQueue.addWritable(AT.buffers, 8);
    driverQueue.publish();
    expect([queue.layout, queue.size, queue.hasAvailable()]).toEqual([layout, SIZE, true]);
    const burst = new ChainBurst(1);
    queue.takeBurst(burst, 1);
    expect([queue.inFlight, queue.counters.taken, queue.ringFault]).toEqual([1, 1, 0]);
    queue.untake(burst.token[0]!);
    expect(queue.inFlight).toBe(0);
    expect(queue.refresh()).toBe(true);
    expect(queue.save().layout).toBe(layout);
  });

  test.each([false, true])(
    'F23: over random traffic every page that a device changes is marked, and none beyond its buffers (in order: %s)',
    (inOrder) => {
      const part = fc.record({
        page: fc.nat(40),
        into: fc.nat(PAGE - 1),
        length: fc.integer({ min: 1, max: 2 * PAGE }),
      });
      const buffer = fc.record({
        asked: fc.array(part, { minLength: 1, maxLength: 2 }),
        room: fc.array(part, { maxLength: 2 }),
      });
      fc.assert(
        fc.property(fc.array(fc.array(buffer, { maxLength: 4 }), { maxLength: 6 }), (rounds) => {
          const { memory, space, driverQueue, queue, log, changed, ringPages } = setUp(layout, inOrder);
          const device = new EchoDevice(queue, space);
          const used = new UsedBurst(SIZE);
          const list = new BufferList(SIZE);
          rounds.forEach((buffers, round) => {
            const allowed = new Set(ringPages);
            for (const { asked, room } of buffers) {
              list.clear();
              for (const { page, into, length } of asked) {
                const at = AT.buffers + page * PAGE + into;
                space.write(at, new Uint8Array(length).fill(round + page + 1));
                list.addReadable(at, length);
              }
              for (const { page, into, length } of room) {
                const at = AT.buffers + (50 + page) * PAGE + into;
                list.addWritable(at, length);
                for (let gpa = at - (at % PAGE); gpa < at + length; gpa += PAGE) allowed.add(gpa);
              }
              driverQueue.add(list);
            }
            driverQueue.publish();
            const before = memory.u8.slice();
            device.turn();
            const marked = log.take();
            expect(marked).toEqual(expect.arrayContaining(changed(before)));
            expect(marked.filter((gpa) => !allowed.has(gpa))).toEqual([]);
            used.clear();
            driverQueue.takeUsed(used, SIZE);
            expect(used.count).toBe(buffers.length);
          });
        }),
        { numRuns: 40 },
      );
    },
  );
});
