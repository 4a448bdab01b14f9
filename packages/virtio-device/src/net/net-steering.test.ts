import { DELIVERED } from '@ringwire/net-backend';
import { VIRTIO_NET_F } from '@ringwire/virtio-spec/net';
import { describe, expect, test } from 'vitest';
import { arrivedAt, flow } from './testing/flows.js';
import { frameOf, hex, join, plainHeader } from './testing/frames.js';
import { LAYOUTS, NetBench } from './testing/net-bench.js';
import { tcp4, udp4 } from './testing/packets.js';

const F = VIRTIO_NET_F;
const MQ = [F.CTRL_VQ, F.MQ];
const OK = Uint8Array.of(0);
const ERR = Uint8Array.of(1);

describe.each(LAYOUTS)('%s: automatic receive steering', (layout) => {
  const started = (features: readonly number[] = MQ): NetBench => new NetBench(layout, features, { pairs: 4 });

  test('dev.net.mq.1: after reset everything goes to receiveq1', () => {
    const bench = started();
    for (let n = 0; n < 12; n++) expect(arrivedAt(bench, 4, tcp4(flow(n)))).toBe(0);
  });

  test('after a flow left on transmitqX, what comes back of it goes to receiveqX', () => {
    const bench = started();
    expect(bench.control(hex('04 00 0400'))).toEqual(OK);
    for (let n = 0; n < 40; n++) {
      const { from, to } = flow(n);
      const pair = (7 * n) % 4;
      bench.transmit([join(plainHeader(), tcp4({ from: to, to: from }))], pair);
      bench.step();
      bench.collect(2 * pair + 1);
      expect(arrivedAt(bench, 4, tcp4({ from, to }))).toBe(pair);
    }
  });

  test('a flow that nobody sent keeps to one queue; a frame without IP goes to the first', () => {
    const bench = started();
    bench.control(hex('04 00 0400'));
    const queues = Array.from({ length: 64 }, (_, n) => arrivedAt(bench, 4, udp4(flow(n))));
    expect(new Set(queues).size).toBe(4);
    expect(Array.from({ length: 64 }, (_, n) => arrivedAt(bench, 4, udp4(flow(n))))).toEqual(queues);
    expect(arrivedAt(bench, 4, frameOf(60))).toBe(0);
  });

  test('dev.net.mq.2: with fewer pairs none beyond them gets a frame, remembered flows included', () => {
    const bench = started();
    bench.control(hex('04 00 0400'));
    const { from, to } = flow(1);
    bench.transmit([join(plainHeader(), tcp4({ from: to, to: from }))], 3);
    bench.step();
    expect(bench.control(hex('04 00 0200'))).toEqual(OK);
    const queues = Array.from({ length: 64 }, (_, n) => arrivedAt(bench, 4, tcp4(flow(n))));
    expect(new Set(queues)).toEqual(new Set([0, 1]));
    expect(bench.control(hex('04 00 0100'))).toEqual(OK);
    expect(Array.from({ length: 8 }, (_, n) => arrivedAt(bench, 4, tcp4(flow(n))))).toEqual(new Array(8).fill(0));
  });

  test('TX-27: transmit queues above the number in use are not looked at until it is raised', () => {
    const bench = started();
    bench.transmit([plainHeader(), frameOf(60)], 2);
    bench.step();
    expect(bench.backend.sent).toEqual([]);
    expect(bench.control(hex('04 00 0300'))).toEqual(OK);
    expect(bench.backend.sent.map(({ pair }) => pair)).toEqual([2]);
  });

  test('dev.net.mq.3: a frame for a queue that is being reset goes to another one', () => {
    const bench = started();
    bench.control(hex('04 00 0200'));
    const target = arrivedAt(bench, 4, tcp4(flow(5)));
    bench.port.close(2 * target);
    bench.device.queueChanged(2 * target);
    expect(arrivedAt(bench, 4, tcp4(flow(5)))).toBe(1 - target);
  });

  test('dev.net.mq.4: RX-16: while all receive queues are being reset the frame is dropped', () => {
    const bench = started();
    bench.control(hex('04 00 0200'));
    for (const index of [0, 2]) {
      bench.port.close(index);
      bench.device.queueChanged(index);
    }
    bench.backend.deliver(tcp4(flow(5)));
    bench.step();
    expect(bench.backend.outcomes).toEqual([DELIVERED.DROPPED]);
    expect(bench.drops()).toEqual({ RX_QUEUE_OFF: 1 });
  });

  test.each([
    ['0', '0000'],
    ['one more than there are', '0500'],
    ['65535', 'ffff'],
    ['half a number', '01'],
  ])('CT-13: %s pairs are refused', (_, data) => {
    const bench = started();
    expect(bench.control(hex(`04 00 ${data}`))).toEqual(ERR);
    expect(arrivedAt(bench, 4, tcp4(flow(3)))).toBe(0);
  });

  test('CT-14: queues that are not set up stay silent until they are', () => {
    const bench = started();
    for (const index of [4, 5, 6, 7]) bench.port.close(index);
    bench.device.stop();
    bench.device.start(bench.port);
    expect(bench.control(hex('04 00 0400'))).toEqual(OK);
    const queues = Array.from({ length: 32 }, (_, n) => arrivedAt(bench, 4, tcp4(flow(n))));
    expect(new Set(queues)).toEqual(new Set([0, 1]));
    bench.open(4);
    bench.device.queueChanged(4);
    expect(new Set(Array.from({ length: 32 }, (_, n) => arrivedAt(bench, 4, tcp4(flow(n)))))).toEqual(
      new Set([0, 1, 2]),
    );
  });

  test('without MQ and RSS there is one pair, and the control queue is the third queue', () => {
    const bench = started([F.CTRL_VQ]);
    expect(bench.controlIndex()).toBe(2);
    expect(bench.control(hex('04 00 0100'))).toEqual(ERR);
    expect(arrivedAt(bench, 1, tcp4(flow(3)))).toBe(0);
  });
});

describe.each(LAYOUTS)('%s: automatic receive steering with the control queue elsewhere', (layout) => {
  const started = (on: readonly number[]): NetBench => {
    const bench = new NetBench(layout, [F.MQ], { pairs: 4, externalControl: true });
    for (let index = 0; index < 8; index++) if (!on.includes(index)) close(bench, index);
    return bench;
  };
  const close = (bench: NetBench, index: number): void => {
    bench.port.close(index);
    bench.device.queueChanged(index);
  };
  const queues = (bench: NetBench): Set<number> =>
    new Set(Array.from({ length: 64 }, (_, n) => arrivedAt(bench, 4, tcp4(flow(n)))));

  test('frames are spread over the receive queues that are on, and follow as they come and go', () => {
    const bench = started([0, 1]);
    expect(bench.device.queueSizes).toHaveLength(8);
    expect(queues(bench)).toEqual(new Set([0]));
    for (const index of [2, 3, 4, 5]) {
      bench.open(index);
      bench.device.queueChanged(index);
    }
    expect(queues(bench)).toEqual(new Set([0, 1, 2]));
    close(bench, 2);
    expect(queues(bench)).toEqual(new Set([0, 2]));
    close(bench, 4);
    close(bench, 5);
    expect(queues(bench)).toEqual(new Set([0]));
  });

  test('every transmit queue that is on is served, and what comes back of its flows goes to its pair', () => {
    const bench = started([0, 1, 2, 3, 4, 5, 6, 7]);
    for (let n = 0; n < 12; n++) {
      const { from, to } = flow(n);
      const pair = (7 * n) % 4;
      bench.transmit([join(plainHeader(), tcp4({ from: to, to: from }))], pair);
      bench.step();
      bench.collect(2 * pair + 1);
      expect(arrivedAt(bench, 4, tcp4({ from, to }))).toBe(pair);
    }
    expect(bench.backend.sent.map(({ pair }) => pair)).toEqual(Array.from({ length: 12 }, (_, n) => (7 * n) % 4));
  });

  test('after a start anew only the queues of that life count', () => {
    const bench = started([0, 1, 2, 3]);
    expect(queues(bench)).toEqual(new Set([0, 1]));
    bench.device.stop();
    for (const index of [2, 3]) bench.port.close(index);
    bench.device.start(bench.port);
    expect(queues(bench)).toEqual(new Set([0]));
  });
});
