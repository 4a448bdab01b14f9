import type { ClauseList, Statement } from './clauses.js';
import type { NotApplicable } from './not-applicable.js';

/** One test, as it went in this run. */
export interface TestOutcome {
  /** File and full title, as shown to readers. */
  readonly name: string;
  /** Statement ids that its title, describes included, carries. */
  readonly ids: readonly string[];
  /** `expectedFailure`: passed because it was said to fail, which proves nothing. */
  readonly outcome: 'passed' | 'failed' | 'skipped' | 'expectedFailure';
}

/** A statement and what this run says about it. */
export interface StatementState {
  readonly statement: Statement;
  readonly state: 'proven' | 'notApplicable' | 'open';
  /** Names of all tests that carry its id, whatever their outcome. */
  readonly tests: readonly string[];
  /** Why it is not proven; absent when it is. */
  readonly reason?: string;
}

export interface Matrix {
  readonly rows: readonly StatementState[];
  /** One sentence per unknown id in a title, and per id both not applicable and named by a test. */
  readonly problems: readonly string[];
}

/** Join statements with the tests that name them. */
export function buildMatrix(clauses: ClauseList, notApplicable: NotApplicable, tests: readonly TestOutcome[]): Matrix {
  const problems = [...notApplicable.problems];
  const byId = new Map<string, TestOutcome[]>();
  for (const test of tests) {
    for (const id of test.ids) {
      if (!clauses.statements.has(id)) problems.push(`${id} is not a statement, named by ${test.name}`);
      const naming = byId.get(id);
      if (naming === undefined) byId.set(id, [test]);
      else naming.push(test);
    }
  }
  const rows: StatementState[] = [];
  for (const statement of clauses.statements.values()) {
    const naming = byId.get(statement.id) ?? [];
    const reason = notApplicable.reasons.get(statement.id);
    if (reason !== undefined && naming.length > 0) {
      problems.push(`${statement.id} is listed as not applicable, yet named by ${naming[0]!.name}`);
    }
    rows.push(stateOf(statement, naming, reason));
  }
  return { rows, problems };
}

/** Tests decide where there are any: a listing cannot hide a failing one. */
function stateOf(statement: Statement, naming: readonly TestOutcome[], notApplicable?: string): StatementState {
  const tests = naming.map((test) => test.name);
  const doubt = naming.find((test) => test.outcome === 'failed') ?? naming.find((test) => test.outcome !== 'passed');
  if (doubt !== undefined) return { statement, state: 'open', tests, reason: `${WORD[doubt.outcome]}: ${doubt.name}` };
  if (naming.length > 0) return { statement, state: 'proven', tests };
  if (notApplicable !== undefined) return { statement, state: 'notApplicable', tests, reason: notApplicable };
  return { statement, state: 'open', tests, reason: 'no test names it' };
}

const WORD: Readonly<Record<TestOutcome['outcome'], string>> = {
  passed: 'passed',
  failed: 'failed',
  skipped: 'skipped',
  expectedFailure: 'expected to fail',
};
