import { z } from 'zod';
import type { ClauseList } from './clauses.js';
import { UnusableInput } from './unusable-input.js';

/** Statements that no test can or need prove, each with its reason. */
export interface NotApplicable {
  readonly reasons: ReadonlyMap<string, string>;
  /** One sentence per id that is unknown or listed twice. */
  readonly problems: readonly string[];
}

// A list and not an object keyed by id: JSON readers drop a repeated key without a word.
const NotApplicableFile = z.array(
  z.strictObject({
    ids: z.array(z.string()).min(1),
    reason: z.string().min(20).endsWith('.', 'a reason is one or more sentences, ending in a full stop'),
  }),
);

/**
 * Read the content of the list of not applicable statements.
 * @throws UnusableInput when it has another shape
 */
export function readNotApplicable(content: unknown, clauses: ClauseList): NotApplicable {
  const parsed = NotApplicableFile.safeParse(content);
  if (!parsed.success) throw new UnusableInput(`not-applicable list: ${z.prettifyError(parsed.error)}`);
  const reasons = new Map<string, string>();
  const problems: string[] = [];
  for (const { ids, reason } of parsed.data) {
    for (const id of ids) {
      if (!clauses.statements.has(id)) problems.push(`not-applicable list: ${id} is not a statement`);
      else if (reasons.has(id)) problems.push(`not-applicable list: ${id} is there twice`);
      else reasons.set(id, reason);
    }
  }
  return { reasons, problems };
}
