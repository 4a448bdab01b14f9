import { VirtioError } from '@ringwire/virtio-spec';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { Iotlb } from './iotlb.js';

const PAGE = 4096;
const READ = 1;
const WRITE = 2;
const RW = 3;

/** The tags 0 to count - 1; requester of a tag is the tag + 20. */
function claimed(iotlb: Iotlb, count: number): void {
  for (let tag = 0; tag < count; tag++) expect(iotlb.claim(tag + 20)).toBe(tag);
}

test('a piece is found again for the rights it was inserted with, by its own tag alone', () => {
  const iotlb = new Iotlb(16);
  iotlb.insert(3, 0x1_0000_0005 * PAGE, 0x7000, READ, 9, 0x1000_0000_5000, 0xfff);
  expect(iotlb.lookup(3, 0x1_0000_0005 * PAGE, 1, READ)).toBe(0x7000);
  expect(iotlb.lookup(3, 0x1_0000_0005 * PAGE, 1, WRITE)).toBe(-1);
  expect(iotlb.lookup(4, 0x1_0000_0005 * PAGE, 1, READ)).toBe(-1);
  expect(iotlb.lookup(3, 5 * PAGE, 1, READ)).toBe(-1);
  expect(iotlb.counters.hits).toBe(1);
});

test('a piece inserted with more rights replaces itself: it is not there twice', () => {
  const iotlb = new Iotlb(2);
  iotlb.insert(0, 1 * PAGE, 0x1000, READ, 1, 0x1000, 0xfff);
  iotlb.insert(0, 2 * PAGE, 0x2000, READ, 1, 0x2000, 0xfff);
  iotlb.insert(0, 1 * PAGE, 0x1000, RW, 1, 0x1000, 0xfff);
  expect(iotlb.lookup(0, 1 * PAGE, 1, WRITE)).toBe(0x1000);
  expect(iotlb.lookup(0, 2 * PAGE, 1, READ)).toBe(0x2000);
  expect(iotlb.counters.evictions).toBe(0);
});

test('of two pieces in a set the one used longer ago gives way, and is counted', () => {
  const iotlb = new Iotlb(2);
  iotlb.insert(0, 1 * PAGE, 0x1000, READ, 1, 0x1000, 0xfff);
  iotlb.insert(0, 2 * PAGE, 0x2000, READ, 1, 0x2000, 0xfff);
  iotlb.lookup(0, 1 * PAGE, 1, READ);
  iotlb.insert(0, 3 * PAGE, 0x3000, READ, 1, 0x3000, 0xfff);
  expect([1, 2, 3].map((page) => iotlb.lookup(0, page * PAGE, 1, READ))).toEqual([0x1000, -1, 0x3000]);
  expect(iotlb.counters.evictions).toBe(1);
});

test('an invalidation of one byte of a large page drops every piece of it, and no neighbour', () => {
  const iotlb = new Iotlb(64);
  claimed(iotlb, 2);
  for (const page of [0x200, 0x2ff, 0x3ff]) iotlb.insert(0, page * PAGE, page * 16, READ, 7, 0x20_0000, 0x1f_ffff);
  iotlb.insert(0, 0x400 * PAGE, 0x4000, READ, 7, 0x40_0000, 0xfff);
  iotlb.insert(1, 0x200 * PAGE, 0x5000, READ, 8, 0x20_0000, 0xfff);
  iotlb.pages(7, 0x2f_f000, 0xfff);
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
      claimed(iotlb, 3);
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
          iotlb.insert(tag, page * PAGE, host, rights, tag + 10, page * 0x1000, 0xfff);
          model.set(key, { host, rights, tag, page });
        } else if (kind === 'lookup') {
          const found = iotlb.lookup(tag, page * PAGE, 1, rights);
          const known = model.get(key);
          if (found >= 0) expect([found, rights & ~known!.rights]).toEqual([known!.host, 0]);
        } else if (kind === 'pages') {
          const size = 2 ** rights;
          const from = page - (page % size);
          iotlb.pages(tag + 10, from * 0x1000, size * 0x1000 - 1);
          drop((piece) => piece.tag === tag && piece.page >= from && piece.page < from + size);
        } else if (kind === 'all') {
          iotlb.all();
          model.clear();
        } else {
          if (kind === 'domain') iotlb.domain(tag + 10);
          else iotlb.requester(tag + 20);
          drop((piece) => piece.tag === tag);
        }
      }
    }),
  );
});

test('two users of one cache never share a tag, and a tag given back has nothing left', () => {
  const iotlb = new Iotlb(16);
  const first = iotlb.claim(0x18);
  const second = iotlb.claim(0x18);
  expect(second).not.toBe(first);
  iotlb.insert(first, PAGE, 0x5000, READ, 1, PAGE, 0xfff);
  iotlb.insert(second, PAGE, 0x6000, READ, 1, PAGE, 0xfff);
  iotlb.release(first);
  expect(iotlb.claim(0x20)).toBe(first);
  expect(iotlb.lookup(first, PAGE, 1, READ)).toBe(-1);
  expect(iotlb.lookup(second, PAGE, 1, READ)).toBe(0x6000);
});

test('a cache tells 2048 requesters apart, and refuses one more', () => {
  const iotlb = new Iotlb(2);
  for (let tag = 0; tag < 2048; tag++) iotlb.claim(tag);
  expect(() => iotlb.claim(2048)).toThrow('tags is 2049, want at most 2048');
  iotlb.insert(2047, 0xf000, 0x7000, READ, 1, 0xf000, 0xfff);
  expect(iotlb.lookup(2047, 0xf000, 1, READ)).toBe(0x7000);
  expect(iotlb.lookup(2046, 0xf000, 1, READ)).toBe(-1);
});

test('what is no address, no length or no access is never found', () => {
  const iotlb = new Iotlb(2);
  iotlb.insert(0, 0, 0x7000, RW, 1, 0, 0xfff);
  expect(iotlb.lookup(0, 8, 4, RW)).toBe(0x7008);
  for (const address of [-1, -4096, 0.5, Number.NaN, Number.POSITIVE_INFINITY, 2 ** 53, 2 ** 64])
    expect(iotlb.lookup(0, address, 4, READ)).toBe(-1);
  for (const length of [-1, 0.5, Number.NaN, 2 ** 32, 4097]) expect(iotlb.lookup(0, 8, length, READ)).toBe(-1);
  for (const access of [-1, 0.5, 4, 5, 8]) expect(iotlb.lookup(0, 8, 4, access)).toBe(-1);
});
