import type { CasePlan } from './case-plan.js';
import { type CaseResult, caseResult, failedCase, problemOf } from './case-result.js';
import { ring, withIommu } from './cases.js';
import { measurePeer, type PeerResult } from './dpdk-peer.js';
import { CaseFailure, type CaseRun, runCase } from './measure.js';
import { isNetTransmit } from './net-cases.js';
import type { Options } from './options.js';
import { PeerFailure } from './testpmd.js';

/** One rate by another, both measured in the same seconds. */
interface RateRatio {
  readonly name: string;
  readonly ratio: number;
  readonly oursMpps: number;
  /** Cores that other programs used while either ran. */
  readonly otherCores: number | null;
}

/** Ours by the peer's: `dpdk/split/64`, or of a whole network device `dpdk/net/split/64`. */
export interface PeerRatio extends RateRatio {
  readonly dpdkMpps: number;
  readonly dpdkSamples: readonly number[];
}

/** Two threads' ring through a VT-d unit by the same without: `iommu/split`. */
export interface IommuRatio extends RateRatio {
  readonly plainMpps: number;
  readonly plainSamples: readonly number[];
}

export interface Results {
  readonly cases: CaseResult[];
  readonly ratios: PeerRatio[];
  readonly iommuRatios: IommuRatio[];
  /** Why there is no ratio where there could be one. */
  readonly peerProblems: string[];
}

/** More than this many cores used by others, and a case is run again if it may be. */
export const DISTURBED = 0.1;

/** Cases that DPDK's pair does the same work as: one core each, bursts of 32, polled. */
export function peerName(plan: CasePlan): string | undefined {
  if (isNetTransmit(plan)) return `dpdk/net/${plan.layout}/${plan.frames}`;
  const same = plan.kind === 'ring' && plan.threads === 'xthread' && plan.batch === 32 && plan.variant === undefined;
  return same && !plan.behindIommu && (plan.frames === '64' || plan.frames === '1500')
    ? `dpdk/${plan.layout}/${plan.frames}`
    : undefined;
}

/** The case without an IOMMU that one with has its rate compared with, if it is that case. */
export function plainNeighbour(plan: CasePlan): CasePlan | undefined {
  const plain = ring(plan.layout, 'xthread', '64', 32);
  return plan.name === withIommu(plain, true).name ? plain : undefined;
}

/**
 * Run cases one after the other. Where the peer does the same it runs between two runs of ours, so that both have the
 * same share of whatever else goes on; so do a ring through an IOMMU and the same without.
 * @param peer the dpdk-testpmd to run, if there is one
 * @param progress called before each case
 */
export async function runCases(
  plans: readonly CasePlan[],
  options: Options,
  peer: string | undefined,
  progress: (plan: CasePlan, done: number) => void,
): Promise<Results> {
  const results: Results = { cases: [], ratios: [], iommuRatios: [], peerProblems: [] };
  const begin = performance.now();
  for (const [done, plan] of plans.entries()) {
    // Each case has its share of the time: what the ones before it left over goes into its repetitions.
    const until = begin + (1000 * options.budgetSeconds * (done + 1)) / plans.length;
    const mayRepeat = (): boolean => performance.now() < until;
    progress(plan, done);
    try {
      const name = peerName(plan);
      const plain = plainNeighbour(plan);
      if (plain !== undefined) await runBesidePlain(plan, plain, options, mayRepeat, results);
      else if (peer === undefined || name === undefined) {
        const { runs } = await leastDisturbed(options, mayRepeat, () => alone(plan, options));
        results.cases.push(caseResult(plan, runs));
      } else await runBesidePeer(plan, peer, name, options, mayRepeat, results);
    } catch (error) {
      if (!(error instanceof CaseFailure)) throw error;
      results.cases.push(failedCase(plan, error.message));
    }
  }
  return results;
}

async function runBesidePeer(
  plan: CasePlan,
  program: string,
  name: string,
  options: Options,
  mayRepeat: () => boolean,
  results: Results,
): Promise<void> {
  const { runs, peer, problem } = await leastDisturbed(options, mayRepeat, () => sandwich(plan, program, options));
  const result = caseResult(plan, runs);
  results.cases.push(result);
  if (peer === undefined) {
    results.peerProblems.push(`${name}: ${problem}`);
    return;
  }
  const others = [result.otherCores, peer.otherCores ?? null];
  results.ratios.push({
    name,
    ratio: result.mpps / peer.mpps,
    oursMpps: result.mpps,
    dpdkMpps: peer.mpps,
    dpdkSamples: peer.samples,
    otherCores: others.includes(null) ? null : Math.max(...(others as number[])),
  });
}

async function runBesidePlain(
  plan: CasePlan,
  plain: CasePlan,
  options: Options,
  mayRepeat: () => boolean,
  results: Results,
): Promise<void> {
  const { runs, without } = await leastDisturbed(options, mayRepeat, () => alternate(plan, plain, options));
  const result = caseResult(plan, runs);
  results.cases.push(result);
  const beside = caseResult(plain, without);
  const problem = beside.problem ?? result.problem;
  if (problem !== null) {
    results.peerProblems.push(`iommu/${plan.layout}: ${problem}`);
    return;
  }
  const others = [result.otherCores, beside.otherCores];
  results.iommuRatios.push({
    name: `iommu/${plan.layout}`,
    ratio: result.mpps / beside.mpps,
    oursMpps: result.mpps,
    plainMpps: beside.mpps,
    plainSamples: beside.rounds.map((ns) => 1e3 / ns),
    otherCores: others.includes(null) ? null : Math.max(...(others as number[])),
  });
}

interface Attempt {
  readonly runs: readonly CaseRun[];
  readonly otherCores: number | undefined;
}

interface Sandwich extends Attempt {
  readonly peer: PeerResult | undefined;
  /** Why there is no peer. */
  readonly problem: string;
}

interface Alternation extends Attempt {
  readonly without: readonly CaseRun[];
}

/** Without, with, with, without: what gets faster or slower meanwhile does so for both. */
async function alternate(plan: CasePlan, plain: CasePlan, options: Options): Promise<Alternation> {
  const ran: CaseRun[] = [];
  for (const each of [plain, plan, plan, plain]) ran.push(await runCase(each, options.timing, options.sabotage));
  const [first, second, third, last] = ran as [CaseRun, CaseRun, CaseRun, CaseRun];
  const others = ran.map(({ otherCores }) => otherCores);
  const otherCores = others.includes(undefined) ? undefined : Math.max(...(others as number[]));
  return { runs: [second, third], without: [first, last], otherCores };
}

async function alone(plan: CasePlan, options: Options): Promise<Attempt> {
  const run = await runCase(plan, options.timing, options.sabotage);
  return { runs: [run], otherCores: run.otherCores };
}

async function sandwich(plan: CasePlan, program: string, options: Options): Promise<Sandwich> {
  const before = await runCase(plan, options.timing, options.sabotage);
  let peer: PeerResult | undefined;
  let problem = '';
  try {
    peer = await measurePeer(program, plan.layout, Number(plan.frames), options.peerTiming);
  } catch (error) {
    if (!(error instanceof PeerFailure)) throw error;
    problem = error.message;
  }
  const after = await runCase(plan, options.timing, options.sabotage);
  const others = [before.otherCores, peer?.otherCores ?? 0, after.otherCores];
  const otherCores = others.includes(undefined) ? undefined : Math.max(...(others as number[]));
  return { runs: [before, after], peer, problem, otherCores };
}

/** Repeat what other programs disturbed, and take the attempt that they disturbed least. A fault is never repeated away. */
async function leastDisturbed<T extends Attempt>(
  options: Options,
  mayRepeat: () => boolean,
  attempt: () => Promise<T>,
): Promise<T> {
  let best = await attempt();
  for (let again = 1; again < options.attempts && mayRepeat(); again++) {
    if ((best.otherCores ?? 0) <= DISTURBED || !isSound(best)) break;
    const next = await attempt();
    if (!isSound(next) || (next.otherCores ?? 0) < (best.otherCores ?? 0)) best = next;
  }
  return best;
}

const isSound = ({ runs }: Attempt): boolean => runs.every((run) => problemOf(run) === undefined);
