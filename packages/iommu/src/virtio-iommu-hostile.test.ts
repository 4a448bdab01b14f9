import { formatChange } from '@ringwire/guest-memory/testing';
import { describe, expect, test } from 'vitest';
import { ask, heapAfterGc, IommuBench, LAYOUTS, READ, WRITE } from './testing/virtio-iommu-bench.js';
import { type InvalidationSink, NO_PASID, newTranslation } from './translation.js';
import { VirtioIommu } from './virtio-iommu-device.js';

// What a hostile driver or endpoint can do. Whatever `ask` and `status` send, they check with guards around all memory
// that nothing but the ring and the answer changed.

const OK = 0;
const INVAL = 4;
const RANGE = 5;
const NOENT = 6;
const NOMEM = 8;
const BYPASS = 1;
const TOP64 = 2n ** 64n - 1n;

/** Endpoint 8 in domain 1, with a page mapped at 0x1000; endpoint 9 in no domain. */
function attacked(options = {}): IommuBench {
  const bench = new IommuBench(options);
  bench.device.addEndpoint(8);
  bench.device.addEndpoint(9);
  bench.status(ask.attach(1, 8));
  bench.status(ask.map(1, 0x1000, 0x1fff, 0xa000, READ));
  bench.invalidated.length = 0;
  return bench;
}

/** The attack changed nothing: the good mapping is there, and good requests are answered. */
function expectUnharmed(bench: IommuBench): void {
  expect(bench.dma(8, 0x1000, READ)).toBe('OK 0xa000 mask 0xfff allowed 1');
  expect([bench.device.domains, bench.device.mappings]).toEqual([1, 1]);
  expect(bench.status(ask.map(1, 0x7000, 0x7fff, 0, READ))).toBe(OK);
  expect(bench.status(ask.unmap(1, 0x7000, 0x7fff))).toBe(OK);
  expect(bench.device.needsReset).toBe(false);
}

describe.each(LAYOUTS)('%s', (layout) => {
  test('IO-01: attaching an endpoint that does not exist is refused', () => {
    const bench = attacked({ layout });
    for (const endpoint of [0, 7, 0x8000_0008, 0xffff_ffff]) expect(bench.status(ask.attach(1, endpoint))).toBe(NOENT);
    expect(bench.status(ask.attach(5, 7))).toBe(NOENT);
    expectUnharmed(bench);
  });

  test('IO-02: attaching with unknown flags or a reserved field that isn’t zero is refused', () => {
    const bench = attacked({ layout });
    for (const flags of [2, 0xffff_fffe, 0xffff_ffff]) expect(bench.status(ask.attach(5, 9, flags))).toBe(INVAL);
    for (const reserved of [1, 0x8000_0000]) expect(bench.status(ask.attach(5, 9, 0, reserved))).toBe(INVAL);
    expectUnharmed(bench);
  });

  test('IO-03: mapping into a domain that does not exist is refused', () => {
    const bench = attacked({ layout });
    for (const domain of [0, 2, 0x8000_0001, 0xffff_ffff])
      expect(bench.status(ask.map(domain, 0, 0xfff, 0, READ))).toBe(NOENT);
    expectUnharmed(bench);
  });

  test('IO-04: a mapping that ends before it starts, or of the whole 64-bit space, is refused', () => {
    const bench = attacked({ layout });
    for (const [start, end] of [
      [0x3000, 0x2fff],
      [0x3000, 0xfff],
      [TOP64 - 0xfffn, 0xfffn],
      [0, TOP64],
      [0x2000, TOP64],
      [0, 2n ** 53n + 0xfffn],
      [2n ** 63n, 2n ** 63n + 0xfffn],
    ] as const)
      expect(bench.status(ask.map(1, start, end, 0, READ))).toBe(RANGE);
    expectUnharmed(bench);
  });

  test('IO-05: a mapping whose physical range wraps 2^64, or reaches past 2^53, is refused', () => {
    const bench = attacked({ layout });
    for (const physical of [TOP64 - 0xfffn, 2n ** 64n - 0x2000n, 2n ** 53n - 0x1000n, 2n ** 53n, 2n ** 63n])
      expect(bench.status(ask.map(1, 0x2000, 0x4fff, physical, READ))).toBe(RANGE);
    expectUnharmed(bench);
  });

  test('IO-06: a mapping off the page size is refused', () => {
    const bench = attacked({ layout });
    expect(bench.status(ask.map(1, 0x2001, 0x2fff, 0, READ))).toBe(RANGE);
    expect(bench.status(ask.map(1, 0x2000, 0x2ffe, 0, READ))).toBe(RANGE);
    expect(bench.status(ask.map(1, 0x2000, 0x2fff, 0x800, READ))).toBe(RANGE);
    expectUnharmed(bench);
  });

  test('IO-07: a mapping over an existing one, equal, inside or around, is refused; the old one stays', () => {
    const bench = attacked({ layout });
    expect(bench.status(ask.map(1, 0x3000, 0x8fff, 0xc000, READ))).toBe(OK);
    for (const [start, end] of [
      [0x3000, 0x8fff],
      [0x5000, 0x5fff],
      [0x2000, 0x9fff],
      [0, 0xf_ffff],
    ] as const)
      expect(bench.status(ask.map(1, start, end, 0, READ))).toBe(INVAL);
    expect(bench.dma(8, 0x5000, READ)).toBe('OK 0xe000 mask 0xfff allowed 1');
    expect(bench.status(ask.unmap(1, 0x3000, 0x8fff))).toBe(OK);
    expectUnharmed(bench);
  });

  test('IO-08: a mapping with unknown flags, or one that allows nothing, is refused', () => {
    const bench = attacked({ layout });
    for (const flags of [8, 0x10 | READ, 0xffff_ffff, 0, 4])
      expect(bench.status(ask.map(1, 0x2000, 0x2fff, 0, flags))).toBe(INVAL);
    expectUnharmed(bench);
  });

  test('IO-09: a mapping over a reserved region or the interrupt window is refused', () => {
    const bench = attacked({ layout });
    bench.device.addEndpoint(10, [
      { kind: 'reserved', start: 0x4000, end: 0x4fff },
      { kind: 'msi', start: 0xfee0_0000, end: 0xfeef_ffff },
    ]);
    bench.status(ask.attach(1, 10));
    for (const [start, end] of [
      [0x4000, 0x4fff],
      [0x3000, 0x5fff],
      [0xfee0_0000, 0xfee0_0fff],
      [0xfed0_0000, 0xfeff_ffff],
    ] as const)
      expect(bench.status(ask.map(1, start, end, 0, READ))).toBe(INVAL);
    expectUnharmed(bench);
  });

  test('IO-10: an unmap that would split a mapping is refused and removes nothing', () => {
    const bench = attacked({ layout });
    bench.status(ask.map(1, 0x3000, 0x8fff, 0xc000, READ));
    for (const [start, end] of [
      [0x3000, 0x3fff],
      [0x8000, 0x8fff],
      [0x5000, 0x5fff],
      [0, 0x7fff],
      [0x4000, 0xffff],
      [0x1000, 0x1ffe],
    ] as const)
      expect(bench.status(ask.unmap(1, start, end))).toBe(RANGE);
    expect(bench.invalidated).toEqual([]);
    expect(bench.device.mappings).toBe(2);
    bench.status(ask.unmap(1, 0x3000, 0x8fff));
    expectUnharmed(bench);
  });

  test('IO-12: a request of an unknown type is given back unwritten with used length 0', () => {
    const bench = attacked({ layout });
    for (let type = 0; type < 256; type++) {
      if (type >= 1 && type <= 5) continue;
      const bytes = new Uint8Array(36).fill(0xff);
      bytes[0] = type;
      expect(bench.ask(bytes, 8)).toEqual({ written: 0, bytes: 'cc'.repeat(8) });
    }
    expect(bench.device.counters.unknownRequests).toBe(251);
    // No type at all.
    expect(bench.ask('', 8)).toEqual({ written: 0, bytes: 'cc'.repeat(8) });
    expectUnharmed(bench);
  });

  test('IO-13: a request without room for the tail is not carried out, and nothing is written', () => {
    const bench = attacked({ layout });
    for (const room of [0, 1, 2, 3]) {
      expect(bench.ask(ask.unmap(1, 0x1000, 0x1fff), room)).toEqual({ written: 0, bytes: 'cc'.repeat(room) });
      expect(bench.ask(ask.attach(2, 8), room)).toEqual({ written: 0, bytes: 'cc'.repeat(room) });
      expect(bench.ask(ask.probe(8), room)).toEqual({ written: 0, bytes: 'cc'.repeat(room) });
    }
    expect(bench.device.counters.requestsWithoutTail).toBe(12);
    expectUnharmed(bench);
  });

  test('IO-14: a probe whose property area is too small is refused, with no property written', () => {
    const bench = attacked({ layout, probeSize: 64 });
    bench.device.addEndpoint(10, [{ kind: 'reserved', start: 0, end: 0xfff }]);
    for (const size of [0, 1, 24, 63])
      expect(bench.ask(ask.probe(10), size + 4)).toEqual({ written: size + 4, bytes: `${'00'.repeat(size)}04000000` });
    expectUnharmed(bench);
  });

  test('IO-15: mappings beyond the cap are refused; unmap and detach make room again', () => {
    const bench = new IommuBench({ layout, maxMappings: 1000 });
    for (const endpoint of [8, 9]) bench.device.addEndpoint(endpoint);
    bench.status(ask.attach(1, 8));
    bench.status(ask.attach(2, 9));
    const page = (domain: number) => (n: number) => ask.map(domain, n * 0x1000, n * 0x1000 + 0xfff, 0, READ);
    expect(bench.flood(1500, page(1))).toEqual(
      new Map([
        [OK, 1000],
        [NOMEM, 500],
      ]),
    );
    expect(bench.status(page(2)(0))).toBe(NOMEM);
    expect(bench.status(ask.unmap(1, 0, 99 * 0x1000 + 0xfff))).toBe(OK);
    expect(bench.flood(101, page(2))).toEqual(
      new Map([
        [OK, 100],
        [NOMEM, 1],
      ]),
    );
    expect(bench.status(ask.detach(1, 8))).toBe(OK);
    expect(bench.device.mappings).toBe(100);
    expect(bench.flood(901, (n) => page(2)(n + 100))).toEqual(
      new Map([
        [OK, 900],
        [NOMEM, 1],
      ]),
    );
    expect(bench.dma(9, 999 * 0x1000, READ)).toBe('OK 0x0 mask 0xfff allowed 1');
  });

  test('IO-16: a domain id out of the offered range is refused', () => {
    const bench = attacked({ layout, domainRange: { start: 1, end: 3 } });
    for (const domain of [0, 4, 0xffff_ffff]) expect(bench.status(ask.attach(domain, 9))).toBe(RANGE);
    expectUnharmed(bench);
  });

  test('IO-17: DMA of an unattached endpoint is blocked while bypass is off; dev.iommu.requests.6', () => {
    const bench = attacked({ layout });
    bench.post();
    for (const access of [READ, WRITE, READ | WRITE, 0]) expect(bench.dma(9, 0x1000, access)).toBe('FAULT');
    expect(bench.reports()[0]).toBe('010000000101000009000000000000000010000000000000');
    expect([...bench.device.counters.faults]).toEqual([0, 4, 0]);
    expectUnharmed(bench);
  });

  test('IO-18: a DMA write to a read-only mapping is blocked, with the address reported', () => {
    const bench = attacked({ layout });
    bench.post();
    expect(bench.dma(8, 0x1800, WRITE)).toBe('FAULT');
    expect(bench.reports()).toEqual(['020000000201000008000000000000000018000000000000']);
    expect([...bench.device.counters.faults]).toEqual([0, 0, 1]);
    expectUnharmed(bench);
  });
});

test('IO-11: 1 000 000 mappings are unmapped at once in bounded time, and other endpoints keep theirs', () => {
  const bench = new IommuBench({ queueSize: 256, maxMappings: 1_000_001 });
  for (const endpoint of [8, 9]) bench.device.addEndpoint(endpoint);
  bench.status(ask.attach(1, 8));
  bench.status(ask.attach(2, 9));
  bench.status(ask.map(2, 0x1000, 0x1fff, 0xa000, READ));
  // Every second page, so that no two mappings touch.
  const bytes = ask.map(1, 0, 0, 0, READ);
  const view = new DataView(bytes.buffer);
  const flood = bench.flood(1_000_000, (n) => {
    const start = n * 0x2000;
    view.setUint32(8, start, true);
    view.setUint32(12, start / 2 ** 32, true);
    view.setUint32(16, start + 0xfff, true);
    view.setUint32(20, start / 2 ** 32, true);
    return bytes;
  });
  expect(flood).toEqual(new Map([[OK, 1_000_000]]));
  bench.offer(ask.unmap(1, 0, TOP64), 4);
  bench.invalidated.length = 0;
  const before = performance.now();
  bench.device.serveRequests(1);
  expect(performance.now() - before).toBeLessThan(50);
  expect(bench.device.mappings).toBe(1);
  expect(bench.invalidated.length).toBeLessThan(106);
  expect(bench.dma(8, 0, READ)).toBe('FAULT');
  expect(bench.dma(9, 0x1000, READ)).toBe('OK 0xa000 mask 0xfff allowed 1');
});

test('IO-16: an endpoint moved between domains 100 000 times leaves nothing behind', () => {
  const quiet = (): void => {};
  const invalidations = { all: quiet, domain: quiet, pages: quiet, requester: quiet };
  const bench = new IommuBench({ queueSize: 256, invalidations });
  bench.device.addEndpoint(8);
  bench.device.addEndpoint(9);
  const round = (n: number): Uint8Array => {
    const domain = 1 + (n >> 1);
    // Attached to a domain of its own, the endpoint gets a page there, and goes on to the next one.
    return n % 2 === 0 ? ask.attach(domain, 8) : ask.map(domain, 0x1000 * n, 0x1000 * n + 0xfff, 0xa000, READ);
  };
  bench.flood(20_000, round);
  const before = heapAfterGc();
  expect(bench.flood(200_000, (n) => round(n + 20_000))).toEqual(new Map([[OK, 200_000]]));
  expect(heapAfterGc() - before).toBeLessThan(1_000_000);
  expect([bench.device.domains, bench.device.mappings]).toEqual([1, 1]);
  const last = 0x1000 * 219_999;
  expect(bench.dma(8, last, READ)).toBe('OK 0xa000 mask 0xfff allowed 1');
  expect(bench.dma(8, last - 0x2000, READ)).toBe('FAULT');
  // The tag by which caches know a domain is used again, too.
  const out = newTranslation();
  bench.device.translate(8, NO_PASID, last, READ, out);
  expect(out.domain).toBeLessThanOrEqual(2);
});

test('IO-16: after each move the old domain’s mappings are out of reach, and caches have been told', () => {
  const bench = new IommuBench();
  for (const endpoint of [8, 9, 10]) bench.device.addEndpoint(endpoint);
  for (const [domain, endpoint] of [
    [1, 9],
    [2, 10],
  ] as const) {
    bench.status(ask.attach(domain, endpoint));
    bench.status(ask.map(domain, 0x1000 * domain, 0x1000 * domain + 0xfff, 0xa000, READ));
  }
  for (let turn = 0; turn < 10; turn++) {
    const [to, from] = turn % 2 === 0 ? [1, 2] : [2, 1];
    bench.invalidated.length = 0;
    expect(bench.status(ask.attach(to, 8))).toBe(OK);
    expect(bench.invalidated).toEqual(['requester 0x8']);
    expect(bench.dma(8, 0x1000 * to, READ)).toBe('OK 0xa000 mask 0xfff allowed 1');
    expect(bench.dma(8, 0x1000 * from, READ)).toBe('FAULT');
  }
  expect(bench.status(ask.attach(3, 8, BYPASS))).toBe(OK);
  expect(bench.device.domains).toBe(3);
});

test.each([
  ['unmapped', ask.unmap(1, 0x1000, 0x1fff)],
  ['in a domain that its endpoint leaves', ask.detach(1, 8)],
  ['in a domain that its endpoint leaves for another one', ask.attach(2, 8)],
])('IO-19: a page that DMA is going to is %s: before the answer is visible no cache has it any more', (_, request) => {
  // One endpoint with the smallest cache there is: the translation of its last page.
  let cached = -1;
  const seen: boolean[] = [];
  const forget = (): void => {
    cached = -1;
    seen.push(bench.request.hasUsed());
  };
  const invalidations: InvalidationSink = { all: forget, domain: forget, pages: forget, requester: forget };
  const bench = new IommuBench({ invalidations });
  bench.device.addEndpoint(8);
  bench.status(ask.attach(1, 8));
  const page = 0x4_4000;
  bench.status(ask.map(1, 0x1000, 0x1fff, page, WRITE));
  const out = newTranslation();
  const write = (byte: number): boolean => {
    if (cached < 0 && bench.device.translate(8, NO_PASID, 0x1000, WRITE, out) === 0) cached = out.physical;
    if (cached < 0) return false;
    bench.guest.write(cached, Uint8Array.of(byte));
    return true;
  };
  expect(write(0x11)).toBe(true);
  seen.length = 0;
  bench.offer(request, 4);
  expect(write(0x22)).toBe(true);
  bench.device.serveRequests(1);
  expect(seen.length).toBeGreaterThan(0);
  expect(seen).not.toContain(true);
  expect(bench.request.hasUsed()).toBe(true);
  const since = bench.guest.snapshot();
  expect(write(0x33)).toBe(false);
  expect(bench.guest.read(page, 1)).toEqual(Uint8Array.of(0x22));
  expect(bench.guest.changesOutside(since, []).map(formatChange)).toEqual([]);
});

test('IO-20: a flood of faults with no buffer posted is counted, and nothing grows or is written', () => {
  const bench = attacked();
  const flood = (): void => {
    for (let n = 0; n < 100_000; n++) {
      if (bench.device.translate(9, NO_PASID, n, READ, out) !== 2) throw new Error('not blocked');
    }
  };
  const out = newTranslation();
  flood();
  const since = bench.guest.snapshot();
  const before = heapAfterGc();
  flood();
  expect(heapAfterGc() - before).toBeLessThan(1_000_000);
  expect(bench.guest.changesOutside(since, []).map(formatChange)).toEqual([]);
  expect(bench.device.counters.reportsWithoutBuffer).toBe(200_000);
  expect(bench.device.counters.reports).toBe(0);
  bench.post();
  expect(bench.reports()).toEqual([]);
  bench.dma(9, 0x5000, READ);
  expect(bench.reports().length).toBe(1);
  expectUnharmed(bench);
});

test('a faulty descriptor chain is given back with length 0, and the requests around it are answered', () => {
  const bench = attacked();
  bench.request.addReadable(0x9999_0000, 20);
  bench.request.publish();
  expect(bench.device.serveRequests(8)).toBe(1);
  expect(bench.device.counters.faultyRequestChains).toBe(1);
});

test('a ring that cannot be trusted stops the device until it is reset', () => {
  const bench = attacked();
  // The available index runs ahead by more than Queue Size.
  bench.guest.write(bench.requestConfig.driver + 2, Uint8Array.of(0xff, 0x7f));
  expect(bench.device.serveRequests(8)).toBe(0);
  expect(bench.device.needsReset).toBe(true);
  bench.device.reset();
  expect(bench.device.needsReset).toBe(false);
});

test('a device whose driver is not ready serves nothing', () => {
  expect(new VirtioIommu().serveRequests(8)).toBe(0);
});
