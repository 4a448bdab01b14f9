import { expect, test } from 'vitest';
import { isolationGroups } from './isolation-groups.js';

const id = (bus: number, device: number, fn: number): number => (bus << 8) | (device << 3) | fn;

test('functions of one device without ACS are one group; a device of its own is another', () => {
  const groups = isolationGroups([
    { sourceId: id(0, 3, 0), kind: 'endpoint' },
    { sourceId: id(0, 3, 1), kind: 'endpoint' },
    { sourceId: id(0, 4, 0), kind: 'endpoint' },
  ]);
  expect(groups).toEqual([[0x18, 0x19], [0x20]]);
});

test('a function with ACS stands alone beside siblings without', () => {
  const groups = isolationGroups([
    { sourceId: id(0, 3, 0), kind: 'endpoint' },
    { sourceId: id(0, 3, 1), kind: 'endpoint', acs: true },
    { sourceId: id(0, 3, 2), kind: 'endpoint' },
  ]);
  expect(groups).toEqual([[0x18, 0x1a], [0x19]]);
});

test('PCIe 5.0 §6.13: below a port is one device, whose functions have all eight bits of device and function', () => {
  const port = { sourceId: id(0, 1, 0), kind: 'root-port', acs: true } as const;
  const below = (sourceId: number, acs = false) =>
    ({ sourceId, kind: 'endpoint', parent: port.sourceId, acs }) as const;
  expect(isolationGroups([port, below(0x100), below(0x107), below(0x108), below(0x1ff)])).toEqual([
    [0x008],
    [0x100, 0x107, 0x108, 0x1ff],
  ]);
  expect(isolationGroups([port, below(0x100), below(0x108, true), below(0x110)])).toEqual([
    [0x008],
    [0x100, 0x110],
    [0x108],
  ]);
});

test('virtual functions are groups of their own, their PF as well', () => {
  const groups = isolationGroups([
    { sourceId: id(0, 1, 0), kind: 'root-port', acs: true },
    { sourceId: id(1, 0, 0), kind: 'endpoint', parent: id(0, 1, 0) },
    { sourceId: id(1, 0, 1), kind: 'endpoint', parent: id(0, 1, 0), isVirtual: true },
    { sourceId: id(1, 0, 2), kind: 'endpoint', parent: id(0, 1, 0), isVirtual: true },
  ]);
  expect(groups.map((group) => group.length)).toEqual([1, 1, 1, 1]);
});

test('below a switch port without ACS nothing is kept apart: the ports go along', () => {
  const top = { sourceId: id(0, 1, 0), kind: 'root-port', acs: true } as const;
  const up = { sourceId: id(1, 0, 0), kind: 'upstream-port', parent: top.sourceId } as const;
  const down = (device: number, acs: boolean) =>
    ({ sourceId: id(2, device, 0), kind: 'downstream-port', parent: up.sourceId, acs }) as const;
  const card = (bus: number, device: number) =>
    ({ sourceId: id(bus, 0, 0), kind: 'endpoint', parent: id(2, device, 0) }) as const;
  const loose = isolationGroups([top, up, down(0, false), down(1, true), card(3, 0), card(4, 1)]);
  expect(loose).toEqual([[id(0, 1, 0)], [id(1, 0, 0)], [id(2, 0, 0), id(3, 0, 0)], [id(2, 1, 0)], [id(4, 0, 0)]]);
  // A root port without ACS turns requests round among all of them.
  const all = isolationGroups([{ ...top, acs: false }, up, down(0, true), down(1, true), card(3, 0), card(4, 1)]);
  expect(all).toHaveLength(1);
});

test('behind a bridge to conventional PCI all is one group, whatever claims ACS', () => {
  const groups = isolationGroups([
    { sourceId: id(0, 2, 0), kind: 'pci-bridge', acs: true },
    { sourceId: id(1, 0, 0), kind: 'endpoint', parent: id(0, 2, 0), acs: true },
    { sourceId: id(1, 1, 0), kind: 'endpoint', parent: id(0, 2, 0), acs: true },
  ]);
  expect(groups).toEqual([[id(0, 2, 0), id(1, 0, 0), id(1, 1, 0)]]);
});

test('a topology that cannot be is the caller’s mistake', () => {
  const one = { sourceId: 8, kind: 'endpoint' } as const;
  expect(() => isolationGroups([one, one])).toThrow('sourceId is 8, want a function given once');
  expect(() => isolationGroups([{ ...one, parent: 9 }])).toThrow('parent is 9, want one of the functions');
  const loop = [
    { ...one, parent: 16 },
    { sourceId: 16, kind: 'upstream-port', parent: 8 },
  ] as const;
  expect(() => isolationGroups(loop)).toThrow('a way up that ends at a root bus');
});
