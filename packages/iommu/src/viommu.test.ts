import { ACCESS, RESOLVE } from '@ringwire/guest-memory';
import { featureWords, VIRTIO_F } from '@ringwire/virtio-spec';
import { BufferList, isRefusal, openDeviceQueue, openDriverQueue, RING_FAULT, UsedBurst } from '@ringwire/virtqueue';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { NestedSpace } from './nested-space.js';
import { EchoDevice } from './testing/echo-device.js';
import { startThread } from './testing/start-thread.js';
import { hostOf, SOURCE, viommuSpace, viommuStage } from './testing/viommu-stage.js';
import type { ViommuOrder } from './testing/viommu-thread.js';
import { NO_PASID } from './translation.js';
import { faultStage } from './vtd-fault-stage.js';

const { READ, WRITE } = ACCESS;
const RW = READ | WRITE;
const PAGE = 4096;
const KINDS = ['nested', 'composed'] as const;
type Kind = (typeof KINDS)[number];
/** Where the guest's driver has its ring and its buffers, and where its device finds them. */
const GPA = { ring: 0x1_0000, asked: 0x7_f000, answer: 0x9_0000 } as const;
const IOVA = { ring: 0x7_0000_0000, asked: 0x40_0000, answer: 0x12_3000 } as const;

function setUp(kind: Kind) {
  const stage = viommuStage(kind);
  const device = viommuSpace(stage.memory, stage.side);
  /** Which stage's tables the last request had no place in, by the means that each way has. */
  let before = { guest: 0, host: 0 };
  const whoRefused = (address: number, access: number): string | undefined => {
    const { space, hostUnit } = device;
    if (!(space instanceof NestedSpace)) return faultStage(hostUnit, SOURCE, NO_PASID, address, access);
    const now = { ...space.faults };
    const who = now.guest > before.guest ? 'guest' : now.host > before.host ? 'host' : undefined;
    before = now;
    return who;
  };
  const dma = (address: number, access: number): number => {
    device.space.enter();
    const offset = device.space.resolve(address, 8, access);
    device.space.leave();
    return offset;
  };
  return { ...stage, ...device, dma, whoRefused };
}

/** A driver in the guest, a device behind both stages, and a queue of which the device knows I/O addresses alone. */
function queueSetUp(kind: Kind, layout: 'split' | 'packed') {
  const bench = setUp(kind);
  const { guest, guestDomain, space } = bench;
  guestDomain.map(IOVA.ring, GPA.ring, 3 * PAGE, RW);
  guestDomain.map(IOVA.asked, GPA.asked, 2 * PAGE, READ);
  guestDomain.map(IOVA.answer, GPA.answer, 2 * PAGE, WRITE);
  const features = featureWords([VIRTIO_F.VERSION_1, ...(layout === 'packed' ? [VIRTIO_F.RING_PACKED] : [])]);
  const at = (ring: number) => ({ size: 8, desc: ring, driver: ring + PAGE, device: ring + 2 * PAGE, features });
  const driver = openDriverQueue({ space: guest, ...at(GPA.ring) });
  space.enter();
  const queue = openDeviceQueue({ space, ...at(IOVA.ring) });
  space.leave();
  if (isRefusal(queue)) throw new Error(queue.message);
  const device = new EchoDevice(queue, space);
  const list = new BufferList(8);
  /** Ask with bytes that lie over the border of two pages, which are not neighbours on the host. */
  const ask = (value: number): void => {
    guest.write(GPA.asked + PAGE - 50, new Uint8Array(100).fill(value));
    list
      .clear()
      .addReadable(IOVA.asked + PAGE - 50, 100)
      .addWritable(IOVA.answer + 8, 200);
    driver.add(list);
    driver.publish();
  };
  const used = new UsedBurst(8);
  const answer = (): { count: number; written: number } => {
    used.clear();
    driver.takeUsed(used, 8);
    return { count: used.count, written: used.written[0]! };
  };
  return { ...bench, driver, device, ask, answer };
}

describe.each(KINDS)('%s', (kind) => {
  test('F20: an I/O address goes through the guest’s tables and then the host’s', () => {
    const { guestDomain, dma, whoRefused } = setUp(kind);
    guestDomain.map(0x5000, 0x7_f000, 2 * PAGE, RW);
    expect(dma(0x5008, WRITE)).toBe(hostOf(0x7_f008));
    expect(dma(0x6008, READ)).toBe(hostOf(0x8_0008));
    expect(dma(0x7_f000, READ)).toBe(RESOLVE.FAULT);
    expect(whoRefused(0x7_f000, READ)).toBe('guest');
  });

  test('F20: what the guest unmaps its device reaches no more, cached or not; the fault is the guest’s', () => {
    const { guestDomain, dma, iotlb, whoRefused } = setUp(kind);
    guestDomain.map(0x5000, 0x2000, PAGE, RW);
    expect(dma(0x5000, WRITE)).toBe(hostOf(0x2000));
    const hits = iotlb.counters.hits;
    expect(dma(0x5000, WRITE)).toBe(hostOf(0x2000));
    expect(iotlb.counters.hits).toBeGreaterThan(hits);
    guestDomain.unmap(0x5000, PAGE);
    expect(dma(0x5000, WRITE)).toBe(RESOLVE.FAULT);
    expect(whoRefused(0x5000, WRITE)).toBe('guest');
  });

  test('F20: what the host unmaps is gone as well, though the guest still maps it; the fault is the host’s', () => {
    const { guestDomain, hostDomain, dma, whoRefused } = setUp(kind);
    guestDomain.map(0x5000, 0x2000, PAGE, RW);
    expect(dma(0x5000, WRITE)).toBe(hostOf(0x2000));
    hostDomain.unmap(0x2000, PAGE);
    expect(dma(0x5000, WRITE)).toBe(RESOLVE.FAULT);
    expect(whoRefused(0x5000, WRITE)).toBe('host');
    // Another page for the same guest address.
    hostDomain.map(0x2000, 0x9000, PAGE, RW);
    expect(dma(0x5000, WRITE)).toBe(0x9000);
  });

  test('F20: rights are those that both stages give', () => {
    const { guestDomain, hostDomain, dma, whoRefused } = setUp(kind);
    guestDomain.map(0x5000, 0x2000, PAGE, READ);
    guestDomain.map(0x6000, 0x3000, PAGE, RW);
    hostDomain.protect(0x3000, PAGE, READ);
    expect([dma(0x5000, READ), dma(0x6000, READ)]).toEqual([hostOf(0x2000), hostOf(0x3000)]);
    expect(dma(0x5000, WRITE)).toBe(RESOLVE.FAULT);
    expect(whoRefused(0x5000, WRITE)).toBe('guest');
    expect(dma(0x6000, WRITE)).toBe(RESOLVE.FAULT);
    expect(whoRefused(0x6000, WRITE)).toBe('host');
  });

  test('F20: a guest’s table that the host took away is the host’s fault', () => {
    const { guestDomain, hostDomain, dma, whoRefused } = setUp(kind);
    guestDomain.map(0x5000, 0x2000, PAGE, RW);
    const table = guestDomain.tables.root;
    hostDomain.unmap(table, PAGE);
    expect(dma(0x5000, READ)).toBe(RESOLVE.FAULT);
    expect(whoRefused(0x5000, READ)).toBe('host');
  });

  test('F20: pages that the host wants to know of are marked where the device wrote, by guest-physical address', () => {
    const { guestDomain, hostDomain, dma } = setUp(kind);
    guestDomain.map(0x5000, 0x2000, 2 * PAGE, RW);
    hostDomain.trackDirty();
    dma(0x5000, READ);
    dma(0x6000, WRITE);
    const buffers = hostDomain.takeDirty(0, 0x8_0000).map(({ iova }) => iova);
    expect(buffers).toEqual([0x3000]);
    dma(0x6000, WRITE);
    expect(hostDomain.takeDirty(0, 0x8_0000)).toHaveLength(1);
  });

  test('F15 F20: whatever a guest writes into its tables, its device stays in the guest’s memory', () => {
    const anyEntry = fc.record({
      at: fc.nat(1023),
      low: fc.oneof(fc.constantFrom(0x3, 0x7, 0x87, 0x83), fc.nat(0xffff_ffff)),
      high: fc.oneof(fc.constant(0), fc.nat(0xf), fc.nat(0xffff_ffff)),
      page: fc.nat(0x3ff),
    });
    fc.assert(
      fc.property(fc.array(anyEntry, { minLength: 1, maxLength: 40 }), (entries) => {
        const { guest, guestDomain, memory, dma } = setUp(kind);
        guestDomain.map(0, 0x2000, 8 * PAGE, RW);
        const root = hostOf(guestDomain.tables.root) >>> 2;
        for (const { at, low, high, page } of entries) {
          // Into the top table and the ones behind it, which were allocated one after the other.
          const word = root + (at % 8) * 1024 + (at >>> 3) * 2;
          memory.u32[word] = ((low & 0xfff) | (page * PAGE)) >>> 0;
          memory.u32[word + 1] = high;
        }
        const inside = (offset: number): boolean =>
          guest.regions.some(({ host, size }) => offset >= host && offset + 8 <= host + size);
        for (let i = 0; i < 64; i++) {
          const offset = dma(i * PAGE + (i % 3) * 0x20_0000 + (i % 5) * 0x4000_0000, i % 2 === 0 ? READ : WRITE);
          expect(offset < 0 || inside(offset)).toBe(true);
        }
      }),
      { numRuns: 60 },
    );
  });

  test.each(['guest', 'host'] as const)(
    'IO-19 F20: of pages that the %s unmaps under the DMA of another thread none changes once the unmap has returned',
    async (who) => {
      const { memory, side, guestDomain, hostDomain } = viommuStage(kind);
      const control = new Int32Array(new SharedArrayBuffer(4));
      const iovas = Array.from({ length: 8 }, (_, n) => n * PAGE);
      for (const iova of iovas) guestDomain.map(iova, 0x2_0000 + iova, PAGE, RW);
      const order: ViommuOrder = { memory: memory.wasm!, side, iovas, control };
      const thread = await startThread<{ wrote: number; blocked: number; hits: number }>('viommu-thread.ts', order);
      Atomics.wait(control, 0, 0, 10_000);
      let changed = 0;
      for (let i = 0; i < 10_000; i++) {
        const iova = iovas[i % 8]!;
        const gpa = 0x2_0000 + iova;
        if (who === 'guest') guestDomain.unmap(iova, PAGE);
        else hostDomain.unmap(gpa, PAGE);
        const word = hostOf(gpa) >>> 2;
        memory.u32[word] = 0xdead_0000;
        for (let look = 0; look < 50; look++) if (Atomics.load(memory.u32, word) !== 0xdead_0000) changed++;
        if (who === 'guest') guestDomain.map(iova, gpa, PAGE, RW);
        else hostDomain.map(gpa, hostOf(gpa), PAGE, RW);
      }
      Atomics.store(control, 0, 2);
      const { wrote, blocked, hits } = await thread.ended;
      expect(changed).toBe(0);
      expect([wrote, blocked, hits].every((count) => count > 100)).toBe(true);
    },
  );

  describe.each(['split', 'packed'] as const)('%s', (layout) => {
    test('F20: a queue of I/O addresses: rings, buffers and answers go through both stages', () => {
      const { guest, device, ask, answer } = queueSetUp(kind, layout);
      for (let round = 1; round < 20; round++) {
        ask(round);
        expect(device.turn()).toEqual({ taken: 1, written: [100], faults: [] });
        expect(answer()).toEqual({ count: 1, written: 100 });
        expect([...guest.read(GPA.answer + 7, 102)]).toEqual([0, ...Array(100).fill(round), 0]);
      }
    });

    test.each([
      ['guest', 'guest'],
      ['host', 'host'],
    ] as const)('F20: a buffer that the %s unmapped: the chain is given up, the queue goes on', (_who, who) => {
      const { guest, guestDomain, hostDomain, device, ask, answer, whoRefused } = queueSetUp(kind, layout);
      ask(1);
      device.turn();
      answer();
      if (who === 'guest') guestDomain.unmap(IOVA.answer, PAGE);
      else hostDomain.unmap(GPA.answer, PAGE);
      const before = guest.read(GPA.answer, 2 * PAGE);
      ask(2);
      expect(device.turn()).toEqual({ taken: 1, written: [0], faults: ['ADDRESS'] });
      expect(whoRefused(IOVA.answer + 8, WRITE)).toBe(who);
      expect(answer()).toEqual({ count: 1, written: 0 });
      expect(guest.read(GPA.answer, 2 * PAGE)).toEqual(before);
      if (who === 'guest') guestDomain.map(IOVA.answer, GPA.answer, PAGE, WRITE);
      else hostDomain.map(GPA.answer, hostOf(GPA.answer), PAGE, RW);
      ask(3);
      expect(device.turn()).toMatchObject({ written: [100], faults: [] });
    });

    test.each(['guest', 'host'] as const)('F20: a ring that the %s unmapped is touched no more', (who) => {
      const { memory, guestDomain, hostDomain, device, ask, answer } = queueSetUp(kind, layout);
      ask(1);
      device.turn();
      answer();
      ask(2);
      if (who === 'guest') guestDomain.unmap(IOVA.ring, 3 * PAGE);
      else hostDomain.unmap(GPA.ring, 3 * PAGE);
      const ring = memory.u8.slice(hostOf(GPA.ring), hostOf(GPA.ring) + 3 * PAGE);
      expect(device.turn()).toMatchObject({ taken: 0 });
      expect(device.queue.ringFault).toBe(RING_FAULT.UNREACHABLE);
      expect(memory.u8.slice(hostOf(GPA.ring), hostOf(GPA.ring) + 3 * PAGE)).toEqual(ring);
    });
  });
});

test('F20: of two stages each fault names the one that refused, also where the codes are alike', () => {
  const { guestDomain, hostDomain, hostUnit, dma } = setUp('nested');
  guestDomain.map(0x5000, 0x2000, PAGE, READ);
  guestDomain.map(0x6000, 0x3000, PAGE, RW);
  hostDomain.protect(0x3000, PAGE, READ);
  const at = (address: number, access: number) => faultStage(hostUnit, SOURCE, NO_PASID, address, access);
  dma(0x5000, WRITE);
  // FRCD: reason in 103:96, SM_WRITE either way.
  const reason = (): bigint => {
    const high = hostUnit.read(0x228, 8);
    hostUnit.write(0x22c, 4, 0x8000_0000);
    return (high >> 32n) & 0xffn;
  };
  expect([reason(), at(0x5000, WRITE)]).toEqual([0x85n, 'guest']);
  dma(0x6000, WRITE);
  expect([reason(), at(0x6000, WRITE)]).toEqual([0x85n, 'host']);
  expect(at(0x5000, READ)).toBeUndefined();
  expect(at(2 ** 50, READ)).toBe('guest');
  expect(faultStage(hostUnit, 0x99, NO_PASID, 0, READ)).toBe('requester');
});
