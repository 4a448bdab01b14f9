import { expect, test } from 'vitest';
import { allCases, selectCases } from './cases.js';
import { QUICK_NET_CASES } from './net-cases.js';
import { peerName, plainNeighbour } from './run-cases.js';

const NAME =
  /^(ring\/(split|packed)\/(inthread|xthread)\/(64|256|1500|imix|pcap)\/b(1|8|32|256)(\/(event_idx|indirect|in_order))?(\/iommu)?|ringcost\/(split|packed)\/b(1|8|32|256)|latency\/(split|packed)\/(spin|wait)(\/iommu)?|net\/(pmd\/(split|packed)\/(64|1500|imix)\/(inline|worker)\/(tx|loop)|pmd\/(split|packed)\/64\/worker\/wake|kernel\/(split|packed)\/(64|1500|imix)\/(inline|worker)\/loop|kernel\/(split|packed)\/64\/worker\/ping)(\/iommu)?|iommu\/(none|hit|(miss|walk)-(4k|2m|1g)|thrash|unmap-(strict|lazy)))$/;

test('every case has a name of its own that follows the scheme', () => {
  for (const iommu of [undefined, 'off', 'on'] as const) {
    const names = allCases(iommu).map(({ name }) => name);
    for (const name of names) expect(name).toMatch(NAME);
    expect(new Set(names).size).toBe(names.length);
  }
});

test('both formats have the same cases', () => {
  const of = (layout: string): string[] =>
    allCases()
      .filter((plan) => plan.layout === layout && plan.kind !== 'iommu')
      .map(({ name }) => name.replace(layout, ''))
      .sort();
  expect(of('packed')).toEqual(of('split'));
});

test('a pattern selects by name', () => {
  expect(selectCases(allCases(), /latency\/packed/).map(({ name }) => name)).toEqual([
    'latency/packed/spin',
    'latency/packed/wait',
  ]);
  expect(selectCases(allCases(), /no such case/)).toEqual([]);
  expect(selectCases(allCases(), undefined)).toHaveLength(allCases().length);
});

test('DPDK stands beside the polled cases of two threads and bursts of 32, at 64 and 1500 bytes', () => {
  const beside = allCases().filter((plan) => peerName(plan) !== undefined);
  expect(beside.map((plan) => [plan.name, peerName(plan)])).toEqual([
    ['ring/split/xthread/64/b32', 'dpdk/split/64'],
    ['ring/split/xthread/1500/b32', 'dpdk/split/1500'],
    ['ring/packed/xthread/64/b32', 'dpdk/packed/64'],
    ['ring/packed/xthread/1500/b32', 'dpdk/packed/1500'],
    ['net/pmd/split/64/worker/tx', 'dpdk/net/split/64'],
    ['net/pmd/packed/64/worker/tx', 'dpdk/net/packed/64'],
  ]);
});

test('--iommu on and off: the rings of all devices, or of none, go through an IOMMU', () => {
  const rings = (iommu?: 'off' | 'on') => allCases(iommu).filter(({ kind }) => kind === 'ring' || kind === 'latency');
  expect(rings('on').every(({ behindIommu, name }) => behindIommu && name.endsWith('/iommu'))).toBe(true);
  expect(allCases('off').some(({ name }) => name.includes('iommu'))).toBe(false);
  expect(rings('on').map(({ name }) => name)).toEqual(rings('off').map(({ name }) => `${name}/iommu`));
  expect(rings().filter(({ behindIommu }) => behindIommu)).toHaveLength(4);
});

test('a ring through an IOMMU is compared with the same without, in two threads at 64 bytes and bursts of 32', () => {
  const compared = allCases().filter((plan) => plainNeighbour(plan) !== undefined);
  expect(compared.map((plan) => [plan.name, plainNeighbour(plan)?.name])).toEqual([
    ['ring/split/xthread/64/b32/iommu', 'ring/split/xthread/64/b32'],
    ['ring/packed/xthread/64/b32/iommu', 'ring/packed/xthread/64/b32'],
  ]);
});

test('quick mode has few cases of network devices, DPDK beside one of them, and all others', () => {
  const names = (quick: boolean) => allCases(undefined, quick).map(({ name }) => name);
  const isNet = (name: string): boolean => name.startsWith('net/');
  const few = names(true).filter(isNet);
  expect(few.toSorted()).toEqual(QUICK_NET_CASES.toSorted());
  expect(names(false)).toEqual(expect.arrayContaining(few));
  expect(names(true).filter((name) => !isNet(name))).toEqual(names(false).filter((name) => !isNet(name)));
  const beside = allCases(undefined, true).filter((plan) => peerName(plan)?.startsWith('dpdk/net/') === true);
  expect(beside.map(({ name }) => name)).toEqual(['net/pmd/split/64/worker/tx']);
});

test('a network device is behind an IOMMU where DPDK stands beside the same without', () => {
  const behind = allCases().filter(({ net, behindIommu }) => net !== undefined && behindIommu);
  expect(behind.map(({ name }) => name)).toEqual([
    'net/pmd/split/64/worker/tx/iommu',
    'net/pmd/packed/64/worker/tx/iommu',
  ]);
});
