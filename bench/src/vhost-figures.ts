import { PEER_QUEUE_SIZE } from './case-plan.js';
import type { Options } from './options.js';
import { DISTURBED } from './run-cases.js';
import { digits, median, spreadPercent } from './statistics.js';
import { PeerFailure } from './testpmd.js';
import { runOurs, runTheirs, type VhostPlan, type VhostRun } from './vhost-runs.js';

/** A stock driver into our back-end, beside the same driver into DPDK's. */
export interface VhostFigure {
  /** Such as `peer/vhost-user/split/64`. */
  readonly name: string;
  /** Million frames per second, into our back-end and into DPDK's, and their quotient. */
  readonly mpps: number;
  readonly dpdkMpps: number;
  readonly ratio: number;
  readonly samples: readonly number[];
  readonly dpdkSamples: readonly number[];
  /** Bytes by which our process grew for each front-end, beside that one's own memory. */
  readonly bytesPerGuest: number;
  /** Percent by which our two runs, before and behind DPDK's, differ: the machine may have changed its speed meanwhile. */
  readonly drift: number;
  /** Cores that other programs used meanwhile. */
  readonly otherCores: number | null;
  /** What was wrong with the frames. */
  readonly problem: string | null;
}

/** From so many percent on the machine is not to be compared with itself. */
const DRIFTED = 10;

const LAYOUTS = ['split', 'packed'] as const;

/** What is measured, in its order. */
export const VHOST_PLANS: readonly VhostPlan[] = [
  ...LAYOUTS.flatMap((layout) =>
    [64, 1500].map((bytes) => ({ name: `peer/vhost-user/${layout}/${bytes}`, layout, bytes, forwards: false })),
  ),
  ...LAYOUTS.map((layout) => ({ name: `peer/vhost-user/${layout}/64/forward`, layout, bytes: 64, forwards: true })),
];

/** In words, for the report. */
export const VHOST_TEXT: string =
  `vhost-user: dpdk-testpmd's virtio-user, a ring of ${PEER_QUEUE_SIZE}, into our server or DPDK's vhost, one core each. ` +
  'Frames into one socket are copied into 32 buffers in turn, as rxonly does from its cache; forward is our switch between ' +
  'two sockets against io forwarding, with frames that go round. All that was sent has to come, and look like what was sent';

/** Those to run: in quick mode only what was asked for by name. */
export function selectVhost({ filter, quick, peer }: Options): VhostPlan[] {
  if (!peer || (quick && filter === undefined)) return [];
  return VHOST_PLANS.filter(({ name }) => filter === undefined || filter.test(name));
}

/**
 * Measure one, DPDK's run between two of ours; more than once where others disturb it.
 * @returns the figure, or why there is none
 */
export async function measureVhost(program: string, plan: VhostPlan, options: Options): Promise<VhostFigure | string> {
  try {
    let best = await sandwich(program, plan, options);
    for (let again = 1; again < options.attempts && !options.quick; again++) {
      if (doubtOf(best) <= 1 || best.problem !== null) break;
      const next = await sandwich(program, plan, options);
      if (next.problem !== null || doubtOf(next) < doubtOf(best)) best = next;
    }
    return best;
  } catch (error) {
    if (error instanceof PeerFailure) return error.message;
    throw error;
  }
}

/** 1 and less: nothing disturbed it. */
const doubtOf = ({ otherCores, drift }: VhostFigure): number =>
  Math.max((otherCores ?? 0) / DISTURBED, drift / DRIFTED);

/** A figure as a line for people. */
export function formatVhost({ name, mpps, dpdkMpps, ratio, samples, bytesPerGuest, ...more }: VhostFigure): string {
  const cells =
    `${digits(mpps).padStart(7)} Mpps, DPDK ${digits(dpdkMpps).padStart(5)}: ratio ${ratio.toFixed(2)}` +
    `${spreadPercent(samples).toFixed(0).padStart(5)} %${(bytesPerGuest / 1e6).toFixed(1).padStart(7)} MB per front-end`;
  const busy = (more.otherCores ?? 0) > DISTURBED ? ` ! others used ${more.otherCores!.toFixed(1)} cores` : '';
  const drifted = more.drift > DRIFTED ? ` ! our two runs differ by ${more.drift.toFixed(0)} %` : '';
  const doubt = busy + drifted;
  const failed = more.problem === null ? '' : `    FAILED: ${more.problem}\n`;
  return `  ${name.padEnd(34)}${cells}${doubt}\n${failed}`;
}

async function sandwich(program: string, plan: VhostPlan, { peerTiming }: Options): Promise<VhostFigure> {
  const before = await runOurs(program, plan, peerTiming);
  const theirs = await runTheirs(program, plan, peerTiming);
  const after = await runOurs(program, plan, peerTiming);
  const runs: readonly VhostRun[] = [before, theirs, after];
  const others = runs.map(({ otherCores }) => otherCores);
  const samples = [...before.samples, ...after.samples];
  const mpps = median(samples);
  return {
    name: plan.name,
    mpps,
    dpdkMpps: theirs.mpps,
    ratio: mpps / theirs.mpps,
    samples,
    dpdkSamples: theirs.samples,
    bytesPerGuest: Math.max(before.bytesPerGuest ?? 0, after.bytesPerGuest ?? 0),
    drift: spreadPercent([before.mpps, after.mpps]),
    otherCores: others.includes(undefined) ? null : Math.max(...(others as number[])),
    problem: before.problem ?? after.problem ?? null,
  };
}
