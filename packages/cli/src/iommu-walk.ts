import { ACCESS } from '@ringwire/guest-memory';
import { explainWalk, listMappings, NO_PASID, type VtdExplanation, type VtdMapping } from '@ringwire/iommu';
import type { Command } from 'commander';
import { mappingsJson, mappingsText, type Question, walkJson, walkText } from './iommu-report.js';
import { accessKind, address, addressWidth, faultCodes, pasid, sourceId } from './option-values.js';
import { type ExitCode, type Terminal, UnusableInput } from './terminal.js';
import { readVtdDump, type VtdDump, type VtdDumpOptions } from './vtd-dump.js';

interface WalkOptions extends VtdDumpOptions {
  readonly sourceId: number;
  readonly iova?: bigint;
  readonly access?: 'read' | 'write';
  readonly pasid?: number;
  readonly all?: true;
  readonly json?: true;
}

const EXAMPLES = `
Examples:
  Where a device's write goes, table by table, in a saved image (pages.json, pages.bin, registers in expected.json):
    ringwire iommu walk golden/sets/vtd-legacy-aw39-split --source-id 00:03.0 --iova 0xffffd240 --access write

  Everything that a device can reach, in a raw dump of all of RAM (QEMU: pmemsave 0 0x8000000 ram.bin):
    ringwire iommu walk ram.bin --registers registers.json --source-id 0x18 --all

A file of registers holds an object such as
  { "RTADDR": { "offset": "0x20", "size": 8, "value": "0x5dae000" }, ... }
with CAP, ECAP, GSTS and RTADDR at least.

Exit code: 0 translated, 1 fault or blocked, 2 the input cannot be used.
`;

/** `ringwire iommu walk`: one translation of a VT-d unit in a memory dump, or all of a device. */
export function addIommuWalk(program: Command, terminal: Terminal, done: (code: ExitCode) => void): void {
  program
    .command('iommu')
    .description('VT-d tables in a memory dump.')
    .command('walk')
    .summary('walk the tables for one address of a device, or list all that it can reach')
    .description(
      'Translate one address of a device through the VT-d tables in a memory dump: each entry with its bits, and the physical address or the fault.',
    )
    .argument(
      '<dump>',
      'folder with pages.json, pages.bin and expected.json, one of the JSON files, or a raw dump of memory',
    )
    .requiredOption('--source-id <id>', 'the device: a number, or bus:device.function', sourceId)
    .option('--iova <address>', 'the address that the device uses', address)
    .option('--access <read|write>', 'what it does there (default: read)', accessKind)
    .option('--pasid <n>', 'PASID of the request (default: none)', pasid)
    .option('--all', 'list all mappings of the device instead')
    .option('--registers <file>', 'JSON of the registers (default: those in expected.json)')
    .option('--base <address>', 'guest address of the first byte of a raw dump (default: 0)', address)
    .option(
      '--address-width <bits>',
      'bits of a physical address (default: as expected.json says, else as CAP.MGAW)',
      addressWidth,
    )
    .option(
      '--fault-codes <specification|qemu>',
      'whose fault codes to report; they differ in scalable mode (default: of what was captured)',
      faultCodes,
    )
    .option('--json', 'print the report as JSON')
    .addHelpText('after', EXAMPLES)
    .action((path: string, options: WalkOptions) => done(walk(path, options, terminal)));
}

function walk(path: string, options: WalkOptions, terminal: Terminal): ExitCode {
  const { iova, all } = options;
  if ((iova === undefined) === (all === undefined))
    throw new UnusableInput(`want one of --iova and --all, got ${all === true ? 'both' : 'neither'}`);
  if (all === true && options.access !== undefined) throw new UnusableInput('--access goes with --iova');
  const dump = readVtdDump(path, options);
  const question: Question = {
    sourceId: options.sourceId,
    pasid: options.pasid ?? NO_PASID,
    iova: iova ?? 0n,
    access: options.access ?? 'read',
  };
  return iova === undefined
    ? listAll(dump, question, options.json === true, terminal)
    : walkOne(dump, question, options.json === true, terminal);
}

function walkOne(dump: VtdDump, question: Question, json: boolean, terminal: Terminal): ExitCode {
  const explanation = explain(dump, question);
  terminal.out(json ? walkJson(dump, question, explanation) : walkText(dump, question, explanation, terminal.color));
  return explanation.physical === undefined ? 1 : 0;
}

const EXACT = 1n << 53n;

/** Of an address past 2^53 only the page is asked for, which is an exact number. */
function explain({ unit }: VtdDump, { sourceId, pasid, iova, access }: Question): VtdExplanation {
  const at = Number(iova < EXACT ? iova : iova & ~0xfffn);
  return explainWalk(unit, sourceId, pasid, at, access === 'read' ? ACCESS.READ : ACCESS.WRITE);
}

function listAll(dump: VtdDump, question: Question, json: boolean, terminal: Terminal): ExitCode {
  const explanation = explain(dump, question);
  // Refused before any table of pages: the whole device, and not this address, has no translation.
  const refused = explanation.physical === undefined && explanation.steps.every(({ level }) => level === 0);
  const mappings: VtdMapping[] = [];
  const list = listMappings(dump.unit, question.sourceId, { pasid: question.pasid });
  let next = list.next();
  for (; next.done !== true; next = list.next()) mappings.push(next.value);
  const found = { mappings, complete: next.value, refusal: refused ? explanation : undefined };
  terminal.out(json ? mappingsJson(dump, question, found) : mappingsText(dump, question, found, terminal.color));
  return refused ? 1 : 0;
}
