import type { Architecture, Machine, Rings } from './architecture.js';
import { milliseconds } from './clock.js';
import { Traffic } from './traffic.js';

/** Rounds before those that are measured: code that runs hot is compiled meanwhile. */
const WARM_UP_ROUNDS = 2;
const PINGS = 2000;

/** How fast one architecture is here, where guests, host and cards share one thread. */
export interface Timing {
  readonly framesPerSecond: number;
  /** Of all ns in a round for a frame, cards' included: slowest less fastest round, in percent of the median. */
  readonly spread: number;
  /** All ns for a frame, round by round: those of one round were measured one behind the other, for all architectures. */
  readonly rounds: readonly number[];
  /** ns of processors for a frame: {@link hostNsPerFrame}, and what guests take. A card's work is no processor's in earnest. */
  readonly nsPerFrame: number;
  /** In software of the host: traps, device model, switch, copies. */
  readonly hostNsPerFrame: number;
  /** In what is a card in earnest. */
  readonly cardNsPerFrame: number;
  /** µs of a frame there and one back, one at a time. */
  readonly latencyP50: number;
  readonly latencyP99: number;
}

/** What is timed, and how often. */
export interface TimingPlan {
  readonly frames: number;
  readonly rounds: number;
  readonly size: number;
  readonly rings: Rings;
  /** ms that go by, for rounds as a whole; those of the platform's clock unless given. */
  readonly clock?: () => number;
  /** Called before each round. */
  readonly step?: (what: string) => void;
}

/** ns for a frame in one round: all, and of these host and cards. */
interface Round {
  readonly all: number;
  readonly host: number;
  readonly card: number;
}

/** Round by round, all architectures in each: what disturbs the machine disturbs them alike. */
export function timeMachines(architectures: readonly Architecture[], plan: TimingPlan): Timing[] {
  const { frames, rounds, size, rings, clock = milliseconds, step = () => {} } = plan;
  const most = (WARM_UP_ROUNDS + rounds) * frames + PINGS + 1;
  const runs = architectures.map((architecture) => {
    const machine = architecture.open(rings, false);
    const traffic = new Traffic(machine, size, false, most);
    traffic.begin();
    return { machine, traffic, rounds: [] as Round[] };
  });
  for (let round = 0; round < WARM_UP_ROUNDS; round++) for (const { traffic } of runs) traffic.send(frames);
  for (let round = 0; round < rounds; round++) {
    step(`round ${round + 1} of ${rounds}`);
    // Forth and back: whoever comes first has no advantage over whoever comes last.
    const order = round % 2 === 0 ? runs : [...runs].reverse();
    for (const run of order) run.rounds.push(timeRound(run.machine, run.traffic, frames, clock));
  }
  return runs.map(({ traffic, rounds: measured }) => {
    const of = (part: keyof Round): number => median(measured.map((round) => round[part]));
    const all = of('all');
    const each = measured.map((round) => round.all);
    const latencies = traffic.ping(PINGS).sort();
    const at = (share: number): number => latencies[Math.floor(share * (latencies.length - 1))]! * 1000;
    return {
      framesPerSecond: 1e9 / all,
      spread: (100 * (Math.max(...each) - Math.min(...each))) / all,
      rounds: each,
      nsPerFrame: median(measured.map((round) => round.all - round.card)),
      hostNsPerFrame: of('host'),
      cardNsPerFrame: of('card'),
      latencyP50: at(0.5),
      latencyP99: at(0.99),
    };
  });
}

function timeRound({ ledger }: Machine, traffic: Traffic, frames: number, clock: () => number): Round {
  const { trapMs } = ledger;
  const { hostMs, cardMs } = traffic;
  const begun = clock();
  traffic.send(frames);
  const ns = (ms: number): number => (ms / frames) * 1e6;
  return {
    all: ns(clock() - begun),
    host: ns(traffic.hostMs - hostMs + ledger.trapMs - trapMs),
    card: ns(traffic.cardMs - cardMs),
  };
}

function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  const middle = sorted.length >> 1;
  return sorted.length % 2 === 1 ? sorted[middle]! : (sorted[middle - 1]! + sorted[middle]!) / 2;
}
