import { expect, test } from 'vitest';
import { PciPort } from '../pci-port.js';
import { RootComplex } from '../root-complex.js';
import { REGISTERS, SriovMachine, VF_BAR_SIZE } from '../testing/sriov-machine.js';
import { testFunction } from '../testing/test-function.js';
import type { ConfigAccess } from './config-access.js';
import { disableVfs, enableVfs } from './enable-vfs.js';
import { type PlaceRanges, placeBars } from './place-bars.js';
import { scanBuses } from './scan-buses.js';

const RANGES: PlaceRanges = {
  memory: { base: 0xe000_0000, end: 0xf000_0000 },
  prefetchable: { base: 0x10_0000_0000, end: 0x20_0000_0000 },
  io: { base: 0x1000, end: 0x1_0000 },
};
const port = (kind: 'root-port' | 'upstream-port' | 'downstream-port' = 'root-port', ariForwarding = true): PciPort =>
  new PciPort({ kind, vendorId: 0x1b36, deviceId: 0x000c, ariForwarding });

test('functions are found through ports, buses numbered in their order, ids and BAR sizes read', () => {
  const { machine } = new SriovMachine();
  const second = port();
  second.secondary.plug(0, testFunction());
  machine.bus.plug(0x10, second);
  const found = scanBuses(machine);
  expect(found.map(({ routingId, vendorId, deviceId, above }) => [routingId, vendorId, deviceId, above])).toEqual([
    [0x0008, 0x1b36, 0x000c, undefined],
    [0x0100, 0x8086, 0x10c9, 0x0008],
    [0x0010, 0x1b36, 0x000c, undefined],
    [0x0200, 0x1af4, 0x1041, 0x0010],
  ]);
  expect(found[1]!.sriov).toMatchObject({ at: 0x160, totalVfs: 8, vfDeviceId: 0x10ca });
  expect(found[1]!.sriov!.bars.map(({ index, space, size }) => [index, space, size])).toEqual([
    [0, 'memory64', VF_BAR_SIZE],
    [3, 'memory32', 0x1000],
  ]);
  expect(found[3]!.bars.map(({ index, space, size, prefetchable }) => [index, space, size, prefetchable])).toEqual([
    [0, 'memory64', 0x4000, true],
    [2, 'memory32', 0x1000, false],
    [3, 'io', 0x40, false],
  ]);
  // The port and the device have ARI: its functions fit on one bus.
  expect(machine.configRead(0x0008, 0x18, 4)).toBe(0x0001_0100);
});

test('behind a port without ARI, buses are kept for the virtual functions', () => {
  const machine = new RootComplex();
  const first = port('root-port', false);
  first.secondary.plug(0, new SriovMachine());
  machine.bus.plug(8, first);
  const second = port();
  machine.bus.plug(0x10, second);
  const found = scanBuses(machine);
  expect(machine.configRead(0x0008, 0x18, 4)).toBe(0x0002_0100);
  expect(machine.configRead(0x0010, 0x18, 4)).toBe(0x0003_0300);
  placeBars(machine, found, RANGES);
  const vfs = enableVfs(machine, found[1]!, 2);
  expect(vfs.map(({ routingId }) => routingId)).toEqual([0x0280, 0x0282]);
  expect(machine.configRead(0x0282, 8, 4)).toBe(0x0200_0001);
});

test('BARs are placed without overlap, each at a multiple of its size, behind windows that lead to them', () => {
  const stage = new SriovMachine();
  const { machine } = stage;
  const up = port('upstream-port');
  const down = port('downstream-port');
  const second = port();
  const card = testFunction();
  const other = testFunction();
  machine.bus.plug(0x10, second);
  second.secondary.plug(0, up);
  up.secondary.plug(0, down);
  down.secondary.plug(0, card);
  machine.bus.plug(0x18, other);
  const found = scanBuses(machine);
  placeBars(machine, found, RANGES);
  const ranges = found.flatMap(({ bars, sriov }) => [
    ...bars.map(({ address, size }) => [address, size, size]),
    ...(sriov?.bars ?? []).map(({ address, size }) => [address, size, size * sriov!.totalVfs]),
  ]) as [number, number, number][];
  expect(ranges.length).toBe(9);
  for (const [address, size] of ranges) expect(address % size).toBe(0);
  const sorted = ranges.sort(([a], [b]) => a - b);
  for (const [i, [address]] of sorted.entries())
    if (i > 0) expect(address).toBeGreaterThanOrEqual(sorted[i - 1]![0] + sorted[i - 1]![2]);
  for (const [n, { pci, registers }] of [card, other].entries()) {
    registers[0] = 0xc0 + n;
    expect(machine.memoryRead(pci.barAddress(0) + 0x100, 1)).toBe(0xc0 + n);
    machine.ioWrite(pci.barAddress(3) + 8, 1, n + 1);
    expect(machine.ioRead(pci.barAddress(3) + 8, 1)).toBe(n + 1);
  }
});

test('virtual functions come up with ids and shares, answer there, and go again', () => {
  const stage = new SriovMachine();
  const { machine, registers } = stage;
  const found = scanBuses(machine);
  placeBars(machine, found, RANGES);
  const vfs = enableVfs(machine, found[1]!, 8);
  expect(vfs.map(({ routingId }) => routingId)).toEqual([0x180, 0x181, 0x182, 0x183, 0x184, 0x185, 0x186, 0x187]);
  expect(vfs[5]).toMatchObject({ vendorId: 0x8086, deviceId: 0x10ca, physicalId: 0x0100, above: 0x0008 });
  for (const [n, { bars }] of vfs.entries()) machine.memoryWrite(bars[0]!.address + REGISTERS, 1, n + 1);
  expect(vfs.map((_, n) => registers.get(`vf${n}`)![0])).toEqual([1, 2, 3, 4, 5, 6, 7, 8]);
  disableVfs(machine, found[1]!);
  expect([stage.virtualFunctions.functions.length, machine.memoryRead(vfs[0]!.bars[0]!.address, 4)]).toEqual([
    0, 0xffff_ffff,
  ]);
});

test('a device that answers anything, or whose list goes round, ends the scan all the same', () => {
  let seed = 1;
  const noise: ConfigAccess = {
    configRead: (_routingId, _offset, size) => {
      seed = (seed * 48_271) % 0x7fff_ffff;
      return seed % 2 ** (size * 8);
    },
    configWrite: () => {},
  };
  const round: ConfigAccess = {
    configRead: (_routingId, offset, size) =>
      (offset >= 0x100 ? 0x1000_0001 : offset === 6 ? 0x10 : 0x40) % 2 ** (size * 8),
    configWrite: () => {},
  };
  for (const access of [noise, round]) expect(scanBuses(access).length).toBeGreaterThan(0);
});

test('what software asks for wrongly is the caller’s mistake', () => {
  const { machine } = new SriovMachine();
  const found = scanBuses(machine);
  expect(() => enableVfs(machine, found[0]!, 1)).toThrow('routingId is 8, want a function with SR-IOV');
  expect(() => enableVfs(machine, found[1]!, 9)).toThrow('NumVFs is 9, want 1 to 8');
  expect(() => placeBars(machine, found, { ...RANGES, memory: { base: 0xe000_0000, end: 0xe000_8000 } })).toThrow(
    'memory range is',
  );
});
