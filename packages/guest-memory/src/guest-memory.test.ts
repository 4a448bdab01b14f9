import { VirtioError } from '@ringwire/virtio-spec';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { ACCESS, RESOLVE } from './address-space.js';
import { GuestMemory, type GuestRegion } from './guest-memory.js';
import { HostMemory } from './host-memory.js';
import { RangeList } from './range-list.js';

const memory = HostMemory.create(0x1_0000);
const HIGH = 2 ** 32;

const guest = new GuestMemory(memory, [
  // Given out of order; 0x3000 … 0x3fff is a hole.
  { gpa: HIGH, size: 0x2000, host: 0x8000 },
  { gpa: 0x1000, size: 0x1000, host: 0x4000 },
  { gpa: 0x2000, size: 0x1000, host: 0x5000 }, // goes on in the host, too
  { gpa: 0, size: 0x1000, host: 0x2000 }, // lies elsewhere in the host than what follows
  { gpa: 0x4000, size: 0x1000, host: 0x6000, readOnly: true },
  { gpa: 0x5000, size: 0x1000, host: 0x7000 }, // goes on behind the ROM
]);

function pairs(ranges: RangeList): [number, number][] {
  return Array.from({ length: ranges.count }, (_, at) => [ranges.offset[at]!, ranges.length[at]!]);
}

test('an address resolves inside its region, below and above 4 GiB', () => {
  expect(guest.resolve(0x10, 0x20, ACCESS.READ)).toBe(0x2010);
  expect(guest.resolve(0x1fff, 1, ACCESS.WRITE)).toBe(0x4fff);
  expect(guest.resolve(HIGH + 0x1fff, 1, ACCESS.WRITE)).toBe(0x9fff);
  expect(guest.resolve(HIGH, 0x2000, ACCESS.READ | ACCESS.WRITE)).toBe(0x8000);
});

test('regions that are neighbours for guest and host are one range', () => {
  expect(guest.resolve(0x1ff0, 0x20, ACCESS.WRITE)).toBe(0x4ff0);
  const ranges = new RangeList();
  expect(guest.resolveRanges(0x1000, 0x2000, ACCESS.WRITE, ranges)).toBe(true);
  expect(pairs(ranges)).toEqual([[0x4000, 0x2000]]);
});

test('neighbours for the guest alone are split', () => {
  expect(guest.resolve(0xff0, 0x20, ACCESS.READ)).toBe(RESOLVE.SPLIT);
  const ranges = new RangeList();
  ranges.push(1, 2);
  expect(guest.resolveRanges(0xff0, 0x1020, ACCESS.READ, ranges)).toBe(true);
  expect(pairs(ranges)).toEqual([
    [1, 2],
    [0x2ff0, 0x10],
    [0x4000, 0x1010],
  ]);
});

test('the device reads ROM and does not write it, nor across its border', () => {
  expect(guest.resolve(0x4000, 0x1000, ACCESS.READ)).toBe(0x6000);
  expect(guest.resolve(0x4ff0, 0x20, ACCESS.READ)).toBe(0x6ff0);
  expect(guest.resolve(0x4000, 1, ACCESS.WRITE)).toBe(RESOLVE.FAULT);
  expect(guest.resolve(0x4000, 1, ACCESS.READ | ACCESS.WRITE)).toBe(RESOLVE.FAULT);
  expect(guest.resolve(0x4ff0, 0x20, ACCESS.WRITE)).toBe(RESOLVE.FAULT);
  expect(guest.resolve(0x5000, 0x20, ACCESS.WRITE)).toBe(0x7000);
});

test('a zero length answers as one byte at its address does, and appends no range', () => {
  const ranges = new RangeList();
  expect(guest.resolve(0x2fff, 0, ACCESS.READ)).toBe(0x5fff);
  expect(guest.resolveRanges(0x2fff, 0, ACCESS.READ, ranges)).toBe(true);
  expect(guest.resolve(0x3000, 0, ACCESS.READ)).toBe(RESOLVE.FAULT);
  expect(guest.resolveRanges(0x3000, 0, ACCESS.READ, ranges)).toBe(false);
  expect(ranges.count).toBe(0);
});

test.each([
  ['into a hole', 0x2ff0, 0x11],
  ['in a hole', 0x3800, 1],
  ['over a hole', 0x2fff, 0x1002],
  ['one past the end', HIGH + 0x1fff, 2],
  ['past everything', 2 ** 52, 1],
  ['a negative address', -1, 2],
  ['a negative length', 0x10, -1],
  ['a length of 2^32', 0, 2 ** 32],
  ['the longest length', 0, 2 ** 32 - 1],
  ['an address above 2^53', 2 ** 53, 1],
  ['an address far above 2^53', 2 ** 64, 1],
  ['infinity', Number.POSITIVE_INFINITY, 1],
  ['no address', Number.NaN, 1],
  ['no length', 0, Number.NaN],
  ['half an address', 0.5, 1],
  ['half a length', 0, 0.5],
])('%s is a fault and leaves the ranges alone', (_, address, length) => {
  const ranges = new RangeList();
  ranges.push(7, 7);
  // Right after a hit in each region, so that the cached one has its say.
  for (const hit of [0x10, 0x1010, 0x4000, HIGH]) {
    expect(guest.resolve(hit, 1, ACCESS.READ)).toBeGreaterThanOrEqual(0);
    expect(guest.resolve(address, length, ACCESS.READ)).toBe(RESOLVE.FAULT);
    expect(guest.resolveRanges(address, length, ACCESS.READ, ranges)).toBe(false);
  }
  expect(pairs(ranges)).toEqual([[7, 7]]);
});

test('a region may end at 2^53, and nothing lies behind it', () => {
  const top = new GuestMemory(memory, [{ gpa: 2 ** 53 - 4096, size: 4096, host: 0 }]);
  expect(top.resolve(2 ** 53 - 1, 1, ACCESS.READ)).toBe(4095);
  expect(top.resolve(2 ** 53 - 1, 2, ACCESS.READ)).toBe(RESOLVE.FAULT);
  expect(top.resolve(2 ** 53 - 2, 3, ACCESS.READ)).toBe(RESOLVE.FAULT);
});

test('a guest without regions reaches nothing', () => {
  const none = new GuestMemory(memory, []);
  expect(none.resolve(0, 0, 0)).toBe(RESOLVE.FAULT);
  expect(none.resolve(0, 1, ACCESS.READ)).toBe(RESOLVE.FAULT);
});

test('two regions may show the same host bytes', () => {
  const mirrored = new GuestMemory(memory, [
    { gpa: 0, size: 4096, host: 0 },
    { gpa: 0x10_0000, size: 4096, host: 0 },
  ]);
  mirrored.write(0x10_0010, Uint8Array.of(1, 2));
  expect([...mirrored.read(0x10, 2)]).toEqual([1, 2]);
});

test('regions are copied and sorted', () => {
  const given = [
    { gpa: 0x2000, size: 0x1000, host: 0 },
    { gpa: 0, size: 0x1000, host: 0x1000 },
  ];
  const copied = new GuestMemory(memory, given);
  given[1]!.host = 0x3000;
  expect(copied.regions.map((region) => [region.gpa, region.host])).toEqual([
    [0, 0x1000],
    [0x2000, 0],
  ]);
  expect(copied.resolve(0, 1, ACCESS.READ)).toBe(0x1000);
});

const GOOD: GuestRegion = { gpa: 0x1000, size: 0x1000, host: 0 };
test.each<[string, Partial<GuestRegion>]>([
  ['gpa', { gpa: -1 }],
  ['gpa', { gpa: 0.5 }],
  ['gpa', { gpa: 2 ** 53 }],
  ['gpa', { gpa: Number.NaN }],
  ['size', { size: 0 }],
  ['size', { size: -4096 }],
  ['size', { gpa: 2 ** 53 - 4096, size: 4097 }],
  ['host', { host: -1 }],
  ['host', { host: 1.5 }],
  ['host', { host: 0xf001 }],
  ['host', { size: 0x1_0001 }],
  ['gpa', { gpa: 0x8fff, host: 0x1000 }],
  ['gpa', { gpa: 0x9fff, host: 0x1000 }],
])('a region with a wrong %s is refused: %j', (field, wrong) => {
  const neighbour: GuestRegion = { gpa: 0x9000, size: 0x1000, host: 0x9000 };
  expect(() => new GuestMemory(memory, [GOOD, neighbour])).not.toThrow();
  expect(() => new GuestMemory(memory, [neighbour, { ...GOOD, ...wrong }])).toThrow(VirtioError);
  expect(() => new GuestMemory(memory, [neighbour, { ...GOOD, ...wrong }])).toThrow(`${field} is `);
});

test('read and write cross borders; a fault throws before a byte is written', () => {
  const bytes = Uint8Array.from({ length: 0x1100 }, (_, at) => at % 251);
  guest.write(0xf80, bytes);
  expect(guest.read(0xf80, bytes.length)).toEqual(bytes);
  expect(memory.u8[0x2f80 + 1]).toBe(1);
  expect(memory.u8[0x4000]).toBe(0x80);
  const before = memory.u8.slice();
  expect(() => guest.write(0x2ff0, new Uint8Array(17).fill(9))).toThrow(
    "gpa is 12272, want 17 writable bytes from there in the guest's regions (GuestMemory)",
  );
  expect(() => guest.write(0x4000, Uint8Array.of(1))).toThrow(VirtioError);
  expect(() => guest.read(0x3000, 1)).toThrow(VirtioError);
  expect(() => guest.read(0, -1)).toThrow(VirtioError);
  expect(memory.u8.slice()).toEqual(before);
});

/** The host offset of one byte, by looking at every region; -1 where the device must not go. */
function naiveByte(regions: readonly GuestRegion[], gpa: number, access: number): number {
  const region = regions.find((candidate) => gpa >= candidate.gpa && gpa < candidate.gpa + candidate.size);
  if (region === undefined || (region.readOnly === true && (access & ACCESS.WRITE) !== 0)) return -1;
  return region.host + gpa - region.gpa;
}

/** The addresses near `base` that lie in the space's window, with what the window makes of them. */
function bytesInWindow(space: GuestMemory, base: number): { gpa: number; host: number }[] {
  const window = space.windowFor();
  return Array.from({ length: 64 }, (_, i) => base - 3 + i).flatMap((gpa) => {
    const into = ((gpa >>> 0) - window.lo32) >>> 0;
    const inside = Math.floor(gpa / 2 ** 32) === window.hi && into < window.bytes;
    return inside ? [{ gpa, host: (window.host32 + into) >>> 0 }] : [];
  });
}

test('the window is what was resolved last, with its rights, and ends where the high word changes', () => {
  const space = new GuestMemory(memory, [
    { gpa: 0x1000, size: 0x1000, host: 0x2000, readOnly: true },
    { gpa: HIGH - 0x1000, size: 0x2000, host: 0x4000 },
  ]);
  space.resolve(0x1800, 8, ACCESS.READ);
  expect(space.windowFor()).toMatchObject({
    hi: 0,
    lo32: 0x1000,
    bytes: 0x1000,
    host32: 0x2000,
    refused: ~ACCESS.READ,
  });
  // The last byte below 4 GiB and the first one above it are one host range, and two windows.
  expect(space.resolve(HIGH - 1, 2, ACCESS.WRITE)).toBe(0x4fff);
  expect(space.windowFor()).toMatchObject({ hi: 1, lo32: 0, bytes: 0x1000, host32: 0x5000, refused: ~3 });
  space.resolve(HIGH - 0x1000, 1, ACCESS.WRITE);
  expect(space.windowFor()).toMatchObject({ hi: 0, lo32: -0x1000, bytes: 0x1000, host32: 0x4000 });
  expect(new GuestMemory(memory, []).windowFor().bytes).toBe(0);
});

test('resolve and resolveRanges agree with a byte-by-byte model, whatever was hit before', () => {
  const anyRegions = fc.array(
    fc.record({ gap: fc.nat(3), size: fc.integer({ min: 1, max: 9 }), host: fc.nat(40), readOnly: fc.boolean() }),
    { maxLength: 6 },
  );
  const anyQuery = fc.tuple(fc.integer({ min: -3, max: 60 }), fc.nat(30), fc.nat(3));
  fc.assert(
    fc.property(
      anyRegions,
      fc.constantFrom(0, HIGH - 20, 2 ** 52),
      fc.boolean(),
      fc.array(anyQuery, { minLength: 1, maxLength: 12 }),
      (drafts, base, contiguous, queries) => {
        let gpa = base;
        let hostEnd = 0;
        const regions = drafts.map(({ gap, size, host, readOnly }) => {
          gpa += Math.max(0, gap - 1);
          const region = { gpa, size, host: contiguous ? hostEnd : host, readOnly };
          gpa += size;
          hostEnd = region.host + size;
          return region;
        });
        const space = new GuestMemory(memory, regions);
        for (const [at, length, access] of queries) {
          const offsets = Array.from({ length: Math.max(length, 1) }, (_, i) =>
            naiveByte(regions, base + at + i, access),
          );
          const ranges = new RangeList();
          const reached = !offsets.includes(-1);
          const oneRange = offsets.every((offset, i) => offset === offsets[0]! + i);
          const want = !reached ? RESOLVE.FAULT : oneRange ? offsets[0] : RESOLVE.SPLIT;
          expect(space.resolve(base + at, length, access)).toBe(want);
          expect(space.resolveRanges(base + at, length, access, ranges)).toBe(reached);
          const listed = pairs(ranges).flatMap(([offset, bytes]) =>
            Array.from({ length: bytes }, (_, i) => offset + i),
          );
          expect(listed).toEqual(reached && length > 0 ? offsets : []);
          if (want !== undefined && want >= 0 && length > 0) expect(ranges.count).toBe(1);
          expect(bytesInWindow(space, base).every(({ gpa, host }) => host === naiveByte(regions, gpa, 0))).toBe(true);
        }
      },
    ),
    { numRuns: 2000 },
  );
});
