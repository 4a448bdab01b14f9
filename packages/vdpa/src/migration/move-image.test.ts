import { featureWords, VIRTIO_F } from '@ringwire/virtio-spec';
import { VIRTIO_NET_F } from '@ringwire/virtio-spec/net';
import { expect, test } from 'vitest';
import type { ModelVdpa } from '../model-vdpa.js';
import { type SimParentOptions, simParent } from '../sim-parent.js';
import { Cable } from '../testing/cable-stage.js';
import { ContractDriver, RX, TX } from '../testing/contract-driver.js';
import { CONTRACT_RAM_BYTES } from '../testing/contract-machine.js';
import { VdpaStage } from '../testing/vdpa-stage.js';
import { VDPA } from '../vdpa-outcome.js';
import { isVdpaRefusal, type VdpaAttributes } from '../vdpa-parent.js';
import { decodeImage } from './decode-image.js';
import { type DeviceImage, isImageRefusal, type QueuePlace } from './device-image.js';
import { encodeImage } from './encode-image.js';
import { loadImage, saveImage, startImage } from './move-image.js';
import { imageProblem, moveObstacles } from './move-obstacles.js';

const IOVA = 0x7000_0000;
const PLACES: readonly QueuePlace[] = [RX, TX].map((index) => ({
  index,
  size: 32,
  addresses: {
    desc: IOVA + index * 0x4000,
    driver: IOVA + index * 0x4000 + 0x2000,
    device: IOVA + index * 0x4000 + 0x3000,
  },
}));

function stage(isPacked = false) {
  const { host, memory, processPages } = new VdpaStage();
  // What is on the wire stays there: all devices are plugged into the same cable, one after the other.
  const cable = new Cable(memory, host.pages.allocate(0x2_0000));
  const add = (options: SimParentOptions = {}, attributes: VdpaAttributes = {}): ModelVdpa => {
    const device = simParent(host, { backend: () => cable, ...options }).add('vdpa0', attributes);
    if (isVdpaRefusal(device)) throw new Error(device.message);
    return device;
  };
  const source = add();
  const ram = processPages.allocate(CONTRACT_RAM_BYTES);
  const driver = new ContractDriver({ parent: simParent(host), memory, ram }, source, { isPacked });
  driver.map();
  driver.start();
  return { add, source, driver };
}

function imageOf(device: ModelVdpa): DeviceImage {
  expect(device.suspend()).toBe(VDPA.OK);
  const image = saveImage(device, PLACES);
  if (isImageRefusal(image)) throw new Error(image.refusal);
  return image;
}

test.each([false, true])(
  'a guest that goes from device to device as bytes loses no frame and hears none twice, packed %s',
  (isPacked) => {
    const { add, source, driver } = stage(isPacked);
    let device = source;
    for (let move = 0; move < 60; move++) {
      for (let sent = 0; sent < 1 + (move % 7); sent++) driver.send();
      // Some of them are left in the ring for the next device.
      driver.turn(1 + (move % 3));
      const image = decodeImage(encodeImage(imageOf(device)));
      if (isImageRefusal(image)) throw new Error(image.refusal);
      const next = add();
      driver.device = next;
      driver.map();
      expect(loadImage(next, image)).toBeUndefined();
      const told: number[] = [];
      startImage(next, image, (index) => told.push(index));
      expect(told).toEqual([RX, TX]);
      device.reset();
      device = next;
      driver.settle();
    }
    expect(driver.heard.length).toBeGreaterThan(200);
    expect(driver.heard).toEqual(driver.all);
  },
);

test('MG-10 features that the target lacks are named before anything starts, and the image is refused', () => {
  const { add, source } = stage();
  const bare = add({}, { features: featureWords([VIRTIO_F.VERSION_1, VIRTIO_F.ACCESS_PLATFORM, VIRTIO_NET_F.MAC]) });
  const text = 'VIRTIO_NET_F_STATUS (bit 16) was accepted, and the target does not offer it';
  expect(moveObstacles(source, bare, PLACES)).toEqual([text]);
  expect(imageProblem(imageOf(source), bare)).toBe(text);
  expect([source.status, bare.status]).toEqual([15, 0]);
});

test('MG-10 features that do not go together are refused, and the target is as after a reset', () => {
  const { add, source, driver } = stage();
  const target = add();
  driver.device = target;
  driver.map();
  const image = {
    ...imageOf(source),
    features: featureWords([VIRTIO_F.ACCESS_PLATFORM, VIRTIO_F.VERSION_1, VIRTIO_NET_F.CTRL_MAC_ADDR]),
  };
  expect(loadImage(target, image)).toEqual({
    refusal: expect.stringMatching(
      /does not take these features together.*CTRL_MAC_ADDR requires VIRTIO_NET_F_CTRL_VQ/,
    ),
  });
  expect([target.status, target.mappings(0).length > 0]).toEqual([0, true]);
});

test('MG-07 more queues than the target has, and MG-06 a size beyond its largest, are refused', () => {
  const { add, source } = stage();
  const image = imageOf(source);
  const many = { ...image, queues: [...image.queues, { ...image.queues[0]!, index: 200 }] };
  expect(loadImage(add(), many)).toMatchObject({ refusal: expect.stringContaining('queue 200 is ready') });
  const large = { ...image, queues: [{ ...image.queues[0]!, size: 4096 }] };
  expect(loadImage(add(), large)).toMatchObject({ refusal: expect.stringContaining('queue 0 has size 4096') });
});

test('MG-14 a configuration of another length is refused', () => {
  const { add, source } = stage();
  const image = { ...imageOf(source), config: new Uint8Array(3) };
  expect(loadImage(add(), image)).toMatchObject({ refusal: expect.stringContaining('configuration has 3 bytes') });
});

test('MG-20 an image of another device type is refused', () => {
  const { add, source } = stage();
  expect(loadImage(add(), { ...imageOf(source), deviceId: 2 })).toMatchObject({
    refusal: 'the device type is 2, and the target’s is 1',
  });
});

test('MG-25 the same image loaded twice into one device is refused the second time, and the first one holds', () => {
  const { add, source, driver } = stage();
  const image = imageOf(source);
  const target = add();
  driver.device = target;
  driver.map();
  expect(loadImage(target, image)).toBeUndefined();
  expect(loadImage(target, image)).toMatchObject({ refusal: expect.stringContaining('after a reset') });
  startImage(target, image, () => {});
  driver.send();
  driver.settle();
  expect(driver.heard).toEqual([0]);
});

test('a ring where the target has no memory is refused, and the target can be used', () => {
  const { add, source } = stage();
  const target = add();
  expect(loadImage(target, imageOf(source))?.refusal).toContain('starting queue 0 ends with INVALID');
  expect(target.status).toBe(0);
});

test('a device at work gives no image', () => {
  const { source } = stage();
  expect(saveImage(source, PLACES)).toEqual({ refusal: 'the device is at work, want it suspended' });
});

test('a device whose control queue is in use moves to one that takes what commands made, and to no other', () => {
  const { add, source } = stage();
  source.reset();
  source.setStatus(3);
  source.setDriverFeatures(featureWords([VIRTIO_F.VERSION_1, VIRTIO_F.ACCESS_PLATFORM, VIRTIO_NET_F.CTRL_VQ]));
  const target = add();
  expect(moveObstacles(source, target, PLACES)).toEqual([]);
  const plain = Object.create(target, { abilities: { value: { ...target.abilities, typeState: false } } }) as ModelVdpa;
  expect(moveObstacles(source, plain, PLACES)).toEqual([
    'VIRTIO_NET_F_CTRL_VQ was accepted, and the target takes nothing of what commands made',
  ]);
});
