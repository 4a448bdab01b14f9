import { VirtioError } from '@ringwire/virtio-spec';
import { describe, expect, test } from 'vitest';
import { ALL_FEATURES, IommuBench, READ } from './testing/virtio-iommu-bench.js';
import { VirtioIommu } from './virtio-iommu-device.js';
import type { VirtioIommuOptions } from './virtio-iommu-options.js';

describe('features', () => {
  test('dev.iommu.features.1: MAP_UNMAP is offered, whatever else is switched off', () => {
    const least = new VirtioIommu({ probeSize: 0, mmio: false, bypassConfig: false });
    expect([...least.features]).toEqual([0b0000101, 0, 0, 0]);
  });

  test('dev.iommu.features.2,.3: BYPASS is never offered, BYPASS_CONFIG in its place', () => {
    const most = new VirtioIommu({ domainRange: { start: 0, end: 7 }, bypass: true });
    expect([...most.features]).toEqual([0b1110111, 0, 0, 0]);
  });

  test('the features are a copy', () => {
    const device = new VirtioIommu();
    device.features.fill(0);
    expect(device.features[0]).toBe(0b1110101);
  });
});

describe('configuration', () => {
  test('virtio 1.4 §5.13.4, dev.iommu.config.1,.2: the bytes, with the page sizes in front', () => {
    const bench = new IommuBench({
      pageSizeMask: 0xffff_ffff_ffff_f000n,
      inputRange: { start: 0x1000, end: 0xff_ffff_ffff },
      domainRange: { start: 1, end: 0xffff },
      probeSize: 0x200,
      bypass: true,
    });
    expect(bench.config(0, 40)).toBe(
      '00f0ffffffffffff' +
        '0010000000000000' +
        'ffffffffff000000' +
        '01000000' +
        'ffff0000' +
        '00020000' +
        '01' +
        '000000',
    );
  });

  test('dev.iommu.config.1: a device without a page size cannot be made', () => {
    expect(() => new VirtioIommu({ pageSizeMask: 0n })).toThrow('page_size_mask is 0');
    expect(() => new VirtioIommu({ pageSizeMask: 1n << 53n })).toThrow(VirtioError);
  });

  test('fields whose feature is not offered read as zeros', () => {
    const bench = new IommuBench({ probeSize: 0, bypassConfig: false });
    expect(bench.config(24, 16)).toBe('00'.repeat(16));
  });

  test('reads of any size at any offset, past the end too', () => {
    const bench = new IommuBench({ bypass: true });
    const all = bench.config(0, 40);
    for (const [offset, length] of [
      [0, 1],
      [3, 7],
      [33, 4],
      [36, 1],
      [35, 2],
    ] as const)
      expect(bench.config(offset, length)).toBe(all.slice(2 * offset, 2 * (offset + length)));
    expect(bench.config(36, 8)).toBe('0100000000000000');
    expect(bench.config(4096, 2)).toBe('0000');
  });

  test('dev.iommu.config.3: bypass may start with 1, and applies before any driver accepts BYPASS_CONFIG', () => {
    const bench = new IommuBench({ bypass: true, accept: [2] });
    bench.device.addEndpoint(8);
    expect(bench.config(36, 1)).toBe('01');
    expect(bench.dma(8, 0x1234, READ)).toBe('PASS_THROUGH 0x1234 mask 0x3fffffff allowed 3');
  });

  test('dev.iommu.config.4: device reset leaves bypass as the driver set it', () => {
    const bench = new IommuBench();
    bench.device.writeConfig(36, Uint8Array.of(1));
    bench.device.reset();
    expect(bench.config(36, 1)).toBe('01');
  });

  test('dev.iommu.config.5: system reset restores the initial value', () => {
    const off = new IommuBench();
    off.device.writeConfig(36, Uint8Array.of(1));
    off.device.systemReset();
    expect(off.config(36, 1)).toBe('00');
    const on = new IommuBench({ bypass: true });
    on.device.writeConfig(36, Uint8Array.of(0));
    on.device.systemReset();
    expect(on.config(36, 1)).toBe('01');
  });

  test('dev.iommu.config.6: bypass shows 0 or 1, whatever is written', () => {
    const bench = new IommuBench();
    for (const value of [2, 3, 0x80, 0xff]) {
      bench.device.writeConfig(36, Uint8Array.of(value));
      expect(bench.config(36, 1)).toBe('00');
    }
    bench.device.writeConfig(36, Uint8Array.of(1));
    bench.device.writeConfig(36, Uint8Array.of(0xfe));
    expect(bench.config(36, 1)).toBe('01');
  });

  test('no other field takes a write, and bypass takes it out of the middle of a wider one', () => {
    const bench = new IommuBench();
    const before = bench.config(0, 36);
    bench.device.writeConfig(0, new Uint8Array(36).fill(0xff));
    bench.device.writeConfig(37, Uint8Array.of(1, 1, 1));
    bench.device.writeConfig(40, Uint8Array.of(1));
    expect(bench.config(0, 40)).toBe(`${before}00000000`);
    bench.device.writeConfig(32, Uint8Array.of(9, 9, 9, 9, 1, 7, 7, 7));
    expect(bench.config(0, 40)).toBe(`${before}01000000`);
  });

  test('without BYPASS_CONFIG negotiated a write changes nothing', () => {
    const bench = new IommuBench({ accept: ALL_FEATURES.filter((bit) => bit !== 6) });
    bench.device.writeConfig(36, Uint8Array.of(1));
    expect(bench.config(36, 1)).toBe('00');
  });

  test('when bypass changes, what caches hold for endpoints without a domain is void', () => {
    const bench = new IommuBench({ bypass: true });
    bench.device.addEndpoint(8);
    bench.device.writeConfig(36, Uint8Array.of(1));
    expect(bench.invalidated).toEqual([]);
    bench.device.writeConfig(36, Uint8Array.of(0));
    expect(bench.invalidated).toEqual(['domain 0']);
    expect(bench.dma(8, 0x1234, READ)).toBe('FAULT');
  });
});

test.each([
  ['input_range', { inputRange: { start: 0x800, end: 0xffff } }],
  ['input_range', { inputRange: { start: 0, end: 0x1_0000 } }],
  ['input_range.start', { inputRange: { start: 0x2000, end: 0x1fff } }],
  ['input_range.end', { inputRange: { start: 0, end: 2 ** 53 } }],
  ['domain_range.end', { domainRange: { start: 0, end: 2 ** 32 } }],
  ['domain_range.start', { domainRange: { start: 5, end: 4 } }],
  ['probe_size', { probeSize: 4100 }],
  ['probe_size', { probeSize: 30 }],
  ['maxMappings', { maxMappings: 0 }],
  ['maxMappings', { maxMappings: 2 ** 24 + 1 }],
  ['physicalEnd', { physicalEnd: Number.NaN }],
  ['bypass', { bypass: true, bypassConfig: false }],
] as [string, VirtioIommuOptions][])('a wrong %s is refused by name', (field, options) => {
  expect(() => new VirtioIommu(options)).toThrow(VirtioError);
  expect(() => new VirtioIommu(options)).toThrow(new RegExp(`^${field} is `));
});
