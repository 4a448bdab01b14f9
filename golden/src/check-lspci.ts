import type { ConfigReport } from '@ringwire/pci';
import { capabilityLines, extendedLines, headerLines } from './lspci-lines.js';
import type { PciDevice } from './pci-schema.js';
import type { Tally } from './tally.js';

/** Lines of the header that ours are all of. */
const HEADER = /^(Control|Status|Interrupt|Region \d|Bus|Expansion ROM)\b/;
const CAPABILITY = /^\tCapabilities: \[([0-9a-f]+)(?: v(\d+))?\] (.*)$/;

interface Section {
  readonly offset: number;
  readonly version: number | undefined;
  /** The capability's own line, and those under it. */
  readonly lines: string[];
}

/** Names of vendors and devices are lspci's own; the ids behind them are not. */
const withoutNames = (line: string): string => line.replace(/^Subsystem: .*\[/, 'Subsystem: [');

/** Compare what lspci printed of a function with what it would print of ours. */
export function checkLspci(expected: PciDevice, report: ConfigReport, lines: readonly string[], tally: Tally): void {
  const { bdf } = expected;
  const first = lines.findIndex((line) => CAPABILITY.test(line));
  const theirs = lines.slice(1, first < 0 ? lines.length : first).map((line) => line.trim());
  tally.equal(`${bdf} first line`, expected.lspci_first_line, lines[0]!);
  compareLines(
    `${bdf} header`,
    headerLines(report),
    theirs.filter((line) => HEADER.test(line)),
    tally,
  );
  checkSubsystem(expected, report, theirs, tally);
  const sections = first < 0 ? [] : sectionsOf(lines.slice(first));
  checkList(expected, sections, tally);
  const ours = [
    ...report.capabilities.map((capability) => ({
      offset: capability.at,
      version: undefined,
      lines: capabilityLines(capability),
    })),
    ...report.extended.map((capability) => ({
      offset: capability.at,
      version: capability.version,
      lines: extendedLines(capability),
    })),
  ];
  tally.equal(`${bdf} capabilities`, ours.map(placeText).join(' '), sections.map(placeText).join(' '));
  for (const [i, { offset, lines: own }] of ours.entries()) {
    const section = sections[i];
    if (section?.offset !== offset) return;
    const found = section.lines.map(withoutNames);
    tally.capabilities++;
    // The capability's own line is the first; lspci has more of the others than we decode.
    const missing = own.filter((line, at) => !(at === 0 ? found.slice(0, 1) : found).some((one) => matches(line, one)));
    for (const line of missing)
      tally.differ(
        `${bdf} capability ${placeText(section)} would have "${line}", the oracle says "${nearest(line, found)}"`,
      );
    tally.lines += own.length - missing.length;
  }
}

const placeText = ({ offset, version }: Pick<Section, 'offset' | 'version'>): string =>
  `0x${offset.toString(16)}${version === undefined ? '' : ` v${version}`}`;

const matches = (ours: string, theirs: string): boolean =>
  ours.endsWith('…') ? theirs.startsWith(ours.slice(0, -1)) : ours === theirs;

/** The line that ours was probably meant to be: it begins with the same word. */
const nearest = (line: string, lines: readonly string[]): string =>
  lines.find((one) => one.split(/[\s:=]/)[0] === line.split(/[\s:=]/)[0]) ?? lines[0] ?? '';

function compareLines(what: string, ours: readonly string[], theirs: readonly string[], tally: Tally): void {
  for (let i = 0; i < Math.max(ours.length, theirs.length); i++) {
    const [own = 'nothing', other = 'nothing'] = [ours[i], theirs[i]];
    if (matches(own, other)) tally.lines++;
    else tally.differ(`${what} would have "${own}", the oracle says "${other}"`);
  }
}

function checkSubsystem({ bdf }: PciDevice, { header }: ConfigReport, theirs: readonly string[], tally: Tally): void {
  const line = theirs.find((one) => one.startsWith('Subsystem: '));
  if (header.subsystem === undefined || (line === undefined && header.subsystem.vendorId === 0)) return;
  const { vendorId, id } = header.subsystem;
  const ours = `Subsystem: [${vendorId.toString(16).padStart(4, '0')}:${id.toString(16).padStart(4, '0')}]`;
  if (tally.equal(`${bdf} subsystem`, ours, withoutNames(line ?? 'nothing'))) tally.lines++;
}

function sectionsOf(lines: readonly string[]): Section[] {
  const sections: Section[] = [];
  for (const line of lines) {
    const found = CAPABILITY.exec(line);
    if (found === null) {
      sections.at(-1)?.lines.push(line.trim());
      continue;
    }
    const [, offset, version, text] = found;
    sections.push({
      offset: Number.parseInt(offset!, 16),
      version: version === undefined ? undefined : Number(version),
      lines: [text!],
    });
  }
  return sections;
}

/** expected.json has the capabilities' own lines too. */
function checkList({ bdf, lspci_capabilities: list }: PciDevice, sections: readonly Section[], tally: Tally): void {
  const listText = list.map((one) => `${placeText({ offset: one.offset, version: one.version })} ${one.text}`);
  const sectionText = sections.map((one) => `${placeText(one)} ${one.lines[0]}`);
  tally.equal(`${bdf} list of capabilities`, sectionText.join(', '), listText.join(', '));
}
