import { HostMemory, PageAllocator } from '@ringwire/guest-memory';
import {
  decodeImage,
  encodeImage,
  isImageRefusal,
  isVdpaRefusal,
  loadImage,
  saveImage,
  simParent,
  startImage,
  VDPA,
  type VdpaDevice,
  type VdpaHost,
} from '@ringwire/vdpa';
import { CONTRACT_RAM_BYTES, ContractDriver, MOVING_WIRE_BYTES, MovingWire } from '@ringwire/vdpa/testing';
import { expect, test } from 'vitest';
import { ixgbeParent } from './ixgbe-parent.js';
import { vendorBParent } from './vendor-b-parent.js';

const HOST_BYTES = 0x400_0000;
/** Of the run with split rings: as many as with packed ones by RINGWIRE_FRAMES=10000, which takes 20 s more. */
const { RINGWIRE_FRAMES = '2000' } = process.env;
const SPLIT_FRAMES = Number(RINGWIRE_FRAMES);
const memory = HostMemory.create(HOST_BYTES + CONTRACT_RAM_BYTES);
const host: VdpaHost = { memory, pages: new PageAllocator(0, HOST_BYTES), now: () => 0 };
const wire = new MovingWire(memory, host.pages.allocate(MOVING_WIRE_BYTES));
const net = { holdWhenFull: true };
const nowhere = { offloads: 0, attach: () => {}, receive: () => 2 as const, pump: () => 0 };
const portOf = (number: number) => (place: number) => (place < 0 ? nowhere : wire.port(number));
const DEVICES: readonly VdpaDevice[] = [
  ixgbeParent(host, { name: 'pci/0000:01:00.0', functions: 1, backend: portOf(0), net }),
  vendorBParent(host, { name: 'pci/0000:02:00.0', functions: 1, backend: portOf(1), net }),
  simParent(host, { vendorId: 0x1111, backend: () => wire.port(2), device: net }),
].map((parent) => {
  const device = parent.add('one', {});
  if (isVdpaRefusal(device)) throw new Error(device.message);
  return device;
});

/**
 * The same run each time: frames out, and turns of the device of one or a few buffers, until all frames are back.
 * @param event called at every one of these steps
 */
function run(isPacked: boolean, frames: number, event: (driver: ContractDriver, step: number) => void): ContractDriver {
  for (const device of DEVICES) device.reset();
  wire.at = 0;
  const machine = { parent: simParent(host), memory, ram: HOST_BYTES };
  const driver = new ContractDriver(machine, DEVICES[0]!, { isPacked });
  driver.map();
  driver.start();
  for (let step = 0; driver.heard.length < frames; step++) {
    if (step > 20 * frames) throw new Error('the run does not come to its end');
    event(driver, step);
    // A number that jumps about: a multiplicative hash.
    const choice = (Math.imul(step + 1, 0x9e37_79b1) >>> 24) % 5;
    const isOut = choice < 2 && driver.sent < frames && driver.sent - driver.heard.length < 20;
    if (isOut) for (let sent = 0; sent < 4 && driver.sent < frames; sent++) driver.send();
    else driver.turn(choice === 4 ? 1 : 8);
  }
  return driver;
}

/** Suspended here, saved as bytes, restored on another vendor's device, which goes on. */
function hop(driver: ContractDriver, step: number): void {
  const from = DEVICES.indexOf(driver.device);
  const to = (from + 1 + (step % (DEVICES.length - 1))) % DEVICES.length;
  const target = DEVICES[to]!;
  expect(driver.device.suspend()).toBe(VDPA.OK);
  const saved = saveImage(driver.device, driver.places);
  if (isImageRefusal(saved)) throw new Error(saved.refusal);
  const image = decodeImage(encodeImage(saved));
  if (isImageRefusal(image)) throw new Error(image.refusal);
  // Its mappings were made when it was first come to, and are kept.
  driver.device.reset(true);
  driver.device = target;
  if (target.mappings(0).length === 0) driver.map();
  wire.at = to;
  const problem = loadImage(target, image) ?? startImage(target, image, () => {});
  if (problem !== undefined) throw new Error(problem.refusal);
}

test.each([
  [SPLIT_FRAMES, false],
  [10_000, true],
])(
  'F68: %i frames, and at every event the device is saved and another vendor’s goes on: the same bytes are delivered, packed %s',
  { timeout: 10 * 60_000 },
  (frames, isPacked) => {
    const whole = run(isPacked, frames, () => {});
    let events = 0;
    const hopped = run(isPacked, frames, (driver, step) => {
      hop(driver, step);
      events++;
    });
    expect(hopped.heard).toEqual(hopped.all);
    expect([hopped.digest, hopped.sent]).toEqual([whole.digest, frames]);
    expect(events).toBeGreaterThan(frames / 2);
  },
);
