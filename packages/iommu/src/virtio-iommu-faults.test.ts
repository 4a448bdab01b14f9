import { formatChange } from '@ringwire/guest-memory/testing';
import { describe, expect, test } from 'vitest';
import { AT, ask, IommuBench, LAYOUTS, READ, WRITE } from './testing/virtio-iommu-bench.js';

const MSI = { kind: 'msi', start: 0xfee0_0000, end: 0xfeef_ffff } as const;

function benchOf(layout: 'split' | 'packed' = 'split'): IommuBench {
  const bench = new IommuBench({ layout });
  bench.device.addEndpoint(8, [MSI]);
  return bench;
}

describe.each(LAYOUTS)('%s', (layout) => {
  test('dev.iommu.fault.1,.2,.3: a report’s bytes; reserved fields and undefined flags are zero', () => {
    const bench = benchOf(layout);
    for (let i = 0; i < 5; i++) bench.post();
    const since = bench.guest.snapshot();
    bench.dma(8, 0x1234, READ);
    bench.device.serveRequests(1);
    expect(bench.reports()).toEqual(['01000000 01010000 08000000 00000000 3412000000000000'.replaceAll(' ', '')]);
    const allowed = [...bench.eventParts, { gpa: AT.reports, length: 24 }];
    expect(bench.guest.changesOutside(since, allowed).map(formatChange)).toEqual([]);
    bench.ask(ask.attach(1, 8));
    bench.ask(ask.map(1, 0x1000, 0x1fff, 0xa000, READ));
    bench.dma(8, 0x1fff, WRITE);
    bench.dma(8, 0x12_3456_789a, READ | WRITE);
    bench.dma(8, 0xfee0_0000, READ);
    expect(bench.reports()).toEqual([
      '02000000020100000800000000000000ff1f000000000000',
      '020000000301000008000000000000009a78563412000000',
      '020000000101000008000000000000000000e0fe00000000',
    ]);
    expect([...bench.device.counters.faults]).toEqual([0, 1, 3]);
    expect(bench.device.counters.reports).toBe(4);
  });

  test('dev.iommu.fault.4: a report has no address where there is none below 2^53', () => {
    const bench = benchOf(layout);
    bench.post();
    expect(bench.dma(8, 2 ** 53, WRITE)).toBe('FAULT');
    expect(bench.reports()).toEqual(['00000000 02000000 08000000 00000000 0000000000000000'.replaceAll(' ', '')]);
  });

  test('dev.iommu.fault.5: a buffer too small goes back unwritten, and the report is not spread over the next one', () => {
    const bench = benchOf(layout);
    bench.post(23);
    bench.post();
    const since = bench.guest.snapshot();
    bench.dma(8, 0x1000, READ);
    expect(bench.reports()).toEqual(['']);
    expect(bench.guest.changesOutside(since, bench.eventParts).map(formatChange)).toEqual([]);
    expect(bench.device.counters.reportsUnfit).toBe(1);
    bench.dma(8, 0x2000, READ);
    expect(bench.reports()).toEqual(['010000000101000008000000000000000020000000000000']);
  });

  test('a report goes over the pieces of its buffer, and no further than its 24 bytes', () => {
    const bench = benchOf(layout);
    bench.post(40, [1, 2, 17, 20]);
    const since = bench.guest.snapshot();
    bench.dma(8, 0x1000, READ);
    expect(bench.reports()).toEqual(['010000000101000008000000000000000010000000000000']);
    const allowed = [...bench.eventParts, { gpa: AT.reports, length: 24 }];
    expect(bench.guest.changesOutside(since, allowed).map(formatChange)).toEqual([]);
  });

  test('an event buffer outside memory goes back with length 0, and is counted', () => {
    const bench = benchOf(layout);
    bench.event.addWritable(0x9999_0000, 24);
    bench.event.publish();
    bench.dma(8, 0x1000, READ);
    expect(bench.device.counters.reportsUnfit).toBe(1);
    expect(bench.event.hasUsed()).toBe(true);
  });
});

test('each report notifies the driver of the event queue', () => {
  const bench = benchOf();
  bench.post();
  bench.dma(8, 0x1000, READ);
  expect(bench.notified).toEqual([1]);
});

test('a request with a PASID is blocked: the device has no address spaces below an endpoint', () => {
  const bench = benchOf();
  bench.ask(ask.attach(1, 8, 1));
  expect(bench.dma(8, 0x1000, READ)).toMatch('PASS_THROUGH');
  bench.post();
  expect(bench.dma(8, 0x1000, READ, 0)).toBe('FAULT');
  expect(bench.reports()).toEqual(['000000000101000008000000000000000010000000000000']);
});

test('a source that is no endpoint is blocked and not reported: it has no valid id', () => {
  const bench = benchOf();
  bench.post();
  expect(bench.dma(9, 0x1000, READ)).toBe('BLOCKED');
  expect(bench.reports()).toEqual([]);
  expect(bench.device.counters.unknownEndpoints).toBe(1);
  expect([...bench.device.counters.faults]).toEqual([0, 0, 0]);
});

test('faults before the driver is ready, and after a reset, are counted as dropped', () => {
  const bench = benchOf();
  bench.post();
  bench.device.reset();
  expect(bench.dma(8, 0x1000, READ)).toBe('FAULT');
  expect(bench.device.counters.reportsWithoutBuffer).toBe(1);
  expect(bench.reports()).toEqual([]);
});

test('addresses that are no addresses are blocked', () => {
  const bench = benchOf();
  bench.ask(ask.attach(1, 8, 1));
  for (const address of [-1, Number.NaN, 2 ** 53, 2 ** 64, Number.POSITIVE_INFINITY])
    expect(bench.dma(8, address, READ)).toBe('FAULT');
});
