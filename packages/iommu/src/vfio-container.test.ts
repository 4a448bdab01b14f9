import { ACCESS, GuestMemory, RESOLVE } from '@ringwire/guest-memory';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { PinAccount, PinMap } from './pin-map.js';
import { Owner } from './testing/dma-stage.js';
import { ScalableStage } from './testing/scalable-stage.js';
import { VFIO, VfioContainer, type VfioContainerConfig, VfioGroup } from './vfio-container.js';

const { READ, WRITE } = ACCESS;
const RW = READ | WRITE;
const PAGE = 4096;
const MIB2 = 0x20_0000;

function setUp(options: Partial<VfioContainerConfig> & { limit?: number } = {}) {
  const stage = new ScalableStage();
  const pins = new PinMap();
  const account = new PinAccount('guest 1', options.limit ?? Number.POSITIVE_INFINITY);
  const { requesters, physical } = stage;
  const container = new VfioContainer({
    domain: stage.domain(1),
    requesters,
    physical,
    pins,
    account,
    ...options,
  });
  return { stage, pins, account, container, group: new VfioGroup(7, [0x18, 0x19]) };
}

test('F15 F21: a group’s requesters get the domain together; memory is pinned from map to unmap', () => {
  const { stage, pins, container, group } = setUp();
  expect(container.map(0, 0x5000, PAGE, RW, 'ram')).toBe(VFIO.NO_GROUP);
  expect(container.attach(group)).toBe(VFIO.OK);
  expect(container.map(0, 0x5000, PAGE, RW, 'ram')).toBe(VFIO.OK);
  for (const sourceId of group.requesters) expect(stage.space(sourceId).resolve(8, 4, RW)).toBe(0x5008);
  expect(stage.space(0x20).resolve(8, 4, READ)).toBe(RESOLVE.FAULT);
  expect(pins.pinsOf(0x5000, PAGE)).toMatchObject([{ label: 'ram', since: 1, bytes: PAGE }]);
  expect(container.unmap(0, PAGE)).toEqual({ outcome: VFIO.OK, bytes: PAGE, dirty: undefined });
  expect(pins.isPinned(0x5000, PAGE)).toBe(false);
});

test('a group is in one container at a time, and none whose requester has another domain', () => {
  const { stage, pins, account, container, group } = setUp();
  const { requesters, physical } = stage;
  const other = new VfioContainer({ domain: stage.domain(2), requesters, physical, pins, account });
  expect(container.attach(group)).toBe(VFIO.OK);
  expect(other.attach(group)).toBe(VFIO.BUSY);
  expect(other.attach(new VfioGroup(8, [0x20, 0x19]))).toBe(VFIO.BUSY);
  // The refused group got nothing.
  expect(requesters.domainOf(0x20)).toBeUndefined();
  expect(other.detach(group)).toBe(VFIO.INVALID);
  expect(container.detach(group)).toBe(VFIO.OK);
  expect(other.attach(group)).toBe(VFIO.OK);
  expect(group.container).toBe(other);
  expect(other.groups).toEqual([group]);
});

test('F21: the last group takes all mappings and pins along; until then they stay', () => {
  const { stage, pins, container, group } = setUp();
  const second = new VfioGroup(8, [0x20]);
  container.attach(group);
  container.attach(second);
  container.map(0, 0, MIB2, RW, 'ram');
  container.detach(group);
  expect(pins.pinnedBytes).toBe(MIB2);
  expect(stage.space(0x20).resolve(0x1234, 4, READ)).toBe(0x1234);
  expect(stage.space(0x18).resolve(0x1234, 4, READ)).toBe(RESOLVE.FAULT);
  container.detach(second);
  expect(pins.pinnedBytes).toBe(0);
  expect(container.mappings).toEqual([]);
});

test('F21: pages of two containers are charged to each, and given up only when both have let go', () => {
  const { stage, pins, account, container, group } = setUp();
  const { requesters, physical } = stage;
  const theirs = new PinAccount('guest 2', 2 * PAGE);
  const other = new VfioContainer({ domain: stage.domain(2), requesters, physical, pins, account: theirs });
  container.attach(group);
  other.attach(new VfioGroup(8, [0x20]));
  container.map(0, 0, 4 * PAGE, RW, 'ram');
  expect(other.map(0, 3 * PAGE, 2 * PAGE, RW, 'shared')).toBe(VFIO.OK);
  expect([account.pinnedBytes, theirs.pinnedBytes, pins.pinnedBytes]).toEqual([4 * PAGE, 2 * PAGE, 5 * PAGE]);
  container.unmapAll();
  expect([pins.isPinned(0, 3 * PAGE), pins.isPinned(3 * PAGE, PAGE)]).toEqual([false, true]);
  // Over the limit: refused, nothing mapped, nothing pinned.
  expect(other.map(MIB2, 0, PAGE, RW, 'more')).toBe(VFIO.OVER_LIMIT);
  expect(theirs.refused).toBe(1);
  expect([pins.pinnedBytes, other.domain.mappedBytes]).toEqual([2 * PAGE, 2 * PAGE]);
});

describe('a map that cannot be is refused, and nothing is mapped or pinned', () => {
  const cases: [string, number, number, number, number, number][] = [
    ['an address off the page', 1, 0, PAGE, RW, VFIO.INVALID],
    ['physical memory off the page', 0, 8, PAGE, RW, VFIO.INVALID],
    ['no bytes', 0, 0, 0, RW, VFIO.INVALID],
    ['a part of a page', 0, 0, PAGE + 1, RW, VFIO.INVALID],
    ['past the last address', 2 ** 48 - PAGE, 0, 2 * PAGE, RW, VFIO.INVALID],
    ['past 2^53', Number.MAX_SAFE_INTEGER - 4095, 0, PAGE, RW, VFIO.INVALID],
    ['not a number', Number.NaN, 0, PAGE, RW, VFIO.INVALID],
    ['no rights', 0, 0, PAGE, 0, VFIO.INVALID],
    ['unknown rights', 0, 0, PAGE, 7, VFIO.INVALID],
    ['over the interrupt window', 0xfede_f000, 0, 0x2_0000, RW, VFIO.INVALID],
    ['over a mapping’s end', 0x4000, 0, 2 * PAGE, RW, VFIO.OK],
    ['over a mapping', 0x10_0000 - PAGE, 0, 2 * PAGE, RW, VFIO.EXISTS],
    ['around a mapping', 0xf_0000, 0, 0x10_0000, RW, VFIO.EXISTS],
    ['what is no memory', 0, 0x40_0000 - PAGE, 2 * PAGE, RW, VFIO.NOT_MEMORY],
  ];
  test.each(cases)('%s', (_name, iova, physical, bytes, access, outcome) => {
    const { pins, container, group } = setUp();
    container.attach(group);
    container.map(0x10_0000, 0x1000, PAGE, READ, 'first');
    expect(container.map(iova, physical, bytes, access, 'x')).toBe(outcome);
    const more = outcome === VFIO.OK ? bytes : 0;
    expect([container.mappings.length, pins.list().next().value!.physical]).toEqual([
      more > 0 ? 2 : 1,
      more > 0 ? 0 : 0x1000,
    ]);
    expect(container.domain.mappedBytes).toBe(PAGE + more);
  });

  test('more mappings than there may be', () => {
    const { container, group } = setUp({ maxMappings: 1 });
    container.attach(group);
    expect(container.map(0, 0, PAGE, RW, 'a')).toBe(VFIO.OK);
    expect(container.map(MIB2, 0, PAGE, RW, 'b')).toBe(VFIO.TOO_MANY);
  });

  test('no room for page tables: what was begun is undone', () => {
    const { stage, pins, container, group } = setUp();
    container.attach(group);
    while (stage.allocator.available > 2 * PAGE) stage.allocator.allocate(PAGE);
    expect(container.map(0, 0, PAGE, RW, 'a')).toBe(VFIO.NO_TABLES);
    expect([pins.pinnedBytes, container.domain.mappedBytes]).toEqual([0, 0]);
    expect([...container.domain.mappings()]).toEqual([]);
  });
});

describe('unmap as VFIO type 1 version 2 has it', () => {
  function threeMappings() {
    const bench = setUp();
    bench.container.attach(bench.group);
    bench.container.map(0x1_0000, 0x1000, 4 * PAGE, RW, 'a');
    bench.container.map(0x1_4000, 0x8000, 2 * PAGE, RW, 'b');
    bench.container.map(0x2_0000, 0xc000, PAGE, READ, 'c');
    return bench;
  }

  test.each([
    ['begins inside', 0x1_1000, 3 * PAGE],
    ['ends inside', 0x1_0000, 5 * PAGE],
    ['lies inside', 0x1_1000, PAGE],
  ])('a range that %s a mapping is refused, and nothing is unmapped', (_name, iova, bytes) => {
    const { container, pins } = threeMappings();
    expect(container.unmap(iova, bytes)).toMatchObject({ outcome: VFIO.SPLITS, bytes: 0 });
    expect(container.mappings).toHaveLength(3);
    expect(pins.pinnedBytes).toBe(7 * PAGE);
  });

  test('a range over several mappings and holes takes them all, and says how many bytes', () => {
    const { container, pins, stage } = threeMappings();
    expect(container.unmap(0, 0x2_0000)).toMatchObject({ outcome: VFIO.OK, bytes: 6 * PAGE });
    expect(container.mappings.map(({ iova }) => iova)).toEqual([0x2_0000]);
    expect([...pins.list()].map(({ physical }) => physical)).toEqual([0xc000]);
    expect(stage.space(0x18).resolve(0x1_4000, 4, READ)).toBe(RESOLVE.FAULT);
    expect(container.unmap(0, 0x2_0000)).toMatchObject({ outcome: VFIO.OK, bytes: 0 });
    expect(container.unmapAll()).toBe(PAGE);
  });

  test('lazy or not, memory is pinned until no cache can reach it', () => {
    const stage = new ScalableStage();
    const pins = new PinMap();
    const { requesters, physical } = stage;
    const account = new PinAccount('guest 1', PAGE);
    const domain = stage.domain(1, { lazy: true });
    const container = new VfioContainer({ domain, requesters, physical, pins, account });
    container.attach(new VfioGroup(1, [0x18]));
    container.map(0, 0x1000, PAGE, RW, 'a');
    const space = stage.space(0x18);
    space.enter();
    expect(space.resolve(0, 4, RW)).toBe(0x1000);
    space.leave();
    container.unmap(0, PAGE);
    space.enter();
    expect(space.resolve(0, 4, RW)).toBe(RESOLVE.FAULT);
    space.leave();
    expect([pins.pinnedBytes, domain.stale.bytes]).toEqual([0, 0]);
  });
});

describe('F23: which pages devices wrote', () => {
  function tracked() {
    const bench = setUp();
    bench.container.attach(bench.group);
    bench.container.map(0, 0, MIB2, RW, 'ram');
    const space = bench.stage.space(0x18);
    const dma = (iova: number, access: number): number => {
      space.enter();
      const offset = space.resolve(iova, 4, access);
      space.leave();
      return offset;
    };
    return { ...bench, dma };
  }

  test('page by page although a large page was mapped; asking clears', () => {
    const { container, dma } = tracked();
    dma(0x7000, WRITE);
    container.startDirtyTracking();
    dma(0x5000, READ);
    dma(0x6_2004, WRITE);
    dma(0x2000, WRITE);
    const taken = container.takeDirty(0, MIB2);
    expect(taken.bytes).toBe(MIB2);
    // Pages 2 and 0x62 = 98: word 3, bit 2.
    expect([...taken.dirty!.slice(0, 5)]).toEqual([1 << 2, 0, 0, 1 << 2, 0]);
    expect(container.takeDirty(0, MIB2).dirty!.every((word) => word === 0)).toBe(true);
    dma(0x2000, WRITE);
    expect(container.takeDirty(0, MIB2).dirty![0]).toBe(1 << 2);
  });

  test('an unmap tells of the pages written up to the very last', () => {
    const { container, dma } = tracked();
    expect(container.unmap(0, MIB2, true).outcome).toBe(VFIO.INVALID);
    container.startDirtyTracking();
    dma(0x3000, WRITE);
    expect(container.takeDirty(0, PAGE).outcome).toBe(VFIO.SPLITS);
    const { outcome, bytes, dirty } = container.unmap(0, MIB2, true);
    expect([outcome, bytes, dirty![0]]).toEqual([VFIO.OK, MIB2, 1 << 3]);
  });

  test('no room to split large pages: refused; and after the end large pages come again', () => {
    const { stage, container } = tracked();
    const room: number[] = [];
    while (stage.allocator.available > 0) room.push(stage.allocator.allocate(PAGE));
    expect(container.startDirtyTracking()).toBe(VFIO.NO_TABLES);
    expect(container.takeDirty(0, MIB2).outcome).toBe(VFIO.INVALID);
    for (const page of room) stage.allocator.free(page);
    expect(container.startDirtyTracking()).toBe(VFIO.OK);
    expect(container.domain.tables.find(0)?.bytes).toBe(PAGE);
    container.stopDirtyTracking();
    container.unmapAll();
    container.map(0, 0, MIB2, RW, 'ram');
    expect(container.domain.tables.find(0)?.bytes).toBe(MIB2);
  });

  test('an IOMMU that marks no pages: all that was mapped for writing counts as written', () => {
    const words = new Int32Array(new SharedArrayBuffer(0x1_0000));
    const stage = new ScalableStage();
    const owner = new Owner(stage.memory, words);
    const container = new VfioContainer({
      domain: owner.domain(1),
      requesters: owner.requesters,
      physical: owner.physical,
      pins: new PinMap(),
      account: new PinAccount('guest', MIB2),
    });
    expect(container.startDirtyTracking()).toBe(VFIO.NO_GROUP);
    container.attach(new VfioGroup(1, [0x18]));
    container.map(0, 0, PAGE, READ, 'rom');
    container.map(PAGE, PAGE, 2 * PAGE, RW, 'ram');
    container.startDirtyTracking();
    expect([...container.takeDirty(0, 4 * PAGE).dirty!]).toEqual([0b110]);
    expect([...container.takeDirty(0, 4 * PAGE).dirty!]).toEqual([0b110]);
  });
});

test('memory in several host ranges is memory', () => {
  const stage = new ScalableStage();
  const physical = new GuestMemory(stage.memory, [
    { gpa: 0, size: PAGE, host: 0x1_0000 },
    { gpa: PAGE, size: PAGE, host: 0 },
  ]);
  const account = new PinAccount('guest', MIB2);
  const { requesters } = stage;
  const container = new VfioContainer({ domain: stage.domain(1), requesters, physical, pins: new PinMap(), account });
  container.attach(new VfioGroup(1, [0x18]));
  expect(container.map(0, 0, 2 * PAGE, RW, 'ram')).toBe(VFIO.OK);
  expect(container.map(MIB2, 0, 3 * PAGE, RW, 'ram')).toBe(VFIO.NOT_MEMORY);
});

test('F21: over random maps and unmaps mappings, pins and what a device reaches are those of a plain list', () => {
  const step = fc.record({
    isMap: fc.boolean(),
    iova: fc.nat(24),
    physical: fc.nat(40),
    pages: fc.integer({ min: 1, max: 6 }),
    access: fc.constantFrom(READ, WRITE, RW),
  });
  fc.assert(
    fc.property(fc.array(step, { maxLength: 40 }), (steps) => {
      const { stage, pins, account, container, group } = setUp({ limit: 20 * PAGE });
      container.attach(group);
      const space = stage.space(0x18);
      let model: { iova: number; physical: number; pages: number; access: number }[] = [];
      const pinned = (): number => model.reduce((sum, one) => sum + one.pages, 0);
      const touches = (one: { iova: number; pages: number }, iova: number, pages: number): boolean =>
        one.iova < iova + pages && iova < one.iova + one.pages;
      for (const { isMap, iova, physical, pages, access } of steps) {
        const hit = model.filter((one) => touches(one, iova, pages));
        if (isMap) {
          const expected = hit.length > 0 ? VFIO.EXISTS : pinned() + pages > 20 ? VFIO.OVER_LIMIT : VFIO.OK;
          expect(container.map(iova * PAGE, physical * PAGE, pages * PAGE, access, 'x')).toBe(expected);
          if (expected === VFIO.OK) model.push({ iova, physical, pages, access });
        } else {
          const splits = hit.some((one) => one.iova < iova || one.iova + one.pages > iova + pages);
          const { outcome, bytes } = container.unmap(iova * PAGE, pages * PAGE);
          expect(outcome).toBe(splits ? VFIO.SPLITS : VFIO.OK);
          expect(bytes).toBe(splits ? 0 : hit.reduce((sum, one) => sum + one.pages * PAGE, 0));
          if (!splits) model = model.filter((one) => !hit.includes(one));
        }
        expect([account.pinnedBytes, container.domain.mappedBytes]).toEqual([pinned() * PAGE, pinned() * PAGE]);
        space.enter();
        for (let page = 0; page < 32; page++) {
          const one = model.find((each) => touches(each, page, 1));
          const reads = one !== undefined && (one.access & READ) !== 0;
          const at = reads ? (one.physical + page - one.iova) * PAGE : RESOLVE.FAULT;
          expect(space.resolve(page * PAGE, 4, READ)).toBe(at);
          expect(pins.isPinned(page * PAGE, PAGE)).toBe(
            model.some((each) => each.physical <= page && page < each.physical + each.pages),
          );
        }
        space.leave();
      }
      container.detach(group);
      expect([pins.pinnedBytes, account.pinnedBytes]).toEqual([0, 0]);
    }),
    { numRuns: 50 },
  );
});
