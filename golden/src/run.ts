import { relative } from 'node:path';
import { parseArgs } from 'node:util';
import { checkSet, type SetResult } from './check-set.js';
import { findSets } from './find-sets.js';
import type { Tally } from './tally.js';

const HELP = `Usage: pnpm golden [DIR...] [--json]

Decode the rings and PCI configuration spaces and walk the VT-d tables of every set (a folder with expected.json) below
the folders, by default golden/sets, and compare with what other implementations made of them: see golden/sets/README.md.

Exit code: 0 all sets agree, 1 some disagree or are damaged, 2 nothing could be checked.
`;

export interface Output {
  readonly out: (text: string) => void;
  readonly err: (text: string) => void;
}

interface NamedResult {
  readonly name: string;
  readonly result: SetResult;
}

/** @returns the exit code */
export function run(args: readonly string[], defaultRoot: string, { out, err }: Output): 0 | 1 | 2 {
  const parsed = parse(args);
  if ('problem' in parsed) {
    err(`golden: ${parsed.problem}\n`);
    return 2;
  }
  if (parsed.help) {
    out(HELP);
    return 0;
  }
  const results: NamedResult[] = [];
  for (const root of parsed.roots.length === 0 ? [defaultRoot] : parsed.roots) {
    const folders = foldersBelow(root);
    if (typeof folders === 'string') {
      err(`golden: ${folders}\n`);
      return 2;
    }
    for (const folder of folders) {
      const named = { name: relative(root, folder) || folder, result: checkSet(folder) };
      results.push(named);
      if (!parsed.json) out(`${setText(named)}\n`);
    }
  }
  const total = countOutcomes(results);
  out(parsed.json ? `${JSON.stringify({ total, sets: results.map(setJson) }, null, 2)}\n` : `\n${totalText(total)}\n`);
  return total.disagree + total.damaged > 0 ? 1 : 0;
}

function parse(args: readonly string[]): { roots: string[]; json: boolean; help: boolean } | { problem: string } {
  try {
    const { values, positionals } = parseArgs({
      args: args.filter((arg) => arg !== '--'),
      allowPositionals: true,
      options: { json: { type: 'boolean' }, help: { type: 'boolean', short: 'h' } },
    });
    return { roots: positionals, json: values.json === true, help: values.help === true };
  } catch (error) {
    return { problem: error instanceof Error ? error.message : String(error) };
  }
}

function foldersBelow(root: string): string[] | string {
  try {
    const folders = findSets(root);
    return folders.length > 0 ? folders : `${root}: no expected.json in it or below`;
  } catch (error) {
    return `${root}: ${(error as NodeJS.ErrnoException).code ?? error}`;
  }
}

interface Total {
  readonly sets: number;
  readonly agree: number;
  readonly disagree: number;
  readonly damaged: number;
}

function countOutcomes(results: readonly NamedResult[]): Total {
  const count = (outcome: SetResult['outcome']): number =>
    results.filter(({ result }) => result.outcome === outcome).length;
  return {
    sets: results.length,
    agree: count('agree'),
    disagree: count('disagree'),
    damaged: count('damaged'),
  };
}

function setText({ name, result }: NamedResult): string {
  if (result.outcome === 'damaged') return `DISAGREE     ${name}: damaged set: ${result.reason}`;
  const { tally, outcome } = result;
  if (outcome === 'agree') {
    const checks = [
      ...pciTexts(tally),
      ...(tally.tables === undefined ? [] : [tablesText(tally.tables)]),
      ...ringTexts(tally),
    ];
    return `agree        ${name}: ${checks.join('; behind them ')}`;
  }
  const shown = tally.differences.slice(0, 5);
  const more = tally.differences.length - shown.length + tally.omitted;
  const lines = more > 0 ? [...shown, `and ${more} more`] : shown;
  return `DISAGREE     ${name}\n${lines.map((line) => `               ${line}`).join('\n')}`;
}

function tablesText(compared: Readonly<Record<string, number>>): string {
  const { probes = 0, mutations = 0, vfio_maps: vfio = 0, live_translations: live = 0 } = compared;
  const { 'kernel_maps.live': mapped = 0, 'kernel_maps.unmapped_before': unmapped = 0 } = compared;
  return [
    `${probes} probes`,
    `${mutations} mutations`,
    `${mapped + vfio} mappings`,
    `${unmapped} unmapped accesses`,
    `${live} live translations`,
  ].join(', ');
}

/** Nothing when the set has no PCI functions. */
function pciTexts({ functions, resources, capabilities, lines }: Tally): string[] {
  if (functions === 0) return [];
  return [`${functions} functions, ${resources} resources, ${capabilities} capabilities, ${lines} lines of lspci`];
}

/** Nothing when the set has no rings. */
function ringTexts(tally: Tally): string[] {
  if (tally.queues === 0) return [];
  const likely = tally.likely === 0 ? '' : `, ${tally.likely - tally.likelyWrong} of ${tally.likely} likely ones right`;
  const checks = [
    `${tally.queues} queues`,
    `${tally.elements} elements`,
    ...(tally.tables === undefined ? [] : [`${tally.reached} pages reached`]),
    `${tally.framesOut} frames out${tally.bytesNotSaved === 0 ? '' : ` (${tally.bytesNotSaved} bytes not saved)`}`,
    `${tally.placements} placements`,
    `${tally.returned} returned`,
    `our device: ${tally.deviceFrames} frames out, ${tally.deviceBytes} bytes changed of ${tally.deviceBytesCompared}`,
    `positions from bytes: ${tally.certain} certain${likely}`,
    ...(tally.knownFaults === 0 ? [] : [`${tally.knownFaults} known faults of the driver`]),
  ];
  return [checks.join(', ')];
}

const setJson = ({ name, result }: NamedResult): unknown =>
  result.outcome === 'damaged' ? { name, ...result } : { name, outcome: result.outcome, ...result.tally };

function totalText({ sets, agree, disagree, damaged }: Total): string {
  return `${sets} set${sets === 1 ? '' : 's'}: ${agree} agree, ${disagree + damaged} disagree${damaged > 0 ? ` (${damaged} damaged)` : ''}`;
}
