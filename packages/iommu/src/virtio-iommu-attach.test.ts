import { VirtioError } from '@ringwire/virtio-spec';
import { describe, expect, test } from 'vitest';
import { ALL_FEATURES, ask, heapAfterGc, IommuBench, LAYOUTS, READ, WRITE } from './testing/virtio-iommu-bench.js';
import { ENDPOINTS_MAX } from './virtio-iommu-options.js';

const OK = 0;
const UNSUPP = 2;
const INVAL = 4;
const RANGE = 5;
const NOENT = 6;
const BYPASS = 1;

function benchWith(endpoints: readonly number[], options = {}): IommuBench {
  const bench = new IommuBench(options);
  for (const endpoint of endpoints) bench.device.addEndpoint(endpoint);
  return bench;
}

describe.each(LAYOUTS)('%s', (layout) => {
  test('virtio 1.4 §5.13, dev.iommu.requests.1,.5: attach, map, unmap, detach, as in the chapter’s example', () => {
    const bench = benchWith([8], { layout });
    expect(bench.ask('01000000 01000000 08000000 00000000 00000000')).toEqual({ written: 4, bytes: '00000000' });
    const map = '03000000 01000000 0010000000000000 ff1f000000000000 00a0000000000000 01000000';
    expect(bench.ask(map)).toEqual({ written: 4, bytes: '00000000' });
    expect(bench.dma(8, 0x1000, READ)).toBe('OK 0xa000 mask 0xfff allowed 1');
    expect(bench.dma(8, 0x1fff, READ)).toBe('OK 0xafff mask 0xfff allowed 1');
    expect(bench.dma(8, 0x2000, READ)).toBe('FAULT');
    const unmap = '04000000 01000000 0010000000000000 ff1f000000000000 00000000';
    expect(bench.ask(unmap)).toEqual({ written: 4, bytes: '00000000' });
    expect(bench.dma(8, 0x1000, READ)).toBe('FAULT');
    expect(bench.ask('02000000 01000000 08000000 0000000000000000')).toEqual({ written: 4, bytes: '00000000' });
    expect(bench.device.domains).toBe(0);
    expect([...bench.device.counters.answered]).toEqual([4, 0, 0, 0, 0, 0, 0, 0, 0]);
    expect(bench.notified).toEqual([0, 0, 0, 0]);
  });

  test('a request cut into single bytes and a tail in four pieces are the same request', () => {
    const bench = benchWith([8], { layout, queueSize: 32 });
    const ones = (count: number): number[] => new Array<number>(count).fill(1);
    const answer = bench.ask(ask.attach(1, 8), 4, { read: [...ones(10), 10], write: [1, 1, 1, 1] });
    expect(answer).toEqual({ written: 4, bytes: '00000000' });
    expect(bench.device.domains).toBe(1);
  });

  test('dev.iommu.requests.4: reserved bytes of the head are ignored', () => {
    const bench = benchWith([8], { layout });
    expect(bench.ask('01ffeedd 01000000 08000000 00000000 00000000')).toEqual({ written: 4, bytes: '00000000' });
    expect(bench.device.domains).toBe(1);
  });

  test('dev.iommu.requests.2,.3: an unknown type is given back unwritten, with used length 0', () => {
    const bench = benchWith([8], { layout });
    for (const type of ['00', '06', '80', 'ff'])
      expect(bench.ask(`${type}000000 01000000 08000000 00000000 00000000`)).toEqual({ written: 0, bytes: 'cccccccc' });
    expect(bench.device.counters.unknownRequests).toBe(4);
    expect(bench.device.domains).toBe(0);
  });

  test('a device-writable part longer than the tail is written no further', () => {
    const bench = benchWith([8], { layout });
    expect(bench.ask(ask.attach(1, 8), 9)).toEqual({ written: 4, bytes: '00000000cccccccccc' });
  });

  test('a request that is too short for its type, but has a tail, is invalid', () => {
    const bench = benchWith([8], { layout });
    expect(bench.status(ask.attach(1, 8).subarray(0, 19))).toBe(INVAL);
    expect(bench.status('02')).toBe(INVAL);
    expect(bench.status(ask.map(1, 0, 0xfff, 0, READ).subarray(0, 35))).toBe(INVAL);
    expect(bench.device.domains).toBe(0);
  });
});

describe('attach', () => {
  test('dev.iommu.attach.1: a reserved field that isn’t zero is invalid', () => {
    const bench = benchWith([8]);
    for (const reserved of ['01000000', '00000080'])
      expect(bench.status(`01000000 01000000 08000000 00000000 ${reserved}`)).toBe(INVAL);
    expect(bench.device.domains).toBe(0);
  });

  test('dev.iommu.attach.2: unknown flags are invalid, and so is BYPASS without BYPASS_CONFIG', () => {
    const bench = benchWith([8]);
    for (const flags of [2, 3, 0x8000_0000]) expect(bench.status(ask.attach(1, 8, flags))).toBe(INVAL);
    const without = benchWith([8], { accept: ALL_FEATURES.filter((bit) => bit !== 6) });
    expect(without.status(ask.attach(1, 8, BYPASS))).toBe(INVAL);
    expect(bench.device.domains + without.device.domains).toBe(0);
  });

  test('dev.iommu.attach.3: there is no such endpoint', () => {
    expect(benchWith([8]).status(ask.attach(1, 9))).toBe(NOENT);
  });

  test('dev.iommu.attach.4,.12: further endpoints come to the domain and reach its mappings', () => {
    const bench = benchWith([8, 9, 10]);
    for (const endpoint of [8, 9]) expect(bench.status(ask.attach(1, endpoint))).toBe(OK);
    expect(bench.status(ask.map(1, 0x1000, 0x1fff, 0xa000, READ))).toBe(OK);
    expect(bench.status(ask.attach(1, 10))).toBe(OK);
    for (const endpoint of [8, 9, 10]) expect(bench.dma(endpoint, 0x1080, READ)).toBe('OK 0xa080 mask 0xfff allowed 1');
    expect(bench.device.domains).toBe(1);
  });

  test('dev.iommu.attach.5: what the host’s IOMMU cannot put together is unsupported', () => {
    const single = { attach: (_: number, domain: number) => domain !== 1 || count++ === 0 };
    let count = 0;
    const mirror = { ...single, detach: () => {}, map: () => true, unmap: () => {} };
    const bench = benchWith([8, 9], { mirror });
    expect(bench.status(ask.attach(1, 8))).toBe(OK);
    expect(bench.status(ask.attach(1, 9))).toBe(UNSUPP);
    expect(bench.dma(9, 0, READ)).toBe('FAULT');
  });

  test('dev.iommu.attach.6: BYPASS has to be what the domain is', () => {
    const bench = benchWith([8, 9]);
    expect(bench.status(ask.attach(1, 8))).toBe(OK);
    expect(bench.status(ask.attach(1, 9, BYPASS))).toBe(INVAL);
    expect(bench.status(ask.attach(1, 8, BYPASS))).toBe(INVAL);
    expect(bench.status(ask.attach(2, 9, BYPASS))).toBe(OK);
    expect(bench.status(ask.attach(2, 8))).toBe(INVAL);
    expect(bench.dma(8, 0, READ)).toBe('FAULT');
  });

  test('dev.iommu.attach.7,.8: an endpoint attached elsewhere is moved, as if detached first', () => {
    const bench = benchWith([8, 9]);
    for (const [domain, endpoint] of [
      [1, 8],
      [2, 9],
    ] as const)
      expect(bench.status(ask.attach(domain, endpoint))).toBe(OK);
    expect(bench.status(ask.map(1, 0x1000, 0x1fff, 0xa000, READ))).toBe(OK);
    expect(bench.status(ask.map(2, 0x1000, 0x1fff, 0xb000, READ))).toBe(OK);
    bench.invalidated.length = 0;
    expect(bench.status(ask.attach(2, 8))).toBe(OK);
    expect(bench.dma(8, 0x1000, READ)).toBe('OK 0xb000 mask 0xfff allowed 1');
    // Its last endpoint gone, domain 1 is too, with its mapping; the id is free for a domain of either kind.
    expect([bench.device.domains, bench.device.mappings]).toEqual([1, 1]);
    expect(bench.invalidated).toEqual(['domain 1', 'requester 0x8']);
    expect(bench.status(ask.map(1, 0x1000, 0x1fff, 0xa000, READ))).toBe(NOENT);
    expect(bench.status(ask.attach(1, 8, BYPASS))).toBe(OK);
  });

  test('attaching once more to the same domain keeps its mappings', () => {
    const bench = benchWith([8]);
    bench.status(ask.attach(1, 8));
    bench.status(ask.map(1, 0x1000, 0x1fff, 0xa000, READ));
    expect(bench.status(ask.attach(1, 8))).toBe(OK);
    expect(bench.dma(8, 0x1000, READ)).toBe('OK 0xa000 mask 0xfff allowed 1');
  });

  test('dev.iommu.attach.9: a move that the host’s IOMMU cannot make is unsupported and leaves the endpoint where it is', () => {
    const mirror = {
      attach: (_: number, domain: number) => domain === 1,
      detach: () => {},
      map: () => true,
      unmap: () => {},
    };
    const bench = benchWith([8], { mirror });
    bench.status(ask.attach(1, 8));
    bench.status(ask.map(1, 0x1000, 0x1fff, 0xa000, READ));
    expect(bench.status(ask.attach(2, 8))).toBe(UNSUPP);
    expect(bench.dma(8, 0x1000, READ)).toBe('OK 0xa000 mask 0xfff allowed 1');
    expect(bench.device.domains).toBe(1);
  });

  test('dev.iommu.attach.10: endpoints with equal, disjoint or no regions share a domain', () => {
    const bench = new IommuBench();
    const msi = { kind: 'msi', start: 0xfee0_0000, end: 0xfeef_ffff } as const;
    bench.device.addEndpoint(8, [msi]);
    bench.device.addEndpoint(9, [msi]);
    bench.device.addEndpoint(10, [{ kind: 'reserved', start: 0x8000, end: 0x8fff }]);
    bench.device.addEndpoint(11);
    for (const endpoint of [8, 9, 10, 11]) expect(bench.status(ask.attach(1, endpoint))).toBe(OK);
  });

  test('dev.iommu.attach.11: one whose doorbell is forbidden to another, or that reserves what is mapped, is unsupported', () => {
    const bench = new IommuBench();
    bench.device.addEndpoint(8, [{ kind: 'msi', start: 0x8000, end: 0x8fff }]);
    bench.device.addEndpoint(9, [{ kind: 'reserved', start: 0, end: 0xffff }]);
    bench.device.addEndpoint(10, [{ kind: 'reserved', start: 0x1_0000, end: 0x1_0fff }]);
    expect(bench.status(ask.attach(1, 8))).toBe(OK);
    expect(bench.status(ask.attach(1, 9))).toBe(UNSUPP);
    expect(bench.status(ask.map(1, 0x1_0000, 0x1_0fff, 0, READ))).toBe(OK);
    expect(bench.status(ask.attach(1, 10))).toBe(UNSUPP);
    expect(bench.status(ask.unmap(1, 0x1_0000, 0x1_0fff))).toBe(OK);
    expect(bench.status(ask.attach(1, 10))).toBe(OK);
  });

  test('a bypass domain passes everything through, whatever the field bypass says', () => {
    const bench = benchWith([8]);
    expect(bench.status(ask.attach(1, 8, BYPASS))).toBe(OK);
    expect(bench.dma(8, 0x12_3456_7000, READ | WRITE)).toBe('PASS_THROUGH 0x1234567000 mask 0x3fffffff allowed 3');
  });

  test('bypass set, an endpoint in a domain reaches nothing but its mappings', () => {
    const bench = benchWith([8, 9], { bypass: true });
    expect(bench.status(ask.attach(1, 8))).toBe(OK);
    expect(bench.dma(8, 0x1000, READ)).toBe('FAULT');
    expect(bench.dma(9, 0x1000, READ)).toMatch('PASS_THROUGH 0x1000');
  });
});

describe('detach', () => {
  test('dev.iommu.detach.1: the reserved field is ignored', () => {
    const bench = benchWith([8]);
    bench.status(ask.attach(1, 8));
    expect(bench.status('02000000 01000000 08000000 ffffffffffffffff')).toBe(OK);
    expect(bench.device.domains).toBe(0);
  });

  test('dev.iommu.detach.2: there is no such endpoint', () => {
    const bench = benchWith([8]);
    bench.status(ask.attach(1, 8));
    expect(bench.status(ask.detach(1, 9))).toBe(NOENT);
  });

  test('dev.iommu.detach.3: an unknown domain, or not the endpoint’s, is invalid and changes nothing', () => {
    const bench = benchWith([8, 9]);
    expect(bench.status(ask.detach(1, 8))).toBe(INVAL);
    bench.status(ask.attach(1, 8));
    bench.status(ask.attach(2, 9));
    expect(bench.status(ask.detach(2, 8))).toBe(INVAL);
    expect(bench.status(ask.detach(3, 8))).toBe(INVAL);
    expect(bench.device.domains).toBe(2);
  });

  test('dev.iommu.detach.4: a detached endpoint reaches none of the domain’s mappings, the others still do', () => {
    const bench = benchWith([8, 9]);
    for (const endpoint of [8, 9]) bench.status(ask.attach(1, endpoint));
    bench.status(ask.map(1, 0x1000, 0x1fff, 0xa000, READ));
    bench.invalidated.length = 0;
    expect(bench.status(ask.detach(1, 8))).toBe(OK);
    expect(bench.invalidated).toEqual(['requester 0x8']);
    expect(bench.dma(8, 0x1000, READ)).toBe('FAULT');
    expect(bench.dma(9, 0x1000, READ)).toBe('OK 0xa000 mask 0xfff allowed 1');
    bench.status(ask.detach(1, 9));
    expect([bench.device.domains, bench.device.mappings]).toEqual([0, 0]);
  });

  test('an endpoint that is unplugged leaves its domain, and its id can be added again', () => {
    const bench = benchWith([8]);
    bench.status(ask.attach(1, 8));
    bench.device.removeEndpoint(8);
    expect(bench.device.domains).toBe(0);
    expect(bench.status(ask.attach(1, 8))).toBe(NOENT);
    expect(bench.dma(8, 0, READ)).toBe('BLOCKED');
    bench.device.addEndpoint(8, [{ kind: 'reserved', start: 0, end: 0xfff }]);
    expect(bench.status(ask.attach(1, 8))).toBe(OK);
    expect(bench.status(ask.map(1, 0, 0xfff, 0, READ))).toBe(INVAL);
  });
});

test('what caches hold for an endpoint that is unplugged is void, attached or not', () => {
  const bench = benchWith([8], { bypass: true });
  expect(bench.dma(8, 0x1000, READ)).toMatch('PASS_THROUGH');
  bench.device.removeEndpoint(8);
  expect(bench.invalidated).toEqual(['requester 0x8']);
});

test('endpoints plugged and unplugged 50 000 times, each with regions of its own, leave nothing behind', () => {
  const bench = new IommuBench();
  const plug = (rounds: number): void => {
    for (let n = 0; n < rounds; n++) {
      bench.device.addEndpoint(n, [{ kind: 'reserved', start: n * 0x1000, end: n * 0x1000 + 0xfff }]);
      bench.device.removeEndpoint(n);
    }
    bench.invalidated.length = 0;
  };
  plug(1000);
  const before = heapAfterGc();
  plug(50_000);
  expect(heapAfterGc() - before).toBeLessThan(1_000_000);
});

test('virtio 1.4 §5.13.5: after a device reset no endpoint is attached and all caches are void', () => {
  const bench = benchWith([8, 9]);
  for (const endpoint of [8, 9]) bench.status(ask.attach(1, endpoint));
  bench.status(ask.map(1, 0x1000, 0x1fff, 0xa000, READ));
  bench.device.reset();
  expect([bench.device.domains, bench.device.mappings, bench.device.serveRequests(1)]).toEqual([0, 0, 0]);
  expect(bench.invalidated.at(-1)).toBe('all');
  expect(bench.dma(8, 0x1000, READ)).toBe('FAULT');
});

test('a mirror is told of every change, in the order of the requests', () => {
  const told: string[] = [];
  const mirror = {
    attach: (...it: unknown[]) => told.push(`attach ${it}`) > 0,
    detach: (...it: unknown[]) => void told.push(`detach ${it}`),
    map: (...it: unknown[]) => told.push(`map ${it}`) > 0,
    unmap: (...it: unknown[]) => void told.push(`unmap ${it}`),
  };
  const bench = benchWith([8, 9], { mirror });
  bench.status(ask.attach(1, 8));
  bench.status(ask.attach(1, 9));
  bench.status(ask.map(1, 0x1000, 0x1fff, 0xa000, READ));
  bench.status(ask.map(1, 0x3000, 0x4fff, 0xb000, WRITE));
  bench.status(ask.unmap(1, 0, 0xf_ffff));
  bench.status(ask.unmap(1, 0, 0xf_ffff));
  bench.status(ask.detach(1, 8));
  bench.device.reset();
  expect(told).toEqual([
    'attach 8,1,false',
    'attach 9,1,false',
    'map 1,4096,8191,40960,1',
    'map 1,12288,20479,45056,2',
    'unmap 1,4096,20479',
    'detach 8,1',
    'detach 9,1',
  ]);
});

test('endpoints: ids of 32 bits, each once, at most 65536; removed ones must be there', () => {
  const bench = new IommuBench();
  for (const id of [-1, 1.5, 2 ** 32]) expect(() => bench.device.addEndpoint(id)).toThrow(VirtioError);
  for (let id = 0; id < ENDPOINTS_MAX; id++) bench.device.addEndpoint(id);
  expect(() => bench.device.addEndpoint(ENDPOINTS_MAX)).toThrow('want at most 65536');
  expect(() => bench.device.removeEndpoint(ENDPOINTS_MAX)).toThrow(VirtioError);
  bench.device.removeEndpoint(7);
  expect(() => bench.device.addEndpoint(8)).toThrow('want an id that is not in use');
  bench.device.addEndpoint(0xffff_ffff);
  expect(bench.status(ask.attach(0xffff_ffff, 0xffff_ffff))).toBe(OK);
});

test('a domain outside domain_range is out of range', () => {
  const bench = benchWith([8], { domainRange: { start: 4, end: 6 } });
  expect(bench.status(ask.attach(3, 8))).toBe(RANGE);
  expect(bench.status(ask.attach(7, 8))).toBe(RANGE);
  expect(bench.status(ask.attach(4, 8))).toBe(OK);
  expect(bench.status(ask.attach(6, 8))).toBe(OK);
});
