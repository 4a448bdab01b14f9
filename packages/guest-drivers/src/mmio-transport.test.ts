import { GuestMemory, HostMemory } from '@ringwire/guest-memory';
import { VIRTIO_F } from '@ringwire/virtio-spec';
import { MMIO_REGISTERS } from '@ringwire/virtio-spec/transport';
import { expect, test } from 'vitest';
import { BREAK, isBreakdown } from './breakdown.js';
import { openMmioTransport } from './mmio-transport.js';
import { frameOf, NetStage, withHeader } from './testing/net-stage.js';
import { ScriptedDevice } from './testing/scripted-device.js';
import { type MmioIdentity, scriptedMmio } from './testing/scripted-mmio.js';

const space = new GuestMemory(HostMemory.create(0x1_0000), [{ gpa: 0, size: 0x1_0000, host: 0 }]);

function tryIdentity(identity: MmioIdentity): [code: number, accesses: string[], message: string] {
  const device = new ScriptedDevice(space);
  const outcome = openMmioTransport(scriptedMmio(device, identity));
  return isBreakdown(outcome) ? [outcome.code, device.accesses(/./), outcome.message] : [0, device.accesses(/./), ''];
}

test('drv.mmio.init.1,.2: MagicValue and Version are read first, then DeviceID', () => {
  expect(tryIdentity({}).slice(0, 2)).toEqual([0, ['r MagicValue', 'r Version', 'r DeviceID']]);
});

test('DR-28, drv.mmio.registers.6,.7: another magic is reported, and the device not touched further', () => {
  const [code, accesses, message] = tryIdentity({ magic: 0x7472_6977 });
  expect([code, accesses]).toEqual([BREAK.NOT_USABLE, ['r MagicValue']]);
  expect(message).toContain('MagicValue is 0x74726977');
});

test('DR-28, drv.mmio.registers.8,.9: a legacy device and an unknown version are reported as what they are', () => {
  expect(tryIdentity({ version: 1 })).toEqual([
    BREAK.LEGACY,
    ['r MagicValue', 'r Version'],
    'Version is 1, want 2: this is a legacy device (virtio 1.4 §4.2.2)',
  ]);
  expect(tryIdentity({ version: 3 }).slice(0, 2)).toEqual([BREAK.NOT_USABLE, ['r MagicValue', 'r Version']]);
});

test('DR-28, drv.mmio.registers.10,.11, drv.mmio.init.3,.4: DeviceID 0 is a place without a device, and no error', () => {
  const [code, accesses] = tryIdentity({ deviceId: 0 });
  expect(code).toBe(BREAK.NO_DEVICE);
  expect(accesses).toEqual(['r MagicValue', 'r Version', 'r DeviceID']);
});

/** All that a driver does in one life, with a queue reset and an interrupt. */
function lifeOf(features: readonly number[] = [VIRTIO_F.RING_RESET]): NetStage {
  const stage = new NetStage({ features });
  const driver = stage.open();
  driver.sendBytes(frameOf(60));
  stage.deliver(withHeader(frameOf(60)));
  stage.interrupt(driver, 0xff);
  if (features.includes(VIRTIO_F.RING_RESET)) driver.restartPair(0);
  driver.close();
  return stage;
}

test('drv.mmio.registers.1,.2,.3,.4: only registers of the table are accessed, as aligned words, by what they allow', () => {
  // The scripted device throws at any other access.
  const { log } = lifeOf().device;
  expect(log.length).toBeGreaterThan(50);
  for (const { op, name, bytes } of log.filter((access) => access.name !== 'config')) {
    const row = MMIO_REGISTERS[name as keyof typeof MMIO_REGISTERS];
    expect([bytes, row.access]).toEqual([4, op === 'r' ? expect.stringMatching(/r/) : expect.stringMatching(/w/)]);
  }
});

test('drv.mmio.registers.5: device configuration is read at the width of its fields', () => {
  const stage = new NetStage({
    features: [5, 16, 3, 63],
    config: Uint8Array.of(2, 0, 0, 0, 0, 7, 1, 0, 0, 0, 0xdc, 5, 0, 0, 0, 0, 1),
  });
  stage.open();
  const reads = stage.device.log.filter(({ name }) => name === 'config').map(({ bytes }) => bytes);
  // status, mtu, speed, duplex behind six bytes of mac.
  expect([...reads].sort()).toEqual([1, 1, 1, 1, 1, 1, 1, 2, 2, 4]);
});

test('drv.mmio.registers.12,.13: the select register is written before features are read or written', () => {
  const lines = lifeOf()
    .device.accesses(/Features/)
    .slice(0, 16);
  expect(lines).toEqual([
    ...[0, 1, 2, 3].flatMap((word) => [`w DeviceFeaturesSel ${word}`, 'r DeviceFeatures']),
    ...[0, 1, 2, 3].flatMap((word) => [`w DriverFeaturesSel ${word}`, expect.stringMatching(/^w DriverFeatures /)]),
  ]);
});

test('drv.mmio.registers.14,.15: the size is at most QueueSizeMax, and nothing of a queue is touched while it is ready', () => {
  const { device } = lifeOf();
  expect(device.accesses(/^w QueueSize /)).toEqual(Array.from({ length: 4 }, () => 'w QueueSize 16'));
  // Each queue in turn: sizes and addresses only between reading QueueReady 0 and writing 1.
  let ready = true;
  for (const { op, name, value } of device.log) {
    if (name === 'QueueReady') ready = value !== 0;
    if (name === 'QueueSel') ready = true;
    if (/^Queue(Size|Desc|Driver|Device)/.test(name)) expect([op, name, ready]).toEqual([op, name, false]);
  }
});

test('drv.mmio.registers.16,.17: a queue is stopped by writing 0 to QueueReady and reading it back', () => {
  const lines = lifeOf().device.accesses(/QueueReady|Status/);
  const first = lines.indexOf('w QueueReady 0');
  expect(lines.slice(first)).toEqual([
    ...['w QueueReady 0', 'r QueueReady', 'w QueueReady 0', 'r QueueReady'],
    ...['w Status 0', 'r Status'],
  ]);
});

test('drv.mmio.registers.18,.19,.20, drv.mmio.notifications.1,.3: known causes are handled and acknowledged, no others', () => {
  expect(lifeOf().device.accesses(/Interrupt/)).toEqual(['r InterruptStatus', 'w InterruptACK 3']);
});

test('drv.mmio.notifications.2: the used-buffer bit makes the driver look at every queue', () => {
  const stage = new NetStage({
    features: [17, 22, 50],
    config: Uint8Array.of(0, 0, 0, 0, 0, 0, 0, 0, 2, 0),
    queueSizes: [16, 16, 16, 16, 16],
    setup: { pairs: 2 },
  });
  const driver = stage.open();
  stage.answer(4);
  stage.deliver(withHeader(frameOf(60)), 0);
  stage.deliver(withHeader(frameOf(61)), 2);
  stage.interrupt(driver, 1);
  expect(stage.heard.map(({ pair }) => pair)).toEqual([0, 1]);
  expect(driver.activePairs).toBe(2);
});

test('drv.mmio.registers.21,.22: a queue is set up again when QueueReset read 0, not before', () => {
  const stage = new NetStage({ features: [VIRTIO_F.RING_RESET] });
  const driver = stage.open();
  let busy = 2;
  stage.device.bend.set('queue_reset', (reset) => (busy-- > 0 ? 1 : reset));
  stage.device.log.length = 0;
  driver.restartPair(0);
  expect(stage.device.accesses(/QueueRe(set|ady)|QueueSize /).slice(0, 8)).toEqual([
    'w QueueReset 1',
    ...['r QueueReset', 'r QueueReset', 'r QueueReset', 'r QueueReady', 'r QueueReady'],
    ...['w QueueSize 16', 'w QueueReady 1'],
  ]);
});

test('drv.mmio.init.5,.6: the generic initialization follows, without shared memory registers', () => {
  const { device } = lifeOf([]);
  expect(device.accesses(/SHM/)).toEqual([]);
  expect(device.accesses(/^w Status/)).toEqual([0, 1, 3, 11, 15, 0].map((status) => `w Status ${status}`));
});
