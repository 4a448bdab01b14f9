import { ACCESS, type AddressSpace, HostMemory, RESOLVE } from '@ringwire/guest-memory';
import { expect, test } from 'vitest';
import { Atc } from './atc.js';
import { BUS_WORDS } from './invalidation-bus.js';
import { IommuSpace } from './iommu-space.js';
import { Iotlb } from './iotlb.js';
import { Owner, PAGE, RW, translateBy } from './testing/dma-stage.js';
import { REG } from './testing/vtd-bench.js';
import { VtdCaches } from './vtd-caches.js';
import { VtdUnit } from './vtd-unit.js';

/**
 * A virtual function's model with a bug: what it believes to be its requester id is its neighbour's. Its DMA goes through
 * the port that its bus gave it, as a function's does.
 */
class FunctionModel {
  readonly space: AddressSpace;
  /** What it would put into its requests. */
  requesterId: number;

  constructor(space: AddressSpace, requesterId: number) {
    this.space = space;
    this.requesterId = requesterId;
  }

  /** @returns whether the write went anywhere */
  write(iova: number, value: number): boolean {
    this.space.enter();
    const offset = this.space.resolve(iova, 4, ACCESS.WRITE);
    if (offset >= 0) this.space.memory.u32[offset >>> 2] = value;
    this.space.leave();
    return offset >= 0;
  }
}

const IDS = [0x0110, 0x0111, 0x0112] as const;

test.each([false, true])(
  'IO-32: a function that names its neighbour in its DMA is translated, cached and blamed under its own id (ATC: %s)',
  (hasAtc) => {
    const memory = HostMemory.create(0x40_0000);
    const owner = new Owner(memory, new Int32Array(new SharedArrayBuffer(BUS_WORDS * 4)));
    const { bus, physical } = owner;
    const unit = new VtdUnit({
      memory: physical,
      sink: bus,
      capabilities: { deviceTlb: true, faultRegisters: 8 },
      // So small that the functions meet in them.
      caches: new VtdCaches({ contexts: 1, tables: 1 }),
    });
    const iotlb = new Iotlb(2);
    const atc = hasAtc ? { atc: new Atc(2) } : {};
    const functions = IDS.map((id) => {
      return new FunctionModel(new IommuSpace({ unit, sourceId: id, physical, iotlb, bus, ...atc }), id);
    });
    const [first, second, detached] = functions as [FunctionModel, FunctionModel, FunctionModel];
    [0x1_0000, 0x2_0000].forEach((target, i) => {
      const domain = owner.domain(i + 1);
      domain.map(0, target, PAGE, RW);
      owner.requesters.attach(IDS[i]!, domain, hasAtc);
    });
    // Only the second has this page.
    owner.requesters.domainOf(IDS[1])!.map(0x5000, 0x3_0000, PAGE, RW);
    translateBy(unit, owner.requesters.root);
    const word = (offset: number): number => memory.u32[offset >>> 2]!;

    // The neighbour's translations are in every cache when the others come.
    expect(second.write(0, 1)).toBe(true);
    expect(second.write(0x5000, 2)).toBe(true);
    first.requesterId = second.requesterId;
    detached.requesterId = second.requesterId;
    for (let turn = 0; turn < 3; turn++) {
      expect(first.write(0, 0x100 + turn)).toBe(true);
      expect(first.write(0x5000, 0x200 + turn)).toBe(false);
      expect(detached.write(0, 0x300 + turn)).toBe(false);
      expect([word(0x1_0000), word(0x2_0000), word(0x3_0000)]).toEqual([0x100 + turn, 1 + turn, 2 + turn]);
      expect(second.write(0, 2 + turn)).toBe(true);
      expect(second.write(0x5000, 3 + turn)).toBe(true);
    }
    // Who was refused: the requester in bits 15:0 of each record.
    const blamed = [0, 1, 2, 3, 4, 5].map((i) => unit.read(REG.FRCD + i * 16 + 8, 8));
    const requesters = blamed.filter((high) => high >> 63n === 1n).map((high) => Number(high & 0xffffn));
    // A page that is not there is no fault to a device that asks before.
    expect(requesters).toEqual(hasAtc ? [0x0112, 0x0112, 0x0112] : [0x0110, 0x0112, 0x0110, 0x0112, 0x0110, 0x0112]);
    // What one of them loses the other keeps.
    owner.requesters.detach(IDS[1]);
    expect(second.write(0, 9)).toBe(false);
    expect(first.write(0, 10)).toBe(true);
    expect(first.space.resolve(0, PAGE + 1, ACCESS.READ)).toBe(RESOLVE.FAULT);
  },
);
