import { FrameQueue, LoopbackBackend } from '@ringwire/net-backend';
import { expect, test } from 'vitest';
import { siovParent } from './siov-parent.js';
import { ContractDriver, IOVA, PART } from './testing/contract-driver.js';
import { CONTRACT_RAM_BYTES, type ContractMachine, vdpaContract } from './testing/index.js';
import { IommuStage, SOURCE } from './testing/iommu-stage.js';
import { isVdpaRefusal } from './vdpa-parent.js';

const stage = new IommuStage();
const rams = [0, 1].map(() => stage.processPages.allocate(CONTRACT_RAM_BYTES));
const cables = [0, 1].map(() => stage.host.pages.allocate(0x2_0000));
const { unit, requesters } = stage.scalable();
const { memory, bus, physical, tables } = stage;

function sliced() {
  return siovParent(stage.host, {
    tracksDirty: true,
    name: 'pci/0000:3b:00.0',
    sourceId: SOURCE,
    unit,
    requesters,
    bus,
    physical,
    tables,
    firstPasid: 63,
    firstDomain: 10,
    slices: 2,
    pairs: 2,
    doorbells: 0xfe00_0000,
    backend: (place) => new LoopbackBackend(new FrameQueue(memory, cables[place]!, 0x2_0000, 64)),
    device: { holdWhenFull: true },
  });
}

function machine(): ContractMachine {
  const parent = sliced();
  return { parent, memory, ram: rams[0]!, changeConfig: (device) => parent.modelOf(device)?.setLink(false) };
}

for (const { title, run } of vdpaContract('scalable IOV', machine)) test(title, run);

test('F86: two slices of one function use the same addresses, and neither reaches the other’s memory', () => {
  const parent = sliced();
  const inUse = tables.inUse;
  const drivers = rams.map((ram, place) => {
    const device = parent.add(`slice${place}`, { maxPairs: 1 });
    if (isVdpaRefusal(device)) throw new Error(device.message);
    const driver = new ContractDriver({ parent, memory, ram }, device);
    driver.map();
    driver.start();
    return driver;
  });
  for (let round = 0; round < 20; round++) for (const driver of drivers) driver.send();
  for (const driver of drivers) driver.settle();
  expect(drivers.map(({ heard, all }) => heard.join() === all.join())).toEqual([true, true]);
  const [first, second] = drivers as [ContractDriver, ContractDriver];
  expect(first.device.doorbell(0)).toEqual({ address: 0xfe00_0000, bytes: 4096 });
  expect(second.device.doorbell(0)).toEqual({ address: 0xfe00_1000, bytes: 4096 });
  first.device.unmap(0, IOVA, PART.rings.bytes);
  const untouched = first.bytesOf('rings');
  for (let round = 0; round < 8; round++) second.send();
  second.settle();
  first.device.step(64);
  expect(second.heard).toEqual(second.all);
  expect(first.bytesOf('rings') === untouched).toBe(true);
  for (const { device } of drivers) {
    device.reset();
    parent.remove(device);
  }
  // The second PASID of the second slice needed a table of its own, which stays with the requester.
  expect(tables.inUse - inUse).toBeLessThanOrEqual(4096);
});
