import { ARCHITECTURES, type Comparison, compareArchitectures, comparisonTable } from '@ringwire/compare';
import type { Options } from './options.js';
import { wrapText } from './wrap-text.js';

const SMALL = 60;
const LARGE = 1514;
/** The same frames from guest to guest by every architecture. */
export interface ComparePlan {
  readonly name: string;
  readonly rings: 'split' | 'packed';
  /** Bytes of a frame without its check sequence. */
  readonly size: number;
}

/** Every format of rings with small and large frames. @param kind what is done with them */
export const comparePlans = (kind: string): ComparePlan[] => [
  { name: `${kind}/split/64`, rings: 'split', size: SMALL },
  { name: `${kind}/packed/64`, rings: 'packed', size: SMALL },
  { name: `${kind}/split/1500`, rings: 'split', size: LARGE },
  { name: `${kind}/packed/1500`, rings: 'packed', size: LARGE },
];

const PLANS: readonly ComparePlan[] = comparePlans('compare');

/** What was measured, one row for each architecture. */
export interface CompareFigure {
  readonly name: string;
  readonly architectures: readonly Comparison[];
}

/** With `quick` those that are asked for alone. */
export function selectCompare(
  { filter, quick }: Options,
  plans: readonly ComparePlan[] = PLANS,
): readonly ComparePlan[] {
  if (quick && filter === undefined) return [];
  return plans.filter(({ name }) => filter === undefined || filter.test(name));
}

export function measureCompare({ name, rings, size }: ComparePlan, quick: boolean): CompareFigure {
  const short = quick ? { frames: 20_000, rounds: 3 } : {};
  return { name, architectures: compareArchitectures(ARCHITECTURES, { size, rings, ...short }) };
}

/** Both tables; what does not move, and why, is the same for all. */
export function formatCompare({ name, architectures }: CompareFigure): string {
  const table = comparisonTable(architectures);
  const end = table.indexOf(' does not move:');
  const lines = table.slice(0, table.lastIndexOf('\n\n', end)).split('\n');
  return `  ${name}\n${lines.map((line) => `  ${line}`.trimEnd()).join('\n')}\n`;
}

/** What the columns are. */
export const COMPARE_TEXT: string = wrapText(
  'compare: what columns are, and what does not move and why, says ringwire compare; * is at assumed prices for what is counted',
  '· ',
);
