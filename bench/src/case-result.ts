import { CACHE_LINES_TEXT, cacheLines } from './cache-lines.js';
import { type CasePlan, type NetWork, queueSizeOf } from './case-plan.js';
import { frameSet, meanLength } from './frame-set.js';
import { SINK_FRAMES } from './guest-layout.js';
import { TRANSLATION_TEXT } from './iommu-cost.js';
import type { CaseRun } from './measure.js';
import { median, spreadPercent } from './statistics.js';

/** What the bench says of one case; the keys of an element of `cases` in its JSON. */
export interface CaseResult {
  readonly name: string;
  /** Million frames per second; in latency cases, round trips. */
  readonly mpps: number;
  /** Payload, 10^9 bits per second. */
  readonly gbps: number;
  /** Median of the rounds; in latency cases the median round trip. */
  readonly nsPerFrame: number;
  /** Slowest less fastest round, in percent of the median. */
  readonly spread: number;
  /** ns per frame of each round. */
  readonly rounds: readonly number[];
  /** Round trips, ns. */
  readonly p50?: number;
  readonly p99?: number;
  readonly p999?: number;
  /** Of drivers that are interrupted. */
  readonly framesPerInterrupt?: number;
  /** Of a device's thread that sleeps, with nothing to do, per second: times that it wakes up, and cores that the process uses. */
  readonly idleWakeUps?: number;
  readonly idleCores?: number;
  /** Mean length of a frame. */
  readonly bytesPerFrame: number;
  /** Frames of all rounds, warm-up included, and those of which every byte was summed and compared. */
  readonly frames: number;
  readonly summed: number;
  /** What is copied and checked, in words. */
  readonly copies: string;
  readonly notificationsPerFrame: { readonly available: number; readonly used: number };
  readonly cacheLinesPerFrame: number;
  readonly cacheLinesOfRing: number;
  readonly cacheLinesCounted: string;
  /** From nothing to both sides ready, workers included; the slowest start if there were several. */
  readonly startMs: number;
  /** Cores that other programs used meanwhile: above a tenth the figures are theirs as well. */
  readonly otherCores: number | null;
  /** Why the case failed: a frame lost, out of place or damaged, a notification that did not come, a worker that died. */
  readonly problem: string | null;
}

/** @param runs of the same case, each in workers of its own: at least one */
export function caseResult(plan: CasePlan, runs: readonly CaseRun[]): CaseResult {
  const frames = frameSet(plan.frames, queueSizeOf(plan));
  const bytesPerFrame = meanLength(frames);
  const rounds = runs.flatMap(({ driver }) =>
    driver.latency === undefined
      ? driver.rounds.map((round) => round.ns / round.frames)
      : driver.latency.rounds.map(({ p50 }) => p50),
  );
  const nsPerFrame = median(rounds);
  const latency = runs[0]!.driver.latency?.all;
  const sent = sum(runs, ({ driver }) => driver.frames);
  const lines = cacheLines(plan, frames);
  const others = runs.map(({ otherCores }) => otherCores);
  return {
    name: plan.name,
    mpps: 1e3 / nsPerFrame,
    gbps: plan.kind === 'ringcost' || plan.kind === 'iommu' ? 0 : (bytesPerFrame * 8) / nsPerFrame,
    nsPerFrame,
    spread: spreadPercent(rounds),
    rounds,
    ...latency,
    ...netFigures(runs),
    bytesPerFrame,
    frames: sent,
    summed: sum(runs, ({ driver, device }) => device.summed + (driver.net?.summed ?? 0)),
    copies: copiesText(plan, bytesPerFrame),
    notificationsPerFrame: {
      available: sum(runs, ({ driver, device }) => device.kicks ?? driver.notifications) / sent,
      used: sum(runs, ({ device }) => device.notifications) / sent,
    },
    cacheLinesPerFrame: lines.ring + lines.payload,
    cacheLinesOfRing: lines.ring,
    cacheLinesCounted: CACHE_LINES_TEXT,
    startMs: Math.max(...runs.map(({ startMs }) => startMs)),
    otherCores: others.includes(undefined) ? null : Math.max(...(others as number[])),
    problem: runs.map(problemOf).find((problem) => problem !== undefined) ?? null,
  };
}

/** A case without figures. */
export function failedCase(plan: CasePlan, problem: string): CaseResult {
  const frames = frameSet(plan.frames, queueSizeOf(plan));
  const lines = cacheLines(plan, frames);
  return {
    name: plan.name,
    mpps: 0,
    gbps: 0,
    nsPerFrame: 0,
    spread: 0,
    rounds: [],
    bytesPerFrame: meanLength(frames),
    frames: 0,
    summed: 0,
    copies: copiesText(plan, meanLength(frames)),
    notificationsPerFrame: { available: 0, used: 0 },
    cacheLinesPerFrame: lines.ring + lines.payload,
    cacheLinesOfRing: lines.ring,
    cacheLinesCounted: CACHE_LINES_TEXT,
    startMs: 0,
    otherCores: null,
    problem,
  };
}

/** What was wrong with a run, in words. */
export function problemOf({ driver, device }: CaseRun): string | undefined {
  const { lost, misplaced, damaged, first } =
    driver.net?.faults.first === undefined ? device.faults : driver.net.faults;
  if (first !== undefined) return `${lost} lost, ${misplaced} out of place, ${damaged} damaged: ${first}`;
  if (driver.frames !== device.frames) return `${driver.frames} frames were sent and ${device.frames} came`;
  if (driver.missed > 0) return `the driver was not notified of used buffers ${driver.missed} times`;
  if (device.missed > 0) return `the device was not notified of available buffers ${device.missed} times`;
  return undefined;
}

function copiesText(plan: CasePlan, bytesPerFrame: number): string {
  if (plan.translation !== undefined) return TRANSLATION_TEXT[plan.translation];
  if (plan.net !== undefined) return netText(plan.net, bytesPerFrame);
  if (plan.kind === 'ringcost') return 'touches no payload: add, publish, take, put, publish, take back';
  const what = `copies ${Number.isInteger(bytesPerFrame) ? bytesPerFrame : `a mean of ${bytesPerFrame.toFixed(0)}`} B`;
  const pieces = plan.variant === 'indirect' ? ' in 2 pieces' : ' once';
  if (plan.check === 'copy')
    return (
      `${what} per frame${pieces}; compares the number and length of every frame, the last ${SINK_FRAMES} of every round byte by ` +
      'byte, and in one more round, not measured, the sum over every byte of every frame'
    );
  return (
    `${what} per frame${pieces} and sums every byte in the same pass; compares sum, length and number of every frame, ` +
    `and the last ${SINK_FRAMES} of every round byte by byte`
  );
}

function netText({ driver, task }: NetWork, bytesPerFrame: number): string {
  const bytes = Number.isInteger(bytesPerFrame) ? `${bytesPerFrame}` : `a mean of ${bytesPerFrame.toFixed(0)}`;
  if (task === 'wake')
    return `one frame of ${bytes} B to a device whose thread sleeps, until its buffer is back: copied once, summed and compared`;
  if (task === 'ping')
    return (
      `one frame of ${bytes} B to a device and back, the driver asleep until it is interrupted: copied by the sender, onto the ` +
      'cable, into the receive buffer and by the receiver, summed and compared'
    );
  const copies =
    task === 'tx'
      ? 'once, at the end of the cable'
      : driver === 'pmd'
        ? 'twice, onto the cable and into the receive buffer'
        : 'four times, by the sender, onto the cable, into the receive buffer and by the receiver';
  return (
    `a whole device: copies ${bytes} B per frame ${copies}; there number and length of every frame are compared, and in one ` +
    'more round, not measured, the sum over every byte of every frame'
  );
}

/** What only runs of network devices have to tell. */
function netFigures(runs: readonly CaseRun[]): Partial<CaseResult> {
  const interrupts = sum(runs, ({ driver }) => driver.net?.interrupts ?? 0);
  const idle = runs[0]!.driver.net?.idle;
  return {
    ...(interrupts > 0 ? { framesPerInterrupt: sum(runs, ({ driver }) => driver.frames) / interrupts } : {}),
    ...(idle === undefined ? {} : { idleWakeUps: idle.wakeUps, idleCores: idle.cores }),
  };
}

const sum = <T>(items: readonly T[], value: (item: T) => number): number =>
  items.reduce((total, item) => total + value(item), 0);
