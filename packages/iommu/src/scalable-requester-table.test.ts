import { ACCESS, RESOLVE } from '@ringwire/guest-memory';
import { expect, test } from 'vitest';
import { IommuSpace } from './iommu-space.js';
import { Iotlb } from './iotlb.js';
import { ScalableStage } from './testing/scalable-stage.js';

const { READ, WRITE } = ACCESS;
const RW = READ | WRITE;
const PAGE = 4096;

function quads(stage: ScalableStage, address: number, count: number): bigint[] {
  return Array.from({ length: count }, (_, i) => stage.memory.view.getBigUint64(address + i * 8, true));
}
const tableOf = (entry: bigint): number => Number(entry & ~0xfffn);

test('VT-d 4.0 §9.2 to §9.6: root, context, PASID directory and PASID entry of a second stage with SSADE', () => {
  const stage = new ScalableStage();
  const domain = stage.domain(0x1234);
  // Device 17 is in the upper half of bus 2.
  stage.requesters.attach(0x0288, domain);
  const root = quads(stage, stage.requesters.root + 2 * 16, 2);
  expect(root[0]).toBe(0n);
  const context = quads(stage, tableOf(root[1]!) + 8 * 32, 4);
  expect(context.slice(1)).toEqual([0n, 0n, 0n]);
  expect([root[1]! & 0xfffn, context[0]! & 0xfffn]).toEqual([1n, 1n]);
  const directory = quads(stage, tableOf(context[0]!), 2);
  expect([directory[0]! & 0xfffn, directory[1]]).toEqual([1n, 0n]);
  // P, AW 2 for 48 bits, PGTT 2 for second stage, SSADE; then the domain id.
  const low = BigInt(domain.tables.root) | 1n | (2n << 2n) | (2n << 6n) | 0x200n;
  expect(quads(stage, tableOf(directory[0]!), 8)).toEqual([low, 0x1234n, 0n, 0n, 0n, 0n, 0n, 0n]);
  expect(stage.requesters.rtaddr).toBe(BigInt(stage.requesters.root) + 0x400n);
});

test('writes mark pages, reads do not', () => {
  const stage = new ScalableStage();
  const domain = stage.domain(1, { largestPage: PAGE });
  domain.map(0, 0x1_0000, 4 * PAGE, RW);
  stage.requesters.attach(0x18, domain);
  const space = stage.space(0x18);
  space.resolve(0, 4, READ);
  space.resolve(PAGE, 4, WRITE);
  expect(domain.takeDirty(0, 4 * PAGE).map(({ iova }) => iova)).toEqual([PAGE]);
});

test('a detached requester reaches nothing, and its tables are free again', () => {
  const stage = new ScalableStage();
  const domain = stage.domain(1);
  domain.map(0, 0x1_0000, PAGE, RW);
  stage.requesters.attach(0x18, domain);
  const space = stage.space(0x18);
  const dma = (): number => {
    space.enter();
    const offset = space.resolve(0, 4, RW);
    space.leave();
    return offset;
  };
  expect(dma()).toBe(0x1_0000);
  const before = stage.allocator.inUse;
  stage.requesters.detach(0x18);
  expect(dma()).toBe(RESOLVE.FAULT);
  expect(stage.allocator.inUse).toBe(before - 2 * PAGE);
  expect(stage.requesters.domainOf(0x18)).toBeUndefined();
  domain.destroy();
  stage.requesters.destroy();
  expect(stage.allocator.inUse).toBe(0);
});

test('the caller’s mistakes are named', () => {
  const { requesters, ...stage } = new ScalableStage();
  const domain = new ScalableStage().domain(1);
  expect(() => requesters.attach(0x1_0000, domain)).toThrow('sourceId is 65536, want 0 to 65535');
  expect(() => requesters.detach(0x18)).toThrow('a requester with a domain');
  expect(() => requesters.attachNested(0x18, domain, { root: 12, levels: 4 })).toThrow('root is 12');
  expect(stage.allocator.inUse).toBe(PAGE);
});

test('VT-d 4.0 §9.4 to §9.6: DMA with a PASID uses the domain of that PASID alone, in a PASID table of its own from 64 on', () => {
  const stage = new ScalableStage();
  const { requesters, unit, physical, bus } = stage;
  const domains = [1, 2, 3].map((id) => stage.domain(id));
  for (const [at, domain] of domains.entries()) domain.map(0, 0x1_0000 * (at + 1), PAGE, RW);
  requesters.attach(0x18, domains[0]!);
  const before = stage.allocator.inUse;
  requesters.attachPasid(0x18, 63, domains[1]!);
  expect(stage.allocator.inUse).toBe(before);
  requesters.attachPasid(0x18, 64, domains[2]!);
  expect(stage.allocator.inUse).toBe(before + PAGE);
  expect([63, 64, 65].map((pasid) => requesters.pasidDomain(0x18, pasid)?.id)).toEqual([2, 3, undefined]);
  const spaces = [undefined, 63, 64, 65].map((pasid) => {
    const tag = pasid === undefined ? {} : { pasid };
    return new IommuSpace({ unit, sourceId: 0x18, physical, iotlb: new Iotlb(16), bus, ...tag });
  });
  const dma = (): number[] =>
    spaces.map((space) => {
      space.enter();
      const offset = space.resolve(0, 4, RW);
      space.leave();
      return offset;
    });
  expect(dma()).toEqual([0x1_0000, 0x2_0000, 0x3_0000, RESOLVE.FAULT]);
  requesters.detachPasid(0x18, 63);
  expect(dma()).toEqual([0x1_0000, RESOLVE.FAULT, 0x3_0000, RESOLVE.FAULT]);
  requesters.detach(0x18);
  expect(dma()).toEqual([RESOLVE.FAULT, RESOLVE.FAULT, RESOLVE.FAULT, RESOLVE.FAULT]);
  for (const domain of domains) domain.destroy();
  requesters.destroy();
  expect(stage.allocator.inUse).toBe(0);
});

test('a PASID that is none, or taken, or of nobody is the caller’s mistake', () => {
  const stage = new ScalableStage();
  const { requesters } = stage;
  const domain = stage.domain(1);
  expect(() => requesters.attachPasid(0x18, 1, domain)).toThrow('a requester with a domain');
  requesters.attach(0x18, domain);
  for (const bad of [0, -1, 8192, 1.5]) expect(() => requesters.attachPasid(0x18, bad, domain)).toThrow('pasid');
  requesters.attachPasid(0x18, 1, domain);
  expect(() => requesters.attachPasid(0x18, 1, domain)).toThrow('pasid is 1');
  expect(() => requesters.detachPasid(0x18, 2)).toThrow('pasid is 2');
});
