import { ACCESS, HostMemory, RangeList, RESOLVE } from '@ringwire/guest-memory';
import { VirtioError } from '@ringwire/virtio-spec';
import { expect, test } from 'vitest';
import { BUS_WORDS } from './invalidation-bus.js';
import { deviceSpace, Owner, PAGE, RW, SOURCE } from './testing/dma-stage.js';

const { READ, WRITE } = ACCESS;
const MIB2 = 0x20_0000;

function stage(capacity?: number) {
  const memory = HostMemory.create(0x80_0000);
  const words = new Int32Array(new SharedArrayBuffer(BUS_WORDS * 4));
  const owner = new Owner(memory, words);
  return { owner, ...deviceSpace(memory, words, owner.requesters.root, capacity) };
}

test('an address resolves through root, context and four levels of tables to a host offset', () => {
  const { owner, space, iotlb } = stage();
  const domain = owner.domain(3);
  domain.map(0x7f_0000_0000, 0x5000, PAGE, RW);
  owner.requesters.attach(SOURCE, domain);
  space.enter();
  expect(space.resolve(0x7f_0000_0123, 64, READ)).toBe(0x5123);
  // Root, context and one entry for each level.
  expect(iotlb.counters).toMatchObject({ misses: 1, hits: 0, entriesRead: 6 });
  expect(space.resolve(0x7f_0000_0fff, 1, READ)).toBe(0x5fff);
  expect(iotlb.counters).toMatchObject({ misses: 1, hits: 1 });
  expect(space.resolve(0x7f_0000_0fff, 2, READ)).toBe(RESOLVE.FAULT);
  space.leave();
});

test('pages that are neighbours on the host are one range, others several', () => {
  const { owner, space } = stage();
  const domain = owner.domain(1);
  domain.map(0, 0x8000, 2 * PAGE, RW);
  domain.map(2 * PAGE, 0x4000, PAGE, RW);
  owner.requesters.attach(SOURCE, domain);
  expect(space.resolve(0xf00, 0x200, WRITE)).toBe(0x8f00);
  expect(space.resolve(0x1f00, 0x200, WRITE)).toBe(RESOLVE.SPLIT);
  const ranges = new RangeList();
  expect(space.resolveRanges(0xf00, 0x1200, WRITE, ranges)).toBe(true);
  expect([...ranges.offset.subarray(0, 2)]).toEqual([0x8f00, 0x4000]);
  expect([...ranges.length.subarray(0, 2)]).toEqual([0x1100, 0x100]);
  expect(space.resolveRanges(0x2f00, 0x200, WRITE, ranges)).toBe(false);
  expect(ranges.count).toBe(2);
});

test('IO-17: a requester that is attached to nothing is blocked, and so is one that was detached', () => {
  const { owner, space, unit } = stage();
  expect(space.resolve(0, 4, READ)).toBe(RESOLVE.FAULT);
  expect(unit.faults.counters.recorded).toBe(1);
  const domain = owner.domain(1);
  domain.map(0, 0x3000, PAGE, RW);
  owner.requesters.attach(SOURCE, domain);
  space.enter();
  expect(space.resolve(0, 4, READ)).toBe(0x3000);
  space.leave();
  owner.requesters.detach(SOURCE);
  space.enter();
  expect(space.resolve(0, 4, READ)).toBe(RESOLVE.FAULT);
  space.leave();
});

test('IO-18: a write to a mapping that is for reading is blocked, cached or not', () => {
  const { owner, space } = stage();
  const domain = owner.domain(1);
  domain.map(0, 0x3000, PAGE, READ);
  owner.requesters.attach(SOURCE, domain);
  expect(space.resolve(8, 4, WRITE)).toBe(RESOLVE.FAULT);
  expect(space.resolve(8, 4, READ)).toBe(0x3008);
  expect(space.resolve(8, 4, WRITE)).toBe(RESOLVE.FAULT);
});

test('IO-19: what was unmapped is forgotten by the next burst, the pieces of a large page with it', () => {
  const { owner, space } = stage();
  const domain = owner.domain(9);
  domain.map(0, 0, MIB2, RW);
  owner.requesters.attach(SOURCE, domain);
  space.enter();
  expect([0x1000, 0x5000].map((iova) => space.resolve(iova, 4, WRITE))).toEqual([0x1000, 0x5000]);
  space.leave();
  domain.unmap(0x5000, PAGE);
  space.enter();
  expect([0x1000, 0x5000].map((iova) => space.resolve(iova, 4, WRITE))).toEqual([0x1000, RESOLVE.FAULT]);
  space.leave();
});

test('lazy mode: the stale page is within reach of cached translations until the flush', () => {
  const { owner, space } = stage();
  const domain = owner.domain(2, true);
  domain.map(0, 0x6000, PAGE, RW);
  owner.requesters.attach(SOURCE, domain);
  const look = (): number => {
    space.enter();
    const offset = space.resolve(0, 4, WRITE);
    space.leave();
    return offset;
  };
  expect(look()).toBe(0x6000);
  domain.unmap(0, PAGE);
  expect(domain.stale).toEqual({ mappings: 1, bytes: PAGE });
  expect(look()).toBe(0x6000);
  domain.flush();
  expect(look()).toBe(RESOLVE.FAULT);
});

test('a working set far larger than the cache is translated rightly, and its misses are counted', () => {
  const { owner, space, iotlb } = stage(16);
  const domain = owner.domain(1);
  for (let page = 0; page < 400; page++) domain.map(page * 2 * PAGE, page * PAGE, PAGE, RW);
  owner.requesters.attach(SOURCE, domain);
  for (let round = 0; round < 2; round++) {
    for (let page = 0; page < 400; page++) expect(space.resolve(page * 2 * PAGE + 7, 9, READ)).toBe(page * PAGE + 7);
  }
  expect(iotlb.counters.misses).toBeGreaterThan(700);
  expect(iotlb.counters.evictions).toBeGreaterThan(700);
});

test('NX-01: addresses that are no integers below 2^53 are faults', () => {
  const { owner, space } = stage();
  const domain = owner.domain(1);
  domain.map(0, 0, PAGE, RW);
  owner.requesters.attach(SOURCE, domain);
  for (const address of [-1, 0.5, Number.NaN, Number.POSITIVE_INFINITY, 2 ** 53, 2 ** 63])
    expect(space.resolve(address, 4, READ)).toBe(RESOLVE.FAULT);
  for (const length of [-1, 0.5, Number.NaN, 2 ** 32]) expect(space.resolve(0, length, READ)).toBe(RESOLVE.FAULT);
});

test('a requester has one domain at a time, and a detach of nothing is the caller’s mistake', () => {
  const { owner } = stage();
  const domain = owner.domain(1);
  owner.requesters.attach(SOURCE, domain);
  expect(() => owner.requesters.attach(SOURCE, owner.domain(2))).toThrow(
    'sourceId is 24, want one without a domain, not 1',
  );
  expect(() => owner.requesters.detach(5)).toThrow(VirtioError);
  expect(owner.requesters.domainOf(SOURCE)).toBe(domain);
});
