import { openNetDriver } from '@ringwire/guest-drivers';
import { crc32 } from '@ringwire/guest-memory';
import { FrameQueue, LoopbackBackend } from '@ringwire/net-backend';
import {
  isImageRefusal,
  isVdpaRefusal,
  loadImage,
  NetParent,
  saveImage,
  startImage,
  TableSpace,
  VDPA,
  type VdpaDevice,
  type VdpaParent,
  VdpaTransport,
} from '@ringwire/vdpa';
import { ixgbeParent, vendorBParent } from '@ringwire/vdpa-vendors';
import { DEVICE_STATUS } from '@ringwire/virtio-spec';
import { expect, test } from 'vitest';
import { newLedger } from './ledger.js';
import { POLLED } from './machines/host-machine.js';
import { KernelStation } from './machines/kernel-station.js';
import { Lab, MESSAGES } from './machines/lab.js';
import { ownedFunctions } from './machines/offload-machine.js';
import { opened } from './machines/opened.js';

const FRAMES = 500;
const SIZE = 200;
const BUDGET = 64;
const GUEST = 1;
const CABLE_BYTES = 0x2_0000;
const CABLE_FRAMES = 64;
/** Turns in which everything that is under way comes to rest. */
const TURNS = 50;

/** Whoever may serve a guest's rings: software that is kicked, or polls; functions of three kinds of cards. Frames come back. */
function backendsOf(lab: Lab): { readonly name: string; readonly device: VdpaDevice }[] {
  const mac = Lab.mac(GUEST);
  const echo = (): LoopbackBackend =>
    new LoopbackBackend(new FrameQueue(lab.memory, lab.own.allocate(CABLE_BYTES), CABLE_BYTES, CABLE_FRAMES));
  const added = (parent: VdpaParent): VdpaDevice => {
    const device = parent.add('guest', { mac });
    if (isVdpaRefusal(device)) throw new Error(device.message);
    return device;
  };
  const software = (name: string, options: object): VdpaDevice =>
    added(
      new NetParent({
        name,
        host: lab.host,
        device: { holdWhenFull: true, ...options },
        seat: () => ({ backend: echo(), spaces: [new TableSpace(lab.memory)], close: () => {} }),
      }),
    );
  const card = { functions: 1, backend: echo, net: { holdWhenFull: true } };
  return [
    { name: 'vhost-net', device: software('vhost-net', {}) },
    { name: 'vhost-user', device: software('vhost-user', POLLED) },
    { name: 'virtio-offload', device: ownedFunctions(lab, { port: echo, follow: () => {} }, [GUEST]).devices[0]! },
    { name: 'vdpa, vendor B', device: added(vendorBParent(lab.host, { name: 'b', ...card })) },
    { name: 'vdpa, 82599', device: added(ixgbeParent(lab.host, { name: 'a', ...card })) },
  ];
}

/** A digest with one frame more. */
const also = (digest: number, frame: Uint8Array): number => Math.imul(digest ^ crc32(frame), 0x0100_0193) >>> 0;

test.each(['split', 'packed'] as const)(
  'F04, F71: one driver object, never told of it, behind every backend in turn, and the same bytes come back: %s',
  (rings) => {
    const lab = new Lab(false);
    const station = new KernelStation(newLedger());
    const [first, ...others] = backendsOf(lab);
    let device = first!.device;
    expect(device.map(0, lab.mapping(GUEST))).toBe(VDPA.OK);
    const transport = new VdpaTransport(device, (vector = 0) => station.message(vector));
    const driver = opened(
      openNetDriver({
        transport,
        dma: lab.dma(GUEST),
        messages: MESSAGES,
        features: Lab.features(rings),
        now: () => 0,
        events: { frame: (frame) => station.onFrame(frame.bytes()) },
      }),
    );
    station.driver = driver;
    const turn = (): void => {
      device.step(BUDGET);
      station.turn();
    };
    for (let turns = 0; turns < TURNS; turns++) turn();

    /** Send the same frames again. @returns digest of all bytes that come back, in their order: that of those sent */
    const digest = (): number => {
      let [sum, sent, came] = [0, 0, 0];
      station.onFrame = (frame) => {
        sum = also(sum, frame);
        came++;
      };
      const frame = new Uint8Array(SIZE);
      for (let number = 0, idle = 0; came < FRAMES && idle < TURNS; idle++) {
        for (; number < FRAMES && number - came < CABLE_FRAMES / 2; number++) {
          for (const at of frame.keys()) frame[at] = at < 12 ? Lab.mac(GUEST)[at % 6]! : number * 31 + at * 7;
          if (!station.send(frame)) break;
          sent = also(sent, frame);
        }
        const before = came;
        turn();
        if (came > before) idle = 0;
      }
      expect([came, sum]).toEqual([FRAMES, sent]);
      return sum;
    };

    const digests = new Map([[first!.name, digest()]]);
    for (const { name, device: next } of others) {
      expect([name, device.suspend()]).toEqual([name, VDPA.OK]);
      const image = saveImage(device, transport.places);
      if (isImageRefusal(image)) throw new Error(image.refusal);
      expect(next.setMap(0, [lab.mapping(GUEST)])).toBe(VDPA.OK);
      expect([name, loadImage(next, image)]).toEqual([name, undefined]);
      transport.moveTo(next);
      expect(startImage(next, image, (queue) => transport.interruptFor(queue))).toBeUndefined();
      device.reset();
      device = next;
      digests.set(name, digest());
      expect([driver.state, transport.status() & DEVICE_STATUS.DRIVER_OK]).toEqual([
        'running',
        DEVICE_STATUS.DRIVER_OK,
      ]);
    }
    expect(digests.size).toBe(5);
    expect(new Set(digests.values()).size).toBe(1);
    expect([driver.counters.rxFrames, driver.counters.restarts]).toEqual([5 * FRAMES, 0]);
  },
);
