import { VirtioError } from '@ringwire/virtio-spec';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { Iotlb } from './iotlb.js';

const PAGE = 4096;
const READ = 1;
const WRITE = 2;
const RW = 3;

test('a piece is found again for the rights it was inserted with, by its own tag alone', () => {
  const iotlb = new Iotlb(16);
  iotlb.insert(3, 0x1_0000_0005, 0x7000, READ, 9, 0x1000_0000_5000, 0xfff);
  expect(iotlb.lookup(3, 0x1_0000_0005 * PAGE, 1, READ)).toBe(0x7000);
  expect(iotlb.lookup(3, 0x1_0000_0005 * PAGE, 1, WRITE)).toBe(-1);
  expect(iotlb.lookup(4, 0x1_0000_0005 * PAGE, 1, READ)).toBe(-1);
  expect(iotlb.lookup(3, 5 * PAGE, 1, READ)).toBe(-1);
  expect(iotlb.counters.hits).toBe(1);
});

test('a piece inserted with more rights replaces itself: it is not there twice', () => {
  const iotlb = new Iotlb(2);
  iotlb.insert(0, 1, 0x1000, READ, 1, 0x1000, 0xfff);
  iotlb.insert(0, 2, 0x2000, READ, 1, 0x2000, 0xfff);
  iotlb.insert(0, 1, 0x1000, RW, 1, 0x1000, 0xfff);
  expect(iotlb.lookup(0, 1 * PAGE, 1, WRITE)).toBe(0x1000);
  expect(iotlb.lookup(0, 2 * PAGE, 1, READ)).toBe(0x2000);
  expect(iotlb.counters.evictions).toBe(0);
});

test('of two pieces in a set the one used longer ago gives way, and is counted', () => {
  const iotlb = new Iotlb(2);
  iotlb.insert(0, 1, 0x1000, READ, 1, 0x1000, 0xfff);
  iotlb.insert(0, 2, 0x2000, READ, 1, 0x2000, 0xfff);
  iotlb.lookup(0, 1 * PAGE, 1, READ);
  iotlb.insert(0, 3, 0x3000, READ, 1, 0x3000, 0xfff);
  expect([1, 2, 3].map((page) => iotlb.lookup(0, page * PAGE, 1, READ))).toEqual([0x1000, -1, 0x3000]);
  expect(iotlb.counters.evictions).toBe(1);
});

test('an invalidation of one byte of a large page drops every piece of it, and no neighbour', () => {
  const iotlb = new Iotlb(64);
  for (const page of [0x200, 0x2ff, 0x3ff]) iotlb.insert(0, page, page * 16, READ, 7, 0x20_0000, 0x1f_ffff);
  iotlb.insert(0, 0x400, 0x4000, READ, 7, 0x40_0000, 0xfff);
  iotlb.insert(1, 0x200, 0x5000, READ, 8, 0x20_0000, 0xfff);
  iotlb.dropPages(7, 0x2f_f000, 0xfff);
  expect([0x200, 0x2ff, 0x3ff, 0x400].map((page) => iotlb.lookup(0, page * PAGE, 1, READ))).toEqual([
    -1, -1, -1, 0x4000,
  ]);
  expect(iotlb.lookup(1, 0x200 * PAGE, 1, READ)).toBe(0x5000);
  expect(iotlb.counters.invalidated).toBe(3);
});

test.each([0, 3, 2 ** 21, 2.5])('a capacity of %s is refused', (capacity) => {
  expect(() => new Iotlb(capacity)).toThrow(VirtioError);
});

test('whatever is inserted, dropped and looked up: a hit is what was inserted last and not dropped since', () => {
  const page = fc.nat(40);
  const step = fc.oneof(
    fc.record({ kind: fc.constant('insert' as const), tag: fc.nat(2), page, rights: fc.integer({ min: 1, max: 3 }) }),
    fc.record({ kind: fc.constant('lookup' as const), tag: fc.nat(2), page, rights: fc.integer({ min: 1, max: 3 }) }),
    fc.record({ kind: fc.constant('pages' as const), tag: fc.nat(2), page, rights: fc.integer({ min: 0, max: 3 }) }),
    fc.record({
      kind: fc.constantFrom('all' as const, 'domain' as const, 'tag' as const),
      tag: fc.nat(2),
      page,
      rights: page,
    }),
  );
  fc.assert(
    fc.property(fc.array(step, { maxLength: 200 }), (steps) => {
      const iotlb = new Iotlb(16);
      const model = new Map<string, { host: number; rights: number; tag: number; page: number }>();
      let host = 0;
      for (const { kind, tag, page, rights } of steps) {
        const key = `${tag}/${page}`;
        const drop = (gone: (piece: { tag: number; page: number }) => boolean): void => {
          for (const [name, piece] of model) if (gone(piece)) model.delete(name);
        };
        // The domain of a tag is the tag + 10.
        if (kind === 'insert') {
          host += 0x1000;
          iotlb.insert(tag, page, host, rights, tag + 10, page * 0x1000, 0xfff);
          model.set(key, { host, rights, tag, page });
        } else if (kind === 'lookup') {
          const found = iotlb.lookup(tag, page * PAGE, 1, rights);
          const known = model.get(key);
          if (found >= 0) expect([found, rights & ~known!.rights]).toEqual([known!.host, 0]);
        } else if (kind === 'pages') {
          const size = 2 ** rights;
          const from = page - (page % size);
          iotlb.dropPages(tag + 10, from * 0x1000, size * 0x1000 - 1);
          drop((piece) => piece.tag === tag && piece.page >= from && piece.page < from + size);
        } else if (kind === 'all') {
          iotlb.dropAll();
          model.clear();
        } else {
          if (kind === 'domain') iotlb.dropDomain(tag + 10);
          else iotlb.dropTag(tag);
          drop((piece) => piece.tag === tag);
        }
      }
    }),
  );
});
