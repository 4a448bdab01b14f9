import { featureWords, VIRTIO_F } from '@ringwire/virtio-spec';
import { expect, test } from 'vitest';
import { ShadowVdpa } from './shadow-vdpa.js';
import { simParent } from './sim-parent.js';
import { CONTRACT_RAM_BYTES, type ContractMachine, vdpaContract } from './testing/index.js';
import { VdpaStage } from './testing/vdpa-stage.js';
import type { VdpaDevice } from './vdpa-device.js';
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
