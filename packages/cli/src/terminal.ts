/** Where a command writes: data to `out`, talk to `err`. */
export interface Terminal {
  readonly out: (text: string) => void;
  readonly err: (text: string) => void;
  /** Whether `out` shows colours. */
  readonly color: boolean;
  /** Columns of the screen that `err` is, where a line may be written anew; left out where it is none. */
  readonly liveColumns?: () => number;
}

export type ExitCode = 0 | 1 | 2;

/** Input that no command can work with: exit code 2. The message says what is wrong and where. */
export class UnusableInput extends Error {
  override readonly name = 'UnusableInput';
}

const CODES = { bold: 1, red: 31, green: 32, yellow: 33, dim: 2 } as const;

/** Text in a colour, or as it is. */
export type Paint = (style: keyof typeof CODES, text: string) => string;

export const painter =
  (color: boolean): Paint =>
  (style, text) =>
    color ? `\u001b[${CODES[style]}m${text}\u001b[0m` : text;

/** Rows as columns, two spaces apart; the last column is as long as it likes. */
export function columns(rows: readonly (readonly string[])[], indent = '  '): string[] {
  const widths: number[] = [];
  for (const row of rows) for (const [i, cell] of row.entries()) widths[i] = Math.max(widths[i] ?? 0, cell.length);
  return rows.map((row) => {
    const cells = row.map((cell, i) => (i === row.length - 1 ? cell : cell.padEnd(widths[i]!)));
    return `${indent}${cells.join('  ')}`.trimEnd();
  });
}
