import { ARCHITECTURES, timeMachines } from '@ringwire/compare';
import { type ComparePlan, comparePlans, selectCompare } from './compare-figures.js';
import type { Options } from './options.js';
import { median } from './statistics.js';
import { wrapText } from './wrap-text.js';

/** Frames of a round, so that rounds of either size take about as long. */
const FRAMES = { small: 100_000, large: 50_000 };
const ROUNDS = 15;
const QUICK = { frames: 10_000, rounds: 5 };
/** vDPA is as fast as another architecture when it has so much of its rate. */
const WANTED = 0.98;
const BESIDE = ['virtio-offload', 'sriov-vendor'] as const;

/** vDPA beside another architecture. */
interface ParityRatio {
  readonly beside: (typeof BESIDE)[number];
  /** Frames per second of vDPA by those of the other one, both of one round; median, least and most of all rounds. */
  readonly ratio: number;
  readonly least: number;
  readonly most: number;
  /** Whether it has 98 % of the other one's rate or more. */
  readonly holds: boolean;
}

/** How fast vDPA is, beside what is compared with it, by processor time: what else the machine does changes that less. */
export interface ParityFigure {
  readonly name: string;
  readonly framesPerSecond: number;
  readonly rounds: number;
  readonly ratios: readonly ParityRatio[];
}

/** ms of processors' time that this program took. */
function processorMs(): number {
  const { user, system } = process.cpuUsage();
  return (user + system) / 1000;
}

/** With `quick` those that are asked for alone. */
export const selectParity = (options: Options): readonly ComparePlan[] =>
  selectCompare(options, comparePlans('compare/parity'));

/** Measure round by round, all of them in each: what disturbs the machine for long disturbs them alike. */
export function measureParity({ name, rings, size }: ComparePlan, quick: boolean): ParityFigure {
  const { frames, rounds } = quick ? QUICK : { frames: size < 1000 ? FRAMES.small : FRAMES.large, rounds: ROUNDS };
  const all = ['vdpa', ...BESIDE].map((wanted) => ARCHITECTURES.find((one) => one.name === wanted)!);
  const [vdpa, ...others] = timeMachines(all, { frames, rounds, size, rings, clock: processorMs });
  const ratios = BESIDE.map((beside, at): ParityRatio => {
    const each = others[at]!.rounds.map((ns, round) => ns / vdpa!.rounds[round]!);
    const ratio = median(each);
    return { beside, ratio, least: Math.min(...each), most: Math.max(...each), holds: ratio >= WANTED };
  });
  return { name, framesPerSecond: vdpa!.framesPerSecond, rounds, ratios };
}

export function formatParity({ name, framesPerSecond, rounds, ratios }: ParityFigure): string {
  const beside = ratios.map(
    ({ beside: other, ratio, least, most, holds }) =>
      `    ${ratio.toFixed(3)} of ${other} (${least.toFixed(3)} to ${most.toFixed(3)} in ${rounds} rounds)${holds ? '' : ', below 0.98'}\n`,
  );
  return `  ${name.padEnd(30)} vDPA ${(framesPerSecond / 1e6).toFixed(2)} million frames per second of processor time\n${beside.join('')}`;
}

/** What the ratios are. */
export const PARITY_TEXT: string = wrapText(
  'parity: frames per second of processor time, of vDPA by those of full offload, and of a function with its vendor’s rings, all behind one IOMMU and one switch, with what the cards do; architectures take turns in each round',
  '· ',
);
