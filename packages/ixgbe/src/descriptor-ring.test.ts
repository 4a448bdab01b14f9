import { ACCESS, type AddressSpace, GuestMemory, HostMemory, RESOLVE } from '@ringwire/guest-memory';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { DescriptorRing } from './descriptor-ring.js';
import { addressFrom, DmaBurst } from './dma-burst.js';

const memory = HostMemory.create(0x1_0000);

/** A way to memory that leads elsewhere from one burst to the next. */
class MovingSpace implements AddressSpace {
  readonly memory = memory;
  epoch = 7;
  host = 0x1000;
  resolved: [address: number, length: number][] = [];
  entered = 0;

  enter(): number {
    this.entered++;
    return this.epoch;
  }

  leave(): void {
    this.entered--;
  }

  resolve(address: number, length: number): number {
    this.resolved.push([address, length]);
    return this.host;
  }

  resolveRanges(): boolean {
    return false;
  }
}

function ringOf(): { space: MovingSpace; dma: DmaBurst; ring: DescriptorRing } {
  const space = new MovingSpace();
  const dma = new DmaBurst(space);
  const ring = new DescriptorRing(dma);
  ring.baseLow = 0x4000;
  ring.baseHigh = 2;
  ring.bytes = 256;
  return { space, dma, ring };
}

describe('where a ring’s descriptors are', () => {
  test('it is resolved once, whole, and again when host offsets of before may be void', () => {
    const { space, dma, ring } = ringOf();
    dma.open();
    expect([ring.locate(0), ring.locate(15)]).toEqual([0x1000, 0x10f0]);
    dma.close();
    dma.open();
    expect(ring.locate(1)).toBe(0x1010);
    dma.close();
    expect(space.resolved).toEqual([[0x2_0000_4000, 256]]);
    space.epoch++;
    space.host = 0x3000;
    dma.open();
    expect(ring.locate(1)).toBe(0x3010);
    dma.close();
    expect(space.resolved.length).toBe(2);
  });

  test('it is resolved again when its registers are written', () => {
    const { space, dma, ring } = ringOf();
    dma.open();
    ring.locate(0);
    ring.baseLow = 0x8000;
    ring.locate(0);
    expect(space.resolved.at(-1)).toEqual([0x2_0000_8000, 256]);
  });

  test('a ring that is several ranges has its descriptors resolved one by one', () => {
    const { space, dma, ring } = ringOf();
    space.host = RESOLVE.SPLIT;
    dma.open();
    // Not even one of them.
    expect(ring.locate(3)).toBeLessThan(0);
    space.host = 0x2000;
    expect(ring.locate(3)).toBe(0x2000);
    expect(space.resolved.at(-1)).toEqual([0x2_0000_4030, 16]);
  });

  test.each([
    ['nowhere', RESOLVE.FAULT],
    ['at an odd place of foreign memory', 0x1002],
  ])('one that is %s has none', (_, host) => {
    const { space, dma, ring } = ringOf();
    space.host = host;
    dma.open();
    expect(ring.locate(0)).toBe(RESOLVE.FAULT);
  });
});

test('bursts do not nest: opened twice, a burst is entered once and ended once', () => {
  const { space, dma } = ringOf();
  dma.open();
  dma.open();
  expect(space.entered).toBe(1);
  dma.close();
  dma.close();
  expect(space.entered).toBe(0);
});

test('an address of two words is exact below 2^53, and nothing from there on', () => {
  expect(addressFrom(-1, 0x1f_ffff)).toBe(2 ** 53 - 1);
  expect([addressFrom(0, 0x20_0000), addressFrom(0, -1)]).toEqual([-1, -1]);
});

test('bytes are found where the space finds them, by its window or without', () => {
  const regions = [
    { gpa: 0x1000, size: 0x1000, host: 0x3000 },
    { gpa: 0x2000, size: 0x800, host: 0x1000 },
    { gpa: 0xffff_f000, size: 0x2000, host: 0x4000 },
    { gpa: 0x3_8000_0000, size: 0x1000, host: 0x8000 },
  ];
  const places = regions.flatMap(({ gpa, size }) => [gpa - 1, gpa, gpa + 1, gpa + size - 100, gpa + size]);
  const address = fc.oneof(
    fc.constantFrom(...places),
    fc.constantFrom(...regions).chain(({ gpa, size }) => fc.nat(size).map((at) => gpa + at)),
  );
  const space = new GuestMemory(memory, regions);
  const dma = new DmaBurst(space);
  dma.open();
  fc.assert(
    fc.property(
      fc.array(fc.tuple(address, fc.integer({ min: 1, max: 0x1800 }), fc.constantFrom(ACCESS.READ, ACCESS.WRITE))),
      (list) => {
        for (const [at, bytes, access] of list)
          expect(dma.reach(at | 0, Math.floor(at / 2 ** 32) | 0, bytes, access)).toBe(space.resolve(at, bytes, access));
      },
    ),
  );
  expect(dma.reach(0x1000, 0x20_0000, 1, ACCESS.READ)).toBe(RESOLVE.FAULT);
  expect(dma.reach(0x1000, -1, 1, ACCESS.READ)).toBe(RESOLVE.FAULT);
});
