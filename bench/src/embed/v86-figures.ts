import { fork } from 'node:child_process';
import { guestPartsProblem } from 'v86-example/parts';
import { childSeconds, watchOthers } from '../cpu-share.js';
import type { Options } from '../options.js';
import { DISTURBED } from '../run-cases.js';
import { digits, median, spreadPercent } from '../statistics.js';
import { wrapText } from '../wrap-text.js';
import type { V86Answer, V86Job, V86Plan, V86Round } from './v86-job.js';

/** Our card beside v86's own, in the same guest. */
export interface V86Figure {
  /** Such as `embed/v86/tx/64`. */
  readonly name: string;
  /** Million frames per second; of a file, megabytes per second. */
  readonly rate: number;
  readonly ownRate: number;
  readonly ratio: number;
  /** One of each per pair of rounds. */
  readonly samples: readonly number[];
  readonly ownSamples: readonly number[];
  /** Frames that did not come, of all rounds. */
  readonly lost: number;
  readonly ownLost: number;
  /** Frames that were offered to each card. */
  readonly frames: number;
  /** Of the time that the process was busy with our card: the part in code of ours. */
  readonly share: number;
  readonly otherCores: number | null;
  readonly problem: string | null;
}

/** Built code, also when a test runs the sources. */
const PROGRAM = new URL('../../dist/embed/v86-process.js', import.meta.url);
const FRAMES = { usual: 40_000, quick: 4000 } as const;
const FILE_BYTES = { usual: 16 << 20, quick: 2 << 20 } as const;
/** What is wanted of a figure: beside v86's own card, and of the time for our code. */
const RATIO_WANTED = 1.5;
const SHARE_WANTED = 0.2;

/** Those to run: in quick mode only what was asked for by name. */
export function selectV86({ filter, quick }: Pick<Options, 'filter' | 'quick'>): V86Plan[] {
  if (quick && filter === undefined) return [];
  const plans = (['tx', 'rx'] as const).flatMap((task): V86Plan[] => [
    { name: `embed/v86/${task}/64`, task, bytes: 60 },
    { name: `embed/v86/${task}/1500`, task, bytes: 1514 },
  ]);
  plans.push({ name: 'embed/v86/tcp', task: 'tcp', bytes: quick ? FILE_BYTES.quick : FILE_BYTES.usual });
  return plans.filter(({ name }) => filter === undefined || filter.test(name));
}

/** Why there are no machines to measure; undefined when there are. */
export const v86Problem = (): string | undefined => guestPartsProblem();

/** Measure one, in a process of its own. When that ends early, its last words are the figure's problem. */
export async function measureV86(
  plan: V86Plan,
  { quick, timing }: Pick<Options, 'quick' | 'timing'>,
): Promise<V86Figure> {
  const job: V86Job = { plan, rounds: timing.repeats, frames: quick ? FRAMES.quick : FRAMES.usual };
  const { answer, otherCores } = await run(job);
  if (typeof answer === 'string')
    return figureOf(job, { ours: [], own: [], share: Number.NaN, problem: answer }, otherCores);
  return figureOf(job, answer, otherCores);
}

function figureOf({ plan, frames, rounds }: V86Job, answer: V86Answer, otherCores: number | undefined): V86Figure {
  const ratesOf = (rounds: readonly V86Round[]): number[] => rounds.map(({ rate }) => rate);
  const lostOf = (rounds: readonly V86Round[]): number => rounds.reduce((sum, { lost }) => sum + lost, 0);
  const rate = median(ratesOf(answer.ours));
  const ownRate = median(ratesOf(answer.own));
  const lost = lostOf(answer.ours);
  return {
    name: plan.name,
    rate,
    ownRate,
    ratio: rate / ownRate,
    samples: ratesOf(answer.ours),
    ownSamples: ratesOf(answer.own),
    lost,
    ownLost: lostOf(answer.own),
    frames: plan.task === 'tcp' ? 0 : frames * rounds,
    share: answer.share,
    otherCores: otherCores ?? null,
    problem: answer.problem ?? (lost === 0 ? null : `${lost} frames did not come`),
  };
}

/** @returns what the process said: as an answer, or as its last words */
async function run(job: V86Job): Promise<{ answer: V86Answer | string; otherCores: number | undefined }> {
  const others = watchOthers();
  const child = fork(PROGRAM, { stdio: ['ignore', 'ignore', 'pipe', 'ipc'] });
  const kill = (): void => void child.kill('SIGKILL');
  process.once('exit', kill);
  let words = '';
  child.stderr!.setEncoding('utf8').on('data', (text: string) => {
    words += text;
  });
  try {
    return await new Promise((resolve) => {
      child.once('message', (answer: V86Answer) => resolve({ answer, otherCores: others(childSeconds(child.pid!)) }));
      // Behind its end, when all of its words are there.
      child.once('close', (code) =>
        resolve({ answer: `the machines ended with ${code}: ${words.trim()}`, otherCores: others() }),
      );
      child.send(job);
    });
  } finally {
    process.off('exit', kill);
    kill();
  }
}

/** A figure as a line for people. */
export function formatV86(figure: V86Figure): string {
  const { name, rate, ownRate, ratio, samples, ownSamples, lost, ownLost, frames, share, otherCores, problem } = figure;
  const isFile = frames === 0;
  if (samples.length === 0) return `  ${name.padEnd(20)}none\n    FAILED: ${problem}\n`;
  const [scale, unit] = isFile ? [1, 'MB/s'] : [1000, 'kpps'];
  const drops = isFile ? '' : `, lost ${lost} and ${ownLost} of ${frames}`;
  const cells =
    `${digits(rate * scale).padStart(6)} ${unit} ${spreadPercent(samples).toFixed(0).padStart(3)} %, ` +
    `v86's own ${digits(ownRate * scale).padStart(5)} ${spreadPercent(ownSamples).toFixed(0).padStart(3)} %: ` +
    `ratio ${ratio.toFixed(2)}${drops}; our code ${(share * 100).toFixed(1)} % of the time`;
  const doubt = (otherCores ?? 0) > DISTURBED ? ` ! others used ${otherCores!.toFixed(1)} cores` : '';
  const short = shortOf(figure);
  return (
    `  ${name.padEnd(20)}${cells}${doubt}\n` +
    (short === '' ? '' : `    below what is wanted: ${short}\n`) +
    (problem === null ? '' : `    FAILED: ${problem}\n`)
  );
}

/** In words what a figure lacks. A frame that comes is a guest's work nearly alone: of those only none is to be lost. */
function shortOf({ name, ratio, share }: V86Figure): string {
  const lacks: string[] = [];
  if (!name.includes('/rx/') && !(ratio >= RATIO_WANTED)) lacks.push(`a ratio of ${RATIO_WANTED}`);
  if (!(share < SHARE_WANTED)) lacks.push(`less than ${SHARE_WANTED * 100} % of the time for our code`);
  return lacks.join(', ');
}

/** What the columns are. */
export const V86_TEXT: string = wrapText(
  "v86: Debian's 32-bit Linux with our card and v86's own virtio card, queues of 1024 each, in turns. tx: pktgen into a sink " +
    'that has every frame in an array and looks at its number; rx: bursts of 256 in every turn of the event loop, until the ' +
    'guest answers a question behind them; tcp: a file over HTTP from one guest to another; % behind a rate is its spread',
  '· ',
);
