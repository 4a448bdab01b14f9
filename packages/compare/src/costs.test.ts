import fc from 'fast-check';
import { expect, test } from 'vitest';
import { ARCHITECTURES } from './architectures.js';
import { hostCost, PRICES, type Prices, wayCost } from './costs.js';
import { type Comparison, compareArchitectures } from './measure.js';

const counted = (size: number, rings: 'split' | 'packed'): Map<string, Comparison> => {
  const rows = compareArchitectures(ARCHITECTURES, { frames: 100, rounds: 1, size, rings });
  return new Map(rows.map((row) => [row.name, row]));
};

const price = fc.double({ min: 1e-3, max: 1e6, noNaN: true });
const anyPrices: fc.Arbitrary<Prices> = fc.record({
  trap: price,
  kick: price,
  interrupt: price,
  injection: price,
  copy: price,
  copiedByte: price,
});

test.each([
  ['split', 60],
  ['packed', 1514],
] as const)(
  'F104, F08: host CPU and ns per frame come in the order of the literature, whatever a trap costs: %s, %i bytes',
  (rings, size) => {
    const of = counted(size, rings);
    const cost = (by: typeof hostCost, prices: Prices) => (name: string) => by(of.get(name)!, prices);
    fc.assert(
      fc.property(anyPrices, (prices) => {
        const host = cost(hostCost, prices);
        expect(host('emulated')).toBeGreaterThan(host('vhost-net'));
        expect(host('vhost-net')).toBeGreaterThan(host('vhost-user'));
        expect(host('vhost-user')).toBeGreaterThan(0);
        expect(['sriov-vendor', 'virtio-offload', 'vdpa'].map(host)).toEqual([0, 0, 0]);
        const way = cost(wayCost, prices);
        expect(way('emulated')).toBeGreaterThan(way('vhost-net'));
        expect(way('vhost-net')).toBeGreaterThan(way('vhost-user'));
        expect(way('emulated')).toBeGreaterThan(way('sriov-vendor'));
        expect(way('sriov-vendor')).toBeGreaterThan(way('vdpa'));
        expect(way('vhost-net')).toBeGreaterThan(way('virtio-offload'));
        expect(way('vdpa')).toBe(way('virtio-offload'));
      }),
    );
    // Between what a guest polls for and what it is interrupted for stands a price; at the usual ones:
    const usual = cost(wayCost, PRICES);
    const order = ['emulated', 'vhost-net', 'vhost-user', 'sriov-vendor', 'virtio-offload', 'vdpa'];
    expect([...order].sort((a, b) => usual(b) - usual(a))).toEqual(order);
    for (const row of of.values())
      expect([row.pricedHostNs, row.pricedNs]).toEqual([hostCost(row, PRICES), wayCost(row, PRICES)]);
  },
);
