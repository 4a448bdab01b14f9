import { PageAllocator } from '@ringwire/guest-memory';
import { VIRTIO_F, VIRTIO_NET_F } from '@ringwire/virtio-spec';
import { describe, expect, test } from 'vitest';
import { BREAK } from './breakdown.js';
import { guestDma } from './dma-memory.js';
import { FramePieces } from './frame-pieces.js';
import { NetOffload } from './net-offload.js';
import { SENT } from './net-tx-queue.js';
import { frameOf, NetStage, type StageOptions, WAYS, withHeader } from './testing/net-stage.js';
import { RawUsed } from './testing/raw-used.js';

const { CSUM, HOST_TSO4, MTU, MAC, CTRL_VQ, MQ } = VIRTIO_NET_F;
const mtuConfig = Uint8Array.from({ length: 28 }, (_, i) => (i === 10 ? 0xdc : i === 11 ? 5 : 0));

describe.each(WAYS)('%s', (_, way) => {
  const stageWith = (options: StageOptions = {}): NetStage => new NetStage({ ...way, ...options });

  test.each([[[]], [[VIRTIO_F.INDIRECT_DESC]]])(
    'a frame in pieces goes out in one chain, and its cookie comes back, features %j',
    (features) => {
      const stage = stageWith({ features });
      const driver = stage.open();
      const frame = frameOf(5000);
      const page = stage.pages.allocate(8192);
      stage.guest.write(page, frame);
      const pieces = new FramePieces()
        .add(page, 14)
        .add(page + 14, 4000)
        .add(page + 4014, 986);
      expect(driver.send(pieces, undefined, 0, 7)).toBe(SENT.OK);
      expect(stage.takeSent()).toEqual([withHeader(frame)]);
      expect(stage.told).toEqual([]);
      stage.interrupt(driver);
      expect(stage.told).toEqual(['sent 7']);
    },
  );

  test('a frame of 64 KiB goes out with its segmentation, from a copy', () => {
    const stage = stageWith({ features: [CSUM, HOST_TSO4, VIRTIO_F.INDIRECT_DESC], queueSizes: [32, 32] });
    const driver = stage.open();
    const frame = frameOf(65549);
    frame[46] = 0x50;
    const offload = Object.assign(new NetOffload(), {
      flags: 1,
      gsoType: 1,
      gsoSize: 1448,
      csumStart: 34,
      csumOffset: 16,
    });
    expect(driver.sendBytes(frame, offload)).toBe(SENT.OK);
    expect(stage.takeSent()).toEqual([withHeader(frame, { 0: 1, 1: 1, 2: 54, 4: 0xa8, 5: 5, 6: 34, 8: 16 })]);
  });

  test('a full ring says so, and tells when there is room again', () => {
    const stage = stageWith({ features: [VIRTIO_F.EVENT_IDX] });
    const driver = stage.open();
    let sent = 0;
    while (driver.sendBytes(frameOf(60)) === SENT.OK) sent++;
    expect(sent).toBe(16);
    expect(stage.told).toEqual([]);
    expect(stage.takeSent()).toHaveLength(16);
    stage.interrupt(driver);
    expect(stage.told).toEqual(['writable 0']);
    expect(driver.sendBytes(frameOf(60))).toBe(SENT.OK);
    expect(driver.counters.txFull).toBe(1);
  });

  test('sending from the call that says that a frame was sent works', () => {
    let left = 100;
    const page = { at: 0 };
    const stage: NetStage = stageWith();
    const setup = stage.setup;
    const again = (): void => {
      if (left-- > 0) expect(driver.send(new FramePieces().add(page.at, 60), undefined, 0, left)).toBe(SENT.OK);
    };
    Object.assign(setup.events, { sent: again });
    const driver = stage.open();
    page.at = stage.pages.allocate(4096);
    again();
    for (let turns = 0; turns < 200 && left >= 0; turns++) {
      stage.takeSent();
      stage.interrupt(driver);
    }
    expect([left, driver.counters.txFrames]).toEqual([-1, 100]);
  });

  test('drv.net.config.9: with MTU no plain frame beyond it goes out, one with a VLAN tag by 4 bytes', () => {
    const stage = stageWith({ features: [MTU, CSUM, HOST_TSO4], config: mtuConfig });
    const driver = stage.open();
    expect(driver.mtu).toBe(1500);
    expect(driver.sendBytes(frameOf(1514))).toBe(SENT.OK);
    expect(() => driver.sendBytes(frameOf(1515))).toThrow('length is 1515');
    const tagged = frameOf(1518);
    tagged.set([0x81, 0], 12);
    expect(driver.sendBytes(tagged)).toBe(SENT.OK);
    expect(() => driver.sendBytes(Uint8Array.from([...tagged, 0]))).toThrow('length is 1519');
    const offload = Object.assign(new NetOffload(), {
      flags: 1,
      gsoType: 1,
      gsoSize: 1448,
      csumStart: 34,
      csumOffset: 16,
    });
    const large = frameOf(4000);
    large[46] = 0x50;
    expect(driver.sendBytes(large, offload)).toBe(SENT.OK);
  });

  test('DR-05: a used length of a transmit buffer is ignored', () => {
    const stage = stageWith();
    const driver = stage.open();
    driver.sendBytes(frameOf(60));
    const raw = new RawUsed(stage.device, 1);
    raw.put(raw.available(0), 0xffff_ffff);
    stage.interrupt(driver);
    expect(driver.state).toBe('running');
    for (let i = 0; i < 16; i++) expect(driver.sendBytes(frameOf(60))).toBe(SENT.OK);
  });

  test('DR-17: a device that never completes is given up after the time limit, and recovers by a device reset', () => {
    const stage = stageWith();
    const driver = stage.open();
    driver.send(new FramePieces().add(stage.pages.allocate(4096), 60), undefined, 0, 5);
    stage.time += 5000;
    driver.watch();
    expect(stage.told).toEqual([]);
    stage.time += 1;
    driver.watch();
    expect(stage.told).toEqual(['sent 5', `broken ${BREAK.TRANSMIT_STALLED}, again`]);
    expect([driver.state, driver.counters.txLost]).toEqual(['recovering', 1]);
    stage.time += 100;
    driver.watch();
    expect([driver.state, driver.counters.restarts]).toEqual(['running', 1]);
    driver.sendBytes(frameOf(70));
    expect(stage.takeSent()).toEqual([withHeader(frameOf(70))]);
  });

  test('DR-17: with RING_RESET the queue alone is reset', () => {
    const stage = stageWith({ features: [VIRTIO_F.RING_RESET] });
    const driver = stage.open();
    while (driver.sendBytes(frameOf(60)) === SENT.OK);
    stage.time += 6000;
    driver.watch();
    expect(stage.told).toEqual([`broken ${BREAK.TRANSMIT_STALLED}, again`, 'writable 0']);
    expect([driver.state, driver.counters.txLost, driver.counters.breaks[BREAK.TRANSMIT_STALLED]]).toEqual([
      'running',
      16,
      1,
    ]);
    driver.sendBytes(frameOf(70));
    expect(stage.takeSent()).toEqual([withHeader(frameOf(70))]);
  });

  test('DR-29, drv.basic.status.4: a device that wants a reset after each reset is tried five times, with growing pauses', () => {
    const stage = stageWith();
    const driver = stage.open();
    stage.device.onWrite = (field, value) => {
      if (field === 'device_status' && (value & 4) !== 0) stage.device.status |= 64;
    };
    stage.device.status |= 64;
    const restarts: number[] = [];
    const from = stage.time;
    stage.interrupt(driver, 2);
    for (let turns = 0; turns < 10000 && driver.state !== 'broken'; turns++) {
      stage.time += 10;
      const before = driver.counters.restarts;
      driver.watch();
      if (driver.counters.restarts > before) restarts.push(stage.time - from);
    }
    expect(restarts).toHaveLength(5);
    const pauses = restarts.map((at, i) => at - (restarts[i - 1] ?? 0));
    expect(pauses.every((pause, i) => i === 0 || pause > pauses[i - 1]!)).toBe(true);
    expect(driver.counters.breaks[BREAK.NO_RECOVERY]).toBe(1);
    expect(stage.told.at(-1)).toBe(`broken ${BREAK.NO_RECOVERY}`);
    expect(stage.pages.inUse).toBe(0);
  });

  test('drv.net.mq.1,.3: all queues are set up before VQ_PAIRS_SET, and until it is obeyed only transmitq1 is used', () => {
    const config = new Uint8Array(28);
    config[8] = 2;
    const stage = stageWith({ features: [CTRL_VQ, MQ], config, queueSizes: [16, 16, 16, 16, 16], setup: { pairs: 2 } });
    const driver = stage.open();
    expect(() => driver.sendBytes(frameOf(60), undefined, 1)).toThrow('pair is 1');
    expect(stage.device.queues.map(({ enabled }) => enabled)).toEqual([1, 1, 1, 1, 1]);
    expect(stage.answer(4)).toEqual([Uint8Array.of(4, 0, 2, 0)]);
    stage.interrupt(driver);
    expect(driver.sendBytes(frameOf(60), undefined, 1)).toBe(SENT.OK);
    expect(stage.takeSent(3)).toHaveLength(1);
  });

  test('drv.net.mq.2,.4: pairs are 1 to those there are, and fewer from the moment that the command is in the ring', () => {
    const config = new Uint8Array(28);
    config[8] = 2;
    const stage = stageWith({ features: [CTRL_VQ, MQ], config, queueSizes: [16, 16, 16, 16, 16], setup: { pairs: 9 } });
    const driver = stage.open();
    stage.answer(4);
    stage.interrupt(driver);
    for (const pairs of [0, 3, 0x8000]) expect(() => driver.commands!.setPairs(pairs)).toThrow('virtqueue_pairs');
    driver.commands!.setPairs(1);
    expect(() => driver.sendBytes(frameOf(60), undefined, 1)).toThrow('pair is 1');
  });

  test('drv.net.rx-buffers.5: each receive queue that is set up is filled', () => {
    const config = new Uint8Array(28);
    config[8] = 2;
    const stage = stageWith({ features: [CTRL_VQ, MQ], config, queueSizes: [16, 16, 16, 16, 16], setup: { pairs: 2 } });
    stage.open();
    for (const index of [0, 2]) expect(stage.device.ring(index).hasAvailable()).toBe(true);
  });

  test('drv.basic.reserved-features.4: with ACCESS_PLATFORM and a mapping, the device sees mapped addresses alone', () => {
    const IOVA = 0x40_0000_0000;
    const stage = stageWith({ features: [VIRTIO_F.ACCESS_PLATFORM, VIRTIO_F.INDIRECT_DESC] });
    const seen: number[] = [];
    const mapping = {
      map: (gpa: number): number => gpa + IOVA,
      unmap: (address: number): void => void seen.push(address),
    };
    Object.assign(stage.setup, { dma: guestDma(stage.guest, stage.pages, mapping) });
    const guest = stage.guest;
    const { resolve, resolveRanges } = guest;
    Object.assign(stage.device, {
      space: {
        memory: guest.memory,
        resolve: (a: number, n: number, x: number) => resolve.call(guest, a - IOVA, n, x),
        resolveRanges: (a: number, n: number, x: number, list: never) =>
          resolveRanges.call(guest, a - IOVA, n, x, list),
      },
    });
    const driver = stage.open();
    const frame = frameOf(5000);
    expect(driver.sendBytes(frame)).toBe(SENT.OK);
    expect(stage.takeSent()).toEqual([withHeader(frame)]);
    stage.deliver(withHeader(frameOf(100)));
    stage.interrupt(driver);
    expect(stage.heard.map(({ bytes }) => bytes)).toEqual([frameOf(100)]);
    driver.close();
    expect([stage.pages.inUse, seen.every((address) => address >= IOVA)]).toEqual([0, true]);
  });

  test('drv.basic.reserved-features.5: without it, the addresses are those of the guest’s RAM', () => {
    const stage = stageWith({ features: [MAC] });
    stage.open();
    for (const { desc, driver, device } of stage.device.queues.slice(0, 2))
      for (const address of [desc, driver, device])
        expect(stage.guest.resolve(address, 4, 3)).toBeGreaterThanOrEqual(0);
  });
});

test('a frame that is too short or too long, and a setup that no driver can work with, are the caller’s mistakes', () => {
  const stage = new NetStage();
  const driver = stage.open();
  expect(() => driver.sendBytes(frameOf(13))).toThrow('length is 13');
  expect(() => driver.sendBytes(new Uint8Array(70000))).toThrow('length is 70000');
  expect(() => new NetStage({ setup: { pairs: 0 } }).open()).toThrow('pairs is 0');
  expect(() => new NetStage({ setup: { copyPages: 16 } }).open()).toThrow('copyPages is 16');
  const small = new NetStage();
  const pages = new PageAllocator(0x1_0000_0000, 0x8000);
  Object.assign(small.setup, { dma: guestDma(small.guest, pages) });
  expect(() => small.open()).toThrow('no more than fits');
  // Nothing is left behind: the device is reset, and the pages are free.
  expect([pages.inUse, small.device.status, small.device.queues[0]!.enabled]).toEqual([0, 0, 0]);
});
