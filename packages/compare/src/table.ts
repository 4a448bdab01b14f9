import type { Comparison } from './measure.js';

interface Column {
  readonly title: string;
  readonly cell: (row: Comparison) => string;
}

const number = (digits: number) => (value: number) => value.toFixed(digits);
const [whole, hundredths] = [number(0), number(2)];

const COLUMNS: readonly Column[] = [
  { title: 'architecture', cell: ({ name }) => name },
  { title: 'traps', cell: ({ traps }) => hundredths(traps) },
  { title: 'kicks', cell: ({ kicks }) => hundredths(kicks) },
  { title: 'interrupts', cell: ({ interrupts }) => hundredths(interrupts) },
  { title: 'copies', cell: ({ copies }) => hundredths(copies) },
  { title: 'bytes copied', cell: ({ copiedBytes }) => whole(copiedBytes) },
  { title: 'DMA', cell: ({ dmaAccesses }) => hundredths(dmaAccesses) },
  { title: 'host ns', cell: ({ hostNsPerFrame }) => whole(hostNsPerFrame) },
  { title: 'all ns', cell: ({ nsPerFrame }) => whole(nsPerFrame) },
  { title: 'frames/s', cell: ({ framesPerSecond }) => whole(framesPerSecond) },
  { title: 'ping p50 µs', cell: ({ latencyP50 }) => latencyP50.toFixed(1) },
  { title: 'p99 µs', cell: ({ latencyP99 }) => latencyP99.toFixed(1) },
  { title: 'drivers', cell: ({ guestDrivers }) => `${guestDrivers.length}` },
  { title: 'moves', cell: ({ migratable }) => (migratable ? 'yes' : 'no') },
];

/** Comparisons side by side, for a terminal: a line each, counts per frame. */
export function comparisonTable(rows: readonly Comparison[]): string {
  const cells = [COLUMNS.map(({ title }) => title), ...rows.map((row) => COLUMNS.map(({ cell }) => cell(row)))];
  const widths = COLUMNS.map((_, column) => Math.max(...cells.map((line) => line[column]!.length)));
  const lines = cells.map((line) =>
    line.map((cell, column) => (column === 0 ? cell.padEnd(widths[0]!) : cell.padStart(widths[column]!))).join('  '),
  );
  const reasons = rows.flatMap(({ name, blocker }) => (blocker === null ? [] : [`${name} does not move: ${blocker}.`]));
  return [...lines, '', ...reasons, ''].join('\n');
}

const CHARTS: readonly { readonly title: string; readonly of: (row: Comparison) => number }[] = [
  { title: 'Software of the host, ns per frame', of: ({ hostNsPerFrame }) => hostNsPerFrame },
  { title: 'Guests, host and card, ns per frame', of: ({ nsPerFrame }) => nsPerFrame },
  { title: 'Traps per frame', of: ({ traps }) => traps },
  { title: 'Interrupts per frame', of: ({ interrupts }) => interrupts },
  { title: 'Bytes that the host copies per frame', of: ({ copiedBytes }) => copiedBytes },
  { title: 'A frame there and back, p99 in µs', of: ({ latencyP99 }) => latencyP99 },
];

const STYLE = `body{font:15px/1.5 system-ui,sans-serif;max-width:70rem;margin:2rem auto;padding:0 1rem;color:#1d2733;background:#fff}
table{border-collapse:collapse;margin:1rem 0}th,td{padding:.3rem .7rem;text-align:right;border-bottom:1px solid #dde3ea}
th:first-child,td:first-child{text-align:left}.charts{display:grid;grid-template-columns:repeat(auto-fill,minmax(28rem,1fr));gap:1.5rem}
h2{font-size:1rem;margin:0 0 .4rem}.row{display:grid;grid-template-columns:8rem 1fr 5rem;align-items:center;gap:.6rem}
.bar{height:1rem;border-radius:2px;background:#2f6f9f}.value{text-align:right;font-variant-numeric:tabular-nums}`;

/** The same as a page of its own, with a bar for each. */
export function comparisonPage(rows: readonly Comparison[], heading: string): string {
  const head = COLUMNS.map(({ title }) => `<th>${escaped(title)}</th>`).join('');
  const body = rows.map((row) => `<tr>${COLUMNS.map(({ cell }) => `<td>${escaped(cell(row))}</td>`).join('')}</tr>`);
  const charts = CHARTS.map(({ title, of }) => {
    const most = Math.max(...rows.map(of), Number.MIN_VALUE);
    const bars = rows.map((row) => {
      const share = ((of(row) / most) * 100).toFixed(1);
      const bar = `<span class="bar" style="width:${share}%"></span>`;
      return `<div class="row"><span>${escaped(row.name)}</span>${bar}<span class="value">${+of(row).toPrecision(3)}</span></div>`;
    });
    return `<section><h2>${escaped(title)}</h2>${bars.join('')}</section>`;
  });
  const words = rows.map(({ name, title, blocker }) => {
    const why = blocker === null ? '' : ` It does not move: ${escaped(blocker)}.`;
    return `<li><b>${escaped(name)}</b>: ${escaped(title)}.${why}</li>`;
  });
  return `<!doctype html>
<html lang="en"><meta charset="utf-8"><title>${escaped(heading)}</title><style>${STYLE}</style>
<h1>${escaped(heading)}</h1>
<ul>${words.join('')}</ul>
<table><thead><tr>${head}</tr></thead><tbody>${body.join('')}</tbody></table>
<div class="charts">${charts.join('')}</div>
</html>
`;
}

const escaped = (text: string): string => text.replace(/[&<>"]/g, (character) => `&#${character.charCodeAt(0)};`);
