import { COUNTED, type Column, MEASURED, NAME } from './columns.js';
import { contrastOf } from './contrast.js';
import type { Comparison } from './measure.js';

/** Comparisons side by side, for a terminal: what was counted, what was measured, what does not move, and what that means. */
export function comparisonTable(rows: readonly Comparison[]): string {
  const { columns, rows: contrasts } = contrastOf(rows);
  const contrast = [['', ...columns], ...contrasts.map(({ title, cells }) => [title, ...cells])];
  return [
    'counted, per frame',
    ...aligned(cellsOf(COUNTED, rows), 'right'),
    '',
    'measured here',
    ...aligned(cellsOf(MEASURED, rows), 'right'),
    '',
    ...blockerLines(rows),
    '',
    ...aligned(contrast, 'left'),
    '',
  ].join('\n');
}

/** Every column with what it is. */
export function columnNotes(): string {
  const columns = [...COUNTED, ...MEASURED];
  return columns.map(({ title, about }) => `  ${title.padEnd(14)}${about}\n`).join('');
}

const cellsOf = (columns: readonly Column[], rows: readonly Comparison[]): string[][] => {
  const all = [NAME, ...columns];
  return [all.map(({ title }) => title), ...rows.map((row) => all.map(({ cell }) => cell(row)))];
};

/** Lines of cells in columns; the first one begins at the left. */
function aligned(cells: readonly (readonly string[])[], side: 'left' | 'right'): string[] {
  const widths = cells[0]!.map((_, column) => Math.max(...cells.map((line) => line[column]!.length)));
  const pad = (cell: string, column: number): string =>
    column === 0 || side === 'left' ? cell.padEnd(widths[column]!) : cell.padStart(widths[column]!);
  return cells.map((line) => `  ${line.map(pad).join('  ').trimEnd()}`);
}

function blockerLines(rows: readonly Comparison[]): string[] {
  return rows
    .filter(({ migratable }) => !migratable)
    .flatMap(({ name, blockers }) => [`${name} does not move:`, ...blockers.map((blocker) => `  - ${blocker}`)]);
}
