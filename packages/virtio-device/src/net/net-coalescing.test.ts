import { VIRTIO_F, VIRTIO_NET_F } from '@ringwire/virtio-spec';
import { describe, expect, test } from 'vitest';
import { frameOf, hex, join, plainHeader } from './testing/frames.js';
import { LAYOUTS, NetBench } from './testing/net-bench.js';

const F = VIRTIO_NET_F;
const FEATURES = [F.CTRL_VQ, F.NOTF_COAL, F.VQ_NOTF_COAL, F.MQ];
const OK = Uint8Array.of(0);
const ERR = Uint8Array.of(1);
const RX = 0;
const TX = 1;
const NEVER = Number.POSITIVE_INFINITY;

const le32 = (value: number): string =>
  [0, 8, 16, 24].map((shift) => ((value >>> shift) & 0xff).toString(16).padStart(2, '0')).join('');
const coal = (packets: number, usecs: number): string => le32(packets) + le32(usecs);

function receive(bench: NetBench, frames: number): void {
  for (let i = 0; i < frames; i++) {
    bench.post([100]);
    bench.backend.deliver(frameOf(60, i));
  }
  bench.step();
  bench.collect(RX);
}

function transmit(bench: NetBench, frames: number): void {
  for (let i = 0; i < frames; i++) bench.transmit([join(plainHeader(), frameOf(60, i))]);
  bench.step();
  bench.collect(TX);
}

/** Notifications of a queue since the last call. */
const notified = (bench: NetBench, index: number): number =>
  bench.port.notifications.splice(0).filter((queue) => queue === index).length;

describe.each(LAYOUTS)('%s: notification coalescing', (layout) => {
  const started = (features: readonly number[] = []): NetBench =>
    new NetBench(layout, [...FEATURES, ...features], { pairs: 2, size: 64 });

  test('without parameters every burst of packets is notified of', () => {
    const bench = started();
    receive(bench, 1);
    receive(bench, 1);
    expect(notified(bench, RX)).toBe(2);
  });

  test('the example of virtio 1.4 §5.1.9.5.10.2: 15 packets or 10 µs, whichever comes first', () => {
    const bench = started();
    expect(bench.control(hex(`06 01 ${coal(15, 10)}`))).toEqual(OK);
    bench.port.notifications.length = 0;
    receive(bench, 14);
    expect(notified(bench, RX)).toBe(0);
    expect(bench.device.deadline()).toBe(10);
    bench.port.time = 5;
    receive(bench, 1);
    expect(notified(bench, RX)).toBe(1);
    expect(bench.device.deadline()).toBe(NEVER);
    // Counting starts again with the next packet.
    bench.port.time = 100;
    receive(bench, 1);
    expect(bench.device.deadline()).toBe(110);
    bench.port.time = 109;
    bench.step();
    expect(notified(bench, RX)).toBe(0);
    bench.port.time = 110;
    bench.step();
    expect(notified(bench, RX)).toBe(1);
    bench.step();
    expect(notified(bench, RX)).toBe(0);
  });

  test('dev.net.coalescing.7: a burst of more packets than the parameters say is notified of once', () => {
    const bench = started();
    bench.control(hex(`06 01 ${coal(15, 10)}`));
    bench.port.notifications.length = 0;
    receive(bench, 40);
    expect(notified(bench, RX)).toBe(1);
  });

  test('used buffers are visible before they are notified of', () => {
    const bench = started();
    bench.control(hex(`06 01 ${coal(15, 10)}`));
    const { id } = bench.post([100]);
    bench.backend.deliver(frameOf(60));
    bench.step();
    expect(bench.collect(RX)).toEqual([{ id, written: 72 }]);
  });

  test('transmit queues have their own parameters', () => {
    const bench = started();
    expect(bench.control(hex(`06 00 ${coal(3, 1000)}`))).toEqual(OK);
    bench.port.notifications.length = 0;
    transmit(bench, 2);
    receive(bench, 1);
    expect(bench.port.notifications).toEqual([RX]);
    transmit(bench, 1);
    expect(bench.port.notifications).toEqual([RX, TX]);
  });

  test('the example of virtio 1.4 §5.1.9.5.10.4: with new parameters the condition may be met at once', () => {
    const bench = started();
    bench.control(hex(`06 00 ${coal(15, 1000)}`));
    bench.port.notifications.length = 0;
    transmit(bench, 10);
    expect(notified(bench, TX)).toBe(0);
    bench.control(hex(`06 00 ${coal(8, 1000)}`));
    expect(notified(bench, TX)).toBe(1);
  });

  test('the example of virtio 1.4 §5.1.9.5.10: the last command for a queue counts, whichever it was', () => {
    const bench = started();
    const get = (index: number): Uint8Array => bench.control(hex(`06 03 0${index}00 0000`), 9);
    expect(bench.control(hex(`06 01 ${coal(1, 2)}`))).toEqual(OK);
    expect(bench.control(hex(`06 02 0000 ffff ${coal(3, 4)}`))).toEqual(OK);
    expect(get(0)).toEqual(hex(`00 ${coal(3, 4)}`));
    expect(get(2)).toEqual(hex(`00 ${coal(1, 2)}`));
    expect(bench.control(hex(`06 02 0100 0000 ${coal(5, 6)}`))).toEqual(OK);
    expect(get(3)).toEqual(hex(`00 ${coal(0, 0)}`));
    expect(bench.control(hex(`06 00 ${coal(7, 8)}`))).toEqual(OK);
    expect(get(1)).toEqual(hex(`00 ${coal(7, 8)}`));
  });

  test('dev.net.coalescing.1: reserved counts for nothing', () => {
    const bench = started();
    expect(bench.control(hex(`06 02 0000 ffff ${coal(3, 4)}`))).toEqual(OK);
    expect(bench.control(hex('06 03 0000 ffff'), 9)).toEqual(hex(`00 ${coal(3, 4)}`));
  });

  test.each([
    ['dev.net.coalescing.2: TX_SET cut short', `06 00 ${coal(1, 1).slice(0, 14)}`],
    ['dev.net.coalescing.2: RX_SET cut short', `06 01 ${coal(1, 1).slice(0, 14)}`],
    ['dev.net.coalescing.3: VQ_SET cut short', `06 02 0000 0000 ${coal(1, 1).slice(0, 14)}`],
    ['dev.net.coalescing.4: CT-21: VQ_SET of the control queue', `06 02 0400 0000 ${coal(1, 1)}`],
    ['dev.net.coalescing.4: CT-21: VQ_SET of a queue that there is not', `06 02 0500 0000 ${coal(1, 1)}`],
    ['dev.net.coalescing.4: CT-21: VQ_SET of queue 65535', `06 02 ffff 0000 ${coal(1, 1)}`],
    ['dev.net.coalescing.4: CT-21: VQ_GET of the control queue', '06 03 0400 0000'],
    ['an undefined command', '06 04'],
  ])('%s is refused', (_, command) => {
    const bench = started();
    expect(bench.control(hex(command), 9)).toEqual(ERR);
    for (const index of ['00', '01', '02', '03'])
      expect(bench.control(hex(`06 03 ${index}00 0000`), 9)).toEqual(hex(`00 ${coal(0, 0)}`));
  });

  test('dev.net.coalescing.4: a queue that is not enabled has no parameters; VQ_GET wants room for them', () => {
    const bench = started();
    bench.port.close(2);
    bench.device.queueChanged(2);
    expect(bench.control(hex(`06 02 0200 0000 ${coal(1, 1)}`))).toEqual(ERR);
    expect(bench.control(hex('06 03 0200 0000'), 9)).toEqual(ERR);
    expect(bench.control(hex('06 03 0000 0000'), 8)).toEqual(ERR);
  });

  test.each([
    ['dev.net.coalescing.5: a transmit queue', TX, '00'],
    ['dev.net.coalescing.6: a receive queue', RX, '01'],
  ])('%s that is enabled again has what its direction was set to, or 0', (_, index, command) => {
    const bench = started();
    const again = (): Uint8Array => {
      bench.port.close(index);
      bench.device.queueChanged(index);
      bench.open(index);
      bench.device.queueChanged(index);
      bench.step();
      return bench.control(hex(`06 03 0${index}00 0000`), 9);
    };
    bench.control(hex(`06 02 0${index}00 0000 ${coal(9, 9)}`));
    expect(again()).toEqual(hex(`00 ${coal(0, 0)}`));
    bench.control(hex(`06 ${command} ${coal(3, 4)}`));
    bench.control(hex(`06 02 0${index}00 0000 ${coal(9, 9)}`));
    expect(again()).toEqual(hex(`00 ${coal(3, 4)}`));
  });

  test.each([[[]], [[VIRTIO_F.EVENT_IDX]]])(
    'dev.net.coalescing.8: while the driver suppresses notifications none is sent, features %j',
    (features) => {
      const bench = started(features);
      bench.control(hex(`06 01 ${coal(2, 10)}`));
      bench.queues[RX]!.disableNotifications();
      bench.port.notifications.length = 0;
      receive(bench, 1);
      receive(bench, 3);
      bench.port.time = 1000;
      bench.step();
      expect(notified(bench, RX)).toBe(0);
      expect(bench.device.deadline()).toBe(NEVER);
    },
  );

  test('dev.net.coalescing.9: after a reset all parameters are 0', () => {
    const bench = started();
    for (const command of ['00', '01']) bench.control(hex(`06 ${command} ${coal(3, 4)}`));
    bench.control(hex(`06 02 0000 0000 ${coal(9, 9)}`));
    bench.device.stop();
    bench.device.start(bench.port);
    for (const index of ['00', '01', '02', '03'])
      expect(bench.control(hex(`06 03 ${index}00 0000`), 9)).toEqual(hex(`00 ${coal(0, 0)}`));
  });

  test('CT-22: the largest numbers hold a frame back until they are taken away, and no clock overflows', () => {
    const bench = started();
    bench.port.time = 2 ** 40;
    bench.control(hex(`06 01 ${coal(0xffff_ffff, 0xffff_ffff)}`));
    bench.port.notifications.length = 0;
    receive(bench, 3);
    expect(notified(bench, RX)).toBe(0);
    expect(bench.device.deadline()).toBe(2 ** 40 + 0xffff_ffff);
    bench.control(hex(`06 01 ${coal(0, 0)}`));
    expect(notified(bench, RX)).toBe(1);
    expect(bench.device.deadline()).toBe(NEVER);
  });

  test('a device that is suspended sends what it holds back', () => {
    const bench = started();
    bench.control(hex(`06 01 ${coal(15, 1000)}`));
    bench.port.notifications.length = 0;
    receive(bench, 3);
    bench.device.suspend();
    expect(notified(bench, RX)).toBe(1);
    expect(bench.device.deadline()).toBe(NEVER);
  });
});
