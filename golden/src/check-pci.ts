import { type BarReport, type ConfigReport, decodeConfigSpace, PCI_ROM, type SriovDetails } from '@ringwire/pci';
import { checkLspci } from './check-lspci.js';
import type { PciFunctionSet } from './load-pci.js';
import type { PciDevice } from './pci-schema.js';
import type { Tally } from './tally.js';

/** Linux's names of resources and their flags, include/linux/ioport.h. */
const RESOURCE = { ROM: 6, VF_BARS: 7, WINDOWS: 13 } as const;
const FLAG = {
  IO: 0x100,
  MEM: 0x200,
  PREFETCH: 0x2000,
  READONLY: 0x4000,
  SIZEALIGN: 0x4_0000,
  MEM_64: 0x10_0000,
} as const;

/** A physical function with VFs, of which some are devices of the set too. */
interface PhysicalFunction {
  readonly name: string;
  readonly routingId: number;
  readonly sriov: SriovDetails;
}

/** Decode every configuration space and compare with what the kernel and lspci made of it. */
export function checkPci(functions: readonly PciFunctionSet[], tally: Tally): void {
  const reports = functions.map(({ bytes }) => decodeConfigSpace(bytes));
  const physical = functions.flatMap(({ expected }, i) => {
    const sriov = detailsOf(reports[i]!, 'sr-iov');
    return sriov === undefined ? [] : [{ name: expected.bdf, routingId: routingIdOf(expected.bdf), sriov }];
  });
  for (const [i, { expected, lspci }] of functions.entries()) {
    const report = reports[i]!;
    tally.functions++;
    for (const { message } of report.problems) tally.differ(`${expected.bdf}: ${message}`);
    checkHeader(expected, report, tally);
    checkResources(expected, report, physical, tally);
    checkSriov(expected, report, tally);
    checkLink(expected, report, tally);
    checkInterrupts(expected, report, tally);
    checkLspci(expected, report, lspci, tally);
  }
  checkVirtualFunctions(functions, physical, tally);
}

type Details<Kind> = Extract<
  ConfigReport['capabilities'][number]['details'] | ConfigReport['extended'][number]['details'],
  { readonly kind: Kind }
>;

/** The details of the first capability of a kind. */
function detailsOf<Kind extends string>(report: ConfigReport, kind: Kind): Details<Kind> | undefined {
  const all = [...report.capabilities, ...report.extended].map(({ details }) => details);
  return all.find((details): details is Details<Kind> & typeof details => details.kind === kind);
}

/** Bus, device and function in one number: `0000:01:10.2` is 0x182. */
function routingIdOf(bdf: string): number {
  const [bus, device, fn] = bdf.slice('0000:'.length).split(/[:.]/) as [string, string, string];
  return (Number.parseInt(bus, 16) << 8) | (Number.parseInt(device, 16) << 3) | Number(fn);
}

const hex = (value: number | bigint, digits = 0): string => value.toString(16).padStart(digits, '0');

function checkHeader(expected: PciDevice, { header }: ConfigReport, tally: Tally): void {
  const name = expected.bdf;
  tally.equal(`${name} class`, hex(header.classCode), hex(expected.class));
  tally.equal(`${name} revision`, header.revisionId, expected.revision);
  const found =
    /\[([0-9a-f]{4})\]: .*\[([0-9a-f]{4}:[0-9a-f]{4})\](?: \(rev ([0-9a-f]{2})\))?(?: \(prog-if ([0-9a-f]{2}))?/.exec(
      expected.lspci_first_line,
    );
  const ids = `${hex(header.vendorId, 4)}:${hex(header.deviceId, 4)}`;
  tally.equal(`${name} vendor and device id`, ids, found?.[2] ?? expected.lspci_first_line);
  tally.equal(`${name} class in lspci`, hex(header.classCode >>> 8, 4), found?.[1] ?? '');
  tally.equal(`${name} revision in lspci`, hex(header.revisionId, 2), found?.[3] ?? '00');
  tally.equal(`${name} programming interface in lspci`, hex(header.classCode & 0xff, 2), found?.[4] ?? '00');
}

/** The kernel's view of each address that the space holds: where it begins, and what it is. */
function checkResources(
  expected: PciDevice,
  report: ConfigReport,
  physical: readonly PhysicalFunction[],
  tally: Tally,
): void {
  const ours = new Map<number, readonly [bigint, number]>();
  for (const bar of report.bars) ours.set(bar.index, [bar.address, barFlags(bar)]);
  const { rom } = report;
  if (rom !== undefined && rom.address !== 0) {
    const flags = FLAG.SIZEALIGN | FLAG.READONLY | FLAG.PREFETCH | FLAG.MEM;
    ours.set(RESOURCE.ROM, [BigInt(rom.address), flags | (rom.enabled ? PCI_ROM.ENABLE : 0)]);
  }
  for (const bar of detailsOf(report, 'sr-iov')?.vfBars ?? [])
    ours.set(RESOURCE.VF_BARS + bar.index, [bar.address, barFlags(bar)]);
  for (const { kind, base, limit, flags } of report.windows) {
    const index = RESOURCE.WINDOWS + ['io', 'memory', 'prefetchable'].indexOf(kind);
    const own =
      kind === 'io'
        ? FLAG.IO
        : kind === 'memory'
          ? FLAG.MEM
          : FLAG.MEM | FLAG.PREFETCH | (flags === 1 ? FLAG.MEM_64 : 0) | flags;
    ours.set(index, [base, own]);
    tally.equal(`${expected.bdf} end of resource ${index}`, hex(limit), hex(expected.resource[index]?.[1] ?? 0n));
  }
  const own = routingIdOf(expected.bdf);
  for (const [bar, placed] of virtualBars(own, expected, physical)) ours.set(bar.index, [placed, barFlags(bar)]);
  for (const [index, [start, , flags]] of expected.resource.entries()) {
    const [address, kind] = ours.get(index) ?? [0n, 0];
    const text = `${hex(start)} flags ${hex(flags)}`;
    tally.equal(`${expected.bdf} resource ${index}`, `${hex(address)} flags ${hex(kind)}`, text);
    if (flags !== 0) tally.resources++;
  }
}

const barFlags = ({ space, prefetchable, flags }: BarReport): number =>
  FLAG.SIZEALIGN |
  flags |
  (space === 'io' ? FLAG.IO : FLAG.MEM) |
  (space === 'memory64' ? FLAG.MEM_64 : 0) |
  (prefetchable ? FLAG.PREFETCH : 0);

/** PCIe 5.0 §9.3.3.14: VF i has its BAR at the PF's VF BAR and i times the size, its own registers are 0. */
function virtualBars(
  routingId: number,
  expected: PciDevice,
  physical: readonly PhysicalFunction[],
): (readonly [BarReport, bigint])[] {
  for (const { routingId: pf, sriov } of physical) {
    const i = (routingId - pf - sriov.firstVfOffset) / sriov.vfStride;
    if (!sriov.enabled || !Number.isInteger(i) || i < 0 || i >= sriov.numVfs) continue;
    return sriov.vfBars.map((bar) => {
      const [start, end] = expected.resource[bar.index]!;
      return [bar, bar.address + BigInt(i) * (end - start + 1n)];
    });
  }
  return [];
}

/** Every VF that a PF says it has is a device of the set. */
function checkVirtualFunctions(
  functions: readonly PciFunctionSet[],
  physical: readonly PhysicalFunction[],
  tally: Tally,
): void {
  const present = new Set(functions.map(({ expected }) => routingIdOf(expected.bdf)));
  for (const { name, routingId, sriov } of physical) {
    for (let i = 0; sriov.enabled && i < sriov.numVfs; i++) {
      const id = routingId + sriov.firstVfOffset + i * sriov.vfStride;
      if (!present.has(id)) tally.differ(`${name}: VF ${i} would be routing id 0x${hex(id)}, which is not there`);
    }
  }
}

function checkSriov(expected: PciDevice, report: ConfigReport, tally: Tally): void {
  const sriov = detailsOf(report, 'sr-iov');
  const { sriov_totalvfs: total } = expected;
  tally.equal(`${expected.bdf} has SR-IOV`, `${sriov !== undefined}`, `${total !== undefined}`);
  if (sriov === undefined || total === undefined) return;
  tally.equal(`${expected.bdf} NumVFs`, sriov.enabled ? sriov.numVfs : 0, expected.sriov_numvfs ?? -1);
  tally.equal(`${expected.bdf} First VF Offset`, sriov.firstVfOffset, expected.sriov_offset ?? -1);
  tally.equal(`${expected.bdf} VF Stride`, sriov.vfStride, expected.sriov_stride ?? -1);
  tally.equal(`${expected.bdf} VF Device ID`, hex(sriov.vfDeviceId), expected.sriov_vf_device ?? '');
  // A driver may offer fewer than the function has.
  if (total > sriov.totalVfs) tally.differ(`${expected.bdf} TotalVFs is ${sriov.totalVfs}, the oracle says ${total}`);
}

const SPEEDS = ['Unknown', '2.5 GT/s PCIe', '5.0 GT/s PCIe', '8.0 GT/s PCIe', '16.0 GT/s PCIe', '32.0 GT/s PCIe'];

function checkLink(expected: PciDevice, report: ConfigReport, tally: Tally): void {
  const express = detailsOf(report, 'pci-express');
  tally.equal(`${expected.bdf} has a link`, `${express !== undefined}`, `${expected.max_link_speed !== undefined}`);
  if (express === undefined) return;
  // The kernel says 255 where there is no link at all.
  const { most, now } = express.link ?? { most: { speed: 0, width: 255 }, now: { speed: 0, width: 0 } };
  tally.equal(`${expected.bdf} largest link speed`, SPEEDS[most.speed] ?? '', expected.max_link_speed ?? '');
  tally.equal(`${expected.bdf} largest link width`, `${most.width}`, expected.max_link_width ?? '');
  tally.equal(`${expected.bdf} link speed`, SPEEDS[now.speed] ?? '', expected.current_link_speed ?? '');
  tally.equal(`${expected.bdf} link width`, `${now.width}`, expected.current_link_width ?? '');
}

/** A driver has message interrupts when one of the two capabilities is on, and no more than that has vectors. */
function checkInterrupts({ bdf, msi_irqs: irqs }: PciDevice, report: ConfigReport, tally: Tally): void {
  const msix = detailsOf(report, 'msi-x');
  const msi = detailsOf(report, 'msi');
  const most = msix?.enabled === true ? msix.vectors : msi?.enabled === true ? msi.allocated : 0;
  if (irqs > most || (most > 0 && irqs === 0)) tally.differ(`${bdf} may use ${most} messages, the oracle says ${irqs}`);
}
