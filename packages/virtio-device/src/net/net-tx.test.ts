import { DELIVERED } from '@ringwire/net-backend';
import { VIRTIO_F } from '@ringwire/virtio-spec';
import { VIRTIO_NET_F } from '@ringwire/virtio-spec/net';
import { describe, expect, test } from 'vitest';
import { frameOf, hex, join, plainHeader } from './testing/frames.js';
import { LAYOUTS, NetBench } from './testing/net-bench.js';

const F = VIRTIO_NET_F;

describe.each(LAYOUTS)('%s: frames without offloads', (layout) => {
  test('a frame leaves byte for byte, and its buffer comes back with length 0', () => {
    const bench = new NetBench(layout, []);
    const frame = frameOf(60);
    const id = bench.transmit([join(plainHeader(), frame)]);
    expect(bench.step()).toBe(1);
    expect(bench.backend.sent).toEqual([{ bytes: frame, pair: 0, fields: {} }]);
    expect(bench.collect(1)).toEqual([{ id, written: 0 }]);
    expect(bench.port.notifications).toEqual([1]);
    expect(bench.step()).toBe(0);
  });

  test('with pollTurns the driver is asked to notify after as many steps in vain, each of which asks for another', () => {
    const bench = new NetBench(layout, [], { pollTurns: 2 });
    const { counters } = bench.queues[1]!;
    const send = (): number => {
      const before = counters.notifications;
      bench.transmit([join(plainHeader(), frameOf(60))]);
      return counters.notifications - before;
    };
    expect([bench.step(), bench.step(), bench.step()]).toEqual([1, 1, 0]);
    expect([send(), bench.step()]).toEqual([1, 1]);
    // It polls: nothing is asked for.
    expect([bench.step(), bench.step(), send()]).toEqual([1, 1, 0]);
    expect([bench.step(), bench.step(), bench.step()]).toEqual([1, 1, 1]);
    expect([bench.step(), send(), bench.step()]).toEqual([0, 1, 1]);
  });

  test('with pollTurns a queue that always has frames is not notified of, from its first step on', () => {
    const bench = new NetBench(layout, [], { pollTurns: 2 });
    const { counters } = bench.queues[1]!;
    const send = (): number => bench.transmit([join(plainHeader(), frameOf(60))]);
    send();
    bench.step();
    const before = counters.notifications;
    for (let n = 0; n < 5; n++) {
      send();
      bench.step();
    }
    expect(counters.notifications - before).toBe(0);
  });

  test.each([
    ['12 bytes', [], 12],
    ['20 bytes with HASH_REPORT', [F.CTRL_VQ, F.HASH_REPORT], 20],
    ['24 bytes with a tunnel feature of either direction', [F.HOST_UDP_TUNNEL_GSO], 24],
    ['32 bytes with OUT_NET_HEADER', [F.OUT_NET_HEADER], 32],
  ])('TX-04: the frame begins behind a header of %s, however it is cut', (_, features, headerBytes) => {
    const bench = new NetBench(layout, features);
    const frame = frameOf(61, 7);
    const packet = join(plainHeader(headerBytes), frame);
    bench.transmit([packet]);
    bench.transmit([packet.subarray(0, headerBytes), packet.subarray(headerBytes)]);
    bench.transmit([packet.subarray(0, 5), packet.subarray(5, headerBytes + 3), packet.subarray(headerBytes + 3)]);
    bench.step();
    expect(bench.backend.sent.map(({ bytes }) => bytes)).toEqual([frame, frame, frame]);
  });

  test('TX-03: a header cut over twelve descriptors of one byte is gathered', () => {
    const bench = new NetBench(layout, []);
    const frame = frameOf(60);
    bench.transmit([...Array.from({ length: 12 }, () => Uint8Array.of(0)), frame]);
    bench.step();
    expect(bench.backend.sent.map(({ bytes }) => bytes)).toEqual([frame]);
  });

  test.each([
    ['TX-01: a chain shorter than the header', [hex('00 00 00 00 00 00 00 00 00 00 00')], 'TX_NO_FRAME'],
    ['TX-02: a header without a frame', [plainHeader()], 'TX_NO_FRAME'],
    ['TX-05: a frame of 1 byte', [plainHeader(), frameOf(1)], 'TX_SHORT_FRAME'],
    ['TX-05: a frame of 13 bytes', [plainHeader(), frameOf(13)], 'TX_SHORT_FRAME'],
    ['TX-06: a frame one byte longer than MTU and Ethernet header', [plainHeader(), frameOf(1515)], 'TX_LONG_FRAME'],
    ['TX-07: a frame of 64 KiB', [plainHeader(), frameOf(65536)], 'TX_LONG_FRAME'],
  ])('%s is dropped and its buffer returned', (_, pieces, reason) => {
    const bench = new NetBench(layout, []);
    const bad = bench.transmit(pieces);
    const frame = frameOf(60, 9);
    const good = bench.transmit([plainHeader(), frame]);
    bench.step();
    expect(bench.backend.sent.map(({ bytes }) => bytes)).toEqual([frame]);
    expect(bench.collect(1)).toEqual([
      { id: bad, written: 0 },
      { id: good, written: 0 },
    ]);
    expect(bench.drops()).toEqual({ [reason]: 1 });
  });

  test('TX-05: a frame of 14 bytes, an Ethernet header alone, leaves', () => {
    const bench = new NetBench(layout, []);
    bench.transmit([plainHeader(), frameOf(14)]);
    bench.step();
    expect(bench.backend.sent.map(({ bytes }) => bytes.length)).toEqual([14]);
  });

  test('TX-06: with a VLAN tag a frame may be four bytes longer, and no more', () => {
    const bench = new NetBench(layout, [], { mtu: 1500 });
    const tagged = (length: number): Uint8Array => {
      const frame = frameOf(length);
      frame.set(hex('8100 0007'), 12);
      return frame;
    };
    bench.transmit([plainHeader(), frameOf(1514)]);
    bench.transmit([plainHeader(), tagged(1518)]);
    bench.transmit([plainHeader(), tagged(1519)]);
    bench.step();
    expect(bench.backend.sent.map(({ bytes }) => bytes.length)).toEqual([1514, 1518]);
    expect(bench.drops()).toEqual({ TX_LONG_FRAME: 1 });
  });

  test('dev.net.config.6: with MTU, packets up to mtu and Ethernet header leave whole', () => {
    const bench = new NetBench(layout, [F.MTU], { mtu: 9000 });
    const frame = frameOf(9014);
    bench.transmit([plainHeader(), frame.subarray(0, 4000), frame.subarray(4000)]);
    bench.step();
    expect(bench.backend.sent.map(({ bytes }) => bytes)).toEqual([frame]);
  });

  test('TX-25: a buffer of device-writable bytes alone is returned, and nothing is written into it', () => {
    const bench = new NetBench(layout, []);
    const gpa = bench.take(200);
    const id = bench.offer(1, [], [{ gpa, length: 200 }]);
    const since = bench.snapshot();
    bench.step();
    expect(bench.backend.sent).toEqual([]);
    expect(bench.collect(1)).toEqual([{ id, written: 0 }]);
    expect(bench.drops()).toEqual({ TX_NO_FRAME: 1 });
    expect(bench.changedOutside(since)).toEqual([]);
  });

  test('TX-26: a packet with a device-writable descriptor behind it leaves, and nothing is written there', () => {
    const bench = new NetBench(layout, []);
    const frame = frameOf(60);
    const gpa = bench.take(12 + 60, 4);
    bench.guest.write(gpa, join(plainHeader(), frame));
    const extra = bench.take(64);
    const id = bench.offer(1, [{ gpa, length: 72 }], [{ gpa: extra, length: 64 }]);
    const since = bench.snapshot();
    bench.step();
    expect(bench.backend.sent.map(({ bytes }) => bytes)).toEqual([frame]);
    expect(bench.collect(1)).toEqual([{ id, written: 0 }]);
    expect(bench.changedOutside(since)).toEqual([]);
  });

  test('dev.net.tx.1,.2,.7: TX-23, TX-24: unknown flags, hints without NEEDS_CSUM and num_buffers count for nothing', () => {
    const bench = new NetBench(layout, [F.CSUM, F.HOST_TSO4]);
    const frame = frameOf(60);
    // flags DATA_VALID | RSC_INFO | 0x80, gso_type NONE, hdr_len 65535, gso_size 65535, csum_start and csum_offset out of
    // the frame, num_buffers 7
    bench.transmit([hex('86 00 ffff ffff ffff ffff 0700'), frame]);
    bench.step();
    expect(bench.backend.sent).toEqual([{ bytes: frame, pair: 0, fields: {} }]);
    expect(bench.drops()).toEqual({});
  });

  test('TX-31: an indirect chain of as many elements as the ring has, of one byte each, leaves whole', () => {
    const bench = new NetBench(layout, [VIRTIO_F.INDIRECT_DESC], { size: 64 });
    const packet = join(plainHeader(), frameOf(52));
    bench.transmit(Array.from(packet, (byte) => Uint8Array.of(byte)));
    bench.step();
    expect(bench.backend.sent.map(({ bytes }) => bytes)).toEqual([packet.subarray(12)]);
  });

  test('a backend without room stops the queue: the frame stays, is asked for again and leaves once', () => {
    const bench = new NetBench(layout, []);
    bench.backend.answer = DELIVERED.FULL;
    bench.backend.answerFrom = 1;
    const frames = [frameOf(60, 1), frameOf(60, 2), frameOf(60, 3)];
    const ids = frames.map((frame) => bench.transmit([plainHeader(), frame]));
    expect(bench.step()).toBe(1);
    expect(bench.collect(1).map(({ id }) => id)).toEqual([ids[0]]);
    expect(bench.step()).toBe(0);
    expect(bench.device.deadline()).toBe(50);
    bench.backend.answer = DELIVERED.ACCEPTED;
    expect(bench.step()).toBe(2);
    expect(bench.device.deadline()).toBe(Number.POSITIVE_INFINITY);
    expect(bench.backend.sent.map(({ bytes }) => bytes)).toEqual(frames);
    expect(bench.collect(1).map(({ id }) => id)).toEqual([ids[1], ids[2]]);
    expect(bench.drops()).toEqual({});
  });

  test('a backend that says when it has room is asked again then, and not before', () => {
    const bench = new NetBench(layout, []);
    bench.backend.answer = DELIVERED.FULL;
    bench.backend.due = 12.304;
    bench.transmit([plainHeader(), frameOf(60)]);
    expect(bench.step()).toBe(0);
    expect(bench.device.deadline()).toBe(12.304);
    bench.backend.due = 7000;
    expect(bench.step()).toBe(0);
    expect(bench.device.deadline()).toBe(7000);
    bench.backend.answer = DELIVERED.ACCEPTED;
    bench.backend.due = Number.POSITIVE_INFINITY;
    expect(bench.step()).toBe(1);
    expect(bench.device.deadline()).toBe(Number.POSITIVE_INFINITY);
  });

  test('frames that are on their way to the device are when it is to be stepped, traced or not', () => {
    for (const trace of [undefined, { transmitted: () => {}, received: () => {} }]) {
      const bench = new NetBench(layout, [], trace && { trace });
      bench.step();
      bench.backend.due = 123.456;
      expect(bench.device.deadline()).toBe(123.456);
    }
  });

  test('what the backend refuses is counted, and its buffer comes back', () => {
    const bench = new NetBench(layout, []);
    bench.backend.answer = DELIVERED.DROPPED;
    const id = bench.transmit([plainHeader(), frameOf(60)]);
    bench.step();
    expect(bench.collect(1)).toEqual([{ id, written: 0 }]);
    expect(bench.drops()).toEqual({ TX_REFUSED: 1 });
  });

  test('while the link is down frames are given up; up again they leave', () => {
    const bench = new NetBench(layout, []);
    bench.device.setLink(false);
    bench.transmit([plainHeader(), frameOf(60, 1)]);
    bench.step();
    bench.device.setLink(true);
    bench.transmit([plainHeader(), frameOf(60, 2)]);
    bench.step();
    expect(bench.backend.sent.map(({ bytes }) => bytes)).toEqual([frameOf(60, 2)]);
    expect(bench.drops()).toEqual({ TX_LINK_DOWN: 1 });
  });

  test('a device that is stopped while a frame leaves touches the queue no more', () => {
    const bench = new NetBench(layout, []);
    bench.step();
    bench.transmit([plainHeader(), frameOf(60, 1)]);
    bench.transmit([plainHeader(), frameOf(60, 2)]);
    bench.backend.onFrame = () => bench.device.stop();
    const since = bench.snapshot();
    bench.step();
    expect(bench.backend.sent.length).toBe(1);
    expect(bench.collect(1)).toEqual([]);
    expect(bench.guest.changes(since).map(({ gpa }) => gpa)).toEqual([]);
  });

  test.each([[[]], [[VIRTIO_F.EVENT_IDX]]])(
    'an idle device is notified of the next frame, a busy one is not, features %j',
    (features) => {
      const bench = new NetBench(layout, features);
      const kicks = (): boolean => {
        const queue = bench.queues[1]!;
        const gpa = bench.take(72, 4);
        bench.guest.write(gpa, join(plainHeader(), frameOf(60)));
        queue.addReadable(gpa, 72);
        return queue.publish();
      };
      bench.step();
      for (let round = 0; round < 3; round++) {
        expect(kicks()).toBe(true);
        bench.step();
        // It found work, so it will look again by itself.
        expect(kicks()).toBe(false);
        bench.step();
        expect(bench.step()).toBe(0);
        bench.collect(1);
      }
      expect(bench.backend.sent.length).toBe(6);
    },
  );

  test('TX-30: with notifications suppressed and no room made, a full queue is served once and then left in peace', () => {
    const bench = new NetBench(layout, [], { size: 256 });
    bench.queues[1]!.disableNotifications();
    for (let i = 0; i < 256; i++) bench.transmit([join(plainHeader(), frameOf(60, i))]);
    expect(bench.step()).toBe(256);
    expect(bench.step()).toBe(0);
    expect(bench.device.deadline()).toBe(Number.POSITIVE_INFINITY);
    expect(bench.port.notifications).toEqual([]);
    expect(bench.backend.sent.length).toBe(256);
  });
});
