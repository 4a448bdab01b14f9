import { ARCHITECTURES, type Comparison, compareArchitectures, comparisonTable } from '@ringwire/compare';
import type { Options } from './options.js';
import { wrapText } from './wrap-text.js';

const FRAMES = 20_000;
const SMALL = 60;
const LARGE = 1514;
/** The same frames from guest to guest by every architecture. */
export interface ComparePlan {
  readonly name: string;
  readonly rings: 'split' | 'packed';
  /** Bytes of a frame without its check sequence. */
  readonly size: number;
}

const PLANS: readonly ComparePlan[] = [
  { name: 'compare/split/64', rings: 'split', size: SMALL },
  { name: 'compare/packed/64', rings: 'packed', size: SMALL },
  { name: 'compare/split/1500', rings: 'split', size: LARGE },
  { name: 'compare/packed/1500', rings: 'packed', size: LARGE },
];

/** What was measured, one row for each architecture. */
export interface CompareFigure {
  readonly name: string;
  readonly architectures: readonly Comparison[];
}

/** With `quick` those that are asked for alone. */
export function selectCompare({ filter, quick }: Options): readonly ComparePlan[] {
  if (quick && filter === undefined) return [];
  return PLANS.filter(({ name }) => filter === undefined || filter.test(name));
}

export function measureCompare({ name, rings, size }: ComparePlan): CompareFigure {
  return { name, architectures: compareArchitectures(ARCHITECTURES, { frames: FRAMES, size, rings }) };
}

export function formatCompare({ name, architectures }: CompareFigure): string {
  const table = comparisonTable(architectures)
    .split('\n')
    .slice(0, architectures.length + 1);
  return `  ${name}\n${table.map((line) => `    ${line}\n`).join('')}`;
}

/** What the columns are. */
export const COMPARE_TEXT: string = wrapText(
  'compare: counts are per frame; host ns is time inside software of the host, all ns that of guests, host and card, in one thread; DMA are buffers that a device asked for by address',
  '· ',
);
