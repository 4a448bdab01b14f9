import { mkdirSync, writeFileSync } from 'node:fs';
import { dirname, join, resolve } from 'node:path';
import { performance } from 'node:perf_hooks';
import { Presets, SingleBar } from 'cli-progress';
import type { CasePlan } from './case-plan.js';
import { allCases, selectCases } from './cases.js';
import { peerProblem } from './dpdk-peer.js';
import { furtherKinds, type Measured } from './further-figures.js';
import { formatSummary } from './limits.js';
import { describeMachine, machineLine } from './machine.js';
import type { Options } from './options.js';
import { plotHtml, plotSvg } from './plot.js';
import { benchJson, earlierFigures, type FurtherFigures, jsonText } from './report-json.js';
import { formatNotes, formatTable, type Paint } from './report-table.js';
import { peerName, runCases } from './run-cases.js';
import { formatVhost, measureVhost, selectVhost, VHOST_TEXT, type VhostFigure } from './vhost-figures.js';
import type { VhostPlan } from './vhost-runs.js';
import { wrapText } from './wrap-text.js';

/** Where the bench talks to. */
export interface Terminal {
  readonly out: (text: string) => void;
  readonly err: (text: string) => void;
  readonly paint: Paint;
}

/** Run what the options ask for. @returns the exit code */
export async function bench(options: Options, terminal: Terminal): Promise<number> {
  const plans = selectCases(allCases(options.iommu, options.quick), options.filter);
  const vhost = selectVhost(options);
  const kinds = furtherKinds(options);
  const names = [...[...plans, ...vhost].map(({ name }) => name), ...kinds.flatMap(({ names }) => names)];
  if (options.list) {
    terminal.out(names.map((name) => `${name}\n`).join(''));
    return 0;
  }
  if (names.length === 0) {
    terminal.err(`bench: no case is called like ${options.filter}; --list prints their names\n`);
    return 2;
  }
  const jsonOnStdout = options.json === '-';
  const say = jsonOnStdout ? terminal.err : terminal.out;
  const machine = describeMachine();
  const { warmSeconds, seconds, repeats } = options.timing;
  say(
    `ringwire bench · ${machineLine(machine)}\n` +
      `${names.length} cases, median of ${repeats} rounds of ${seconds} s behind ${warmSeconds} s of warm-up\n\n`,
  );
  const wantsPeer = options.peer && (vhost.length > 0 || plans.some((plan) => peerName(plan) !== undefined));
  const noPeer = wantsPeer ? peerProblem(machine) : undefined;
  const peer = wantsPeer && noPeer === undefined ? (machine.dpdk ?? undefined) : undefined;

  const before = performance.now();
  const progress = progressBar(plans.length);
  const results = await runCases(plans, options, peer, progress.step);
  progress.stop();

  const keptJson = join(options.out, 'bench.json');
  const earlier = earlierFigures(keptJson);
  say(formatTable(results, earlier, terminal.paint));
  const further: Measured[] = [];
  for (const kind of kinds) further.push(await kind.measure(say));
  say(`${formatNotes(results, earlier.size > 0)}\n`);
  const beside = peer === undefined ? [] : await besidePeers(peer, vhost, options, say);
  if (noPeer !== undefined) say(`without DPDK: ${noPeer}\n`);
  for (const problem of results.peerProblems) say(`without DPDK, ${problem}\n`);
  say(formatSummary(results));

  const figures: Partial<FurtherFigures> = Object.assign({ vhost: beside }, ...further.map(({ json }) => json));
  const json = benchJson(machine, results, figures);
  const svg = plotSvg(json);
  const files: [string, string][] = [
    [keptJson, jsonText(json)],
    [join(options.out, 'bench.svg'), svg],
    [join(options.out, 'bench.html'), plotHtml(json, svg)],
  ];
  if (options.json !== undefined && !jsonOnStdout) files.push([options.json, jsonText(json)]);
  if (options.svg !== undefined) files.push([options.svg, svg]);
  for (const [file, text] of files) write(file, text);
  if (jsonOnStdout) terminal.out(jsonText(json));
  say(`${((performance.now() - before) / 1000).toFixed(0)} s; written: ${files.map(([file]) => file).join(', ')}\n`);
  const areSound = [...results.cases, ...beside].every(({ problem }) => problem === null);
  return areSound && further.every(({ isSound }) => isSound) ? 0 : 1;
}

/** vhost-user beside DPDK's, each figure shown when it is there. */
async function besidePeers(
  peer: string,
  plans: readonly VhostPlan[],
  options: Options,
  say: (text: string) => void,
): Promise<VhostFigure[]> {
  const figures: VhostFigure[] = [];
  if (plans.length > 0) say("── a stock driver over vhost-user: our back-end beside DPDK's\n");
  for (const plan of plans) {
    const figure = await measureVhost(peer, plan, options);
    if (typeof figure === 'string') say(`  ${plan.name}: none, ${figure}\n`);
    else {
      figures.push(figure);
      say(formatVhost(figure));
    }
  }
  if (figures.length > 0) say(`${wrapText(VHOST_TEXT, '· ')}\n`);
  return figures;
}

function write(file: string, text: string): void {
  mkdirSync(dirname(resolve(file)), { recursive: true });
  writeFileSync(file, text);
}

/** On stderr, and only on a terminal. It moves between cases: while one runs, this thread sleeps. */
function progressBar(total: number): { step: (plan: CasePlan, done: number) => void; stop: () => void } {
  const bar = new SingleBar(
    { format: '{bar} {value}/{total} {name}', clearOnComplete: true, stream: process.stderr },
    Presets.shades_classic,
  );
  let started = false;
  return {
    step: ({ name }, done) => {
      if (!started) bar.start(total, done, { name });
      else bar.update(done, { name });
      started = true;
    },
    stop: () => bar.stop(),
  };
}
