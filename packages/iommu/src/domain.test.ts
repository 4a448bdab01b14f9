import { ACCESS, HostMemory, IdentitySpace, PageAllocator } from '@ringwire/guest-memory';
import { VirtioError } from '@ringwire/virtio-spec';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { IommuDomain, type IommuDomainConfig } from './domain.js';
import { FIRST_STAGE } from './domain-tables.js';
import { BUS_WORDS, InvalidationBus } from './invalidation-bus.js';
import type { InvalidationSink } from './translation.js';

const { READ, WRITE } = ACCESS;
const RW = READ | WRITE;
const KIB4 = 0x1000;
const MIB2 = 0x20_0000;
const GIB1 = 0x4000_0000;
const TABLES = 0x10_0000;

interface Announced extends InvalidationSink {
  readonly calls: string[];
}

function announced(): Announced {
  const calls: string[] = [];
  return {
    calls,
    all: () => calls.push('all'),
    domain: (id) => calls.push(`domain ${id}`),
    pages: (id, address, mask) => calls.push(`pages ${id} ${address.toString(16)} ${mask.toString(16)}`),
    requester: (id) => calls.push(`requester ${id}`),
  };
}

function setUp(options: Partial<IommuDomainConfig> = {}) {
  const memory = HostMemory.create(0x40_0000);
  const allocator = new PageAllocator(TABLES, 0x20_0000);
  const sink = announced();
  const physical = new IdentitySpace(memory);
  const domain = new IommuDomain({ id: 5, physical, allocator, sink, ...options });
  const entry = (table: number, index: number) =>
    memory.u32[(table >>> 2) + 2 * index]! + memory.u32[(table >>> 2) + 2 * index + 1]! * 2 ** 32;
  return { memory, allocator, sink, domain, entry };
}

test('a page of 4 KiB stands in four levels of tables, rights in bits 1:0 of the leaf', () => {
  const { domain, entry } = setUp();
  // 0x8040201000 is index 1 at every level.
  domain.map(0x80_4020_1000, 0x12_3000, KIB4, READ);
  const level3 = entry(domain.tables.root, 1) - RW;
  const level2 = entry(level3, 1) - RW;
  const level1 = entry(level2, 1) - RW;
  expect(entry(level1, 1)).toBe(0x12_3000 + 1);
  expect([level3, level2, level1].map((table) => table % KIB4)).toEqual([0, 0, 0]);
  expect(entry(level1, 0)).toBe(0);
});

test('a range takes the largest pages that both addresses and the length allow', () => {
  const { domain, entry } = setUp();
  domain.map(GIB1, 0x1_0000_0000, GIB1 + MIB2 + KIB4, RW);
  const level3 = entry(domain.tables.root, 0) - RW;
  expect(entry(level3, 1)).toBe(0x1_0000_0000 + 0x80 + RW);
  const level2 = entry(level3, 2) - RW;
  expect(entry(level2, 0)).toBe(0x1_4000_0000 + 0x80 + RW);
  const level1 = entry(level2, 1) - RW;
  expect(entry(level1, 0)).toBe(0x1_4020_0000 + RW);
  expect([...domain.mappings()]).toEqual([
    { iova: GIB1, physical: 0x1_0000_0000, bytes: GIB1 + MIB2 + KIB4, access: RW },
  ]);
});

test('39 bits are three levels, 57 bits five', () => {
  for (const [bits, levels] of [
    [39, 3],
    [57, 5],
  ] as const) {
    const { domain, entry } = setUp({ addressBits: bits });
    domain.map(KIB4, 0x5000, KIB4, WRITE);
    let table = domain.tables.root;
    for (let level = levels; level > 1; level--) table = entry(table, 0) - RW;
    expect(entry(table, 1)).toBe(0x5000 + 2);
  }
});

test('an unmap is announced once its entry is clear, and its tables are freed after that', () => {
  const { domain, sink, allocator } = setUp();
  const before = allocator.inUse;
  domain.map(0x7000, 0x9000, KIB4, RW);
  domain.unmap(0x7000, KIB4);
  expect(sink.calls).toEqual(['pages 5 7000 fff']);
  expect(domain.tables.find(0x7000)).toBeUndefined();
  expect(allocator.inUse).toBe(before);
});

test('an unmap inside a large page splits it, and the rest stays mapped', () => {
  const { domain } = setUp();
  domain.map(0, GIB1, GIB1, READ);
  domain.unmap(MIB2 + KIB4, KIB4);
  expect([...domain.mappings()]).toEqual([
    { iova: 0, physical: GIB1, bytes: MIB2 + KIB4, access: READ },
    { iova: MIB2 + 2 * KIB4, physical: GIB1 + MIB2 + 2 * KIB4, bytes: GIB1 - MIB2 - 2 * KIB4, access: READ },
  ]);
  expect(domain.tables.find(GIB1 - 1)?.bytes).toBe(MIB2);
});

test('an invalidation names the smallest aligned block that holds the range', () => {
  const { domain, sink } = setUp();
  domain.map(0x3000, 0x3000, 2 * KIB4, RW);
  domain.unmap(0x3000, 2 * KIB4);
  // 0x3000 … 0x4fff crosses 0x4000: the block is 0 … 0x7fff.
  expect(sink.calls).toEqual(['pages 5 0 7fff']);
});

test('protect takes a right away in place and announces it', () => {
  const { domain, sink } = setUp();
  domain.map(0, 0, MIB2, RW);
  domain.protect(KIB4, KIB4, READ);
  expect([...domain.mappings()].map(({ iova, access }) => [iova, access])).toEqual([
    [0, RW],
    [KIB4, READ],
    [2 * KIB4, RW],
  ]);
  expect(sink.calls).toEqual(['pages 5 1000 fff']);
});

test('lazy mode announces nothing until the flush, and says how much is still within reach', () => {
  const { domain, sink, allocator } = setUp({ lazy: true });
  const before = allocator.inUse;
  domain.map(0x1000, 0x1000, KIB4, RW);
  domain.map(0x5000, 0x5000, 2 * KIB4, RW);
  domain.unmap(0x1000, KIB4);
  domain.unmap(0x5000, 2 * KIB4);
  expect(sink.calls).toEqual([]);
  expect(domain.stale).toEqual({ mappings: 2, bytes: 3 * KIB4 });
  expect(allocator.inUse).toBeGreaterThan(before);
  domain.flush();
  expect(sink.calls).toEqual(['domain 5']);
  expect(domain.stale).toEqual({ mappings: 0, bytes: 0 });
  expect(allocator.inUse).toBe(before);
});

test('takeDirty reports what a device wrote once, and has caches forget their right to write', () => {
  const { domain, entry, memory, sink } = setUp();
  domain.map(0, 0x10_000, 2 * KIB4, RW);
  const level1 = entry(entry(entry(domain.tables.root, 0) - RW, 0) - RW, 0) - RW;
  memory.u32[(level1 >>> 2) + 2]! |= 0x200; // D of the second page
  expect(domain.takeDirty(0, 2 * KIB4).map(({ iova }) => iova)).toEqual([KIB4]);
  expect(sink.calls).toEqual(['pages 5 0 1fff']);
  expect(domain.takeDirty(0, 2 * KIB4)).toEqual([]);
});

describe('a caller’s mistake names field, value and what was wanted, and changes nothing', () => {
  test.each<[string, (domain: IommuDomain) => void, string]>([
    ['overlap', (domain) => domain.map(0, 0, MIB2, RW), 'iova is 0, want a free range: 4096 is mapped'],
    ['misaligned', (domain) => domain.map(1, 0, KIB4, RW), 'iova is 1, want a multiple of 4096'],
    ['misaligned physical', (domain) => domain.map(0x8000, 2, KIB4, RW), 'physical is 2, want a multiple of 4096'],
    ['no rights', (domain) => domain.map(0x8000, 0, KIB4, 0), 'access is 0, want READ, WRITE or both'],
    ['no bytes', (domain) => domain.map(0x8000, 0, 0, RW), 'bytes is 0, want a positive multiple of 4096'],
    ['past the end', (domain) => domain.map(2 ** 48 - KIB4, 0, 2 * KIB4, RW), 'want at most 281474976710656'],
    ['double unmap', (domain) => domain.unmap(0x8000, KIB4), 'iova is 32768, want a mapped address'],
    ['unmap reaching too far', (domain) => domain.unmap(KIB4, 2 * KIB4), 'iova is 8192, want a mapped address'],
    ['protect of nothing', (domain) => domain.protect(0x8000, KIB4, READ), 'iova is 32768, want a mapped address'],
  ])('%s', (_, mistake, message) => {
    const { domain, sink } = setUp();
    domain.map(KIB4, 0x3000, KIB4, RW);
    expect(() => mistake(domain)).toThrow(VirtioError);
    expect(() => mistake(domain)).toThrow(message);
    expect([...domain.mappings()]).toEqual([{ iova: KIB4, physical: 0x3000, bytes: KIB4, access: RW }]);
    expect(sink.calls).toEqual([]);
  });
});

test('random maps, unmaps and rights agree with a map of pages, and no table is left over', () => {
  const page = fc.nat(1100);
  const step = fc.record({
    kind: fc.constantFrom('map', 'unmap', 'protect'),
    page,
    count: fc.integer({ min: 1, max: 600 }),
  });
  fc.assert(
    fc.property(fc.array(step, { maxLength: 30 }), (steps) => {
      const { domain, allocator } = setUp();
      const before = allocator.inUse;
      const model = new Map<number, { physical: number; access: number }>();
      for (const { kind, page, count } of steps) {
        const pages = Array.from({ length: count }, (_, i) => page + i);
        if (kind === 'map') {
          if (pages.some((p) => model.has(p))) {
            expect(() => domain.map(page * KIB4, GIB1 + page * KIB4, count * KIB4, RW)).toThrow(VirtioError);
            continue;
          }
          domain.map(page * KIB4, GIB1 + page * KIB4, count * KIB4, RW);
          for (const p of pages) model.set(p, { physical: GIB1 + p * KIB4, access: RW });
          continue;
        }
        const run =
          kind === 'unmap'
            ? () => domain.unmap(page * KIB4, count * KIB4)
            : () => domain.protect(page * KIB4, count * KIB4, READ);
        if (!pages.every((p) => model.has(p))) {
          expect(run).toThrow(VirtioError);
          continue;
        }
        run();
        for (const p of pages) {
          if (kind === 'unmap') model.delete(p);
          else model.set(p, { physical: GIB1 + p * KIB4, access: READ });
        }
      }
      expect(domain.mappedBytes).toBe(model.size * KIB4);
      for (let p = 0; p < 1710; p++) {
        const leaf = domain.tables.find(p * KIB4);
        const found = leaf && { physical: leaf.physical + p * KIB4 - leaf.iova, access: leaf.access };
        expect(found).toEqual(model.get(p));
      }
      for (const { iova, bytes } of [...domain.mappings()]) domain.unmap(iova, bytes);
      expect(allocator.inUse).toBe(before);
    }),
    { numRuns: 60 },
  );
});

test('a map that runs out of room for tables leaves nothing behind that is mapped', () => {
  const { domain, allocator, sink } = setUp({ largestPage: KIB4 });
  // Levels 3, 2 and one level 1 table: the second of those has no room.
  while (allocator.available > 3 * KIB4) allocator.allocate(KIB4);
  expect(() => domain.map(MIB2 - KIB4, 0, 2 * KIB4, RW)).toThrow(VirtioError);
  expect([...domain.mappings()]).toEqual([]);
  expect(domain.mappedBytes).toBe(0);
  expect(sink.calls).toEqual(['pages 5 1ff000 fff']);
});

test('several ranges are unmapped with one announcement; out of order they are refused', () => {
  const { domain, sink } = setUp();
  domain.map(0, 0, 8 * KIB4, RW);
  const first = { iova: KIB4, bytes: KIB4 };
  const second = { iova: 5 * KIB4, bytes: 2 * KIB4 };
  expect(() => domain.unmapEach([second, first])).toThrow('iova is 4096, want an address past 28672');
  expect(domain.mappedBytes).toBe(8 * KIB4);
  domain.unmapEach([first, second]);
  expect(sink.calls).toEqual(['pages 5 0 7fff']);
  expect([...domain.mappings()].map(({ iova }) => iova)).toEqual([0, 2 * KIB4, 7 * KIB4]);
  domain.unmapEach([]);
  expect(sink.calls).toHaveLength(1);
});

test('first-stage format: P, R/W and U/S, PS on large pages; writing alone becomes both', () => {
  const { domain, entry } = setUp({ format: FIRST_STAGE });
  domain.map(MIB2, 0, MIB2, READ);
  domain.map(2 * MIB2, 0x7000, KIB4, WRITE);
  const level3 = entry(domain.tables.root, 0) - 7;
  const level2 = entry(level3, 0) - 7;
  expect(entry(level2, 1)).toBe(0x85);
  const level1 = entry(level2, 2) - 7;
  expect(entry(level1, 0)).toBe(0x7007);
  expect([...domain.mappings()].map(({ access }) => access)).toEqual([READ, RW]);
  domain.protect(2 * MIB2, KIB4, READ);
  expect(entry(level1, 0)).toBe(0x7005);
});

test('an outer stage names its whole domain: caches know other addresses than its own', () => {
  const { domain, sink } = setUp({ isOuter: true });
  domain.map(0, 0, 2 * KIB4, RW);
  domain.unmap(0, KIB4);
  expect(sink.calls).toEqual(['domain 5']);
});

test('an unmap inside the thread’s own burst is refused before anything has changed', () => {
  const { memory, allocator } = setUp();
  const bus = new InvalidationBus(new Int32Array(BUS_WORDS));
  bus.join(announced());
  const domain = new IommuDomain({ id: 1, physical: new IdentitySpace(memory), allocator, sink: bus });
  domain.map(0, 0x5000, KIB4, RW);
  bus.enter();
  expect(() => domain.unmap(0, KIB4)).toThrow('no unmap inside this thread’s own burst');
  expect(() => domain.protect(0, KIB4, READ)).toThrow(VirtioError);
  bus.leave();
  expect([...domain.mappings()]).toEqual([{ iova: 0, physical: 0x5000, bytes: KIB4, access: RW }]);
  domain.unmap(0, KIB4);
  expect(domain.mappedBytes).toBe(0);
});
