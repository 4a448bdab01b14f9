import { ACCESS } from '@ringwire/guest-memory';
import { VirtioError } from '@ringwire/virtio-spec';
import { describe, expect, test } from 'vitest';
import { AT, IOVA, legacyBench, REG, SID, VtdBench } from './testing/vtd-bench.js';
import { KEEP, TRANSLATED } from './translation.js';
import { type VtdCacheSizes, VtdCaches } from './vtd-caches.js';
import { VtdPagingCache } from './vtd-paging-cache.js';

const { READ, WRITE } = ACCESS;
const LOW = IOVA >>> 0;
const HIGH = Math.floor(IOVA / 2 ** 32);

function cachedBench(sizes: VtdCacheSizes = {}) {
  const caches = new VtdCaches(sizes);
  return { caches, bench: legacyBench({ caches }) };
}

test('the second walk of a page’s neighbour reads one entry: context and table are known', () => {
  const { caches, bench } = cachedBench();
  bench.put(AT.ss1 + 0x57 * 8, 0xa003n);
  expect(bench.translate(SID, IOVA, READ)).toBe(TRANSLATED.OK);
  expect(bench.out.entriesRead).toBe(6);
  expect(bench.translate(SID, IOVA + 0x1234, WRITE)).toBe(TRANSLATED.OK);
  expect(bench.out).toEqual({ physical: 0xa234, pageMask: 0xfff, allowed: 3, domain: 5, entriesRead: 1 });
  const { depths, ...counters } = caches.counters;
  expect(counters).toEqual({
    contextHits: 1,
    contextMisses: 1,
    tableHits: 1,
    tableMisses: 0,
    evictions: 0,
    invalidated: 0,
    repeated: 0,
  });
  expect([depths[1], depths[6], depths.reduce((sum, n) => sum + n)]).toEqual([1, 1, 2]);
});

test('a table further up is used where the lower one is not known', () => {
  const { bench } = cachedBench();
  bench.put(AT.ss2 + 0x11b * 8, 0x7003n);
  bench.put(0x7000, 0xb003n);
  bench.translate(SID, IOVA, READ);
  expect(bench.translate(SID, 0x40_2360_0000, READ)).toBe(TRANSLATED.OK);
  expect(bench.out.physical).toBe(0xb000);
  expect(bench.out.entriesRead).toBe(2);
});

describe('VT-d 4.0 §6.2: what has to be invalidated, and what not', () => {
  test('an entry that was not present is never remembered', () => {
    const { bench } = cachedBench();
    bench.put(AT.ss1 + 0x56 * 8, 0n);
    expect(bench.reasonOf(SID, IOVA, READ)).toBe(6);
    bench.put(AT.ss1 + 0x56 * 8, 0x9003n);
    expect(bench.translate(SID, IOVA, READ)).toBe(TRANSLATED.OK);
    bench.put(AT.context + 0x20 * 16, 0n, 0n);
    expect(bench.reasonOf(0x20, IOVA, READ)).toBe(2);
    bench.put(AT.context + 0x20 * 16, 0x3001n, 0x0602n);
    expect(bench.translate(0x20, IOVA, READ)).toBe(TRANSLATED.OK);
  });

  test('a right that was given later is found: what ends in a fault is walked again from the root table on', () => {
    const { caches, bench } = cachedBench();
    bench.put(AT.ss2 + 0x11a * 8, 0x6001n);
    expect(bench.translate(SID, IOVA, READ)).toBe(TRANSLATED.OK);
    expect(bench.reasonOf(SID, IOVA, WRITE)).toBe(5);
    bench.put(AT.ss2 + 0x11a * 8, 0x6003n);
    expect(bench.translate(SID, IOVA, WRITE)).toBe(TRANSLATED.OK);
    // The fault alone had begun with what was cached; rights that are missing up there are a miss.
    expect(caches.counters.repeated).toBe(1);
  });

  test.each<[string, (caches: VtdCaches) => void, boolean]>([
    ['everything', (caches) => caches.all(), true],
    ['the domain', (caches) => caches.domain(5), true],
    ['another domain', (caches) => caches.domain(6), false],
    ['the page', (caches) => caches.pages(5, IOVA, 0xfff), true],
    ['a page of the same table', (caches) => caches.pages(5, IOVA - 0x1000, 0xfff), true],
    ['a page of another domain', (caches) => caches.pages(6, IOVA, 0xfff), false],
    ['a page 2 MiB away', (caches) => caches.pages(5, IOVA + 0x20_0000, 0xfff), false],
    ['a stretch larger than the cache', (caches) => caches.pages(5, 0, 2 ** 47 - 1), true],
    ['the page, with a hint that tables stay', (caches) => caches.pages(5, IOVA, 0xfff, KEEP.TABLES), false],
    ['the page, for the unit alone', (caches) => caches.pages(5, IOVA, 0xfff, KEEP.DEVICES), true],
  ])('%s: the table that an entry no longer leads to is forgotten, or not', (_, invalidate, forgotten) => {
    const { caches, bench } = cachedBench();
    bench.translate(SID, IOVA, READ);
    bench.put(AT.ss2 + 0x11a * 8, 0x7003n);
    bench.put(0x7000 + 0x56 * 8, 0xb003n);
    bench.translate(SID, IOVA, READ);
    expect(bench.out.physical).toBe(0x9000);
    invalidate(caches);
    bench.translate(SID, IOVA, READ);
    expect(bench.out.physical).toBe(forgotten ? 0xb000 : 0x9000);
  });

  test.each<[string, (caches: VtdCaches) => void, boolean]>([
    ['everything', (caches) => caches.all(), true],
    ['the domain', (caches) => caches.domain(5), true],
    ['the requester', (caches) => caches.requester(SID), true],
    ['another requester', (caches) => caches.requester(SID + 1), false],
    ['a page', (caches) => caches.pages(5, IOVA, 0xfff), false],
  ])('%s: the context of a requester is forgotten, or not', (_, invalidate, forgotten) => {
    const { caches, bench } = cachedBench();
    bench.translate(SID, IOVA, READ);
    bench.put(AT.context + SID * 16, 0n, 0n);
    expect(bench.translate(SID, IOVA, READ)).toBe(TRANSLATED.OK);
    invalidate(caches);
    expect(bench.translate(SID, IOVA, READ)).toBe(forgotten ? TRANSLATED.FAULT : TRANSLATED.OK);
  });

  test('IH of a descriptor and of IVA reaches the caches', () => {
    const { bench } = cachedBench();
    const moved = (iva: bigint): number => {
      bench.unit.write(REG.IVA, 8, iva);
      bench.unit.write(REG.IOTLB, 8, 0xb000_0005_0000_0000n);
      bench.translate(SID, IOVA, READ);
      return bench.out.physical;
    };
    bench.translate(SID, IOVA, READ);
    bench.put(AT.ss2 + 0x11a * 8, 0x7003n);
    bench.put(0x7000 + 0x56 * 8, 0xb003n);
    expect(moved(BigInt(IOVA) | 0x40n)).toBe(0x9000);
    expect(moved(BigInt(IOVA))).toBe(0xb000);
  });

  test('a new root table is used at once', () => {
    const { bench } = cachedBench();
    bench.translate(SID, IOVA, READ);
    bench.unit.write(REG.RTADDR, 8, 0x2_0000n);
    bench.unit.write(REG.GCMD, 4, 0xc000_0000);
    expect(bench.reasonOf(SID, IOVA, READ)).toBe(1);
  });
});

test('domains, roots and ways of reading them are told apart', () => {
  const cache = new VtdPagingCache(16);
  cache.insert(0x3000, 5, 1, LOW, HIGH, 0x6000, 3);
  expect(cache.find(0x3000, 5, LOW, HIGH, READ, 4)).toBe(1);
  expect([cache.table, cache.allowed]).toEqual([0x6000, 3]);
  expect(cache.find(0x3001, 5, LOW, HIGH, READ, 4)).toBe(0);
  expect(cache.find(0x4000, 5, LOW, HIGH, READ, 4)).toBe(0);
  expect(cache.find(0x3000, 6, LOW, HIGH, READ, 4)).toBe(0);
  expect(cache.find(0x3000, 5, LOW, HIGH + 1, READ, 4)).toBe(0);
});

test('the caches are bounded: contexts and tables give way, and are counted', () => {
  const { caches, bench } = cachedBench({ contexts: 2, tables: 2 });
  for (const sourceId of [0x20, 0x22, 0x24]) bench.put(AT.context + sourceId * 16, 0x3001n, 0x0502n);
  for (let round = 0; round < 2; round++)
    for (const sourceId of [SID, 0x20, 0x22, 0x24]) expect(bench.translate(sourceId, IOVA, READ)).toBe(TRANSLATED.OK);
  expect(caches.counters).toMatchObject({ contextHits: 0, contextMisses: 8, evictions: 7 });
});

test.each([0, 3, 2 ** 17, 1.5])('a size of %s is refused', (size) => {
  expect(() => new VtdCaches({ contexts: size })).toThrow(VirtioError);
  expect(() => new VtdCaches({ tables: size })).toThrow(VirtioError);
});

test('first stage: rights of the levels above are remembered with a table, and who may use it', () => {
  const caches = new VtdCaches();
  const bench = new VtdBench({ caches, capabilities: { scalable: true, firstStage: true, pasidBits: 20 } });
  // Root, context with PASIDs, directory, PASIDs 1 and 2 of domain 7: the same tables, read alike but for supervisor rights.
  bench.put(0x1000, 0x2001n, 0n);
  bench.put(0x2000 + SID * 32, 0x3009n, 0n, 0n, 0n);
  bench.put(0x3000, 0x4001n);
  for (const pasid of [1, 2]) bench.put(0x4000 + pasid * 64, 0x41n, 7n, 0x5000n, 0n, 0n, 0n, 0n, 0n);
  bench.put(0x5000, 0x6007n);
  bench.put(0x6000, 0x7005n); // not for writing
  bench.put(0x7000, 0x8007n);
  bench.put(0x8000, 0x9007n, 0xa007n);
  bench.start(0x1400n);
  for (const pasid of [1, 2]) {
    expect(bench.translate(SID, 0, READ, pasid)).toBe(TRANSLATED.OK);
    expect(bench.translate(SID, 0x1000, READ, pasid)).toBe(TRANSLATED.OK);
    expect([bench.out.physical, bench.out.entriesRead, bench.out.allowed]).toEqual([0xa000, 1, READ]);
    expect(bench.reasonOf(SID, 0x1000, WRITE, pasid)).toBe(0x85);
  }
});
