import { ACCESS, HostMemory, RESOLVE } from '@ringwire/guest-memory';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { TableSpace } from './table-space.js';
import { VDPA } from './vdpa-outcome.js';

const { READ, WRITE } = ACCESS;
const RW = READ | WRITE;
const memory = HostMemory.create(0x10_0000);

test('a mapping allows what it says: reading, writing, both', () => {
  const space = new TableSpace(memory);
  expect(space.map({ iova: 0x1000, bytes: 0x100, host: 0x400, access: READ })).toBe(VDPA.OK);
  expect(space.map({ iova: 0x2000, bytes: 0x100, host: 0x800, access: WRITE })).toBe(VDPA.OK);
  expect(space.map({ iova: 0x3000, bytes: 0x100, host: 0xc00, access: RW })).toBe(VDPA.OK);
  const seen = [0x1010, 0x2010, 0x3010].map((iova) =>
    [READ, WRITE, RW].map((access) => space.resolve(iova, 4, access)),
  );
  expect(seen).toEqual([
    [0x410, RESOLVE.FAULT, RESOLVE.FAULT],
    [RESOLVE.FAULT, 0x810, RESOLVE.FAULT],
    [0xc10, 0xc10, 0xc10],
  ]);
});

test('a range over two neighbours that can be written is reached, whether they can be read or not', () => {
  const space = new TableSpace(memory);
  space.map({ iova: 0x1000, bytes: 0x100, host: 0x400, access: RW });
  space.map({ iova: 0x1100, bytes: 0x100, host: 0x500, access: WRITE });
  expect(space.resolve(0x10f0, 0x20, WRITE)).toBe(0x4f0);
  expect(space.resolve(0x10f0, 0x20, READ)).toBe(RESOLVE.FAULT);
});

test('MG-16 mappings that overlap, wrap, or lie beyond the host’s memory are refused, and change nothing', () => {
  const space = new TableSpace(memory);
  const good = { iova: 0x1000, bytes: 0x1000, host: 0, access: RW };
  expect(space.map(good)).toBe(VDPA.OK);
  expect(space.map({ ...good, iova: 0x1fff })).toBe(VDPA.EXISTS);
  expect(space.map({ ...good, iova: 0x0001 })).toBe(VDPA.EXISTS);
  expect(space.map({ ...good, iova: 0x2000, host: 0xf_f001 })).toBe(VDPA.NOT_MEMORY);
  for (const bad of [
    { iova: -1 },
    { iova: 0.5 },
    { iova: Number.NaN },
    { iova: 2 ** 53 },
    { iova: 2 ** 53 - 0x1000 },
    { bytes: 0 },
    { bytes: -1 },
    { bytes: Number.POSITIVE_INFINITY },
    { host: -1 },
    { host: 0.5 },
    { access: 0 },
    { access: 4 },
  ])
    expect(space.map({ ...good, iova: 0x8000, ...bad })).toBe(VDPA.INVALID);
  expect(space.mappings).toEqual([good]);
});

test('an unmap takes exactly its range, and is refused within a burst', () => {
  const space = new TableSpace(memory);
  space.map({ iova: 0x1000, bytes: 0x3000, host: 0x1_0000, access: RW });
  const before = space.enter();
  expect(space.unmap(0x2000, 0x1000)).toBe(VDPA.BUSY);
  space.leave();
  expect(space.unmap(0x2000, 0x1000)).toBe(VDPA.OK);
  expect(space.enter()).not.toBe(before);
  space.leave();
  expect(space.mappings).toEqual([
    { iova: 0x1000, bytes: 0x1000, host: 0x1_0000, access: RW },
    { iova: 0x3000, bytes: 0x1000, host: 0x1_2000, access: RW },
  ]);
  expect(space.resolve(0x1fff, 2, READ)).toBe(RESOLVE.FAULT);
});

test('any maps and unmaps reach the bytes that a table of single bytes does', () => {
  const change = fc.record({
    isMap: fc.boolean(),
    iova: fc.nat(60),
    bytes: fc.integer({ min: 1, max: 12 }),
    host: fc.nat(200),
    access: fc.integer({ min: 1, max: 3 }),
  });
  fc.assert(
    fc.property(fc.array(change, { maxLength: 30 }), (changes) => {
      const space = new TableSpace(memory);
      const bytes = new Map<number, { host: number; access: number }>();
      for (const { isMap, iova, bytes: length, host, access } of changes) {
        const range = Array.from({ length }, (_, at) => iova + at);
        if (isMap) {
          const isFree = range.every((at) => !bytes.has(at));
          expect(space.map({ iova, bytes: length, host, access })).toBe(isFree ? VDPA.OK : VDPA.EXISTS);
          if (isFree) for (const at of range) bytes.set(at, { host: host + at - iova, access });
        } else {
          space.unmap(iova, length);
          for (const at of range) bytes.delete(at);
        }
      }
      for (let at = 0; at < 80; at++)
        for (const access of [READ, WRITE, RW]) {
          const entry = bytes.get(at);
          const isThere = entry !== undefined && (entry.access & access) === access;
          expect(space.resolve(at, 1, access)).toBe(isThere ? entry.host : RESOLVE.FAULT);
        }
    }),
  );
});

test('where host memory is mapped, whole, and nowhere once a piece of it is not', () => {
  const space = new TableSpace(memory);
  space.map({ iova: 0x1000, bytes: 0x100, host: 0x400, access: RW });
  space.map({ iova: 0x1100, bytes: 0x100, host: 0x500, access: READ });
  space.map({ iova: 0x9000, bytes: 0x100, host: 0x600, access: RW });
  expect(space.addressOf(0x410, 0x10)).toBe(0x1010);
  expect(space.addressOf(0x4f0, 0x20)).toBe(0x10f0);
  // Behind one another on the host, and not for the device.
  expect(space.addressOf(0x5f0, 0x20)).toBe(-1);
  expect(space.addressOf(0x6f0, 0x11)).toBe(-1);
  expect(space.addressOf(0x300, 4)).toBe(-1);
  space.unmap(0x1010, 0x10);
  expect([space.addressOf(0x40c, 4), space.addressOf(0x40c, 8), space.addressOf(0x420, 4)]).toEqual([
    0x100c, -1, 0x1020,
  ]);
});
