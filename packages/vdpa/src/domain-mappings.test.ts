import { ACCESS } from '@ringwire/guest-memory';
import { IommuDomain, IommuSpace, Iotlb } from '@ringwire/iommu';
import { expect, test } from 'vitest';
import { DomainSpace } from './domain-space.js';
import { IommuStage, SOURCE } from './testing/iommu-stage.js';
import { VDPA } from './vdpa-outcome.js';

const PASID = 63;
const PAGE_BYTES = 4096;

test('pages that were written and unmapped are told once, however often a driver does so before anybody asks', () => {
  const stage = new IommuStage();
  const { unit, requesters } = stage.scalable();
  const { memory, bus, physical, tables } = stage;
  const domain = new IommuDomain({ id: 10, physical, allocator: tables, sink: bus });
  requesters.attachPasid(SOURCE, PASID, domain);
  const config = { unit, sourceId: SOURCE, pasid: PASID, physical, iotlb: new Iotlb(256), bus };
  const space = new DomainSpace(memory, domain, bus, new IommuSpace(config), true);
  const host = stage.processPages.allocate(3 * PAGE_BYTES);
  /** Mapped, the first two of three pages written, and unmapped. */
  const use = (round: number): void => {
    const iova = 0x10_0000 + round * 3 * PAGE_BYTES;
    expect(space.map({ iova, bytes: 3 * PAGE_BYTES, host, access: ACCESS.READ | ACCESS.WRITE })).toBe(VDPA.OK);
    space.enter();
    for (const at of [0, PAGE_BYTES]) expect(space.resolve(iova + at, 64, ACCESS.WRITE)).toBe(host + at);
    expect(space.resolve(iova + 2 * PAGE_BYTES, 64, ACCESS.READ)).toBe(host + 2 * PAGE_BYTES);
    space.leave();
    expect(space.unmap(iova, 3 * PAGE_BYTES)).toBe(VDPA.OK);
  };
  expect(space.trackDirty(true)).toBe(VDPA.OK);
  for (let round = 0; round < 50; round++) use(round);
  expect(space.takeDirty()).toEqual([{ host, bytes: 2 * PAGE_BYTES }]);
  expect(space.takeDirty()).toEqual([]);
  expect(space.trackDirty(false)).toBe(VDPA.OK);
  use(0);
  expect(space.trackDirty(true)).toBe(VDPA.OK);
  expect(space.takeDirty()).toEqual([]);
});
