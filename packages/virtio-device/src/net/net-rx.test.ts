import { DELIVERED } from '@ringwire/net-backend';
import { VIRTIO_F, VIRTIO_NET_F } from '@ringwire/virtio-spec';
import { describe, expect, test } from 'vitest';
import { frameOf, join } from './testing/frames.js';
import { LAYOUTS, NetBench } from './testing/net-bench.js';

const F = VIRTIO_NET_F;
/** struct virtio_net_hdr of a plain frame in so many buffers. */
const header = (buffers: number, bytes = 12): Uint8Array => {
  const all = new Uint8Array(bytes);
  all[10] = buffers;
  return all;
};

describe.each(LAYOUTS)('%s: received frames', (layout) => {
  test('dev.net.rx.1,.5,.26: dev.net.rx-buffers.1,.2: RX-17: header and frame, and no byte more', () => {
    const bench = new NetBench(layout, []);
    const { id, ranges } = bench.post([1526]);
    const frame = frameOf(60);
    const since = bench.snapshot();
    bench.backend.deliver(frame);
    expect(bench.step()).toBe(1);
    expect(bench.collect(0)).toEqual([{ id, written: 72 }]);
    expect(bench.read(ranges).subarray(0, 72)).toEqual(join(header(1), frame));
    expect(bench.changedOutside(since, [{ gpa: ranges[0]!.gpa, length: 72 }])).toEqual([]);
    expect(bench.port.notifications).toEqual([0]);
    expect(bench.backend.outcomes).toEqual([DELIVERED.ACCEPTED]);
  });

  test.each([
    [[], 12],
    [[F.CTRL_VQ, F.HASH_REPORT], 20],
    [[F.GUEST_UDP_TUNNEL_GSO], 24],
    [[F.OUT_NET_HEADER], 32],
  ])('with features %j the header has %i bytes, also over descriptors of 5 bytes', (features, bytes) => {
    const bench = new NetBench(layout, [VIRTIO_F.INDIRECT_DESC, ...features]);
    const { id, ranges } = bench.post([5, 5, 5, 5, 5, 5, 5, 70]);
    const frame = frameOf(60);
    bench.backend.deliver(frame, {}, [20, 21]);
    bench.step();
    expect(bench.collect(0)).toEqual([{ id, written: bytes + 60 }]);
    expect(bench.read(ranges).subarray(0, bytes + 60)).toEqual(join(header(1, bytes), frame));
  });

  test('dev.net.rx.2,.3,.4: a frame fills all buffers but its last, and they become visible together', () => {
    const bench = new NetBench(layout, [F.MRG_RXBUF]);
    const posted = [bench.post([100]), bench.post([30, 70]), bench.post([100]), bench.post([100])];
    const frame = frameOf(250);
    bench.backend.deliver(frame, {}, [99]);
    bench.step();
    const used = bench.collect(0);
    expect(used).toEqual([
      { id: posted[0]!.id, written: 100 },
      { id: posted[1]!.id, written: 100 },
      { id: posted[2]!.id, written: 62 },
    ]);
    const bytes = bench.read(posted.flatMap(({ ranges }) => ranges));
    expect(bytes.subarray(0, 262)).toEqual(join(header(3), frame));
    expect(bench.port.notifications).toEqual([0]);
    // The fourth was not touched: the next frame lies in it.
    bench.backend.deliver(frameOf(60, 5));
    bench.step();
    expect(bench.collect(0)).toEqual([{ id: posted[3]!.id, written: 72 }]);
    expect(bench.read(posted[3]!.ranges).subarray(0, 72)).toEqual(join(header(1), frameOf(60, 5)));
  });

  test('RX-05: a frame that needs more buffers than there are leaves them all for a smaller one', () => {
    const bench = new NetBench(layout, [F.MRG_RXBUF]);
    const first = bench.post([100]);
    bench.post([100]);
    const since = bench.snapshot();
    bench.backend.deliver(frameOf(300));
    bench.step();
    expect(bench.collect(0)).toEqual([]);
    expect(bench.changedOutside(since)).toEqual([]);
    expect(bench.drops()).toEqual({ RX_NO_BUFFER: 1 });
    bench.backend.deliver(frameOf(60));
    bench.step();
    expect(bench.collect(0)).toEqual([{ id: first.id, written: 72 }]);
  });

  test('RX-04: without MRG_RXBUF a frame larger than the next buffer is dropped, the buffer stays', () => {
    const bench = new NetBench(layout, []);
    const { id } = bench.post([100]);
    bench.post([2000]);
    bench.backend.deliver(frameOf(200));
    bench.backend.deliver(frameOf(60));
    bench.step();
    expect(bench.backend.outcomes).toEqual([DELIVERED.DROPPED, DELIVERED.ACCEPTED]);
    expect(bench.collect(0)).toEqual([{ id, written: 72 }]);
    expect(bench.drops()).toEqual({ RX_SMALL_BUFFER: 1 });
  });

  test.each([
    ['RX-01: of device-readable bytes alone', true],
    ['RX-02: smaller than the header', false],
  ])('a receive buffer %s goes back with length 0, the frame into the next one', (_, isReadable) => {
    const bench = new NetBench(layout, []);
    const gpa = bench.take(100);
    const range = { gpa, length: isReadable ? 100 : 11 };
    const bad = isReadable ? bench.offer(0, [range]) : bench.offer(0, [], [range]);
    const good = bench.post([100]);
    const since = bench.snapshot();
    bench.backend.deliver(frameOf(60));
    bench.step();
    expect(bench.collect(0)).toEqual([
      { id: bad, written: 0 },
      { id: good.id, written: 72 },
    ]);
    expect(bench.changedOutside(since, good.ranges)).toEqual([]);
    expect(bench.drops()).toEqual({ RX_BAD_BUFFER: 1 });
  });

  test('RX-03: 256 buffers of one byte and one frame: each goes back once, the frame is dropped', () => {
    const bench = new NetBench(layout, [F.MRG_RXBUF], { size: 256 });
    for (let i = 0; i < 256; i++) bench.post([1]);
    const since = bench.snapshot();
    bench.backend.deliver(frameOf(60));
    bench.step();
    const used = bench.collect(0);
    expect(used.length).toBe(256);
    expect(used.every(({ written }) => written === 0)).toBe(true);
    expect(bench.changedOutside(since)).toEqual([]);
    expect(bench.drops()).toEqual({ RX_NO_BUFFER: 1, RX_BAD_BUFFER: 256 });
  });

  test.each([[[]], [[VIRTIO_F.IN_ORDER]]])(
    'RX-06: a bad buffer amid those of one frame, features %j: all go back once, the next ones take it',
    (features) => {
      const bench = new NetBench(layout, [F.MRG_RXBUF, ...features]);
      const posted = [bench.post([100]), bench.post([100]), bench.post([3]), bench.post([100]), bench.post([300])];
      const frame = frameOf(330);
      bench.backend.deliver(frame);
      bench.step();
      const written = [0, 0, 0, 100, 242];
      expect(bench.collect(0)).toEqual(posted.map(({ id }, i) => ({ id, written: written[i] })));
      const bytes = bench.read([...posted[3]!.ranges, ...posted[4]!.ranges]);
      expect(bytes.subarray(0, 342)).toEqual(join(header(2), frame));
    },
  );

  test('RX-08: without receive buffers a flood is dropped and counted, and the queue works afterwards', () => {
    const bench = new NetBench(layout, []);
    for (let i = 0; i < 200; i++) bench.backend.deliver(frameOf(60, i));
    const since = bench.snapshot();
    bench.step();
    expect(bench.guest.changes(since).filter(({ gpa }) => gpa < 0x1000_0000)).toEqual([]);
    expect(bench.drops()).toEqual({ RX_NO_BUFFER: 200 });
    const { id } = bench.post([100]);
    bench.backend.deliver(frameOf(60));
    bench.step();
    expect(bench.collect(0)).toEqual([{ id, written: 72 }]);
  });

  test('with holdWhenFull a frame without a buffer stays with the backend, and a new buffer is notified of', () => {
    const bench = new NetBench(layout, [], { holdWhenFull: true });
    bench.post([100]);
    bench.backend.deliver(frameOf(60, 1));
    bench.backend.deliver(frameOf(60, 2));
    expect(bench.step()).toBe(1);
    expect(bench.backend.outcomes).toEqual([DELIVERED.ACCEPTED, DELIVERED.FULL]);
    bench.collect(0);
    const { id, ranges } = bench.post([100]);
    bench.step();
    expect(bench.collect(0)).toEqual([{ id, written: 72 }]);
    expect(bench.read(ranges).subarray(12, 72)).toEqual(frameOf(60, 2));
    expect(bench.drops()).toEqual({});
  });

  test('RX-09: buffers posted once are used once each, whatever more comes', () => {
    const bench = new NetBench(layout, [F.MRG_RXBUF]);
    const ids = Array.from({ length: 16 }, () => bench.post([100]).id);
    for (let i = 0; i < 100; i++) bench.backend.deliver(frameOf(60, i));
    bench.step();
    bench.step();
    expect(bench.collect(0)).toEqual(ids.map((id) => ({ id, written: 72 })));
    expect(bench.drops()).toEqual({ RX_NO_BUFFER: 84 });
  });

  test('RX-10: frames of 0 and 13 bytes are dropped, one of 14 arrives', () => {
    const bench = new NetBench(layout, [F.CTRL_VQ, F.CTRL_RX, F.CTRL_VLAN]);
    bench.post([100]);
    for (const length of [0, 13, 14]) bench.backend.deliver(frameOf(length));
    bench.step();
    expect(bench.collect(0).map(({ written }) => written)).toEqual([26]);
    expect(bench.drops()).toEqual({ RX_SHORT_FRAME: 2 });
  });

  test('dev.net.config.5: frames beyond mtu and Ethernet header are not passed on', () => {
    const bench = new NetBench(layout, [F.MTU], { mtu: 1500 });
    bench.post([3000]);
    bench.backend.deliver(frameOf(1515));
    bench.backend.deliver(frameOf(1514));
    bench.step();
    expect(bench.collect(0).map(({ written }) => written)).toEqual([1526]);
    expect(bench.drops()).toEqual({ RX_LONG_FRAME: 1 });
  });

  test('frames that come outside a step are one burst until flush: then visible, and notified of once', () => {
    const bench = new NetBench(layout, []);
    const ids = [bench.post([100]).id, bench.post([100]).id, bench.post([100]).id];
    bench.backend.bring(frameOf(60, 1));
    bench.backend.bring(frameOf(60, 2));
    expect(bench.port.depth).toBe(1);
    expect(bench.collect(0)).toEqual([]);
    bench.backend.device!.flush!();
    expect(bench.port.depth).toBe(0);
    expect(bench.collect(0).map(({ id }) => id)).toEqual(ids.slice(0, 2));
    expect(bench.port.notifications).toEqual([0]);
  });

  test('RX-19: frames for a queue that was reset and set up elsewhere go to the new ring alone', () => {
    const bench = new NetBench(layout, []);
    bench.post([100]);
    bench.backend.bring(frameOf(60, 1));
    bench.port.close(0);
    bench.device.queueChanged(0);
    const since = bench.snapshot();
    bench.backend.bring(frameOf(60, 2));
    bench.backend.device!.flush!();
    expect(bench.changedOutside(since)).toEqual([]);
    expect(bench.drops()).toEqual({ RX_QUEUE_OFF: 1 });
    bench.open(0);
    bench.device.queueChanged(0);
    const { id } = bench.post([100]);
    bench.backend.deliver(frameOf(60, 3));
    bench.step();
    expect(bench.collect(0)).toEqual([{ id, written: 72 }]);
  });

  test('RX-20: a frame for a device that is not running is dropped and counted', () => {
    const bench = new NetBench(layout, []);
    bench.post([100]);
    bench.device.stop();
    const since = bench.snapshot();
    expect(bench.backend.bring(frameOf(60))).toBe(DELIVERED.DROPPED);
    bench.backend.device!.flush!();
    expect(bench.changedOutside(since)).toEqual([]);
    expect(bench.drops()).toEqual({ RX_STOPPED: 1 });
  });

  test('NG-21: while queues are not to be touched, as of a suspended device, a frame is dropped', () => {
    const bench = new NetBench(layout, []);
    bench.post([100]);
    bench.port.isClosed = true;
    const since = bench.snapshot();
    expect(bench.backend.bring(frameOf(60))).toBe(DELIVERED.DROPPED);
    bench.backend.device!.flush!();
    expect(bench.changedOutside(since)).toEqual([]);
    expect(bench.drops()).toEqual({ RX_STOPPED: 1 });
    expect(bench.port.depth).toBe(0);
  });

  test('more frames than the ring has buffers, with the driver posting again in between: none is lost', () => {
    const bench = new NetBench(layout, [F.MRG_RXBUF, VIRTIO_F.EVENT_IDX], { size: 8 });
    const got: number[] = [];
    for (let i = 0; i < 8; i++) bench.post([60]);
    for (let round = 0; round < 50; round++) {
      bench.backend.deliver(frameOf(100, round));
      bench.step();
      const used = bench.collect(0);
      got.push(used.reduce((sum, { written }) => sum + written, 0));
      for (const _ of used) bench.post([60]);
    }
    expect(got).toEqual(Array.from({ length: 50 }, () => 112));
    expect(bench.drops()).toEqual({});
  });
});
