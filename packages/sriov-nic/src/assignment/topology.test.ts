import { isolationGroups } from '@ringwire/iommu';
import {
  accessControlServices,
  advancedErrorReporting,
  alternativeRoutingId,
  type Capability,
  FUNCTION_SERVICES,
  PciFunction,
  PciPort,
  pciExpress,
  RootComplex,
  scanBuses,
} from '@ringwire/pci';
import { expect, test } from 'vitest';
import { enableAcs, topologyOf } from './topology.js';

const IDS = {
  vendorId: 0x8086,
  deviceId: 1,
  subsystemVendorId: 0x8086,
  subsystemId: 1,
  revisionId: 1,
  classCode: 0x02_0000,
};
const endpoint = (extended: readonly Capability[] = [], multiFunction = false): { pci: PciFunction } => ({
  pci: new PciFunction(
    { ...IDS, multiFunction, bars: [], capabilities: [pciExpress(), ...extended] },
    { sendMessage: () => {}, setIntx: () => {} },
    { reset: () => {} },
  ),
});
const port = (kind: 'root-port' | 'upstream-port' | 'downstream-port', services?: number): PciPort =>
  new PciPort({ kind, vendorId: 0x1b36, deviceId: 1, ...(services === undefined ? {} : { services }) });

/** Groups of a machine, with ACS as it comes up, and switched on. */
function groupsOf(machine: RootComplex): [before: number[][], after: number[][]] {
  const found = scanBuses(machine);
  const groups = (): number[][] => isolationGroups(topologyOf(machine, found));
  const before = groups();
  enableAcs(machine, found);
  return [before, groups()];
}

test('PCIe 5.0 §6.12.1.2: functions of one device are apart when what ACS they have is switched on', () => {
  const machine = new RootComplex();
  const acs = (): Capability[] => [advancedErrorReporting({ hasAcs: true }), accessControlServices(FUNCTION_SERVICES)];
  machine.bus.plug(0x20, endpoint(acs(), true));
  machine.bus.plug(0x21, endpoint(acs()));
  machine.bus.plug(0x28, endpoint([], true));
  machine.bus.plug(0x29, endpoint());
  expect(groupsOf(machine)).toEqual([
    [
      [0x20, 0x21],
      [0x28, 0x29],
    ],
    [[0x20], [0x21], [0x28, 0x29]],
  ]);
});

test('PCIe 5.0 §6.13: function 8 of a device with ARI goes with function 0, as it has no ACS', () => {
  const machine = new RootComplex();
  const root = port('root-port');
  machine.bus.plug(8, root);
  root.secondary.plug(0, endpoint([advancedErrorReporting(), alternativeRoutingId(8)], true));
  root.secondary.plug(8, endpoint([advancedErrorReporting(), alternativeRoutingId(0)]));
  const [, after] = groupsOf(machine);
  expect(after).toEqual([[0x0008], [0x0100, 0x0108]]);
});

test('PCIe 5.0 §6.12.1.1: cards below a switch are apart when every port above them has all services switched on', () => {
  const machine = new RootComplex();
  const [root, up, strict, loose] = [
    port('root-port'),
    port('upstream-port'),
    port('downstream-port'),
    port('downstream-port', 0x1b),
  ];
  machine.bus.plug(8, root);
  root.secondary.plug(0, up);
  up.secondary.plug(0, strict);
  up.secondary.plug(8, loose);
  strict.secondary.plug(0, endpoint());
  loose.secondary.plug(0, endpoint());
  const [before, after] = groupsOf(machine);
  expect(before).toEqual([[0x0008, 0x0100, 0x0200, 0x0208, 0x0300, 0x0400]]);
  // The second port of the switch cannot redirect requests, and goes with what is below it.
  expect(after).toEqual([[0x0008], [0x0100], [0x0200], [0x0208, 0x0400], [0x0300]]);
});
