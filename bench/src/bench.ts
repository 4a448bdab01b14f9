import { mkdirSync, writeFileSync } from 'node:fs';
import { dirname, join, resolve } from 'node:path';
import { performance } from 'node:perf_hooks';
import { Presets, SingleBar } from 'cli-progress';
import type { CasePlan } from './case-plan.js';
import { allCases, selectCases } from './cases.js';
import { type ClaimFigure, formatClaim, measureClaim, selectClaims } from './claims/index.js';
import { COMPARE_TEXT, formatCompare, measureCompare, selectCompare } from './compare-figures.js';
import { peerProblem } from './dpdk-peer.js';
import { formatV86, measureV86, selectV86, V86_TEXT, type V86Figure, v86Problem } from './embed/v86-figures.js';
import type { V86Plan } from './embed/v86-job.js';
import {
  FAILOVER_TEXT,
  type FailoverFigure,
  formatFailover,
  measureFailover,
  selectFailover,
} from './failover/failover-figures.js';
import { formatSummary } from './limits.js';
import { describeMachine, machineLine } from './machine.js';
import { formatMigrate, MIGRATE_TEXT, measureMigrate, selectMigrate } from './migrate/migrate-figures.js';
import { formatShadow, measureShadow, SHADOW_TEXT, selectShadow } from './migrate/shadow-figures.js';
import { formatOffloads, measureOffloads, OFFLOAD_NAMES } from './offload-figures.js';
import type { Options } from './options.js';
import { formatParity, measureParity, PARITY_TEXT, selectParity } from './parity-figures.js';
import { plotHtml, plotSvg } from './plot.js';
import { benchJson, earlierFigures, jsonText } from './report-json.js';
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
  const offloads = OFFLOAD_NAMES.filter((name) => options.filter === undefined || options.filter.test(name));
  const vhost = selectVhost(options);
  const compare = selectCompare(options);
  const parity = selectParity(options);
  const failover = selectFailover(options);
  const migrate = selectMigrate(options);
  const shadow = selectShadow(options);
  const embed = selectV86(options);
  // Cards with SR-IOV have their functions behind an IOMMU.
  const claims = options.iommu === 'off' ? [] : selectClaims(options.filter);
  const named = [...plans, ...vhost, ...compare, ...parity, ...failover, ...migrate, ...shadow, ...embed, ...claims];
  const names = [...named.map(({ name }) => name), ...offloads];
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
  const figures = measureOffloads(options.filter, options.timing);

  const keptJson = join(options.out, 'bench.json');
  const earlier = earlierFigures(keptJson);
  say(formatTable(results, earlier, terminal.paint));
  if (figures.length > 0) say(`── offloads of a network device, in one thread\n${formatOffloads(figures)}\n`);
  const compared = compare.map((plan) => measureCompare(plan, options.quick));
  if (compared.length > 0)
    say(
      `── architectures of network I/O, side by side\n${compared.map(formatCompare).join('\n')}\n${COMPARE_TEXT}\n\n`,
    );
  const paired = parity.map((plan) => measureParity(plan, options.quick));
  if (paired.length > 0)
    say(`── vDPA beside what it is to be as fast as\n${paired.map(formatParity).join('')}${PARITY_TEXT}\n\n`);
  const overs: FailoverFigure[] = [];
  for (const plan of failover) overs.push(await measureFailover(plan, options));
  if (overs.length > 0)
    say(
      `── a device's thread ends, and another one goes on\n${formatFailover(overs)}${wrapText(FAILOVER_TEXT, '· ')}\n\n`,
    );
  const migrations = migrate.map(() => measureMigrate());
  if (migrations.length > 0)
    say(`── a guest moves\n${migrations.map(formatMigrate).join('')}${wrapText(MIGRATE_TEXT, '· ')}\n\n`);
  const shadows = shadow.map((plan) => measureShadow(plan, options.timing));
  if (shadows.length > 0) say(`── a shadow queue\n${formatShadow(shadows)}${wrapText(SHADOW_TEXT, '· ')}\n\n`);
  const embedded = await besideV86(embed, options, say);
  if (claims.length > 0) say('── what is said of cards with SR-IOV, and what is measured\n');
  const measured: ClaimFigure[] = [];
  for (const claim of claims) {
    measured.push(await measureClaim(claim, options.quick));
    say(formatClaim(measured.at(-1)!));
  }
  if (claims.length > 0) say('\n');
  say(`${formatNotes(results, earlier.size > 0)}\n`);
  const beside = peer === undefined ? [] : await besidePeers(peer, vhost, options, say);
  if (noPeer !== undefined) say(`without DPDK: ${noPeer}\n`);
  for (const problem of results.peerProblems) say(`without DPDK, ${problem}\n`);
  say(formatSummary(results));

  const json = benchJson(machine, results, {
    offloads: figures,
    vhost: beside,
    compare: compared,
    parity: paired,
    failover: overs,
    migrate: migrations,
    shadow: shadows,
    embed: embedded,
    claims: measured,
  });
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
  const sound = [...results.cases, ...beside, ...overs, ...migrations, ...shadows, ...embedded];
  const areSound = sound.every(({ problem }) => problem === null);
  return areSound && measured.every(({ holds, isWallTime }) => holds || isWallTime) ? 0 : 1;
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

/** A card in v86 beside v86's own, each figure shown when it is there. */
async function besideV86(
  plans: readonly V86Plan[],
  options: Options,
  say: (text: string) => void,
): Promise<V86Figure[]> {
  if (plans.length === 0) return [];
  say("── a card in v86: ours beside v86's own\n");
  const problem = v86Problem();
  if (problem !== undefined) {
    say(`  embed/v86: left out, because ${problem}\n\n`);
    return [];
  }
  const figures: V86Figure[] = [];
  for (const plan of plans) {
    figures.push(await measureV86(plan, options));
    say(formatV86(figures.at(-1)!));
  }
  say(`${V86_TEXT}\n`);
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
