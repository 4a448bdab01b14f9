import { ACCESS, HostMemory, RangeList, RESOLVE } from '@ringwire/guest-memory';
import { VirtioError } from '@ringwire/virtio-spec';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { BUS_WORDS } from './invalidation-bus.js';
import { deviceSpace, Owner, PAGE, RW, SOURCE } from './testing/dma-stage.js';

const { READ, WRITE } = ACCESS;
const MIB2 = 0x20_0000;

function stage(capacity?: number) {
  const memory = HostMemory.create(0x80_0000);
  const words = new Int32Array(new SharedArrayBuffer(BUS_WORDS * 4));
  const owner = new Owner(memory, words);
  return { owner, ...deviceSpace(memory, words, owner.requesters.root, capacity === undefined ? {} : { capacity }) };
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

test('pages that were translated side by side answer as one, per kind of access, and no longer once one is unmapped', () => {
  const { owner, space } = stage();
  const domain = owner.domain(1);
  domain.map(0, 0x8000, 3 * PAGE, RW);
  domain.map(3 * PAGE, 0xb000, PAGE, READ);
  owner.requesters.attach(SOURCE, domain);
  const look = (iova: number, access: number): number => space.resolve(iova, 16, access);
  space.enter();
  for (let turn = 0; turn < 2; turn++) {
    expect([0x2000, 0x1000, 0, 0x3000].map((iova) => look(iova, READ))).toEqual([0xa000, 0x9000, 0x8000, 0xb000]);
    expect([0, 0x1000, 0x3000].map((iova) => look(iova, WRITE))).toEqual([0x8000, 0x9000, RESOLVE.FAULT]);
  }
  // Across a page that is known to be a neighbour, and across the last.
  expect(space.resolve(0x1ff8, 16, READ)).toBe(0x9ff8);
  expect(space.resolve(0x3ff8, 16, READ)).toBe(RESOLVE.FAULT);
  space.leave();
  domain.unmap(0x1000, PAGE);
  space.enter();
  expect([0, 0x1000, 0x2000, 0x3000].map((iova) => look(iova, READ))).toEqual([0x8000, RESOLVE.FAULT, 0xa000, 0xb000]);
  space.leave();
});

test('whatever is mapped, unmapped and asked for: an address resolves as the mappings of the moment say', () => {
  const page = fc.nat(11);
  const step = fc.oneof(
    fc.record({ kind: fc.constant('map' as const), page, target: fc.nat(5), access: fc.constantFrom(READ, RW) }),
    fc.record({ kind: fc.constant('unmap' as const), page }),
    fc.record({
      kind: fc.constant('resolve' as const),
      page,
      into: fc.nat(0xfff),
      length: fc.nat(0x2800),
      access: fc.constantFrom(0, READ, WRITE, RW),
    }),
  );
  fc.assert(
    fc.property(fc.array(step, { maxLength: 120 }), (steps) => {
      const { owner, space } = stage(4);
      const domain = owner.domain(1);
      owner.requesters.attach(SOURCE, domain);
      const mapped = new Map<number, { target: number; access: number }>();
      for (const it of steps) {
        if (it.kind === 'map' && !mapped.has(it.page)) {
          domain.map(it.page * PAGE, (it.page + it.target) * PAGE, PAGE, it.access);
          mapped.set(it.page, { target: it.page + it.target, access: it.access });
        } else if (it.kind === 'unmap' && mapped.delete(it.page)) domain.unmap(it.page * PAGE, PAGE);
        else if (it.kind === 'resolve') {
          const address = it.page * PAGE + it.into;
          let wanted: number = RESOLVE.FAULT;
          const last = Math.floor((address + Math.max(it.length, 1) - 1) / PAGE);
          for (let at = it.page; at <= last; at++) {
            const known = mapped.get(at);
            if (known === undefined || (it.access & ~known.access) !== 0) {
              wanted = RESOLVE.FAULT;
              break;
            }
            if (at === it.page) wanted = known.target * PAGE + it.into;
            else if (wanted !== (RESOLVE.SPLIT as number) && wanted - it.into !== (known.target - at + it.page) * PAGE)
              wanted = RESOLVE.SPLIT;
          }
          space.enter();
          expect(space.resolve(address, it.length, it.access)).toBe(wanted);
          const ranges = new RangeList();
          expect(space.resolveRanges(address, it.length, it.access, ranges)).toBe(wanted !== RESOLVE.FAULT);
          expect(ranges.bytes()).toBe(wanted === RESOLVE.FAULT ? 0 : it.length);
          space.leave();
        }
      }
    }),
  );
});
