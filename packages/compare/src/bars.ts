/** One bar of a chart: what it is made of, and how far it was from round to round. */
export interface Bar {
  readonly name: string;
  readonly parts: readonly number[];
  /** Least and most of the whole bar. */
  readonly range?: readonly [least: number, most: number];
  /** In place of a bar: why there is none. */
  readonly none?: string;
}

/** Bars below one another, of one unit. */
export interface Chart {
  readonly title: string;
  readonly unit: string;
  /** What the parts of each bar are, where it has several. */
  readonly legend?: readonly string[];
  readonly bars: readonly Bar[];
}

const WIDTH = 560;
const NAMES = 108;
const VALUES = 80;
const ROW = 26;
const HEIGHT = 16;
const TOP = 8;
const COLOURS = ['#2f6f9f', '#e0913a', '#9db4c6'] as const;

/** A chart as SVG that stands by itself. */
export function barChart({ title, unit, legend, bars }: Chart): string {
  const totals = bars.map(({ parts, range }) => Math.max(sum(parts), range?.[1] ?? 0));
  const most = Math.max(...totals, Number.MIN_VALUE);
  const x = (value: number): number => NAMES + (value / most) * (WIDTH - NAMES - VALUES);
  const lines = bars.map((bar, row) => barLine(bar, TOP + row * ROW, x));
  const below = legend === undefined ? '' : legendLine(legend, TOP + bars.length * ROW + 10);
  const height = TOP + bars.length * ROW + (legend === undefined ? 0 : 24);
  const svg = `<svg viewBox="0 0 ${WIDTH} ${height}" role="img" aria-label="${escaped(title)}">${lines.join('')}${below}</svg>`;
  return `<figure><figcaption>${escaped(title)} <small>${escaped(unit)}</small></figcaption>${svg}</figure>`;
}

function barLine({ name, parts, range, none }: Bar, top: number, x: (value: number) => number): string {
  const middle = top + HEIGHT / 2;
  const label = `<text x="${NAMES - 10}" y="${middle}" class="name">${escaped(name)}</text>`;
  if (none !== undefined) return `${label}<text x="${NAMES}" y="${middle}" class="none">${escaped(none)}</text>`;
  let from = 0;
  const pieces = parts.map((part, at) => {
    const width = Math.max(0, x(from + part) - x(from));
    const piece = `<rect class="bar" x="${fixed(x(from))}" y="${top}" width="${fixed(width)}" height="${HEIGHT}" fill="${COLOURS[at]}"/>`;
    from += part;
    return piece;
  });
  const whisker =
    range === undefined
      ? ''
      : `<path class="range" d="M${fixed(x(range[0]))} ${middle}H${fixed(x(range[1]))}M${fixed(x(range[0]))} ${middle - 4}v8M${fixed(x(range[1]))} ${middle - 4}v8"/>`;
  const end = x(Math.max(from, range?.[1] ?? 0)) + 8;
  return `${label}${pieces.join('')}${whisker}<text x="${fixed(end)}" y="${middle}" class="value">${digits(from)}</text>`;
}

function legendLine(legend: readonly string[], y: number): string {
  let x = NAMES;
  return legend
    .map((text, at) => {
      const item = `<rect x="${x}" y="${y - 5}" width="10" height="10" fill="${COLOURS[at]}"/><text x="${x + 15}" y="${y}" class="legend">${escaped(text)}</text>`;
      x += 30 + text.length * 7;
      return item;
    })
    .join('');
}

/** Text inside of HTML and SVG. */
export const escaped = (text: string): string =>
  text.replace(/[&<>"]/g, (character) => `&#${character.charCodeAt(0)};`);

const sum = (values: readonly number[]): number => values.reduce((total, value) => total + value, 0);
const fixed = (value: number): string => value.toFixed(1);

/** Three digits that count, thousands apart. */
function digits(value: number): string {
  if (value >= 1000) return Math.round(value).toLocaleString('en-US');
  return `${+value.toPrecision(3)}`;
}
