import { VirtioError } from '@ringwire/virtio-spec';
import { describe, expect, test } from 'vitest';
import { ask, IommuBench, LAYOUTS, READ, WRITE } from './testing/virtio-iommu-bench.js';
import type { ReservedRegion } from './virtio-iommu-regions.js';

const OK = 0;
const INVAL = 4;
const NOENT = 6;
const MSI = { kind: 'msi', start: 0xfee0_0000, end: 0xfeef_ffff } as const;
const HOLE = { kind: 'reserved', start: 0x8000, end: 0x1_0000_8fff } as const;

// virtio 1.4 §5.13.6.8.1 by hand: type 1, length 20, subtype, 3 reserved bytes, start, end.
const MSI_PROPERTY = '0100 1400 01 000000 0000e0fe00000000 ffffeffe00000000'.replaceAll(' ', '');
const HOLE_PROPERTY = '0100 1400 00 000000 0080000000000000 ff8f000001000000'.replaceAll(' ', '');
const PROBE_8 = `05000000 08000000 ${'00'.repeat(64)}`;

describe.each(LAYOUTS)('%s', (layout) => {
  test('dev.iommu.probe.6,.7: properties follow each other, each length plus 4 bytes behind the one before', () => {
    const bench = new IommuBench({ layout, probeSize: 64 });
    bench.device.addEndpoint(8, [{ kind: 'reserved', start: 0, end: 0x3fff }, MSI]);
    const first = `01001400000000000000000000000000ff3f000000000000`;
    expect(bench.ask(PROBE_8, 68)).toEqual({
      written: 68,
      bytes: `${first}${MSI_PROPERTY}${'00'.repeat(16)}00000000`,
    });
  });

  test('dev.iommu.probe.5,.10, dev.iommu.resv-mem.1: reserved fields and unused bytes are zero', () => {
    const bench = new IommuBench({ layout, probeSize: 32 });
    bench.device.addEndpoint(8, [HOLE]);
    expect(bench.ask(PROBE_8, 36)).toEqual({ written: 36, bytes: `${HOLE_PROPERTY}${'00'.repeat(8)}00000000` });
    bench.device.addEndpoint(9);
    expect(bench.ask(ask.probe(9), 36)).toEqual({ written: 36, bytes: '00'.repeat(36) });
  });

  test('dev.iommu.probe.1: the reserved field is ignored', () => {
    const bench = new IommuBench({ layout, probeSize: 24 });
    bench.device.addEndpoint(8, [MSI]);
    const answer = bench.ask(`05000000 08000000 ${'ff'.repeat(64)}`, 28);
    expect(answer).toEqual({ written: 28, bytes: `${MSI_PROPERTY}00000000` });
  });

  test('dev.iommu.probe.2: there is no such endpoint; the list is empty and the tail behind it', () => {
    const bench = new IommuBench({ layout, probeSize: 24 });
    bench.device.addEndpoint(8, [MSI]);
    expect(bench.ask(ask.probe(9), 28)).toEqual({ written: 28, bytes: `${'00'.repeat(24)}06000000` });
    expect(bench.device.counters.answered[NOENT]).toBe(1);
  });

  test('dev.iommu.probe.3,.4: PROBE that is not offered is given back unwritten, with used length 0', () => {
    const bench = new IommuBench({ layout, probeSize: 0 });
    bench.device.addEndpoint(8, [MSI]);
    expect(bench.ask(PROBE_8, 28)).toEqual({ written: 0, bytes: 'cc'.repeat(28) });
    expect(bench.device.counters.unknownRequests).toBe(1);
  });

  test('dev.iommu.probe.8,.9: a list smaller than probe_size gets no property, and the tail at its end says so', () => {
    const bench = new IommuBench({ layout, probeSize: 48 });
    bench.device.addEndpoint(8, [MSI]);
    for (const size of [0, 4, 24, 47])
      expect(bench.ask(PROBE_8, size + 4)).toEqual({ written: size + 4, bytes: `${'00'.repeat(size)}04000000` });
    expect(bench.device.counters.answered[INVAL]).toBe(4);
  });

  test('a list larger than probe_size is written up to probe_size, with the tail right behind', () => {
    const bench = new IommuBench({ layout, probeSize: 24 });
    bench.device.addEndpoint(8, [MSI]);
    expect(bench.ask(PROBE_8, 40)).toEqual({ written: 28, bytes: `${MSI_PROPERTY}00000000${'cc'.repeat(12)}` });
  });

  test('properties and tail go over whatever pieces the buffer has', () => {
    const bench = new IommuBench({ layout, probeSize: 24 });
    bench.device.addEndpoint(8, [MSI]);
    const cuts = { read: [1, 70, 1], write: [1, 2, 22, 2, 1] };
    expect(bench.ask(PROBE_8, 28, cuts)).toEqual({ written: 28, bytes: `${MSI_PROPERTY}00000000` });
  });
});

describe('reserved regions', () => {
  function refused(regions: readonly ReservedRegion[], options = {}): string {
    try {
      new IommuBench(options).device.addEndpoint(8, regions);
    } catch (error) {
      if (error instanceof VirtioError) return error.field;
      throw error;
    }
    return 'none';
  }

  test('dev.iommu.resv-mem.2: an endpoint with two MSI regions cannot be made', () => {
    expect(refused([MSI, { kind: 'msi', start: 0, end: 0xfff }])).toBe('MSI regions');
    expect(refused([MSI, { kind: 'reserved', start: 0, end: 0xfff }])).toBe('none');
  });

  test('dev.iommu.resv-mem.3: nor one with overlapping regions', () => {
    expect(refused([HOLE, { kind: 'reserved', start: 0, end: 0x8fff }])).toBe('region start');
    expect(refused([{ kind: 'reserved', start: 0, end: 0x7fff }, HOLE])).toBe('none');
  });

  test('regions lie on the page granularity, are not too many, and fit into probe_size', () => {
    expect(refused([{ kind: 'reserved', start: 0x800, end: 0xfff }])).toBe('region start');
    expect(refused([{ kind: 'reserved', start: 0, end: 0x1000 }])).toBe('region end');
    expect(refused([{ kind: 'reserved', start: 0x1000, end: 0xfff }])).toBe('region end');
    expect(refused([{ kind: 'reserved', start: 2 ** 53, end: 2 ** 53 + 0x1000 }])).toBe('region start');
    const many = Array.from({ length: 17 }, (_, at) => {
      return { kind: 'reserved', start: at * 0x2000, end: at * 0x2000 + 0xfff } as const;
    });
    expect(refused(many)).toBe('regions');
    expect(refused(many.slice(1))).toBe('none');
    expect(refused(many.slice(1), { probeSize: 16 * 24 - 4 })).toBe('probe_size');
  });

  test('dev.iommu.resv-mem.4: no mapping of a reserved address, of whichever endpoint in the domain', () => {
    const bench = new IommuBench();
    bench.device.addEndpoint(8, [{ kind: 'reserved', start: 0x8000, end: 0x8fff }]);
    bench.device.addEndpoint(9, [MSI]);
    bench.device.addEndpoint(10, [MSI]);
    for (const endpoint of [8, 9, 10]) bench.status(ask.attach(1, endpoint));
    const map = (start: number, end: number): number => bench.status(ask.map(1, start, end, 0, READ));
    expect(map(0x8000, 0x8fff)).toBe(INVAL);
    expect(map(0x7000, 0x9fff)).toBe(INVAL);
    expect(map(0xfee0_0000, 0xfee0_0fff)).toBe(INVAL);
    expect(map(0x7000, 0x7fff)).toBe(OK);
    expect(map(0x9000, 0xfedf_ffff)).toBe(OK);
    bench.status(ask.detach(1, 9));
    expect(map(0xfee0_0000, 0xfee0_0fff)).toBe(INVAL);
    bench.status(ask.detach(1, 10));
    expect(map(0xfee0_0000, 0xfee0_0fff)).toBe(OK);
  });

  test('dev.iommu.resv-mem.5: an access to a reserved region is blocked, in bypass mode too', () => {
    const bench = new IommuBench({ bypass: true });
    bench.device.addEndpoint(8, [{ kind: 'reserved', start: 0x8000, end: 0x8fff }]);
    for (const access of [READ, WRITE]) expect(bench.dma(8, 0x8fff, access)).toBe('FAULT');
    // The pages around it do not hide it from a cache.
    expect(bench.dma(8, 0x7fff, READ)).toBe('PASS_THROUGH 0x7fff mask 0xfff allowed 3');
    expect(bench.dma(8, 0x9000, READ)).toBe('PASS_THROUGH 0x9000 mask 0xfff allowed 3');
    expect(bench.dma(8, 0x20_0000, READ)).toBe('PASS_THROUGH 0x200000 mask 0x1fffff allowed 3');
    bench.status(ask.attach(1, 8));
    expect(bench.dma(8, 0x8000, READ)).toBe('FAULT');
  });

  test('a write to an MSI region is an interrupt request, a read of it is blocked, attached or not', () => {
    const bench = new IommuBench();
    bench.device.addEndpoint(8, [MSI]);
    const check = (): void => {
      expect(bench.dma(8, 0xfee0_1004, WRITE)).toBe('INTERRUPT 0xfee01004 mask 0x0 allowed 0');
      expect(bench.dma(8, 0xfee0_1004, READ)).toBe('FAULT');
      expect(bench.dma(8, 0xfee0_1004, READ | WRITE)).toBe('FAULT');
    };
    check();
    bench.status(ask.attach(1, 8));
    check();
    bench.status(ask.detach(1, 8));
    bench.status(ask.attach(1, 8, 1));
    check();
  });
});
