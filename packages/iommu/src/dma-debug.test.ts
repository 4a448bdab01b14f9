import { ACCESS, PageAllocator, RangeList, RESOLVE } from '@ringwire/guest-memory';
import { VirtioError } from '@ringwire/virtio-spec';
import { describe, expect, test } from 'vitest';
import { DebugSpace } from './debug-space.js';
import { DmaApi } from './dma-api.js';
import { DmaDebug, type DmaDebugOptions } from './dma-debug.js';
import { DMA_DIRECTION } from './dma-direction.js';
import { ScalableStage } from './testing/scalable-stage.js';

const { READ, WRITE } = ACCESS;
const { TO_DEVICE, FROM_DEVICE, BIDIRECTIONAL } = DMA_DIRECTION;
const PAGE = 4096;
const IOVAS = 0x100_0000;

function setUp(options: { debug?: DmaDebugOptions | false; lazy?: boolean; pages?: number } = {}) {
  const stage = new ScalableStage();
  const domain = stage.domain(1, { lazy: options.lazy ?? false });
  stage.requesters.attach(0x18, domain);
  const iovas = new PageAllocator(IOVAS, (options.pages ?? 64) * PAGE);
  const debug = options.debug === false ? undefined : new DmaDebug(options.debug ?? {});
  const api = new DmaApi({ domain, iovas, ...(debug === undefined ? {} : { debug }) });
  const inner = stage.space(0x18);
  const space = debug === undefined ? inner : new DebugSpace(inner, debug);
  const dma = (address: number, length: number, access: number): number => {
    space.enter();
    const offset = space.resolve(address, length, access);
    space.leave();
    return offset;
  };
  const said = (): string[] => debug!.reports.map(({ mistake, sentence }) => `${mistake}: ${sentence}`);
  return { domain, iovas, debug, api, space, dma, said };
}

describe('the DMA API', () => {
  test('F22: a buffer is reached as its direction says, from map to unmap, at an address of its own', () => {
    const { api, dma, domain, iovas, said } = setUp();
    const first = api.map(0x5f00, 0x200, TO_DEVICE, 'nic');
    const second = api.map(0x5f80, 16, FROM_DEVICE, 'nic');
    // The first touches two pages, the second one of the same, by another address.
    expect([first, second]).toEqual([IOVAS + 0xf00, IOVAS + 2 * PAGE + 0xf80]);
    expect([dma(first, 0x200, READ), dma(second, 16, WRITE)]).toEqual([0x5f00, 0x5f80]);
    expect(api.mappings).toBe(2);
    api.unmap(first, 0x200, TO_DEVICE, 'nic');
    api.unmap(second, 16, FROM_DEVICE, 'nic');
    expect([api.mappings, domain.mappedBytes, iovas.inUse]).toEqual([0, 0, 0]);
    expect(said()).toEqual([]);
  });

  test('F22: without a debugger a driver’s mistakes throw and change nothing', () => {
    const { api, domain, dma } = setUp({ debug: false });
    const iova = api.map(0x5000, 2 * PAGE, BIDIRECTIONAL, 'nic');
    expect(() => api.unmap(iova, PAGE, BIDIRECTIONAL, 'nic')).toThrow('bytes is 4096, want those of the mapping');
    expect(() => api.unmap(0x9000, PAGE, BIDIRECTIONAL, 'nic')).toThrow('iova is 36864');
    expect(() => api.map(0x5000, 0, TO_DEVICE, 'nic')).toThrow('bytes is 0');
    expect(domain.mappedBytes).toBe(2 * PAGE);
    expect(dma(iova, 8, READ)).toBe(0x5000);
    api.unmap(iova, 2 * PAGE, BIDIRECTIONAL, 'nic');
    expect(() => api.unmap(iova, 2 * PAGE, BIDIRECTIONAL, 'nic')).toThrow(VirtioError);
  });

  test('what cannot be mapped takes no address', () => {
    const { api, iovas } = setUp({ pages: 1 });
    expect(() => api.map(2 ** 53, PAGE, TO_DEVICE, 'nic')).toThrow(VirtioError);
    expect(iovas.inUse).toBe(0);
    api.map(0, PAGE, TO_DEVICE, 'nic');
    expect(() => api.map(0, PAGE, TO_DEVICE, 'nic')).toThrow(VirtioError);
    expect(api.mappings).toBe(1);
  });

  test('lazy: an address is given out again only after the flush', () => {
    const { api, iovas, dma } = setUp({ debug: false, lazy: true });
    const first = api.map(0x5000, PAGE, BIDIRECTIONAL, 'nic');
    dma(first, 8, WRITE);
    api.unmap(first, PAGE, BIDIRECTIONAL, 'nic');
    const second = api.map(0x6000, PAGE, BIDIRECTIONAL, 'nic');
    expect(second).not.toBe(first);
    api.unmap(second, PAGE, BIDIRECTIONAL, 'nic');
    api.flush();
    expect(iovas.inUse).toBe(0);
    expect(dma(first, 8, WRITE)).toBe(RESOLVE.FAULT);
  });
});

describe('F22: what is reported', () => {
  test('a double unmap, and who unmapped before', () => {
    const { api, said, iovas } = setUp();
    const iova = api.map(0x5008, 64, TO_DEVICE, 'nic');
    api.unmap(iova, 64, TO_DEVICE, 'nic tx');
    api.unmap(iova, 64, TO_DEVICE, 'nic reset');
    expect(said()).toEqual([
      'double unmap: nic reset unmaps 0x1000008 (64 bytes, to the device, mapped by nic in event 1) again: it was unmapped by nic tx 1 event ago.',
    ]);
    expect(iovas.inUse).toBe(0);
  });

  test('an unmap where nothing was', () => {
    const { api, said } = setUp();
    api.unmap(0x5000, 8, TO_DEVICE, 'nic');
    expect(said()).toEqual(['unmap of no mapping: nic unmaps 8 bytes at 0x5000, where nothing was mapped.']);
  });

  test('an unmap with another size or direction: the whole mapping is ended all the same', () => {
    const { api, said, debug, domain } = setUp();
    const iova = api.map(0x5000, 2 * PAGE, TO_DEVICE, 'nic');
    api.unmap(iova, PAGE, FROM_DEVICE, 'nic');
    const mapping = '0x1000000 (8192 bytes, to the device, mapped by nic in event 1)';
    expect(said()).toEqual([
      `unmap with another size: nic unmaps 4096 bytes at 0x1000000 of ${mapping}.`,
      `unmap with another direction: nic unmaps ${mapping} as mapped from the device.`,
    ]);
    expect(debug!.reports[0]).toMatchObject({ at: 2, iova, bytes: PAGE, by: 'nic', mapping: { owner: 'nic' } });
    expect(domain.mappedBytes).toBe(0);
  });

  test('F16: DMA after the unmap, where the unmap is strict: it faults, and who unmapped is known', () => {
    const { api, dma, said } = setUp();
    const iova = api.map(0x5000, 2 * PAGE, FROM_DEVICE, 'nic');
    dma(iova, 8, WRITE);
    api.unmap(iova, 2 * PAGE, FROM_DEVICE, 'nic rx');
    expect(dma(iova + PAGE + 4, 8, WRITE)).toBe(RESOLVE.FAULT);
    expect(said()).toEqual([
      'DMA after the unmap: The device writes 8 bytes at 0x1001004: 0x1000000 (8192 bytes, from the device, mapped by nic in event 1) was unmapped by nic rx 1 event ago.',
    ]);
    // An address that no mapping ever had is nobody's mistake here: the IOMMU has the fault.
    expect(dma(0x77_0000, 8, READ)).toBe(RESOLVE.FAULT);
    expect(said()).toHaveLength(1);
  });

  test('F16: DMA in the stale window, where the unmap is lazy: it succeeds until the flush', () => {
    const { api, dma, said, space } = setUp({ lazy: true });
    const iova = api.map(0x5000, 2 * PAGE, FROM_DEVICE, 'nic');
    const other = api.map(0x9000, PAGE, TO_DEVICE, 'nic');
    dma(iova, 2 * PAGE, WRITE);
    api.unmap(iova, 2 * PAGE, FROM_DEVICE, 'nic rx');
    dma(other, 8, READ);
    expect(dma(iova + 8, 8, WRITE)).toBe(0x5008);
    const sentence =
      'DMA in the stale window: The device writes 8 bytes at 0x1000008 and still reached 0x1000000 (8192 bytes, from the device, mapped by nic in event 1), unmapped by nic rx 2 events ago, before the flush.';
    expect(said()).toEqual([sentence]);
    const ranges = new RangeList();
    expect(space.resolveRanges(iova, 16, WRITE, ranges)).toBe(true);
    expect(said()).toHaveLength(2);
    api.flush();
    expect(dma(iova + 8, 8, WRITE)).toBe(RESOLVE.FAULT);
    expect(said()[2]).toMatch(/^DMA after the unmap: .* was unmapped by nic rx 4 events ago\.$/);
  });

  test('DMA the wrong way into a mapping that lives', () => {
    const { api, dma, said } = setUp();
    const iova = api.map(0x5000, 64, TO_DEVICE, 'nic');
    expect(dma(iova, 8, WRITE)).toBe(RESOLVE.FAULT);
    expect(said()).toEqual([
      'DMA against the mapping: The device writes 8 bytes at 0x1000000, which 0x1000000 (64 bytes, to the device, mapped by nic in event 1) does not allow.',
    ]);
  });

  test('leaks, when the driver goes; they are unmapped', () => {
    const { api, said, domain, debug } = setUp();
    api.map(0x5000, 64, TO_DEVICE, 'nic tx');
    api.map(0x6000, 64, FROM_DEVICE, 'nic rx');
    expect(debug!.mappings.map(({ owner }) => owner)).toEqual(['nic tx', 'nic rx']);
    expect(api.close()).toBe(2);
    expect(said()).toEqual([
      'leak: nic tx goes and leaves 0x1000000 (64 bytes, to the device, mapped by nic tx in event 1) mapped.',
      'leak: nic rx goes and leaves 0x1001000 (64 bytes, from the device, mapped by nic rx in event 2) mapped.',
    ]);
    expect([domain.mappedBytes, debug!.mappings.length, api.close()]).toEqual([0, 0, 0]);
  });

  test('an address that is mapped again is no use after unmap', () => {
    const { api, dma, said } = setUp();
    const iova = api.map(0x5000, 64, TO_DEVICE, 'nic');
    api.unmap(iova, 64, TO_DEVICE, 'nic');
    expect(api.map(0x6000, 64, TO_DEVICE, 'nic')).toBe(iova);
    expect(dma(iova, 8, READ)).toBe(0x6000);
    expect(said()).toEqual([]);
  });
});

test('F22: the stack of the mapping call is kept when it is asked for, and begins with the caller', () => {
  function mapsForTheNic(api: DmaApi): number {
    return api.map(0x5000, 64, TO_DEVICE, 'nic');
  }
  const { api, debug } = setUp({ debug: { stacks: true } });
  const iova = mapsForTheNic(api);
  api.unmap(iova, 64, TO_DEVICE, 'nic');
  api.unmap(iova, 64, TO_DEVICE, 'nic');
  const { mapping } = debug!.reports[0]!;
  expect(mapping!.mapStack.split('\n')[0]).toContain('mapsForTheNic');
  expect(mapping!.unmapStack.split('\n')[0]).toContain('dma-debug.test');
  const without = setUp();
  mapsForTheNic(without.api);
  expect(without.debug!.mappings[0]!.mapStack).toBe('');
});

test('reports and history are bounded', () => {
  const { api, debug } = setUp({ debug: { maxReports: 2, history: 1 } });
  for (let i = 0; i < 5; i++) api.unmap(0x5000, 8, TO_DEVICE, 'nic');
  expect([debug!.reports.length, debug!.dropped]).toEqual([2, 3]);
  const more = setUp({ debug: { history: 1 } });
  const a = more.api.map(0x5000, 8, TO_DEVICE, 'nic');
  const b = more.api.map(0x6000, 8, TO_DEVICE, 'nic');
  more.api.unmap(a, 8, TO_DEVICE, 'nic');
  more.api.unmap(b, 8, TO_DEVICE, 'nic');
  more.api.unmap(a, 8, TO_DEVICE, 'nic');
  // What was unmapped too long ago is forgotten.
  expect(more.debug!.reports.map(({ mistake }) => mistake)).toEqual(['unmap of no mapping']);
  expect(() => new DmaDebug({ history: 0 })).toThrow(VirtioError);
});
