import { VIRTIO_F, VIRTIO_NET_F } from '@ringwire/virtio-spec';
import { BROKEN } from '@ringwire/virtqueue';
import { describe, expect, test } from 'vitest';
import { BREAK } from './breakdown.js';
import { SENT } from './net-tx-queue.js';
import { frameOf, NetStage, type StageOptions, WAYS, withHeader } from './testing/net-stage.js';
import { RawUsed } from './testing/raw-used.js';

const { MRG_RXBUF, GUEST_CSUM, GUEST_TSO4, HASH_REPORT, MTU } = VIRTIO_NET_F;
const mtuConfig = (mtu: number): Uint8Array =>
  Uint8Array.from({ length: 28 }, (_, i) => (i === 10 ? mtu & 0xff : i === 11 ? mtu >> 8 : 0));

describe.each(WAYS)('%s', (_, way) => {
  const stageWith = (options: StageOptions = {}): NetStage => new NetStage({ ...way, ...options });

  /** Bytes of the first receive buffer, and its elements. */
  function firstBuffer(features: readonly number[], more: StageOptions = {}): [bytes: number, driver: NetStage] {
    const stage = stageWith({ features, ...more });
    stage.open();
    const ring = stage.device.ring(0);
    ring.takeBurst(stage.chains, 1);
    return [stage.chains.writableBytes(0), stage];
  }

  test('drv.net.rx-buffers.1: with guest segmentation buffers hold 65601 bytes or more, 65609 with HASH_REPORT', () => {
    expect(firstBuffer([GUEST_CSUM, GUEST_TSO4])[0]).toBeGreaterThanOrEqual(65601);
    const config = new Uint8Array(28);
    config[17] = 40;
    const features = [GUEST_CSUM, GUEST_TSO4, HASH_REPORT, VIRTIO_NET_F.CTRL_VQ, VIRTIO_F.INDIRECT_DESC];
    expect(firstBuffer(features, { config })[0]).toBeGreaterThanOrEqual(65609);
  });

  test('drv.net.rx-buffers.2: without it they hold 1526 bytes or more, 1534 with HASH_REPORT', () => {
    expect(firstBuffer([])[0]).toBeGreaterThanOrEqual(1526);
    const config = new Uint8Array(28);
    config[17] = 40;
    expect(firstBuffer([HASH_REPORT, VIRTIO_NET_F.CTRL_VQ], { config })[0]).toBeGreaterThanOrEqual(1534);
  });

  test('drv.net.rx-buffers.3: a mergeable buffer holds a header at least', () => {
    expect(firstBuffer([MRG_RXBUF])[0]).toBe(4096);
    expect(() => stageWith({ setup: { mergeableBytes: 11 } }).open()).toThrow('mergeableBytes');
  });

  test('drv.net.config.8: with MTU a buffer holds a frame of that size', () => {
    expect(firstBuffer([MTU], { config: mtuConfig(9000) })[0]).toBeGreaterThanOrEqual(12 + 14 + 9000);
  });

  test('a big buffer is 17 pages in one slot with tables, and fewer, longer elements without', () => {
    const [, indirect] = firstBuffer([GUEST_CSUM, GUEST_TSO4, VIRTIO_F.INDIRECT_DESC], { queueSizes: [32, 32] });
    expect(indirect.chains.segments.count).toBe(17);
    const [, direct] = firstBuffer([GUEST_CSUM, GUEST_TSO4], { queueSizes: [16, 16] });
    expect(direct.chains.segments.count).toBe(4);
    const [, single] = firstBuffer([GUEST_CSUM, GUEST_TSO4], { queueSizes: [1, 1] });
    expect(single.chains.segments.count).toBe(1);
  });

  test('a frame of 64 KiB comes up through a big buffer with its segmentation', () => {
    const stage = stageWith({ features: [GUEST_CSUM, GUEST_TSO4, VIRTIO_F.INDIRECT_DESC], queueSizes: [32, 32] });
    const driver = stage.open();
    const frame = frameOf(65550);
    stage.deliver(withHeader(frame, { 0: 1, 1: 1, 2: 54, 4: 0xa8, 5: 5, 6: 34, 8: 16 }));
    stage.interrupt(driver);
    expect(stage.heard[0]!.bytes).toEqual(frame);
    expect(stage.heard[0]!.offload).toMatchObject({
      flags: 1,
      gsoType: 1,
      gsoSize: 1448,
      csumStart: 34,
      csumOffset: 16,
    });
  });

  test('notifications are off while frames are polled, and on again with one more look', () => {
    const stage = stageWith({ features: [VIRTIO_F.EVENT_IDX] });
    const driver = stage.open();
    const ring = stage.device.ring(0);
    stage.deliver(withHeader(frameOf(60)));
    stage.device.cause = 1;
    driver.interrupt();
    // One more frame while polling is due: no notification for it.
    stage.chains.clear();
    ring.takeBurst(stage.chains, 1);
    ring.putUsed(stage.chains.token[0]!, 12 + 60);
    expect(ring.publishUsed()).toBe(false);
    while (driver.needsPoll) driver.poll(1);
    expect(driver.counters.rxFrames).toBe(2);
    stage.chains.clear();
    ring.takeBurst(stage.chains, 1);
    ring.putUsed(stage.chains.token[0]!, 12 + 60);
    expect(ring.publishUsed()).toBe(true);
  });

  test('a budget is kept, and what is left comes with the next poll', () => {
    const stage = stageWith();
    const driver = stage.open();
    for (let i = 0; i < 10; i++) stage.deliver(withHeader(frameOf(60 + i)));
    stage.device.cause = 1;
    driver.interrupt();
    expect([
      driver.poll(4),
      driver.needsPoll,
      driver.poll(4),
      driver.needsPoll,
      driver.poll(4),
      driver.needsPoll,
    ]).toEqual([...[4, true, 4, true], ...[2, false]]);
  });

  /** A device that writes used buffers by hand; afterwards a good frame tells whether the queue goes on. */
  function attack(
    options: StageOptions,
    hand: (raw: RawUsed, stage: NetStage) => void,
  ): [NetStage, Record<string, number>] {
    const stage = stageWith(options);
    const driver = stage.open();
    hand(new RawUsed(stage.device, 0), stage);
    stage.interrupt(driver);
    const { rxTooLong, rxShort, rxNumBuffers, rxMissing, rxMerge, rxOffload, rxFrames } = driver.counters;
    return [
      stage,
      {
        rxTooLong,
        rxShort,
        rxNumBuffers,
        rxMissing,
        rxMerge,
        rxOffload,
        rxFrames,
        broken: driver.state === 'broken' ? 1 : 0,
      },
    ];
  }
  const nothing = {
    rxTooLong: 0,
    rxShort: 0,
    rxNumBuffers: 0,
    rxMissing: 0,
    rxMerge: 0,
    rxOffload: 0,
    rxFrames: 0,
    broken: 0,
  };
  /** Write a header into the n-th buffer that was made available. */
  const header = (stage: NetStage, n: number, bytes: readonly number[]): void => {
    stage.guest.write(stage.addressOf(0, n), Uint8Array.from(bytes));
  };
  const one = [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0];

  test('DR-01: a used id past the queue breaks the device', () => {
    const [stage, counters] = attack({}, (raw) => raw.put(16, 100));
    expect(counters).toEqual({ ...nothing, broken: 1 });
    expect(stage.told).toEqual([`broken ${BREAK.RING}`]);
    expect(stage.pages.inUse).toBe(0);
  });

  test('DR-02, DR-09: an id that was returned already breaks the device, and nothing is delivered twice', () => {
    const [stage, counters] = attack({}, (raw, staged) => {
      const id = raw.available(0);
      header(staged, 0, one);
      raw.put(id, 12 + 60);
      raw.put(id, 12 + 60);
    });
    expect(counters).toEqual({ ...nothing, rxFrames: 1, broken: 1 });
    expect(stage.told).toEqual([`broken ${BREAK.RING}`]);
  });

  test('DR-03: a used length past the buffer is given up, and the queue goes on', () => {
    const [stage, counters] = attack({}, (raw, staged) => {
      raw.put(raw.available(0), 0xffff_ffff);
      header(staged, 1, one);
      raw.put(raw.available(1), 12 + 60);
    });
    expect(counters).toEqual({ ...nothing, rxTooLong: 1, rxFrames: 1 });
    expect(stage.heard[0]!.bytes).toHaveLength(60);
  });

  test('DR-04: lengths of 0 and less than the headers are given up, and the queue goes on', () => {
    const [, counters] = attack({}, (raw, staged) => {
      [0, 1, 11, 12, 25, 12 + 60].forEach((length, n) => {
        header(staged, n, one);
        raw.put(raw.available(n), length);
      });
    });
    expect(counters).toEqual({ ...nothing, rxShort: 5, rxFrames: 1 });
  });

  test('DR-11: num_buffers of 0, 65535, or more than were used gives the frame up', () => {
    for (const [count, counter] of [
      [0, 'rxNumBuffers'],
      [65535, 'rxNumBuffers'],
      [3, 'rxMissing'],
    ] as const) {
      const [, counters] = attack({ features: [MRG_RXBUF] }, (raw, staged) => {
        header(staged, 0, one);
        raw.put(raw.available(0), 12 + 60);
        header(staged, 1, [...one.slice(0, 10), count & 0xff, count >> 8]);
        raw.put(raw.available(1), 4096);
      });
      expect(counters).toEqual({ ...nothing, [counter]: 1, rxFrames: 1 });
    }
  });

  test('DR-12: an empty buffer inside a frame, or more bytes than the largest frame has, give it up with all its buffers', () => {
    const sizes = { features: [MRG_RXBUF], queueSizes: [32, 32] };
    const [, empty] = attack(sizes, (raw, staged) => {
      header(staged, 0, [...one.slice(0, 10), 3, 0]);
      [4096, 0, 100].forEach((length, n) => {
        raw.put(raw.available(n), length);
      });
      header(staged, 3, one);
      raw.put(raw.available(3), 12 + 60);
    });
    expect(empty).toEqual({ ...nothing, rxMerge: 1, rxFrames: 1 });
    const [, large] = attack(sizes, (raw, staged) => {
      header(staged, 0, [...one.slice(0, 10), 17, 0]);
      for (let n = 0; n < 17; n++) raw.put(raw.available(n), 4096);
      header(staged, 17, one);
      raw.put(raw.available(17), 12 + 60);
    });
    expect(large).toEqual({ ...nothing, rxMerge: 1, rxFrames: 1 });
  });

  test('DR-13, DR-14: a header that does not fit its frame gives it up, and the queue goes on', () => {
    const [, counters] = attack({ features: [GUEST_CSUM, GUEST_TSO4, MRG_RXBUF] }, (raw, staged) => {
      header(staged, 0, [1, 0, 0, 0, 0, 0, 200, 0, 16, 0, 1, 0]);
      header(staged, 1, [1, 2, 0, 0, 100, 0, 34, 0, 16, 0, 1, 0]);
      header(staged, 2, [1, 1, 0, 0, 0, 0, 34, 0, 16, 0, 1, 0]);
      header(staged, 3, one);
      for (let n = 0; n < 4; n++) raw.put(raw.available(n), 12 + 100);
    });
    expect(counters).toEqual({ ...nothing, rxOffload: 3, rxFrames: 1 });
  });

  test('DR-08, DR-31: descriptors that the device rewrites are not read, and a length is read once', () => {
    const stage = stageWith();
    const driver = stage.open();
    const frame = frameOf(60);
    stage.deliver(withHeader(frame));
    const { desc, size } = stage.device.queues[0]!;
    if (way.isPacked !== true) stage.guest.write(desc, new Uint8Array(size * 16).fill(0xff));
    stage.interrupt(driver);
    expect(stage.heard.map(({ bytes }) => bytes)).toEqual([frame]);
    driver.sendBytes(frame);
    stage.guest.write(stage.device.queues[1]!.desc, new Uint8Array(12).fill(0xff));
    expect(driver.state).toBe('running');
  });

  test('DR-16: interrupts without a reason, and after the end, do nothing but count', () => {
    const stage = stageWith();
    const driver = stage.open();
    stage.device.log.length = 0;
    for (let i = 0; i < 1000; i++) stage.interrupt(driver, 0);
    expect(stage.device.log.length).toBeLessThanOrEqual(1000);
    expect(driver.counters.interrupts).toBe(1000);
    driver.close();
    stage.device.log.length = 0;
    stage.interrupt(driver, 3);
    driver.poll();
    driver.watch();
    driver.close();
    expect([driver.counters.strayInterrupts, stage.device.log.length, driver.sendBytes(frameOf(60))]).toEqual([
      1,
      0,
      SENT.DOWN,
    ]);
  });

  test('DR-30: nonsense in the device’s event suppression area costs kicks at worst', () => {
    const stage = stageWith({ features: [VIRTIO_F.EVENT_IDX] });
    const driver = stage.open();
    const { device, size } = stage.device.queues[1]!;
    const at = way.isPacked === true ? device : device + 4 + 8 * size;
    for (const junk of [0xffff_ffff, 0x1234_5678, 0xffff]) {
      stage.guest.write(at, new Uint8Array(Uint32Array.of(junk).buffer).slice(0, way.isPacked === true ? 4 : 2));
      driver.sendBytes(frameOf(60));
    }
    // The device behaves again, and empties the ring: the next frame is announced.
    expect(stage.takeSent()).toHaveLength(3);
    stage.device.ring(1).enableNotifications();
    stage.device.log.length = 0;
    driver.sendBytes(frameOf(60));
    expect(stage.device.accesses(/^w (notify|QueueNotify)/)).toHaveLength(1);
  });
});

describe('split', () => {
  const started = (features: readonly number[] = []): [NetStage, RawUsed, ReturnType<NetStage['open']>] => {
    const stage = new NetStage({ features });
    const driver = stage.open();
    return [stage, new RawUsed(stage.device, 0), driver];
  };

  test('DR-06: a used index that runs ahead of what is outstanding breaks the device', () => {
    const [stage, raw, driver] = started();
    raw.setIndex(17);
    stage.interrupt(driver);
    expect([driver.state, driver.counters.rxFrames, driver.counters.breaks[BREAK.RING]]).toEqual(['broken', 0, 1]);
  });

  test('DR-07: a used index that goes backwards breaks the device', () => {
    const [stage, raw, driver] = started();
    stage.deliver(withHeader(frameOf(60)));
    stage.interrupt(driver);
    raw.setIndex(0);
    stage.interrupt(driver);
    expect([driver.state, driver.counters.rxFrames]).toEqual(['broken', 1]);
  });

  test('DR-10: with IN_ORDER an id past the newest posted one breaks the device', () => {
    const [stage, raw, driver] = started([VIRTIO_F.IN_ORDER]);
    stage.guest.write(stage.addressOf(0, 0), new Uint8Array(12));
    raw.put(5, 60);
    stage.interrupt(driver);
    expect(driver.state).toBe('broken');
    expect(BROKEN.USED_ID_NOT_OUTSTANDING).toBe(2);
  });
});
