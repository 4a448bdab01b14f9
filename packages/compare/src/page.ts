import { type Bar, barChart, type Chart, escaped } from './bars.js';
import { COUNTED, type Column, MEASURED, NAME } from './columns.js';
import { contrastOf } from './contrast.js';
import type { Comparison } from './measure.js';

const STYLE = `body{font:15px/1.5 system-ui,sans-serif;max-width:78rem;margin:2rem auto;padding:0 1rem;color:#1d2733;background:#fff}
h1{font-size:1.5rem}h2{font-size:1.15rem;margin:2rem 0 .5rem}.wide{overflow-x:auto}
table{border-collapse:collapse;font-size:.875rem;font-variant-numeric:tabular-nums}
th,td{padding:.3rem .6rem;text-align:right;border-bottom:1px solid #dde3ea;white-space:nowrap}th[title]{text-decoration:underline dotted #9db4c6;cursor:help}
th:first-child,td:first-child,.words th,.words td{text-align:left;white-space:normal}
.charts{display:grid;grid-template-columns:repeat(auto-fill,minmax(26rem,1fr));gap:1.5rem 2rem}figure{margin:0}
figcaption{font-weight:600}small{font-weight:400;color:#5b6b7a}svg{width:100%;height:auto;display:block}
text{font:12px system-ui,sans-serif;dominant-baseline:central;fill:#1d2733}.name{text-anchor:end}.value{font-variant-numeric:tabular-nums}
.none,.legend{fill:#5b6b7a}.range{stroke:#1d2733;fill:none}dl{columns:2;column-gap:2rem;font-size:.875rem}dt{font-weight:600}dd{margin:0 0 .4rem;break-inside:avoid}`;

/** Comparisons as a page that needs nothing else: tables, plots, and what every column is. */
export function comparisonPage(rows: readonly Comparison[], heading: string): string {
  const { columns, rows: contrasts } = contrastOf(rows);
  const head = ['', ...columns].map((title) => `<th>${escaped(title)}</th>`).join('');
  const contrast = contrasts.map(({ title, cells }) => tableRow([title, ...cells]));
  const titles = rows.map(({ name, title }) => `<li><b>${escaped(name)}</b>: ${escaped(title)}</li>`);
  const notes = [...COUNTED, ...MEASURED].map(
    ({ title, about }) => `<dt>${escaped(title)}</dt><dd>${escaped(about)}</dd>`,
  );
  return `<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width">
<title>${escaped(heading)}</title>
<style>${STYLE}</style>
<h1>${escaped(heading)}</h1>
<ul>${titles.join('')}</ul>
<h2>Counted, per frame</h2>
${figures(COUNTED, rows)}
<h2>Measured here, in one thread</h2>
${figures(MEASURED, rows)}
${blockers(rows)}
<h2>What that means</h2>
<table class="words"><thead><tr>${head}</tr></thead><tbody>${contrast.join('')}</tbody></table>
<h2>Plots</h2>
<div class="charts">${chartsOf(rows).map(barChart).join('\n')}</div>
<h2>Columns</h2>
<dl>${notes.join('')}</dl>
</html>
`;
}

const tableRow = (cells: readonly string[]): string =>
  `<tr>${cells.map((cell) => `<td>${escaped(cell)}</td>`).join('')}</tr>`;

function figures(columns: readonly Column[], rows: readonly Comparison[]): string {
  const all = [NAME, ...columns];
  const head = all.map(({ title, about }) => `<th title="${escaped(about)}">${escaped(title)}</th>`).join('');
  const body = rows.map((row) => tableRow(all.map(({ cell }) => cell(row))));
  return `<div class="wide"><table><thead><tr>${head}</tr></thead><tbody>${body.join('')}</tbody></table></div>`;
}

function blockers(rows: readonly Comparison[]): string {
  return rows
    .filter(({ migratable }) => !migratable)
    .map(({ name, blockers: reasons }) => {
      const list = reasons.map((reason) => `<li>${escaped(reason)}</li>`).join('');
      return `<p><b>${escaped(name)}</b> does not move:</p><ul>${list}</ul>`;
    })
    .join('');
}

function chartsOf(rows: readonly Comparison[]): Chart[] {
  const bars = (of: (row: Comparison) => readonly number[]): Bar[] =>
    rows.map((row) => ({ name: row.name, parts: of(row) }));
  return [
    {
      title: 'Processors’ work at assumed prices',
      unit: 'ns* per frame',
      legend: ['host', 'guests'],
      bars: bars(({ pricedHostNs, pricedNs }) => [pricedHostNs, pricedNs - pricedHostNs]),
    },
    {
      title: 'Time here',
      unit: 'ns per frame',
      legend: ['host', 'guests', 'cards, in software'],
      bars: bars(({ hostNsPerFrame: host, nsPerFrame, cardNsPerFrame }) => [host, nsPerFrame - host, cardNsPerFrame]),
    },
    {
      title: 'Rate here, and its range over the rounds',
      unit: 'frames per second',
      bars: rows.map(({ name, framesPerSecond, rounds }) => ({
        name,
        parts: [framesPerSecond],
        range: [1e9 / Math.max(...rounds), 1e9 / Math.min(...rounds)],
      })),
    },
    {
      title: 'A frame there and one back, p99',
      unit: 'µs',
      bars: bars(({ latencyP99 }) => [latencyP99]),
    },
    { title: 'Traps', unit: 'per frame', bars: bars(({ traps }) => [traps]) },
    {
      title: 'Kicks and interrupts',
      unit: 'per frame',
      legend: ['kicks', 'interrupts'],
      bars: bars(({ kicks, interrupts }) => [kicks, interrupts]),
    },
    { title: 'Copied by the host', unit: 'bytes per frame', bars: bars(({ copiedBytes }) => [copiedBytes]) },
    { title: 'DMA', unit: 'transactions per frame', bars: bars(({ dmaTransactions }) => [dmaTransactions]) },
    { title: 'Cache lines from side to side', unit: 'per frame', bars: bars(({ cacheLines }) => [cacheLines]) },
    {
      title: 'A guest that moves stands still',
      unit: 'ms',
      bars: rows.map(({ name, move }) => ({
        name,
        parts: [move?.downtimeMs ?? 0],
        ...(move === null ? { none: 'does not move' } : {}),
      })),
    },
  ];
}
