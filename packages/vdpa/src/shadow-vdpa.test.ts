import { PageAllocator } from '@ringwire/guest-memory';
import { featureWords, VIRTIO_F } from '@ringwire/virtio-spec';
import { expect, test } from 'vitest';
import { ShadowVdpa } from './shadow-vdpa.js';
import { simParent } from './sim-parent.js';
import { CONTRACT_RAM_BYTES, ContractDriver, type ContractMachine, vdpaContract } from './testing/index.js';
import { VdpaStage } from './testing/vdpa-stage.js';
import type { VdpaDevice } from './vdpa-device.js';
import { VDPA } from './vdpa-outcome.js';
import { isVdpaRefusal, type VdpaParent } from './vdpa-parent.js';

const stage = new VdpaStage();
const { host, memory } = stage;
const ram = stage.processPages.allocate(CONTRACT_RAM_BYTES);

/** Devices of another parent, each behind shadow queues. */
function shadowed(
  rings: 'split' | 'packed',
  change: (device: VdpaDevice) => VdpaDevice = (device) => device,
): VdpaParent {
  const parent = simParent(host, { device: { holdWhenFull: true } });
  const behind = new Map<VdpaDevice, VdpaDevice>();
  return {
    name: 'shadowed',
    classes: parent.classes,
    maxQueues: parent.maxQueues,
    features: parent.features,
    add(name, attributes) {
      const device = parent.add(name, attributes);
      if (isVdpaRefusal(device)) return device;
      const shadow = new ShadowVdpa({ device: change(device), pages: host.pages, rings });
      behind.set(shadow, device);
      return shadow;
    },
    remove(device) {
      const own = behind.get(device)!;
      behind.delete(device);
      parent.remove(own);
    },
  };
}

/** The same device without suspend: it stops by a reset alone, as plain virtio functions do. */
const plain = (device: VdpaDevice): VdpaDevice =>
  new Proxy(device, {
    get(target, name) {
      if (name === 'abilities')
        return { ...target.abilities, suspend: false, resume: false, state: 'start', dirty: false };
      if (name === 'suspend' || name === 'resume') throw new Error(`${name} of a device that has none`);
      const value: unknown = Reflect.get(target, name, target);
      return typeof value === 'function' ? value.bind(target) : value;
    },
  });

const machine = (parent: VdpaParent): ContractMachine => ({ parent, memory, ram });

for (const rings of ['split', 'packed'] as const) {
  const name = `${rings} behind`;
  for (const { title, run } of vdpaContract(name, () => machine(shadowed(rings)))) test(title, run);
  for (const { title, run } of vdpaContract(`${name}, without suspend`, () => machine(shadowed(rings, plain))))
    test(title, run);
}

test('all memory of the host comes back, and rings that the device does not have are the caller’s mistake', () => {
  const before = host.pages.inUse;
  const parent = simParent(host);
  const device = parent.add('a', { features: featureWords([VIRTIO_F.VERSION_1, VIRTIO_F.ACCESS_PLATFORM]) });
  if (isVdpaRefusal(device)) throw new Error(device.message);
  expect(() => new ShadowVdpa({ device, pages: host.pages, rings: 'packed' })).toThrow('rings is packed');
  parent.remove(device);
  expect(host.pages.inUse).toBe(before);
});

test.each([
  [
    'without memory for its ring',
    () => ({ pages: new PageAllocator(stage.processPages.allocate(4096), 4096), inUse: 0 }),
  ],
  [
    'with memory that is in pieces',
    () => {
      const pages = new PageAllocator(stage.processPages.allocate(3 * 4096), 3 * 4096);
      const [first, , last] = [pages.allocate(4096), pages.allocate(4096), pages.allocate(4096)];
      pages.free(first);
      pages.free(last);
      return { pages, inUse: 4096 };
    },
  ],
])('%s a queue does not start, and the device says why', (_, room) => {
  const parent = simParent(host);
  const device = parent.add('a', {});
  if (isVdpaRefusal(device)) throw new Error(device.message);
  const { pages, inUse } = room();
  const shadow = new ShadowVdpa({ device, pages, rings: 'split' });
  shadow.map(0, { iova: 0, bytes: 0x1_0000, host: ram, access: 3 });
  shadow.setStatus(3);
  shadow.setDriverFeatures(featureWords([VIRTIO_F.VERSION_1, VIRTIO_F.ACCESS_PLATFORM]));
  shadow.setStatus(11);
  shadow.setQueueAddresses(0, { desc: 0, driver: 0x2000, device: 0x4000 });
  expect([shadow.setQueueReady(0, true), shadow.queueReady(0)]).toEqual([VDPA.NO_ROOM, false]);
  expect(shadow.problem).toContain('no memory for the ring of queue 0');
  expect(shadow.setQueueSize(0, 32)).toBe(VDPA.OK);
  expect(shadow.setQueueReady(0, true)).toBe(VDPA.OK);
  shadow.reset();
  expect(pages.inUse).toBe(inUse);
  parent.remove(device);
});

test.each([
  ['that suspends', (device: VdpaDevice) => device],
  ['without suspend', plain],
])(
  'a device %s: groups keep their address spaces while it is suspended and when it goes on, and no ring stays mapped',
  (_, change) => {
    const parent = simParent(host, { device: { holdWhenFull: true } });
    const device = parent.add('a', {});
    if (isVdpaRefusal(device)) throw new Error(device.message);
    const shadow = new ShadowVdpa({ device: change(device), pages: host.pages, rings: 'split' });
    const driver = new ContractDriver(machine(parent), shadow, { controlSpace: 1 });
    driver.map();
    driver.start();
    const spaces = () => [0, 1, 2].map((index) => shadow.groupSpace(shadow.queueGroup(index)));
    expect(spaces()).toEqual([0, 0, 1]);
    expect([shadow.suspend(), spaces()]).toEqual([VDPA.OK, [0, 0, 1]]);
    expect(shadow.setGroupSpace(1, 0)).toBe(VDPA.BUSY);
    expect([shadow.resume(), spaces()]).toEqual([VDPA.OK, [0, 0, 1]]);
    // Receive everything: the command goes through address space 1.
    expect(driver.command([0, 0, 1])).toBe(0);
    expect(shadow.reset(true)).toBe(VDPA.OK);
    expect([0, 1].map((asid) => device.mappings(asid))).toEqual([0, 1].map((asid) => shadow.mappings(asid)));
    shadow.reset();
    parent.remove(device);
  },
);
