import { nameOf, PCI_CAP_ID, PCI_EXT_CAP_ID } from './capability-ids.js';
import { PCI_CAP, PCI_EXT_CAP } from './capability-layouts.js';
import { PCI_CONFIG_SIZE, PCI_HEADER, PCI_STATUS } from './config-header.js';
import { ConfigReader } from './config-reader.js';
import { type CapabilityDetails, decodeCapability } from './decode-capability.js';
import { decodeExtended, type ExtendedDetails } from './decode-extended.js';
import {
  type BarReport,
  barCount,
  decodeBars,
  decodeHeader,
  decodeRom,
  type HeaderReport,
  type RomReport,
} from './decode-header.js';
import { decodeWindows, type WindowReport } from './decode-windows.js';

/** One capability of the list, decoded (PCIe 5.0 §7.5.1.1.11). */
export interface CapabilityReport {
  readonly at: number;
  readonly id: number;
  /** Its name in `PCI_CAP_ID`, or undefined. */
  readonly name: keyof typeof PCI_CAP_ID | undefined;
  readonly next: number;
  readonly details: CapabilityDetails;
}

/** One extended capability of the list, decoded (PCIe 5.0 §7.6.3). */
export interface ExtendedReport {
  readonly at: number;
  readonly id: number;
  /** Its name in `PCI_EXT_CAP_ID`, or undefined. */
  readonly name: keyof typeof PCI_EXT_CAP_ID | undefined;
  readonly version: number;
  readonly next: number;
  readonly details: ExtendedDetails;
}

/** Something in a configuration space that can not be right. */
export interface ConfigProblem {
  readonly at: number;
  readonly message: string;
}

/** What a configuration space says. */
export interface ConfigReport {
  readonly size: number;
  readonly header: HeaderReport;
  readonly bars: readonly BarReport[];
  readonly rom: RomReport | undefined;
  /** Of a bridge: what it passes on, those that are open. */
  readonly windows: readonly WindowReport[];
  readonly capabilities: readonly CapabilityReport[];
  readonly extended: readonly ExtendedReport[];
  readonly problems: readonly ConfigProblem[];
}

const hex = (value: number): string => `0x${value.toString(16)}`;

/**
 * Decode a configuration space, of whatever device: nothing in it makes this throw, loop or look past its end.
 * @param bytes 64, 256 or 4096 of them; what others lack is taken as 0, and told
 */
export function decodeConfigSpace(bytes: Uint8Array): ConfigReport {
  const space = new ConfigReader(bytes);
  const problems: ConfigProblem[] = [];
  if (!space.has(0, PCI_HEADER.HEADER_END))
    problems.push({
      at: space.size,
      message: `a header needs ${PCI_HEADER.HEADER_END} bytes, there are ${space.size}`,
    });
  const header = decodeHeader(space);
  if (header.layout > 1) problems.push({ at: PCI_HEADER.HEADER_TYPE, message: `header layout ${header.layout}` });
  return {
    size: space.size,
    header,
    bars: decodeBars(space, PCI_HEADER.BASE_ADDRESS, barCount(header.layout)),
    rom: decodeRom(space, header.layout),
    windows: header.layout === 1 ? decodeWindows(space) : [],
    capabilities: walkCapabilities(new ConfigReader(bytes.subarray(0, PCI_CONFIG_SIZE)), header, problems),
    extended: walkExtended(space, problems),
    problems,
  };
}

/** PCIe 5.0 §7.5.1.1.11: the two low bits of pointers are reserved. */
function walkCapabilities(space: ConfigReader, header: HeaderReport, problems: ConfigProblem[]): CapabilityReport[] {
  const found: CapabilityReport[] = [];
  if ((header.status & PCI_STATUS.CAPABILITIES_LIST) === 0 || header.layout > 1) return found;
  const seen = new Set<number>();
  let from: number = PCI_HEADER.CAPABILITIES_POINTER;
  for (let at = space.u8(from) & 0xfc; at !== 0; ) {
    if (!reachable(space, seen, from, at, PCI_HEADER.HEADER_END, PCI_CAP.SIZE, problems)) break;
    const id = space.u8(at + PCI_CAP.ID);
    const next = space.u8(at + PCI_CAP.NEXT) & 0xfc;
    const details = decodeCapability(space, header, id, at);
    if (details === undefined) problems.push(pastEnd(at, id));
    found.push({ at, id, name: nameOf(PCI_CAP_ID, id), next, details: details ?? { kind: 'other' } });
    from = at + PCI_CAP.NEXT;
    at = next;
  }
  return found;
}

/** PCIe 5.0 §7.6.3: the first header is at 0x100; 0, and where nothing answers all ones, mean that there is none. */
function walkExtended(space: ConfigReader, problems: ConfigProblem[]): ExtendedReport[] {
  const found: ExtendedReport[] = [];
  const seen = new Set<number>();
  const first = space.u32(PCI_CONFIG_SIZE);
  if (first === 0 || first === 0xffff_ffff) return found;
  let from: number = PCI_CONFIG_SIZE;
  for (let at: number = PCI_CONFIG_SIZE; at !== 0; ) {
    if (!reachable(space, seen, from, at, PCI_CONFIG_SIZE, PCI_EXT_CAP.SIZE, problems)) break;
    const header = space.u32(at);
    const id = header & 0xffff;
    const version = (header >>> PCI_EXT_CAP.VERSION_SHIFT) & 0xf;
    const next = (header >>> PCI_EXT_CAP.NEXT_SHIFT) & 0xffc;
    const details = decodeExtended(space, id, at);
    if (details === undefined) problems.push(pastEnd(at, id));
    found.push({ at, id, name: nameOf(PCI_EXT_CAP_ID, id), version, next, details: details ?? { kind: 'other' } });
    from = at;
    at = next;
  }
  return found;
}

const pastEnd = (at: number, id: number): ConfigProblem => ({
  at,
  message: `capability ${hex(id)} at ${hex(at)} goes past the end`,
});

/** Each place is visited once, so that a chain is no longer than the space. */
function reachable(
  space: ConfigReader,
  seen: Set<number>,
  from: number,
  at: number,
  start: number,
  size: number,
  problems: ConfigProblem[],
): boolean {
  const wrong = seen.has(at)
    ? 'which was visited before'
    : at < start
      ? `which is below ${hex(start)}`
      : space.has(at, size)
        ? ''
        : 'past the end';
  seen.add(at);
  if (wrong !== '') problems.push({ at: from, message: `the chain leads from ${hex(from)} to ${hex(at)}, ${wrong}` });
  return wrong === '';
}
