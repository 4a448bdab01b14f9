import type { CellResult, StatementState } from '../certificate.js';

/** Statements of a cell in one state. */
export const idsIn = ({ statements }: CellResult, state: StatementState): string[] =>
  Object.entries(statements).flatMap(([id, is]) => (is === state ? [id] : []));

/** Ids, those of a clause together: `drv.split.framing.1,2`. */
export function groupIds(ids: readonly string[]): string {
  const clauses = new Map<string, string[]>();
  for (const id of ids) {
    const [, clause = id, number] = /^(drv\..*)\.(\d+)$/.exec(id) ?? [];
    const numbers = clauses.get(clause) ?? [];
    if (number !== undefined) numbers.push(number);
    clauses.set(clause, numbers);
  }
  return [...clauses]
    .map(([clause, numbers]) => (numbers.length === 0 ? clause : `${clause}.${numbers.join(',')}`))
    .join(' ');
}
