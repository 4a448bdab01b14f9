import { ACCESS, HostMemory, IdentitySpace, PageAllocator, RESOLVE } from '@ringwire/guest-memory';
import { VirtioError } from '@ringwire/virtio-spec';
import { describe, expect, test } from 'vitest';
import { Atc, deviceTlbOver } from './atc.js';
import { IommuDomain } from './domain.js';
import { Gart } from './gart.js';
import { BUS_WORDS, InvalidationBus } from './invalidation-bus.js';
import { IommuSpace } from './iommu-space.js';
import { Iotlb } from './iotlb.js';
import { RequesterTable } from './requester-table.js';
import { AT, IOVA, legacyBench, REG, SID } from './testing/vtd-bench.js';
import { NO_PASID, TRANSLATED } from './translation.js';
import { VtdCaches } from './vtd-caches.js';
import { VtdUnit } from './vtd-unit.js';

const { READ, WRITE } = ACCESS;
const RW = READ | WRITE;
const PAGE = 4096;
const QUEUE = 0x3f_0000;
const STATUS = 0x3f_8000;

/** One device with an ATC behind a unit whose invalidation queue software uses, and a domain of two pages. */
class AtcStage {
  readonly memory: HostMemory = HostMemory.create(0x40_0000);
  readonly bus: InvalidationBus;
  readonly domain: IommuDomain;
  readonly requesters: RequesterTable;
  readonly unit: VtdUnit;
  readonly iotlb: Iotlb = new Iotlb(16);
  readonly atc: Atc = new Atc(16);
  readonly space: IommuSpace;
  private tail = 0;

  constructor(deviceTlb = true) {
    const physical = new IdentitySpace(this.memory);
    const words = new Int32Array(new SharedArrayBuffer(BUS_WORDS * 4));
    const bus = new InvalidationBus(words);
    const allocator = new PageAllocator(0x20_0000, 0x10_0000);
    this.bus = bus;
    this.domain = new IommuDomain({ id: 5, physical, allocator, sink: bus });
    this.domain.map(0, 0x8000, 2 * PAGE, RW);
    this.requesters = new RequesterTable({ physical, allocator, sink: bus });
    this.requesters.attach(SID, this.domain, deviceTlb);
    this.unit = new VtdUnit({
      memory: physical,
      sink: bus,
      caches: new VtdCaches(),
      capabilities: { deviceTlb: true },
      deviceTlb: deviceTlbOver(bus),
    });
    this.unit.write(REG.RTADDR, 8, BigInt(this.requesters.root));
    this.unit.write(REG.IQA, 8, BigInt(QUEUE));
    this.unit.write(REG.GCMD, 4, 0x4400_0000);
    this.unit.write(REG.GCMD, 4, 0x8400_0000);
    const { unit, iotlb, atc } = this;
    this.space = new IommuSpace({ unit, sourceId: SID, physical, iotlb, atc, bus });
  }

  look(address: number, access: number = READ): number {
    this.space.enter();
    const offset = this.space.resolve(address, 4, access);
    this.space.leave();
    return offset;
  }

  /** Make a page's entry not present, as software does by itself. */
  clearEntry(iova: number): void {
    const leaf = this.domain.tables.find(iova)!;
    const entry = this.entryOf(leaf.iova);
    Atomics.store(this.memory.u32, entry >>> 2, 0);
  }

  submit(...descriptors: (readonly [bigint, bigint])[]): void {
    for (const [low, high] of descriptors) {
      this.memory.view.setBigUint64(QUEUE + this.tail, low, true);
      this.memory.view.setBigUint64(QUEUE + this.tail + 8, high, true);
      this.tail += 16;
    }
    this.unit.write(REG.IQT, 4, this.tail);
  }

  /** Physical address of the leaf entry of an address below 2 MiB. */
  private entryOf(iova: number): number {
    let table = this.domain.tables.root;
    for (let level = 4; level > 1; level--)
      table = Number(this.memory.view.getBigUint64(table, true) & 0x000f_ffff_ffff_f000n);
    return table + (iova / PAGE) * 8;
  }
}

const IOTLB_DOMAIN = [0x5_0022n, 0n] as const;
const deviceTlb = (address: bigint): readonly [bigint, bigint] => [(BigInt(SID) << 32n) | 3n, address];
const wait = [(1n << 32n) | 0x25n, BigInt(STATUS)] as const;

test('what the device asked for it uses without asking again, and the IOTLB has nothing of it', () => {
  const stage = new AtcStage();
  expect([0, 4, 0x1000].map((address) => stage.look(address))).toEqual([0x8000, 0x8004, 0x9000]);
  expect(stage.atc.counters).toEqual({ requests: 2, refused: 0, untranslated: 0, invalidations: 0 });
  expect(stage.atc.cacheCounters).toMatchObject({ hits: 1, misses: 2 });
  expect(stage.iotlb.counters).toMatchObject({ hits: 0, misses: 0 });
});

test('IO-26: entry cleared, IOTLB and device TLB invalidated and waited for: the device reaches the old page no more', () => {
  const stage = new AtcStage();
  expect(stage.look(0x1000)).toBe(0x9000);
  stage.clearEntry(0x1000);
  stage.submit(IOTLB_DOMAIN, deviceTlb(0x1000n), wait);
  expect(stage.memory.u32[STATUS >>> 2]).toBe(1);
  expect(stage.look(0x1000)).toBe(RESOLVE.FAULT);
  expect(stage.atc.counters).toMatchObject({ invalidations: 1, refused: 1 });
});

test('a driver that forgets the device TLB finds out: its entry outlives an invalidation of the IOTLB', () => {
  const stage = new AtcStage();
  expect(stage.look(0x1000)).toBe(0x9000);
  stage.clearEntry(0x1000);
  stage.submit(IOTLB_DOMAIN, wait);
  expect(stage.look(0x1000)).toBe(0x9000);
  stage.submit(deviceTlb(0n), wait);
  expect(stage.look(0x1000)).toBe(0x9000);
  // S with address bits 12 and 13 clear and set: 2 pages from 0 on.
  stage.submit(deviceTlb(1n), wait);
  expect(stage.look(0x1000)).toBe(RESOLVE.FAULT);
});

test('IO-19: an unmap of the domain’s owner reaches the device’s cache', () => {
  const stage = new AtcStage();
  expect([0, 0x1000].map((address) => stage.look(address, WRITE))).toEqual([0x8000, 0x9000]);
  stage.domain.unmap(0x1000, PAGE);
  expect([0, 0x1000].map((address) => stage.look(address, WRITE))).toEqual([0x8000, RESOLVE.FAULT]);
});

test('a page that is not there, or not for writing, is an answer and no fault', () => {
  const stage = new AtcStage();
  stage.domain.protect(0, PAGE, READ);
  expect(stage.look(0, WRITE)).toBe(RESOLVE.FAULT);
  expect(stage.look(0x5000)).toBe(RESOLVE.FAULT);
  expect(stage.look(0, READ)).toBe(0x8000);
  expect(stage.atc.counters).toMatchObject({ requests: 3, refused: 2 });
  expect(stage.unit.faults.counters.recorded).toBe(0);
});

test('while translation is off the device sends its addresses as they are, and keeps none', () => {
  const stage = new AtcStage();
  stage.unit.write(REG.GCMD, 4, 0x0400_0000);
  expect([0x5000, 0x5000].map((address) => stage.look(address))).toEqual([0x5000, 0x5000]);
  expect(stage.atc.counters).toMatchObject({ untranslated: 2 });
  expect(stage.iotlb.counters).toMatchObject({ hits: 1, misses: 1 });
  stage.unit.write(REG.GCMD, 4, 0x8400_0000);
  expect(stage.look(0x1000)).toBe(0x9000);
});

test('a requester that is detached has an empty cache', () => {
  const stage = new AtcStage();
  expect(stage.look(0)).toBe(0x8000);
  stage.requesters.detach(SID);
  expect(stage.look(0)).toBe(RESOLVE.FAULT);
});

test('an ATC needs a unit that answers it, and gives its place back', () => {
  const { memory, iotlb, atc, bus, space } = new AtcStage();
  const physical = new IdentitySpace(memory);
  const unit = new Gart(physical, bus);
  expect(() => new IommuSpace({ unit, sourceId: 1, physical, iotlb, atc, bus })).toThrow(VirtioError);
  space.close();
  expect(atc.cache.claim(1)).toBe(0);
});

describe('VT-d 4.0 §4.2: translation requests', () => {
  const request = (bench: ReturnType<typeof legacyBench>, access = READ): number =>
    bench.unit.requestTranslation(SID, NO_PASID, IOVA, access, bench.out);

  test.each([[undefined], [new VtdCaches()]])('TT 01 allows them', (caches) => {
    const bench = legacyBench({ capabilities: { deviceTlb: true }, ...(caches === undefined ? {} : { caches }) });
    bench.put(AT.context + SID * 16, 0x3005n, 0x0502n);
    for (let i = 0; i < 2; i++) {
      expect(request(bench)).toBe(TRANSLATED.OK);
      expect(bench.out).toMatchObject({ physical: 0x9000, pageMask: 0xfff, allowed: RW, domain: 5 });
    }
  });

  test.each([
    ['00, untranslated requests alone', 0x3001n],
    ['10, pass-through', 0x3009n],
  ])('TT %s: blocked and recorded with reason 0Dh as a translation request', (_, context) => {
    const bench = legacyBench({ capabilities: { deviceTlb: true } });
    bench.put(AT.context + SID * 16, context, 0x0502n);
    expect(request(bench)).toBe(TRANSLATED.FAULT);
    // F, T, AT 01, reason 0d, requester 0018.
    expect(bench.unit.read(REG.FRCD + 8, 8)).toBe(0xd000_000d_0000_0018n);
  });

  test('wrong tables are a fault, recorded as a translation request', () => {
    const bench = legacyBench({ capabilities: { deviceTlb: true } });
    bench.put(AT.context + SID * 16, 0x3005n, 0x0502n);
    bench.put(AT.ss1 + 0x56 * 8, 0x9803n);
    expect(request(bench)).toBe(TRANSLATED.FAULT);
    expect(bench.unit.read(REG.FRCD + 8, 8)).toBe(0xd000_000c_0000_0018n);
  });

  test('an address of interrupts has no translation', () => {
    const bench = legacyBench({ capabilities: { deviceTlb: true } });
    expect(bench.unit.requestTranslation(SID, NO_PASID, 0xfee0_0000, WRITE, bench.out)).toBe(TRANSLATED.BLOCKED);
  });
});
