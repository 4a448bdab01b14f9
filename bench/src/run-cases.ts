import type { CasePlan } from './case-plan.js';
import { type CaseResult, caseResult, failedCase, problemOf } from './case-result.js';
import { measurePeer, PeerFailure, type PeerResult } from './dpdk-peer.js';
import { CaseFailure, type CaseRun, runCase } from './measure.js';
import type { Options } from './options.js';

/** Our rate by the peer's, both measured in the same seconds. */
export interface Ratio {
  /** Such as `dpdk/split/64`. */
  readonly name: string;
  readonly ratio: number;
  readonly oursMpps: number;
  readonly dpdkMpps: number;
  readonly dpdkSamples: readonly number[];
  /** Cores that other programs used while the peer ran, and while we did. */
  readonly otherCores: number | null;
}

export interface Results {
  readonly cases: CaseResult[];
  readonly ratios: Ratio[];
  /** Why there is no ratio where there could be one. */
  readonly peerProblems: string[];
}

/** More than this many cores used by others, and a case is run again if it may be. */
export const DISTURBED = 0.1;

/** Cases that DPDK's pair does the same work as: one core each, bursts of 32, polled. */
export function peerName(plan: CasePlan): string | undefined {
  const same = plan.kind === 'ring' && plan.threads === 'xthread' && plan.batch === 32 && plan.variant === undefined;
  return same && (plan.frames === '64' || plan.frames === '1500') ? `dpdk/${plan.layout}/${plan.frames}` : undefined;
}

/**
 * Run cases one after the other. Where the peer does the same it runs between two runs of ours, so that both have the
 * same share of whatever else goes on.
 * @param peer the dpdk-testpmd to run, if there is one
 * @param progress called before each case
 */
export async function runCases(
  plans: readonly CasePlan[],
  options: Options,
  peer: string | undefined,
  progress: (plan: CasePlan, done: number) => void,
): Promise<Results> {
  const results: Results = { cases: [], ratios: [], peerProblems: [] };
  const begin = performance.now();
  for (const [done, plan] of plans.entries()) {
    // Each case has its share of the time: what the ones before it left over goes into its repetitions.
    const until = begin + (1000 * options.budgetSeconds * (done + 1)) / plans.length;
    const mayRepeat = (): boolean => performance.now() < until;
    progress(plan, done);
    try {
      const name = peerName(plan);
      if (peer === undefined || name === undefined) {
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

interface Attempt {
  readonly runs: readonly CaseRun[];
  readonly otherCores: number | undefined;
}

interface Sandwich extends Attempt {
  readonly peer: PeerResult | undefined;
  /** Why there is no peer. */
  readonly problem: string;
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
