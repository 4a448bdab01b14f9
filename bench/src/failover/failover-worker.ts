/** The guest and the peer of a failover case: see `failover-run.ts`. */
import { parentPort, workerData } from 'node:worker_threads';
import { HostMemory } from '@ringwire/guest-memory';
import type { Timing } from '../case-plan.js';
import type { FrameFaults } from '../frame-check.js';
import { runRounds } from '../round-plan.js';
import type { Round } from '../worker-job.js';
import { FAILOVER_WORD, type FailoverJob, type FromGuest, type GapReport } from './failover-job.js';
import { planOf } from './failover-layout.js';
import { InterruptGuest } from './interrupt-guest.js';
import { PollGuest } from './poll-guest.js';

const { layout, driver, task, place, memory, words } = workerData as FailoverJob;
const plan = planOf(layout, driver);
const host = HostMemory.adopt(memory);
const guest = driver === 'poll' ? new PollGuest(place, host, plan) : new InterruptGuest(place, host, plan);
const { peer } = guest;
const post = (message: FromGuest): void => parentPort?.postMessage(message);

/** Frames of one direction on their way at most, and of a burst. */
const WINDOW = 128;
const BURST = 32;
/** Frames in each direction behind which a takeover is over; and a window in which nothing happens. */
const AFTER = 4 * WINDOW;
/** Longest time from when a thread may be ended until it is, in ms: wherever it is then. */
const SPREAD_MS = 5;
/** One of so many takeovers is followed by one that is planned. */
const BACK_EACH = 5;
const PATIENCE_MS = 60_000;

/** The longest pauses since the last reset, of each direction. */
class Pauses {
  private outAt = performance.now();
  private inAt = performance.now();
  private outCount = 0;
  private inCount = 0;
  private longest = 0;

  look(): void {
    const now = performance.now();
    const out = peer.arrivals.count;
    const into = guest.arrivals.count;
    if (out !== this.outCount) {
      this.longest = Math.max(this.longest, now - this.outAt);
      this.outAt = now;
      this.outCount = out;
    }
    if (into !== this.inCount) {
      this.longest = Math.max(this.longest, now - this.inAt);
      this.inAt = now;
      this.inCount = into;
    }
  }

  reset(): void {
    this.longest = 0;
  }

  /** In ms; of what is still going on nothing is known. */
  get most(): number {
    return this.longest;
  }
}

const pauses = new Pauses();

/** Frames in both directions until something is so. */
function flowUntil(isSo: () => boolean): void {
  const end = performance.now() + PATIENCE_MS;
  for (let turn = 1; !isSo(); turn++) {
    const sent = guest.send(Math.min(BURST, WINDOW - guest.leaving));
    const had = peer.take();
    peer.send(Math.min(BURST, WINDOW - guest.coming));
    const came = guest.take();
    pauses.look();
    if (sent === 0 && had === 0 && came === 0) guest.rest();
    if (turn % 0x1000 === 0 && performance.now() > end)
      throw new Error(`no frames for too long, ${guest.check() ?? 'and the device seems to be well'}`);
  }
}

/** So many frames more in each direction. */
function flow(frames: number): void {
  const [out, into] = [peer.arrivals.count + frames, guest.arrivals.count + frames];
  flowUntil(() => peer.arrivals.count >= out && guest.arrivals.count >= into);
}

/** @returns the longest pause from when a thread is asked to end until frames flow again */
function measureTakeover(type: 'kill' | 'back'): number {
  const before = Atomics.load(words, FAILOVER_WORD.TAKEOVERS);
  pauses.reset();
  post({ type });
  flowUntil(() => Atomics.load(words, FAILOVER_WORD.TAKEOVERS) !== before);
  flow(AFTER);
  return pauses.most;
}

function measureGaps(kills: number): GapReport {
  const gaps: number[] = [];
  const planned: number[] = [];
  const quiet: number[] = [];
  let leastInFlight = Number.POSITIVE_INFINITY;
  for (let kill = 1; kill <= kills; kill++) {
    flowUntil(() => Atomics.load(words, FAILOVER_WORD.PROTECTED) === 1);
    pauses.reset();
    flow(AFTER);
    quiet.push(pauses.most);
    const moment = performance.now() + ((Math.imul(kill, 0x9e37_79b1) >>> 0) / 2 ** 32) * SPREAD_MS;
    flowUntil(() => performance.now() >= moment && guest.leaving > 0 && guest.coming > 0);
    leastInFlight = Math.min(leastInFlight, guest.leaving + guest.coming);
    gaps.push(measureTakeover('kill'));
    if (kill % BACK_EACH === 0) planned.push(measureTakeover('back'));
  }
  return { gaps, planned, quiet, leastInFlight };
}

/** Frames from the guest to the peer, as fast as they go. */
function measureRate(timing: Timing): { rounds: Round[] } {
  const run = (frames: number, summed: boolean): number => {
    guest.summing = summed;
    const end = peer.arrivals.count + frames;
    const before = process.hrtime.bigint();
    for (let left = frames; peer.arrivals.count < end; ) {
      left -= guest.send(Math.min(BURST, left));
      peer.take();
    }
    return Number(process.hrtime.bigint() - before);
  };
  return runRounds({ ...plan, check: 'copy' }, timing, run, () => {});
}

const faultsOf = ({ lost, misplaced, damaged, first }: FrameFaults): FrameFaults => ({
  lost,
  misplaced,
  damaged,
  first,
});

if (task.type === 'gaps') guest.summing = true;
const result = task.type === 'gaps' ? { gaps: measureGaps(task.kills) } : { rounds: measureRate(task.timing).rounds };
// Whatever is still on its way comes.
const end = performance.now() + PATIENCE_MS;
while ((guest.leaving > 0 || guest.coming > 0) && performance.now() < end) {
  peer.take();
  guest.take();
}
const toPeer = faultsOf(peer.arrivals.check);
const toGuest = faultsOf(guest.arrivals.check);
toPeer.lost += guest.leaving;
toGuest.lost += guest.coming;
const frames = peer.arrivals.count + guest.arrivals.count;
guest.close();
post({ type: 'done', report: { frames, toPeer, toGuest, ...result } });
