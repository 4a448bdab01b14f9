import type { FieldRow } from '../layout.js';

/** What is wrong with a table whose rows should cover bytes 0 to `total` in order: gaps, overlaps, a wrong end. */
export function walkLayout(rows: Record<string, FieldRow>, total: number): string[] {
  const problems: string[] = [];
  let end = 0;
  for (const [name, { at, bytes }] of Object.entries(rows)) {
    if (at > end) problems.push(`gap ${end}..${at} before ${name}`);
    if (at < end) problems.push(`${name} at ${at} overlaps, the field before ends at ${end}`);
    end = at + bytes;
  }
  if (end !== total) problems.push(`ends at ${end}, want ${total}`);
  return problems;
}

/** A flat list of offsets joined with field widths that the test writes by hand from the spec's struct. */
export function withWidths(offsets: Record<string, number>, widths: Record<string, number>): Record<string, FieldRow> {
  return Object.fromEntries(Object.entries(widths).map(([name, bytes]) => [name, { at: offsets[name]!, bytes }]));
}
