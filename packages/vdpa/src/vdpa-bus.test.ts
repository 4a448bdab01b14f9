import { guestDma, isBreakdown, openNetDriver, SENT, type Transport } from '@ringwire/guest-drivers';
import { GuestMemory, PageAllocator } from '@ringwire/guest-memory';
import { featureWords, VIRTIO_F } from '@ringwire/virtio-spec';
import { VIRTIO_NET_F } from '@ringwire/virtio-spec/net';
import { expect, test } from 'vitest';
import { vhostVdpa, virtioVdpa } from './bus-drivers.js';
import { simParent } from './sim-parent.js';
import { frameOf, VdpaStage } from './testing/vdpa-stage.js';
import { VhostGuest } from './testing/vhost-guest.js';
import { VdpaBus } from './vdpa-bus.js';
import type { VdpaDevice } from './vdpa-device.js';
import { VDPA } from './vdpa-outcome.js';
import { isVdpaRefusal, type VdpaRefusal } from './vdpa-parent.js';
import { VHOST_BACKEND_F } from './vhost-vdpa.js';

const FEATURES = featureWords([
  VIRTIO_F.VERSION_1,
  VIRTIO_F.ACCESS_PLATFORM,
  VIRTIO_F.RING_PACKED,
  VIRTIO_F.EVENT_IDX,
  VIRTIO_NET_F.MAC,
  VIRTIO_NET_F.STATUS,
  VIRTIO_NET_F.MRG_RXBUF,
]);
const GUEST_RAM = 0x80_0000;

function made<T extends object>(result: T): Exclude<T, VdpaRefusal> {
  if (isVdpaRefusal(result)) throw new Error(result.message);
  return result as Exclude<T, VdpaRefusal>;
}

function busWith(stage: VdpaStage): { bus: VdpaBus; device: VdpaDevice } {
  const bus = new VdpaBus();
  bus.addParent(simParent(stage.host, { devices: 2, device: { holdWhenFull: true } }));
  bus.addDriver(vhostVdpa);
  bus.addDriver(virtioVdpa);
  const { device } = made(bus.add('vdpa0', 'vdpasim_net'));
  return { bus, device };
}

/** Frames through a driver; what came back. */
function exchange(stage: VdpaStage, device: VdpaDevice, transport: Transport, dma: ReturnType<typeof guestDma>) {
  const heard: Uint8Array[] = [];
  const events = { frame: (frame: { bytes(): Uint8Array }) => void heard.push(frame.bytes()) };
  const driver = openNetDriver({ transport, dma, features: FEATURES, queueSize: 64, now: () => stage.time, events });
  if (isBreakdown(driver)) throw new Error(driver.message);
  const frames = Array.from({ length: 40 }, (_, i) => frameOf(60 + i * 30, i));
  for (const [i, frame] of frames.entries()) {
    expect(driver.sendBytes(frame)).toBe(SENT.OK);
    if (i % 8 < 7) continue;
    while (device.step(64) > 0) {
      driver.interrupt();
      while (driver.needsPoll) driver.poll();
    }
  }
  expect(heard).toEqual(frames);
  return driver;
}

/** A VMM: the guest's RAM is a part of its own memory, mapped at guest-physical addresses. */
function guestOf(stage: VdpaStage) {
  const host = stage.processPages.allocate(GUEST_RAM);
  const ram = new GuestMemory(stage.memory, [{ gpa: 0, size: GUEST_RAM, host }]);
  return { host, dma: guestDma(ram, new PageAllocator(0x1000, GUEST_RAM - 0x1000)) };
}

test('F35: one device serves a guest under vhost_vdpa, then the host’s own driver under virtio_vdpa, then a guest again', () => {
  const stage = new VdpaStage();
  const { bus, device } = busWith(stage);
  const { host, dma } = guestOf(stage);
  const underVhost = () => {
    made(bus.bind('vdpa0', vhostVdpa.name));
    const file = made(bus.boundTo('vdpa0', vhostVdpa)!.open());
    expect(file.setBackendFeatures(1 << VHOST_BACKEND_F.IOTLB_PERSIST)).toBe(VDPA.OK);
    expect(file.setOwner(stage.space)).toBe(VDPA.OK);
    expect(file.iotlb?.update(0, 0, GUEST_RAM, host, 3)).toBe(VDPA.OK);
    exchange(stage, device, new VhostGuest(file, () => {}), dma).close();
    return file;
  };
  const file = underVhost();
  expect(bus.bind('vdpa0', virtioVdpa.name)).toMatchObject({ outcome: VDPA.BUSY });
  expect(bus.unbind('vdpa0')).toBeUndefined();
  expect(device.mappings(0)).toEqual([]);
  expect([file.setStatus(1), file.setVringNum(0, 8), file.suspend()]).toEqual([8, 8, 8]);

  made(bus.bind('vdpa0', virtioVdpa.name));
  const bound = bus.boundTo('vdpa0', virtioVdpa)!;
  const memory = bound.memory(stage.space, stage.iovas);
  const transport = made(bound.open(() => {}));
  expect(bound.open(() => {})).toMatchObject({ outcome: VDPA.BUSY });
  const driver = exchange(stage, device, transport, guestDma(stage.space, stage.processPages, memory));
  expect(device.status & 4).toBe(4);
  expect(bus.unbind('vdpa0')).toBeUndefined();
  expect(device.status).toBe(0);
  expect(transport.status()).toBe(0xff);
  driver.close();
  expect(device.status).toBe(0);

  underVhost();
  expect(device.queueStatistics(1)).toContainEqual({ name: 'completed_desc', value: 120 });
});

test('what people ask of the bus and is not there is a refusal that names it', () => {
  const stage = new VdpaStage();
  const { bus } = busWith(stage);
  const message = (result: object | undefined): unknown =>
    isVdpaRefusal(result) ? [result.outcome, result.message] : result;
  expect(message(bus.add('vdpa0', 'vdpasim_net'))).toEqual([VDPA.EXISTS, 'there is a device vdpa0 already']);
  expect(message(bus.add('a/b', 'vdpasim_net'))).toEqual([VDPA.INVALID, '"a/b" is no name of a device']);
  expect(message(bus.add('x', 'pci/none'))).toEqual([VDPA.NONE, 'there is no management device pci/none']);
  expect(message(bus.add('x', 'vdpasim_net', { mtu: 40 }))).toEqual([VDPA.INVALID, 'mtu is 40, want 68 to 65535']);
  expect(message(bus.add('x', 'vdpasim_net', { maxPairs: 2 }))).toEqual([VDPA.INVALID, 'max_vqp is 2, want 1 to 1']);
  expect(message(bus.add('x', 'vdpasim_net', { mac: new Uint8Array(6) }))).toEqual([
    VDPA.INVALID,
    'mac is 00:00:00:00:00:00, want 6 bytes of a station, not zero',
  ]);
  expect(message(bus.add('x', 'vdpasim_net', { features: featureWords([127]) }))).toMatchObject([VDPA.INVALID, {}]);
  expect(message(bus.bind('x', 'vhost_vdpa'))).toEqual([VDPA.NONE, 'there is no device x']);
  expect(message(bus.bind('vdpa0', 'uio'))).toEqual([VDPA.NONE, 'there is no bus driver uio']);
  expect(message(bus.unbind('vdpa0'))).toEqual([VDPA.NONE, 'vdpa0 is bound to nothing']);
  expect(message(bus.remove('x'))).toEqual([VDPA.NONE, 'there is no device x']);
  expect(() => bus.addDriver(vhostVdpa)).toThrow('driver is vhost_vdpa, want a name that is free');
  expect(bus.removeParent('vdpasim_net')).toBeUndefined();
  expect(bus.devices).toEqual([]);
  expect(stage.host.pages.inUse).toBe(0);
});
