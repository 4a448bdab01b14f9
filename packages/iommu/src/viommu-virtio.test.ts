import { ACCESS, RESOLVE } from '@ringwire/guest-memory';
import { expect, test } from 'vitest';
import { BUS_WORDS, InvalidationBus } from './invalidation-bus.js';
import { Iotlb } from './iotlb.js';
import { HostStage, NestedSpace } from './nested-space.js';
import { ScalableStage } from './testing/scalable-stage.js';
import { ask, IommuBench, LAYOUTS } from './testing/virtio-iommu-bench.js';

const { READ, WRITE } = ACCESS;
const RW = READ | WRITE;
const PAGE = 4096;
const SOURCE = 0x18;
const ENDPOINT = 8;

test.each(LAYOUTS)('F20: a virtio-iommu as the guest’s stage, driven over its request queue (%s)', (layout) => {
  const stage = new ScalableStage();
  const host = stage.domain(1);
  host.map(0, 0x10_0000, 16 * PAGE, RW);
  stage.requesters.attach(SOURCE, host);
  const bus = new InvalidationBus(new Int32Array(BUS_WORDS));
  const bench = new IommuBench({ layout, invalidations: bus });
  bench.device.addEndpoint(ENDPOINT);
  const space = new NestedSpace({
    guest: { unit: bench.device, sourceId: ENDPOINT, bus },
    host: { stage: new HostStage(stage.space(SOURCE)), bus: stage.bus },
    iotlb: new Iotlb(16),
  });
  const dma = (address: number, access: number): number => {
    space.enter();
    const offset = space.resolve(address, 8, access);
    space.leave();
    return offset;
  };
  bench.status(ask.attach(1, ENDPOINT));
  expect(bench.status(ask.map(1, 0x7000_0000, 0x7000_1fff, 0x3000, RW))).toBe(0);
  expect(dma(0x7000_1010, WRITE)).toBe(0x10_4010);
  // The host takes the second page, the guest the whole mapping.
  host.unmap(0x4000, PAGE);
  expect(dma(0x7000_1010, WRITE)).toBe(RESOLVE.FAULT);
  expect(space.faults).toEqual({ guest: 0, host: 1 });
  expect(dma(0x7000_0010, READ)).toBe(0x10_3010);
  bench.post();
  expect(bench.status(ask.unmap(1, 0x7000_0000, 0x7000_1fff))).toBe(0);
  expect(dma(0x7000_0010, READ)).toBe(RESOLVE.FAULT);
  expect(space.faults).toEqual({ guest: 1, host: 1 });
  // The guest is told of its own fault alone: reason MAPPING, READ and ADDRESS, endpoint, address.
  expect(bench.reports()).toEqual(['020000000101000008000000000000000000007000000000']);
});
