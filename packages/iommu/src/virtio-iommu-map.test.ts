import { describe, expect, test } from 'vitest';
import { ALL_FEATURES, ask, IommuBench, READ, WRITE } from './testing/virtio-iommu-bench.js';

const OK = 0;
const UNSUPP = 2;
const INVAL = 4;
const RANGE = 5;
const NOENT = 6;
const NOMEM = 8;
const MMIO = 4;
const TOP = 2 ** 53 - 1;

/** Endpoint 8 in domain 1, endpoint 9 in bypass domain 2. */
function attached(options = {}): IommuBench {
  const bench = new IommuBench(options);
  bench.device.addEndpoint(8);
  bench.device.addEndpoint(9);
  bench.status(ask.attach(1, 8));
  bench.status(ask.attach(2, 9, 1));
  bench.invalidated.length = 0;
  return bench;
}

describe('map', () => {
  test.each([
    ['virt_start', 0x1800, 0x2fff, 0xa000],
    ['virt_end + 1', 0x1000, 0x1ffe, 0xa000],
    ['virt_end + 1', 0x1000, 0x2000, 0xa000],
    ['phys_start', 0x1000, 0x1fff, 0xa800],
  ])('dev.iommu.map.1: %s off the page granularity is out of range', (_, start, end, physical) => {
    const bench = attached();
    expect(bench.status(ask.map(1, start, end, physical, READ))).toBe(RANGE);
    expect(bench.device.mappings).toBe(0);
  });

  test('dev.iommu.map.2: no second mapping of any address', () => {
    const bench = attached();
    expect(bench.status(ask.map(1, 0x3000, 0x5fff, 0xa000, READ))).toBe(OK);
    for (const [start, end] of [
      [0x3000, 0x5fff],
      [0x4000, 0x4fff],
      [0x2000, 0x6fff],
      [0x2000, 0x3fff],
      [0x5000, 0x6fff],
    ] as const)
      expect(bench.status(ask.map(1, start, end, 0xf000, READ))).toBe(INVAL);
    expect(bench.dma(8, 0x4000, READ)).toBe('OK 0xb000 mask 0xfff allowed 1');
    expect(bench.status(ask.map(1, 0x2000, 0x2fff, 0xf000, READ))).toBe(OK);
    expect(bench.status(ask.map(1, 0x6000, 0x6fff, 0xf000, READ))).toBe(OK);
  });

  test('dev.iommu.map.3: unknown flags are invalid, MMIO too unless negotiated', () => {
    const bench = attached();
    for (const flags of [8, READ | 8, 0x8000_0003]) expect(bench.status(ask.map(1, 0, 0xfff, 0, flags))).toBe(INVAL);
    expect(bench.status(ask.map(1, 0, 0xfff, 0, WRITE | MMIO))).toBe(OK);
    const without = attached({ accept: ALL_FEATURES.filter((bit) => bit !== 5) });
    expect(without.status(ask.map(1, 0, 0xfff, 0, WRITE | MMIO))).toBe(INVAL);
    const notOffered = attached({ mmio: false });
    expect(notOffered.status(ask.map(1, 0, 0xfff, 0, WRITE | MMIO))).toBe(INVAL);
  });

  test('dev.iommu.map.4: there is no such domain', () => {
    expect(attached().status(ask.map(3, 0, 0xfff, 0, READ))).toBe(NOENT);
  });

  test('dev.iommu.map.5: a bypass domain has no mappings', () => {
    expect(attached().status(ask.map(2, 0, 0xfff, 0, READ))).toBe(INVAL);
  });

  test('dev.iommu.map.6: no write without F_WRITE, and no read without F_READ either', () => {
    const bench = attached();
    bench.status(ask.map(1, 0x1000, 0x1fff, 0xa000, READ));
    bench.status(ask.map(1, 0x2000, 0x2fff, 0xb000, WRITE));
    bench.status(ask.map(1, 0x3000, 0x3fff, 0xc000, READ | WRITE));
    expect([READ, WRITE, READ | WRITE].map((access) => bench.dma(8, 0x1000, access).slice(0, 5))).toEqual([
      'OK 0x',
      'FAULT',
      'FAULT',
    ]);
    expect([READ, WRITE, READ | WRITE].map((access) => bench.dma(8, 0x2000, access).slice(0, 5))).toEqual([
      'FAULT',
      'OK 0x',
      'FAULT',
    ]);
    expect(bench.dma(8, 0x3000, READ | WRITE)).toBe('OK 0xc000 mask 0xfff allowed 3');
  });

  test('virtio 1.4 §5.13.6.5: what is outside input_range, or beyond guest-physical memory, is out of range', () => {
    const bench = attached({ inputRange: { start: 0x1_0000, end: 0x1_ffff }, physicalEnd: 0xf_ffff });
    expect(bench.status(ask.map(1, 0xf000, 0x1_0fff, 0, READ))).toBe(RANGE);
    expect(bench.status(ask.map(1, 0x1_f000, 0x2_0fff, 0, READ))).toBe(RANGE);
    expect(bench.status(ask.map(1, 0x1_0000, 0x1_1fff, 0xf_f000, READ))).toBe(RANGE);
    expect(bench.status(ask.map(1, 0x1_0000, 0x1_0fff, 0xf_f000, READ))).toBe(OK);
    expect(bench.status(ask.map(1, 0x1_1000, 0x1_ffff, 0, READ))).toBe(OK);
  });

  test('MAP and UNMAP are unsupported unless MAP_UNMAP is negotiated', () => {
    const bench = attached({ accept: [0, 4, 6] });
    expect(bench.status(ask.map(1, 0, 0xfff, 0, READ))).toBe(UNSUPP);
    expect(bench.status(ask.unmap(1, 0, 0xfff))).toBe(UNSUPP);
  });

  test('a page of one byte is legal when the granularity is one byte', () => {
    const bench = attached({ pageSizeMask: 1n });
    expect(bench.status(ask.map(1, 7, 7, 9, READ))).toBe(OK);
    expect(bench.dma(8, 7, READ)).toBe('OK 0x9 mask 0x0 allowed 1');
  });

  test('the mask is that of the largest page that fits the mapping and is aligned on both sides', () => {
    const bench = attached();
    const MIB2 = 0x20_0000;
    bench.status(ask.map(1, MIB2, 3 * MIB2 - 1, 4 * MIB2, READ));
    bench.status(ask.map(1, 4 * MIB2, 5 * MIB2 - 1, 8 * MIB2 + 0x1000, READ));
    bench.status(ask.map(1, 6 * MIB2 - 0x1000, 8 * MIB2 - 0x1001, 0x1f_f000, READ));
    bench.status(ask.map(1, 0x4000_0000, 0x7fff_ffff, 0x8000_0000, READ));
    expect(bench.dma(8, 2 * MIB2 + 5, READ)).toBe('OK 0xa00005 mask 0x1fffff allowed 1');
    expect(bench.dma(8, 4 * MIB2, READ)).toBe('OK 0x1001000 mask 0xfff allowed 1');
    expect(bench.dma(8, 6 * MIB2 - 1, READ)).toBe('OK 0x1fffff mask 0xfff allowed 1');
    expect(bench.dma(8, 6 * MIB2, READ)).toBe('OK 0x200000 mask 0x1fffff allowed 1');
    expect(bench.dma(8, 7 * MIB2, READ)).toBe('OK 0x400000 mask 0xfff allowed 1');
    expect(bench.dma(8, 0x4123_4567, READ)).toBe('OK 0x81234567 mask 0x3fffffff allowed 1');
  });

  test('a mapping may be all of 2^53 bytes, and its last byte is translated exactly', () => {
    const bench = attached();
    expect(bench.status(ask.map(1, 0, TOP, 0, READ))).toBe(OK);
    expect(bench.dma(8, TOP, READ)).toBe('OK 0x1fffffffffffff mask 0x3fffffff allowed 1');
    expect(bench.status(ask.unmap(1, 0, TOP))).toBe(OK);
    expect(bench.status(ask.map(1, TOP - 0xfff, TOP, 0, READ))).toBe(OK);
    expect(bench.dma(8, TOP - 1, READ)).toBe('OK 0xffe mask 0xfff allowed 1');
  });

  test('what the mirror has no room for is not mapped here either', () => {
    const mirror = { attach: () => true, detach: () => {}, map: () => false, unmap: () => {} };
    const bench = attached({ mirror });
    expect(bench.status(ask.map(1, 0, 0xfff, 0, READ))).toBe(NOMEM);
    expect(bench.device.mappings).toBe(0);
  });
});

describe('unmap', () => {
  test('dev.iommu.unmap.1: a reserved field that isn’t zero is invalid, and nothing is unmapped', () => {
    const bench = attached();
    bench.status(ask.map(1, 0x1000, 0x1fff, 0xa000, READ));
    expect(bench.status(ask.unmap(1, 0x1000, 0x1fff, 0x0100_0000))).toBe(INVAL);
    expect(bench.device.mappings).toBe(1);
  });

  test('dev.iommu.unmap.3: there is no such domain', () => {
    expect(attached().status(ask.unmap(3, 0, 0xfff))).toBe(NOENT);
  });

  test('dev.iommu.unmap.4: a bypass domain has nothing to unmap', () => {
    expect(attached().status(ask.unmap(2, 0, 0xfff))).toBe(INVAL);
  });

  /** The seven examples of virtio 1.4 §5.13.6.6, with a granularity of one byte. */
  const EXAMPLES: [title: string, maps: [number, number][], unmap: [number, number], status: number, left: number][] = [
    ['(1) dev.iommu.unmap.7: nothing is there', [], [0, 4], OK, 0],
    ['(2) one mapping', [[0, 9]], [0, 9], OK, 0],
    [
      '(3) two mappings',
      [
        [0, 4],
        [5, 9],
      ],
      [0, 9],
      OK,
      0,
    ],
    ['(4) dev.iommu.unmap.5,.6: half a mapping', [[0, 9]], [0, 4], RANGE, 1],
    [
      '(5) one of two mappings',
      [
        [0, 4],
        [5, 9],
      ],
      [0, 4],
      OK,
      1,
    ],
    ['(6) dev.iommu.unmap.7: a mapping and a gap behind it', [[0, 4]], [0, 9], OK, 0],
    [
      '(7) dev.iommu.unmap.7: two mappings and a gap between them',
      [
        [0, 4],
        [10, 14],
      ],
      [0, 14],
      OK,
      0,
    ],
  ];
  test.each(EXAMPLES)('virtio 1.4 §5.13.6.6 %s', (_, maps, [start, end], status, left) => {
    const bench = attached({ pageSizeMask: 1n });
    for (const [first, last] of maps) expect(bench.status(ask.map(1, first, last, first, READ))).toBe(OK);
    expect(bench.status(ask.unmap(1, start, end))).toBe(status);
    expect(bench.device.mappings).toBe(left);
    if (status !== OK) expect(bench.invalidated).toEqual([]);
  });

  test('dev.iommu.unmap.5,.6: a range that would split one of many mappings removes none', () => {
    const bench = attached();
    for (let page = 0; page < 10; page += 2) bench.status(ask.map(1, page * 0x1000, page * 0x1000 + 0x1fff, 0, READ));
    for (const [start, end] of [
      [0x1000, 0x9fff],
      [0, 0x8fff],
      [0x1000, 0x8fff],
      [0x3000, 0x3fff],
    ] as const)
      expect(bench.status(ask.unmap(1, start, end))).toBe(RANGE);
    expect(bench.device.mappings).toBe(5);
    expect(bench.invalidated).toEqual([]);
  });

  test('an unmap that ends before it starts is out of range', () => {
    expect(attached().status(ask.unmap(1, 0x2000, 0x1fff))).toBe(RANGE);
    expect(attached().status(ask.unmap(1, 1n << 63n, (1n << 63n) - 0x1000n))).toBe(RANGE);
  });

  test('the whole 64-bit space may be unmapped: what is beyond 2^53 was never mapped', () => {
    const bench = attached();
    bench.status(ask.map(1, 0x1000, 0x1fff, 0xa000, READ));
    expect(bench.status(ask.unmap(1, 2n ** 53n, 2n ** 64n - 1n))).toBe(OK);
    expect(bench.device.mappings).toBe(1);
    expect(bench.status(ask.unmap(1, 0, 2n ** 64n - 1n))).toBe(OK);
    expect(bench.device.mappings).toBe(0);
  });

  test('caches are told of what went in naturally aligned pieces, from its first to its last address', () => {
    const bench = attached();
    bench.status(ask.map(1, 0x1000, 0x1fff, 0, READ));
    bench.status(ask.map(1, 0x3000, 0x8fff, 0, READ));
    expect(bench.invalidated).toEqual([]);
    bench.status(ask.unmap(1, 0, 0xf_ffff));
    expect(bench.invalidated).toEqual([
      'pages 1 0x1000 0xfff',
      'pages 1 0x2000 0x1fff',
      'pages 1 0x4000 0x3fff',
      'pages 1 0x8000 0xfff',
    ]);
    bench.invalidated.length = 0;
    bench.status(ask.unmap(1, 0, 0xf_ffff));
    expect(bench.invalidated).toEqual([]);
  });

  test('a stretch of 2^53 bytes less two pages is announced in 80 pieces', () => {
    const bench = attached();
    bench.status(ask.map(1, 0x1000, TOP - 0x1000, 0, READ));
    bench.status(ask.unmap(1, 0, TOP));
    expect(bench.invalidated.length).toBe(80);
  });
});
