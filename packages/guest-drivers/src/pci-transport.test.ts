import { VIRTIO_F } from '@ringwire/virtio-spec';
import { VIRTIO_NET_F } from '@ringwire/virtio-spec/net';
import { expect, test } from 'vitest';
import { BREAK, isBreakdown } from './breakdown.js';
import { frameOf, NetStage, type StageOptions, withHeader } from './testing/net-stage.js';
import { GOOD_CAPABILITIES, msixEntry } from './testing/scripted-pci.js';

const MESSAGES = Array.from({ length: 4 }, (_, i) => ({ addressLo: 0xfee0_0000, addressHi: 0, data: 0x40 + i }));
const pciStage = (options: StageOptions = {}): NetStage => new NetStage({ transport: 'pci', ...options });
const codeOf = (stage: NetStage): number => {
  const outcome = stage.tryOpen();
  return isBreakdown(outcome) ? outcome.code : 0;
};

test('drv.pci.layout.1,.2: each field is accessed at its width, a 64-bit one as two halves', () => {
  const stage = pciStage();
  stage.open();
  const widths = new Map(stage.device.log.filter(({ op }) => op === 'w').map(({ name, bytes }) => [name, bytes]));
  expect(widths.get('device_status')).toBe(1);
  expect(widths.get('queue_select')).toBe(2);
  expect(widths.get('driver_feature')).toBe(4);
  expect(widths.get('queue_desc')).toBe(4);
  // Rings lie above 4 GiB: low half, high half, for each of two queues.
  expect(stage.device.accesses(/^w queue_desc/).filter((_, i) => i % 2 === 1)).toEqual([
    'w queue_desc 1',
    'w queue_desc 1',
  ]);
});

test('drv.pci.common-cfg.1,.4,.6: read-only fields are not written, queue_enable comes last and is only ever 1', () => {
  const stage = pciStage({ features: [VIRTIO_F.RING_RESET] });
  const driver = stage.open();
  driver.restartPair(0);
  driver.close();
  const written = stage.device.accesses(/^w (?!pci)/);
  const readOnly = /^w (num_queues|device_feature|queue_notif_config_data|config_generation|queue_notify_off) /;
  expect(written.filter((line) => readOnly.test(line))).toEqual([]);
  expect(new Set(stage.device.accesses(/^w queue_enable/))).toEqual(new Set(['w queue_enable 1']));
  const queue = stage.device
    .accesses(/^w queue_(?!select|reset)/)
    .slice(0, 8)
    .map((line) => line.split(' ')[1]);
  expect(queue).toEqual([
    'queue_size',
    ...['queue_desc', 'queue_desc', 'queue_driver', 'queue_driver', 'queue_device', 'queue_device'],
    'queue_enable',
  ]);
});

test('virtio 1.4 §2.6.1: a queue that was reset gets its vector again before it is enabled', () => {
  const stage = pciStage({ features: [VIRTIO_F.RING_RESET], pci: { vectors: 4 }, setup: { messages: MESSAGES } });
  const driver = stage.open();
  const before = stage.device.queues.map(({ vector }) => vector);
  driver.restartPair(0);
  expect(stage.device.queues.map(({ vector }) => vector)).toEqual(before);
  expect(before.slice(0, 2)).toEqual([1, 2]);
  const enables = stage.device.accesses(/^w queue_(msix_vector|enable)/).slice(-4);
  expect(enables).toEqual(['w queue_msix_vector 2', 'w queue_enable 1', 'w queue_msix_vector 1', 'w queue_enable 1']);
});

test('drv.pci.common-cfg.2,.3: a split queue gets a power of two, a packed one never 0', () => {
  for (const [isPacked, offered, size] of [
    [false, 100, 64],
    [false, 32768, 256],
    [true, 100, 100],
    [true, 1, 1],
  ] as const) {
    const stage = pciStage({ isPacked, queueSizes: [offered, offered, offered] });
    stage.open();
    expect(stage.device.accesses(/^w queue_size/)).toEqual([`w queue_size ${size}`, `w queue_size ${size}`]);
  }
});

test('DR-23: a maximum queue size of 0 ends it, 65535 is brought down to what is wanted', () => {
  expect(codeOf(pciStage({ queueSizes: [0, 16] }))).toBe(BREAK.NO_QUEUE);
  const stage = pciStage({ queueSizes: [65535, 65535] });
  stage.open();
  expect(stage.device.queues.map(({ size }) => size)).toEqual([256, 256]);
});

test('drv.pci.common-cfg.5: after 0 was written to device_status it is read until it is 0', () => {
  const stage = pciStage();
  let busy = 3;
  stage.device.bend.set('device_status', (status) => (status === 0 && busy-- > 0 ? 0x40 : status));
  stage.open();
  expect(stage.device.accesses(/device_status/).slice(0, 6)).toEqual([
    'w device_status 0',
    ...Array.from({ length: 4 }, () => 'r device_status'),
    'w device_status 1',
  ]);
});

test('drv.pci.common-cfg.7,.8: a queue is enabled again when queue_reset read 0, not before', () => {
  const stage = pciStage({ features: [VIRTIO_F.RING_RESET] });
  const driver = stage.open();
  let busy = 2;
  stage.device.bend.set('queue_reset', (reset) => (busy-- > 0 ? 1 : reset));
  stage.device.log.length = 0;
  driver.restartPair(0);
  expect(stage.device.accesses(/queue_(reset|enable)/).slice(0, 6)).toEqual([
    'w queue_reset 1',
    ...['r queue_reset', 'r queue_reset', 'r queue_reset', 'r queue_enable'],
    'w queue_enable 1',
  ]);
});

test('drv.pci.avail-notif.1,.3: without either feature the index goes out in 16 bits', () => {
  const stage = pciStage();
  const driver = stage.open();
  stage.device.log.length = 0;
  driver.sendBytes(frameOf(60));
  expect(stage.device.log.filter(({ name }) => name.startsWith('notify'))).toEqual([
    { op: 'w', name: 'notify+4', bytes: 2, value: 1 },
  ]);
});

test('drv.pci.avail-notif.2,.4: with NOTIFICATION_DATA 32 bits go out, the index in the low ones', () => {
  const stage = pciStage({ features: [VIRTIO_F.NOTIFICATION_DATA] });
  const driver = stage.open();
  stage.device.log.length = 0;
  driver.sendBytes(frameOf(60));
  // Split: the available index in the upper half.
  expect(stage.device.log.filter(({ name }) => name.startsWith('notify'))).toEqual([
    { op: 'w', name: 'notify+4', bytes: 4, value: 0x0001_0001 },
  ]);
});

test('drv.pci.avail-notif.5,.6: with NOTIF_CONFIG_DATA the device’s own name for the queue goes out', () => {
  for (const [features, bytes, value] of [
    [[VIRTIO_F.NOTIF_CONFIG_DATA], 2, 0x101],
    [[VIRTIO_F.NOTIF_CONFIG_DATA, VIRTIO_F.NOTIFICATION_DATA], 4, 0x0001_0101],
  ] as const) {
    const stage = pciStage({ features });
    const driver = stage.open();
    stage.device.log.length = 0;
    driver.sendBytes(frameOf(60));
    expect(stage.device.log.filter(({ name }) => name.startsWith('notify'))).toEqual([
      { op: 'w', name: 'notify+4', bytes, value },
    ]);
  }
});

test('features whose fields the common configuration is too short for are not accepted', () => {
  const capabilities = GOOD_CAPABILITIES.map((capability, i) =>
    i === 0 ? { ...capability, length: 0x38 } : capability,
  );
  const stage = pciStage({ features: [VIRTIO_F.RING_RESET, VIRTIO_F.NOTIF_CONFIG_DATA], pci: { capabilities } });
  stage.open();
  expect(stage.device.driverFeatures[1]).toBe(1);
});

test.each([
  ['past its structure', 0x400, 4, 0],
  ['wrapped around', 0xffff, 0xffff_ffff, 0],
  ['in the last byte, with 32 bits to be written', 0x3ff, 4, 0xffe],
])('DR-27: a device that is to be notified %s is given up', (_, notifyOff, extra, shrink) => {
  const capabilities = GOOD_CAPABILITIES.map((capability) =>
    capability.cfgType === 2 ? { ...capability, extra, length: shrink || 0x1000 } : capability,
  );
  const stage = pciStage({ features: [VIRTIO_F.NOTIFICATION_DATA], pci: { capabilities } });
  stage.device.bend.set('queue_notify_off', () => notifyOff);
  expect(codeOf(stage)).toBe(BREAK.NOTIFY_ADDRESS);
  expect(stage.device.accesses(/^w notify/)).toEqual([]);
});

test('drv.pci.msix.3,.5: with a vector for each queue and one for configuration, each mapping is read back', () => {
  const stage = pciStage({ pci: { vectors: 8 }, setup: { messages: MESSAGES } });
  stage.open();
  expect(stage.device.configVector).toBe(0);
  expect(stage.device.queues.map(({ vector }) => vector)).toEqual([1, 2, 0xffff]);
  expect([0, 1, 2].map((vector) => msixEntry(stage.pci!, vector))).toEqual([
    [0xfee0_0000, 0, 0x40, 0],
    [0xfee0_0000, 0, 0x41, 0],
    [0xfee0_0000, 0, 0x42, 0],
  ]);
  expect(stage.device.accesses(/msix_vector/)).toEqual([
    ...['w config_msix_vector 0', 'r config_msix_vector'],
    ...['w queue_msix_vector 1', 'r queue_msix_vector', 'w queue_msix_vector 2', 'r queue_msix_vector'],
  ]);
});

test('drv.pci.msix.4,.6: a device that refuses a mapping is asked for fewer vectors, none past its table', () => {
  const stage = pciStage({ pci: { vectors: 2 }, setup: { messages: MESSAGES } });
  stage.device.bend.set('queue_msix_vector', (vector) => (vector === 0 ? 0 : 0xffff));
  const driver = stage.open();
  const vectors = stage.device.accesses(/^w (config|queue)_msix_vector/).map((line) => Number(line.split(' ')[2]));
  expect(Math.max(...vectors)).toBe(1);
  expect(stage.device.queues.slice(0, 2).map(({ vector }) => vector)).toEqual([0, 0]);
  // One vector for everything: drv.pci.config-notif.1 is about this.
  stage.deliver(withHeader(frameOf(60)));
  stage.interrupt(driver, 0, 0);
  expect(stage.heard).toHaveLength(1);
});

test('drv.pci.msix.2: a device that refuses all mappings, or has none, is driven by its interrupt line', () => {
  for (const vectors of [0, 4]) {
    const stage = pciStage({ pci: { vectors }, setup: { messages: MESSAGES } });
    stage.device.bend.set('queue_msix_vector', () => 0xffff);
    const driver = stage.open();
    stage.deliver(withHeader(frameOf(60)));
    stage.interrupt(driver, 1);
    expect(stage.heard).toHaveLength(1);
    expect(stage.device.accesses(/isr/)).toHaveLength(1);
  }
});

test('drv.pci.isr.1: with MSI-X, ISR status is not read', () => {
  const stage = pciStage({ pci: { vectors: 4 }, setup: { messages: MESSAGES } });
  const driver = stage.open();
  stage.deliver(withHeader(frameOf(60)));
  stage.interrupt(driver, 1, 1);
  expect(stage.heard).toHaveLength(1);
  expect(stage.device.accesses(/isr/)).toEqual([]);
});

test('drv.pci.config-notif.1: one interrupt tells of a configuration change and of used buffers', () => {
  const config = new Uint8Array(28);
  const stage = pciStage({ features: [VIRTIO_NET_F.STATUS], config });
  const driver = stage.open();
  expect(driver.isLinkUp).toBe(false);
  config[6] = 1;
  stage.deliver(withHeader(frameOf(60)));
  stage.interrupt(driver, 3);
  expect([driver.isLinkUp, stage.heard.length]).toEqual([true, 1]);
});
