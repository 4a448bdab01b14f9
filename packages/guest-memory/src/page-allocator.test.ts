import { VirtioError } from '@ringwire/virtio-spec';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { PageAllocator } from './page-allocator.js';

test('allocations are whole pages from the start on, lowest address first', () => {
  const pages = new PageAllocator(0x1_0000_0000, 0x10000);
  expect(pages.allocate(1)).toBe(0x1_0000_0000);
  expect(pages.allocate(4097)).toBe(0x1_0000_1000);
  expect(pages.allocate(4096, 16)).toBe(0x1_0000_3000);
  expect([pages.inUse, pages.available]).toEqual([0x4000, 0xc000]);
});

test('alignment leaves a gap that a later allocation fills', () => {
  const pages = new PageAllocator(0x1000, 0xf000);
  expect(pages.allocate(4096, 0x4000)).toBe(0x4000);
  expect(pages.allocate(0x3000)).toBe(0x1000);
  expect(pages.allocate(4096)).toBe(0x5000);
});

test('freed neighbours become one run again', () => {
  const pages = new PageAllocator(0, 0x4000);
  const [a, b, c, d] = [pages.allocate(1), pages.allocate(1), pages.allocate(1), pages.allocate(1)];
  expect([a, b, c, d]).toEqual([0, 0x1000, 0x2000, 0x3000]);
  for (const address of [a, c, b, d]) pages.free(address!);
  expect(pages.allocate(0x4000)).toBe(0);
});

test('exhaustion names what was wanted and what there is', () => {
  const pages = new PageAllocator(0, 0x4000);
  pages.allocate(1);
  const second = pages.allocate(1);
  pages.allocate(1);
  pages.free(second);
  expect(() => pages.allocate(0x2000)).toThrow(
    'bytes is 8192, want no more than fits aligned to 4096 (8192 available, 4096 of them in one run) (PageAllocator)',
  );
  expect(pages.available).toBe(0x2000);
});

test('what is not in use cannot be freed', () => {
  const pages = new PageAllocator(0, 0x4000);
  const address = pages.allocate(0x2000);
  expect(() => pages.free(0x1000)).toThrow(VirtioError);
  pages.free(address);
  expect(() => pages.free(address)).toThrow('address is 0, want the address of an allocation in use (PageAllocator)');
});

test('wrong sizes, alignments and ranges are refused', () => {
  const pages = new PageAllocator(0, 0x4000);
  for (const bytes of [0, -1, 0.5, Number.NaN]) expect(() => pages.allocate(bytes)).toThrow('bytes is');
  for (const align of [0, -1, 3, 0.5, 4097, 2 ** 52 - 1]) expect(() => pages.allocate(1, align)).toThrow('align is');
  expect(() => new PageAllocator(1, 4096)).toThrow('start is 1');
  expect(() => new PageAllocator(-4096, 4096)).toThrow('start is');
  expect(() => new PageAllocator(0, 4095)).toThrow('bytes is 4095');
  expect(() => new PageAllocator(0, 0)).toThrow('bytes is 0');
  expect(() => new PageAllocator(2 ** 53 - 4096, 8192)).toThrow('bytes is 8192');
});

test('any sequence of calls: aligned, inside, apart, first fit, and all of it comes back', () => {
  const anyCall = fc.record({
    bytes: fc.integer({ min: 1, max: 0x5000 }),
    align: fc.constantFrom(1, 4096, 0x2000, 0x4000),
    drop: fc.option(fc.nat(9)),
  });
  fc.assert(
    fc.property(fc.array(anyCall, { maxLength: 40 }), (calls) => {
      const START = 0x3000;
      const PAGES = 24;
      const pages = new PageAllocator(START, PAGES * 4096);
      const taken = new Array<boolean>(PAGES).fill(false);
      const live: { address: number; count: number }[] = [];
      const release = (index: number): void => {
        const [gone] = live.splice(index, 1);
        pages.free(gone!.address);
        taken.fill(false, (gone!.address - START) / 4096, (gone!.address - START) / 4096 + gone!.count);
      };
      for (const { bytes, align, drop } of calls) {
        if (drop !== null && drop < live.length) release(drop);
        const count = Math.ceil(bytes / 4096);
        // The first page number where everything fits, by trying them all.
        const want = taken.findIndex(
          (_, at) =>
            (START + at * 4096) % align === 0 && at + count <= PAGES && !taken.slice(at, at + count).includes(true),
        );
        if (want < 0) {
          expect(() => pages.allocate(bytes, align)).toThrow(VirtioError);
        } else {
          const address = pages.allocate(bytes, align);
          expect(address).toBe(START + want * 4096);
          taken.fill(true, want, want + count);
          live.push({ address, count });
        }
        expect(pages.inUse).toBe(taken.filter(Boolean).length * 4096);
        expect(pages.inUse + pages.available).toBe(PAGES * 4096);
      }
      while (live.length > 0) release(0);
      expect(pages.allocate(PAGES * 4096)).toBe(START);
    }),
    { numRuns: 300 },
  );
});
