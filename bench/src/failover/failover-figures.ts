import type { Layout } from '../case-plan.js';
import type { FrameFaults } from '../frame-check.js';
import { CaseFailure } from '../measure.js';
import type { Options } from '../options.js';
import { DISTURBED } from '../run-cases.js';
import { digits, median, percentile, spreadPercent } from '../statistics.js';
import type { FailoverReport } from './failover-job.js';
import { type FailoverRun, runPlain, runProtected } from './failover-run.js';

/** Threads that are ended in a case. */
const KILLS = 200;
const LAYOUTS: readonly Layout[] = ['split', 'packed'];

/** A thread that is ended again and again, or what protection costs while none is. */
export interface FailoverPlan {
  /** Such as `failover/split`, `failover/cost/split`. */
  readonly name: string;
  readonly kind: 'gap' | 'cost';
  readonly layout: Layout;
}

/** Pauses in ms. */
export interface Pauses {
  readonly count: number;
  readonly p50: number;
  readonly p99: number;
  readonly max: number;
}

interface FailoverChecks {
  readonly name: string;
  /** Frames of both directions, and of these what was lost, came again or late, or was damaged. */
  readonly frames: number;
  readonly lost: number;
  readonly doubled: number;
  readonly damaged: number;
  readonly otherCores: number | null;
  readonly problem: string | null;
}

/** The longest time in which no frame came, in either direction. */
export interface GapFigure extends FailoverChecks {
  readonly kind: 'gap';
  /** From when a thread is told to end until frames flow again. */
  readonly gap: Pauses;
  /** The same around a planned move back to a fresh thread. */
  readonly planned: Pauses;
  /** In the same number of frames, with nothing happening: what the machine does by itself. */
  readonly quiet: Pauses;
  /** Fewest frames that were on their way when a thread was ended. */
  readonly leastInFlight: number;
}

/** Frames of 64 bytes from a poll-mode driver, protected and not. */
interface CostFigure extends FailoverChecks {
  readonly kind: 'cost';
  readonly mpps: number;
  readonly plainMpps: number;
  readonly ratio: number;
  /** Of all rounds of either, in percent. */
  readonly spread: number;
  readonly samples: readonly number[];
  readonly plainSamples: readonly number[];
}

export type FailoverFigure = GapFigure | CostFigure;

const PLANS: readonly FailoverPlan[] = [
  ...LAYOUTS.map((layout) => ({ name: `failover/${layout}`, kind: 'gap', layout }) as const),
  ...LAYOUTS.map((layout) => ({ name: `failover/cost/${layout}`, kind: 'cost', layout }) as const),
];

/** In quick mode only what was asked for by name. */
export function selectFailover({ filter, quick }: Pick<Options, 'filter' | 'quick'>): readonly FailoverPlan[] {
  if (quick && filter === undefined) return [];
  return PLANS.filter(({ name }) => filter === undefined || filter.test(name));
}

export async function measureFailover(plan: FailoverPlan, options: Options): Promise<FailoverFigure> {
  try {
    return plan.kind === 'gap' ? await measureGap(plan) : await measureCost(plan, options);
  } catch (error) {
    if (!(error instanceof CaseFailure)) throw error;
    const none = { name: plan.name, frames: 0, lost: 0, doubled: 0, damaged: 0, otherCores: null };
    const problem = error.message;
    if (plan.kind === 'gap') return gapFigure(none, { gaps: [], planned: [], quiet: [], leastInFlight: 0 }, problem);
    return costFigure(none, [], [], problem);
  }
}

async function measureGap({ name, layout }: FailoverPlan): Promise<GapFigure> {
  const run = await runProtected(layout, 'interrupt', { type: 'gaps', kills: KILLS });
  return gapFigure(checksOf(name, [run]), run.gaps!, problemOf([run]));
}

/** Without, with, with, without: what gets faster or slower meanwhile does so for both. */
async function measureCost({ name, layout }: FailoverPlan, { timing }: Options): Promise<CostFigure> {
  const task = { type: 'rate', timing } as const;
  const before = await runPlain(layout, 'poll', task);
  const first = await runProtected(layout, 'poll', task);
  const second = await runProtected(layout, 'poll', task);
  const after = await runPlain(layout, 'poll', task);
  const all = [before, first, second, after];
  return costFigure(checksOf(name, all), ratesOf([first, second]), ratesOf([before, after]), problemOf(all));
}

type Checked = Omit<FailoverChecks, 'problem'>;

const gapFigure = (
  checks: Checked,
  { gaps, planned, quiet, leastInFlight }: NonNullable<FailoverReport['gaps']>,
  problem: string | null,
): GapFigure => ({
  ...checks,
  kind: 'gap',
  gap: pausesOf(gaps),
  planned: pausesOf(planned),
  quiet: pausesOf(quiet),
  leastInFlight,
  problem,
});

function costFigure(
  checks: Checked,
  samples: readonly number[],
  plainSamples: readonly number[],
  problem: string | null,
): CostFigure {
  const [mpps, plainMpps] = [median(samples), median(plainSamples)];
  const spread = Math.max(spreadPercent(samples), spreadPercent(plainSamples));
  return { ...checks, kind: 'cost', mpps, plainMpps, ratio: mpps / plainMpps, spread, samples, plainSamples, problem };
}

function checksOf(name: string, runs: readonly FailoverRun[]): Checked {
  const faults = runs.flatMap(({ toPeer, toGuest }) => [toPeer, toGuest]);
  const sum = (value: (fault: FrameFaults) => number): number =>
    faults.reduce((total, fault) => total + value(fault), 0);
  const others = runs.map(({ otherCores }) => otherCores);
  return {
    name,
    frames: runs.reduce((total, { frames }) => total + frames, 0),
    lost: sum(({ lost }) => lost),
    doubled: sum(({ misplaced }) => misplaced),
    damaged: sum(({ damaged }) => damaged),
    otherCores: others.includes(undefined) ? null : Math.max(...(others as number[])),
  };
}

function problemOf(runs: readonly FailoverRun[]): string | null {
  for (const { toPeer, toGuest } of runs)
    for (const { lost, misplaced, damaged, first } of [toPeer, toGuest])
      if (lost + misplaced + damaged > 0)
        return `${lost} lost, ${misplaced} out of place, ${damaged} damaged${first === undefined ? '' : `: ${first}`}`;
  return null;
}

const ratesOf = (runs: readonly FailoverRun[]): number[] =>
  runs.flatMap(({ rounds = [] }) => rounds.map(({ frames, ns }) => (1e3 * frames) / ns));

export function pausesOf(samples: readonly number[]): Pauses {
  const sorted = Float64Array.from(samples).sort();
  const at = (share: number): number => (sorted.length === 0 ? Number.NaN : percentile(sorted, share));
  return { count: samples.length, p50: at(0.5), p99: at(0.99), max: at(1) };
}

/** The figures as a table for people. */
export function formatFailover(figures: readonly FailoverFigure[]): string {
  const gaps = figures.filter((figure) => figure.kind === 'gap');
  const costs = figures.filter((figure) => figure.kind === 'cost');
  return `${gaps.length > 0 ? gapTable(gaps) : ''}${costs.length > 0 ? costTable(costs) : ''}`;
}

function gapTable(figures: readonly GapFigure[]): string {
  const head = row('', 'times', 'p50 ms', 'p99 ms', 'max ms', 'lost', 'doubled', 'in flight');
  const lines = figures.map((figure) => {
    const { name, gap, planned, quiet, lost, doubled, damaged, leastInFlight } = figure;
    return (
      row(name, ...cells(gap), `${lost}`, `${doubled + damaged}`, `≥ ${leastInFlight}`) +
      row('  back, as planned', ...cells(planned)) +
      row('  nothing happens', ...cells(quiet)) +
      notes(figure)
    );
  });
  return head + lines.join('');
}

const cells = ({ count, p50, p99, max }: Pauses): string[] => [`${count}`, digits(p50), digits(p99), digits(max)];

function costTable(figures: readonly CostFigure[]): string {
  const head = row('', 'protected', 'not', 'ratio', 'spread', 'lost', 'doubled');
  const lines = figures.map((figure) => {
    const { name, mpps, plainMpps, ratio, spread, lost, doubled, damaged } = figure;
    const rates = [digits(mpps), digits(plainMpps), ratio.toFixed(2), `${spread.toFixed(0)} %`];
    return row(name, ...rates, `${lost}`, `${doubled + damaged}`) + notes(figure);
  });
  return head + lines.join('');
}

function notes({ otherCores, problem }: FailoverChecks): string {
  const doubt = (otherCores ?? 0) > DISTURBED ? `    ! others used ${otherCores!.toFixed(1)} cores\n` : '';
  return `${doubt}${problem === null ? '' : `    FAILED: ${problem}\n`}`;
}

const row = (name: string, ...columns: readonly string[]): string =>
  `  ${name.padEnd(24)}${columns.map((column) => column.padStart(10)).join('')}\n`;

/** What the columns are. */
export const FAILOVER_TEXT: string =
  'failover: a gap is the longest time in which no frame came, in either direction, from when a thread is told to end while frames ' +
  'are on their way both ways; number, length and sum of every frame are compared. In as many frames in which nothing happens the ' +
  'machine pauses by itself. cost: Mpps of a poll-mode driver, 64 B through a cable, without, with, with, without';
