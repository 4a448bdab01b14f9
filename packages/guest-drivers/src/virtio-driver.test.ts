import { DEVICE_STATUS, VIRTIO_F, VIRTIO_NET_F } from '@ringwire/virtio-spec';
import { describe, expect, test } from 'vitest';
import { BREAK, isBreakdown } from './breakdown.js';
import { SENT } from './net-tx-queue.js';
import { frameOf, NetStage, type StageOptions, WAYS, withHeader } from './testing/net-stage.js';

const { DRIVER_OK, SUSPEND, FAILED } = DEVICE_STATUS;

const codeOf = (stage: NetStage): number => {
  const outcome = stage.tryOpen();
  return isBreakdown(outcome) ? outcome.code : 0;
};

/** Statuses that were written, and accesses between them, under the names of both transports. */
const steps = (stage: NetStage): string[] =>
  stage.device
    .accesses(
      /^w (device_status|Status|driver_feature |DriverFeatures |queue_enable|QueueReady|notify|QueueNotify)|^r config/,
    )
    .map((line) => line.replace('device_status', 'Status').replace('queue_enable', 'QueueReady'));

describe.each(WAYS)('%s', (_, way) => {
  const stageWith = (options: StageOptions = {}): NetStage => new NetStage({ ...way, ...options });

  test('drv.basic.init.1,.2,.3,.4,.5,.8,.11,.12, drv.basic.status.1: the steps are taken in their order', () => {
    const stage = stageWith({ features: [VIRTIO_NET_F.MAC] });
    stage.open();
    const lines = steps(stage).filter((line) => line.startsWith('w Status') || line.startsWith('w QueueReady'));
    expect(lines.slice(0, 7)).toEqual([
      ...['w Status 0', 'w Status 1', 'w Status 3', 'w Status 11'],
      ...['w QueueReady 1', 'w QueueReady 1', 'w Status 15'],
    ]);
  });

  test('drv.basic.init.6,.7: configuration is read before FEATURES_OK, and never written', () => {
    const stage = stageWith({ features: [VIRTIO_NET_F.MAC], config: Uint8Array.of(2, 0, 0, 0, 0, 9) });
    const driver = stage.open();
    const lines = steps(stage);
    expect(lines.indexOf('r config')).toBeGreaterThan(lines.indexOf('w Status 3'));
    expect(lines.indexOf('r config')).toBeLessThan(lines.indexOf('w Status 11'));
    expect(stage.device.accesses(/^w config/)).toEqual([]);
    expect(driver.mac[5]).toBe(9);
  });

  test('drv.basic.init.9: no feature is written after FEATURES_OK', () => {
    const stage = stageWith();
    stage.open();
    const lines = stage.device.accesses(/^w (device_status|Status|driver_feature|DriverFeatures)/);
    expect(lines.filter((line) => /eature/.test(line)).length).toBe(8);
    expect(lines.findLastIndex((line) => /eature/.test(line))).toBeLessThan(
      lines.findIndex((line) => / 11$/.test(line)),
    );
  });

  test('DR-21, drv.basic.init.10,.13,.14: when FEATURES_OK does not stick, FAILED is set and nothing else done', () => {
    const stage = stageWith();
    stage.device.bend.set('device_status', (status) => status & ~DEVICE_STATUS.FEATURES_OK);
    expect(codeOf(stage)).toBe(BREAK.FEATURES_REFUSED);
    expect(stage.device.status & FAILED).toBe(FAILED);
    expect(stage.device.accesses(/^w (queue_enable|QueueReady|notify|QueueNotify)/)).toEqual([]);
    expect(stage.pages.inUse).toBe(0);
  });

  test('drv.basic.init.15: no queue is notified before DRIVER_OK, though receive buffers lie ready', () => {
    const stage = stageWith();
    stage.open();
    const lines = steps(stage);
    const started = lines.indexOf('w Status 15');
    expect(lines.slice(0, started).filter((line) => /otify/.test(line))).toEqual([]);
    expect(lines.slice(started).filter((line) => /otify/.test(line))).toHaveLength(1);
    expect(stage.device.ring(0).hasAvailable()).toBe(true);
  });

  test('drv.basic.status.2: a status bit that was set stays set until the next reset', () => {
    const stage = stageWith();
    stage.open().close();
    let before = 0;
    for (const status of stage.device.accesses(/^w (device_status|Status)/).map((line) => Number(line.split(' ')[2]))) {
      if (status !== 0) expect(status & before).toBe(before);
      before = status;
    }
  });

  test('drv.basic.status.3: after FAILED the next try begins with a reset', () => {
    const stage = stageWith({ queueSizes: [0, 0] });
    expect(codeOf(stage)).toBe(BREAK.NO_QUEUE);
    expect(stage.device.status & FAILED).toBe(FAILED);
    stage.device.log.length = 0;
    codeOf(stage);
    expect(stage.device.accesses(/^w (device_status|Status)/)[0]).toMatch(/ 0$/);
  });

  test('DR-20, drv.basic.reset.1: a reset that never reads back 0 is waited for a bounded time, then the device given up', () => {
    const stage = stageWith();
    stage.device.bend.set('device_status', () => 0xff);
    expect(codeOf(stage)).toBe(BREAK.RESET_TIMEOUT);
    expect(stage.device.log.length).toBeLessThan(100);
  });

  test('DR-20: a queue that never reads enabled is waited for a bounded time, and its memory freed after a reset', () => {
    const stage = stageWith();
    stage.device.bend.set('queue_enable', () => 0);
    expect(codeOf(stage)).toBe(BREAK.QUEUE_TIMEOUT);
    expect(stage.pages.inUse).toBe(0);
  });

  test('DR-20, drv.basic.vq-reset.1: a queue reset that never ends breaks the device', () => {
    const stage = stageWith({ features: [VIRTIO_F.RING_RESET] });
    const driver = stage.open();
    stage.device.bend.set('queue_reset', () => 1);
    driver.restartPair(0);
    expect([driver.state, driver.counters.breaks[BREAK.QUEUE_TIMEOUT]]).toEqual(['broken', 1]);
    expect(driver.sendBytes(frameOf(60))).toBe(SENT.DOWN);
  });

  test('drv.basic.vq-reset.2, drv.basic.vq-reenable.1: a queue that was reset is set up anew in its memory and works', () => {
    const stage = stageWith({ features: [VIRTIO_F.RING_RESET] });
    const driver = stage.open();
    const before = stage.pages.inUse;
    for (let i = 0; i < 5; i++) driver.sendBytes(frameOf(100));
    driver.restartPair(0);
    expect(driver.counters.txLost).toBe(5);
    driver.sendBytes(frameOf(70));
    expect(stage.takeSent()).toEqual([withHeader(frameOf(70))]);
    stage.deliver(withHeader(frameOf(80)));
    stage.interrupt(driver);
    expect(stage.heard.map(({ bytes }) => bytes)).toEqual([frameOf(80)]);
    expect(stage.pages.inUse).toBe(before);
  });

  test('drv.basic.features.1,.4,.5,.8: unknown and reserved bits on offer are neither accepted nor a reason to give up', () => {
    const stage = stageWith({ features: [24, 27, 30, 41, 42, 44, 49, 4, 6, 61, 70, 100, 127, VIRTIO_F.SR_IOV] });
    stage.open();
    const packed = way.isPacked === true ? 4 : 0;
    expect(Array.from(stage.device.driverFeatures)).toEqual([0, 1 + packed, 0, 0]);
  });

  test('drv.basic.features.7, drv.basic.reserved-features.2: without VERSION_1 there is no mode to fall back to: FAILED', () => {
    const stage = stageWith();
    stage.device.offered[1]! &= ~1;
    expect(codeOf(stage)).toBe(BREAK.LEGACY);
    expect(stage.device.status & FAILED).toBe(FAILED);
  });

  test('drv.basic.reserved-features.1,.3,.6,.7,.13: what a driver is to accept of all devices, it accepts', () => {
    const { VERSION_1, ACCESS_PLATFORM, RING_PACKED, ORDER_PLATFORM, NOTIF_CONFIG_DATA } = VIRTIO_F;
    const stage = stageWith({ features: [ACCESS_PLATFORM, RING_PACKED, ORDER_PLATFORM, NOTIF_CONFIG_DATA] });
    stage.open();
    const wanted: number[] = [VERSION_1, ACCESS_PLATFORM, RING_PACKED, ORDER_PLATFORM];
    // NOTIF_CONFIG_DATA has a field on PCI only.
    if (way.transport === 'pci') wanted.push(NOTIF_CONFIG_DATA);
    expect(stage.device.driverFeatures[1]).toBe(wanted.reduce((bits, bit) => bits | (1 << (bit - 32)), 0));
  });

  test('drv.basic.reserved-features.10: SR_IOV is not accepted, the driver enables no functions', () => {
    const stage = stageWith({ features: [VIRTIO_F.SR_IOV] });
    stage.open();
    expect((stage.device.driverFeatures[1]! >>> (VIRTIO_F.SR_IOV - 32)) & 1).toBe(0);
  });

  test('drv.basic.config-space.1,.2: configuration that changes while it is read is read again', () => {
    const config = Uint8Array.of(2, 0, 0, 0, 0, 1);
    const stage = stageWith({ features: [VIRTIO_NET_F.MAC], config });
    let reads = 0;
    stage.device.bend.set('config_generation', (generation) => {
      // After the first pass: the last bytes are of another generation.
      if (++reads === 2) config.set([2, 0, 0, 0, 7, 7]);
      return generation + (reads >= 2 ? 1 : 0);
    });
    expect(Array.from(stage.open().mac)).toEqual([2, 0, 0, 0, 7, 7]);
  });

  test('configuration that changes each time it is read ends the try', () => {
    const stage = stageWith({ features: [VIRTIO_NET_F.MAC] });
    let generation = 0;
    stage.device.bend.set('config_generation', () => generation++ & 0xff);
    expect(codeOf(stage)).toBe(BREAK.CONFIG);
    expect(stage.device.log.length).toBeLessThan(400);
  });

  test('drv.basic.config-space.3: a field whose features are not offered is not read', () => {
    const stage = stageWith({ features: [VIRTIO_NET_F.STATUS] });
    stage.open();
    expect(stage.device.log.filter(({ name }) => name === 'config').map(({ bytes }) => bytes)).toEqual([2]);
  });

  test('drv.basic.cleanup.1,.2: buffers are taken back after a reset only, and no ring entry is written then', () => {
    const stage = stageWith();
    const driver = stage.open();
    driver.sendBytes(frameOf(60));
    const { desc, size } = stage.device.queues[1]!;
    const before = stage.guest.read(desc, size * 16);
    let inUse = 0;
    stage.device.onWrite = (field, value) => {
      if (field === 'device_status' && value === 0) inUse = stage.pages.inUse;
    };
    driver.close();
    expect(inUse).toBeGreaterThan(0);
    expect(stage.pages.inUse).toBe(0);
    expect(stage.guest.read(desc, size * 16)).toEqual(before);
    expect(driver.counters.txLost).toBe(1);
  });

  test('drv.basic.suspend.1: SUSPEND is not set unless it was negotiated and the device runs', () => {
    const stage = stageWith();
    expect(() => stage.open().suspend()).toThrow('VIRTIO_F_SUSPEND');
    const other = stageWith({ features: [VIRTIO_F.SUSPEND] });
    const driver = other.open();
    driver.close();
    driver.suspend();
    for (const each of [stage, other])
      expect(
        each.device
          .accesses(/^w (device_status|Status)/)
          .filter((line) => (Number(line.split(' ')[2]) & SUSPEND) !== 0),
      ).toEqual([]);
  });

  test('drv.basic.suspend.2,.3,.4,.5,.6: a device is suspended and resumed when its status says so; nothing is sent in between', () => {
    const stage = stageWith({ features: [VIRTIO_F.SUSPEND] });
    const driver = stage.open();
    let delay = 0;
    stage.device.bend.set('device_status', (status) => {
      if (delay-- > 0) return status;
      return (status & SUSPEND) !== 0 ? status & ~DRIVER_OK : status;
    });
    delay = 3;
    stage.device.log.length = 0;
    driver.suspend();
    expect(stage.device.accesses(/^r (device_status|Status)/)).toHaveLength(4);
    expect(driver.state).toBe('suspended');
    stage.device.log.length = 0;
    expect(driver.sendBytes(frameOf(60))).toBe(SENT.DOWN);
    stage.interrupt(driver);
    driver.watch();
    expect(stage.device.accesses(/./)).toEqual([]);
    delay = 0;
    driver.resume();
    expect(driver.sendBytes(frameOf(60))).toBe(SENT.OK);
    expect(driver.state).toBe('running');
  });

  test('a device that does not suspend is given up', () => {
    const stage = stageWith({ features: [VIRTIO_F.SUSPEND] });
    const driver = stage.open();
    driver.suspend();
    expect([driver.state, driver.counters.breaks[BREAK.SUSPEND]]).toEqual(['broken', 1]);
  });
});

test('drv.basic.config-space.4,.5: configuration is only tested to hold the fields that are needed', () => {
  const capabilities = (length: number): NonNullable<StageOptions['pci']> => ({
    capabilities: [
      { cfgType: 1, offset: 0, length: 0x40 },
      { cfgType: 3, offset: 0x1000, length: 1 },
      { cfgType: 4, offset: 0x2000, length },
      { cfgType: 2, offset: 0x3000, length: 0x1000, extra: 4 },
    ],
  });
  const open = (length: number, features: readonly number[]): number =>
    codeOf(new NetStage({ transport: 'pci', features, pci: capabilities(length) }));
  expect(open(0x1000, [VIRTIO_NET_F.STATUS])).toBe(0);
  expect(open(8, [VIRTIO_NET_F.STATUS])).toBe(0);
  expect(open(7, [VIRTIO_NET_F.STATUS])).toBe(BREAK.CONFIG);
  expect(open(1, [])).toBe(0);
});
