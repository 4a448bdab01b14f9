import fc from 'fast-check';
import { expect, test } from 'vitest';
import { ask, IommuBench, READ, WRITE } from './testing/virtio-iommu-bench.js';

// Random requests against a model that has one entry per page, and no idea of ranges beyond the request that made it.

const PAGE = 0x1000;
const PAGES = 40;
const ENDPOINTS = [1, 2, 3] as const;

interface ModelPage {
  readonly physical: number;
  readonly flags: number;
  /** The number of the MAP request. */
  readonly request: number;
}

class Model {
  private readonly domainOf = new Map<number, number>();
  private readonly pages = new Map<number, Map<number, ModelPage>>();
  private readonly bypass = new Map<number, boolean>();
  private requests = 0;

  attach(domain: number, endpoint: number, bypass: boolean): number {
    if (this.pages.has(domain) && this.bypass.get(domain) !== bypass) return 4;
    if (this.domainOf.get(endpoint) === domain) return 0;
    this.leave(endpoint);
    this.domainOf.set(endpoint, domain);
    if (!this.pages.has(domain)) this.pages.set(domain, new Map());
    this.bypass.set(domain, bypass);
    return 0;
  }

  detach(domain: number, endpoint: number): number {
    if (this.domainOf.get(endpoint) !== domain) return 4;
    this.leave(endpoint);
    return 0;
  }

  map(domain: number, first: number, count: number, physical: number, flags: number): number {
    const pages = this.pages.get(domain);
    if (pages === undefined) return 6;
    if (this.bypass.get(domain) || flags === 0) return 4;
    for (let at = 0; at < count; at++) if (pages.has(first + at)) return 4;
    const request = this.requests++;
    for (let at = 0; at < count; at++) pages.set(first + at, { physical: physical + at, flags, request });
    return 0;
  }

  unmap(domain: number, first: number, count: number): number {
    const pages = this.pages.get(domain);
    if (pages === undefined) return 6;
    if (this.bypass.get(domain)) return 4;
    const inside = new Set<number>();
    const outside = new Set<number>();
    for (const [page, { request }] of pages) (page >= first && page < first + count ? inside : outside).add(request);
    for (const request of inside) if (outside.has(request)) return 5;
    for (let at = 0; at < count; at++) pages.delete(first + at);
    return 0;
  }

  /** As `IommuBench.dma` says it, without the mask. */
  reach(endpoint: number, address: number, access: number): string {
    const domain = this.domainOf.get(endpoint);
    if (domain === undefined) return 'FAULT';
    if (this.bypass.get(domain)) return `PASS_THROUGH 0x${address.toString(16)} allowed 3`;
    const page = this.pages.get(domain)!.get(Math.floor(address / PAGE));
    if (page === undefined || (access & ~page.flags) !== 0) return 'FAULT';
    return `OK 0x${(page.physical * PAGE + (address % PAGE)).toString(16)} allowed ${page.flags}`;
  }

  mappings(): number {
    const requests = new Set<number>();
    for (const pages of this.pages.values()) for (const { request } of pages.values()) requests.add(request);
    return requests.size;
  }

  private leave(endpoint: number): void {
    const domain = this.domainOf.get(endpoint);
    this.domainOf.delete(endpoint);
    if (domain === undefined || [...this.domainOf.values()].includes(domain)) return;
    this.pages.delete(domain);
    this.bypass.delete(domain);
  }
}

const domain = fc.integer({ min: 1, max: 4 });
const endpoint = fc.constantFrom(...ENDPOINTS);
const first = fc.nat(PAGES - 1);
const count = fc.oneof(fc.constant(1), fc.integer({ min: 1, max: 6 }), fc.integer({ min: 1, max: PAGES }));
const step = fc.oneof(
  { weight: 2, arbitrary: fc.record({ op: fc.constant('attach' as const), domain, endpoint, rare: fc.nat(7) }) },
  { weight: 1, arbitrary: fc.record({ op: fc.constant('detach' as const), domain, endpoint }) },
  {
    weight: 8,
    arbitrary: fc.record({ op: fc.constant('map' as const), domain, first, count, at: fc.nat(99), flags: fc.nat(3) }),
  },
  { weight: 4, arbitrary: fc.record({ op: fc.constant('unmap' as const), domain, first, count }) },
);

test('random attach, detach, map and unmap requests leave every page of every endpoint as the model has it', () => {
  fc.assert(
    fc.property(fc.array(step, { minLength: 10, maxLength: 80 }), (steps) => {
      const bench = new IommuBench();
      const model = new Model();
      for (const one of ENDPOINTS) bench.device.addEndpoint(one);
      for (const it of steps) {
        const [bytes, want] = request(model, it);
        const [[status]] = [...bench.flood(1, () => bytes)] as [[number, number]];
        expect(status, JSON.stringify(it)).toBe(want);
      }
      expect(bench.device.mappings).toBe(model.mappings());
      for (const one of ENDPOINTS) {
        for (let page = 0; page <= 2 * PAGES; page++) {
          for (const access of [READ, WRITE]) {
            const address = page * PAGE + ((page * 0x123) % PAGE);
            const found = bench.dma(one, address, access).replace(/ mask 0x[0-9a-f]+/, '');
            expect(found).toBe(model.reach(one, address, access));
          }
        }
      }
    }),
    { numRuns: 150 },
  );
});

type Step = typeof step extends fc.Arbitrary<infer T> ? T : never;

function request(model: Model, it: Step): [Uint8Array, number] {
  switch (it.op) {
    case 'attach': {
      const bypass = it.rare === 0;
      return [ask.attach(it.domain, it.endpoint, bypass ? 1 : 0), model.attach(it.domain, it.endpoint, bypass)];
    }
    case 'detach':
      return [ask.detach(it.domain, it.endpoint), model.detach(it.domain, it.endpoint)];
    case 'map': {
      const [start, end] = [it.first * PAGE, (it.first + it.count) * PAGE - 1];
      const status = model.map(it.domain, it.first, it.count, it.at, it.flags);
      return [ask.map(it.domain, start, end, it.at * PAGE, it.flags), status];
    }
    case 'unmap': {
      const [start, end] = [it.first * PAGE, (it.first + it.count) * PAGE - 1];
      return [ask.unmap(it.domain, start, end), model.unmap(it.domain, it.first, it.count)];
    }
  }
}
