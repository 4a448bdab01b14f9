import { describe, expect, test } from 'vitest';
import type { ClauseList, Statement } from './clauses.js';
import { buildMatrix, type TestOutcome } from './matrix.js';
import { formatJson, formatOpen, formatTable, unmetAreas } from './report.js';

const statement = (id: string): Statement => ({
  id,
  area: id.split('.')[1]!,
  role: 'device',
  level: 'MUST',
  gist: `gist of ${id}`,
  section: '2.7.1',
});
const clausesOf = (...ids: string[]): ClauseList => ({
  statements: new Map(ids.map((id) => [id, statement(id)])),
  areas: [...new Set(ids.map((id) => id.split('.')[1]!))],
});
const ran = (name: string, outcome: TestOutcome['outcome'], ...ids: string[]): TestOutcome => ({ name, ids, outcome });
const none = { reasons: new Map<string, string>(), problems: [] };
const A1 = 'dev.alpha.one.1';
const A2 = 'dev.alpha.one.2';
const B1 = 'dev.beta.one.1';
const clauses = clausesOf(A1, A2, B1);

describe('state of a statement', () => {
  const stateOf = (...tests: TestOutcome[]): unknown => {
    const { state, tests: names, reason } = buildMatrix(clausesOf(A1), none, tests).rows[0]!;
    return { state, names, reason };
  };

  test('without a test it is open', () => {
    expect(stateOf()).toEqual({ state: 'open', names: [], reason: 'no test names it' });
  });

  test('tests that all passed prove it', () => {
    expect(stateOf(ran('t', 'passed', A1), ran('u', 'passed', A1))).toEqual({
      state: 'proven',
      names: ['t', 'u'],
      reason: undefined,
    });
  });

  test('one failed test leaves it open and is named, before a skipped one', () => {
    expect(stateOf(ran('t', 'passed', A1), ran('u', 'skipped', A1), ran('v', 'failed', A1))).toEqual({
      state: 'open',
      names: ['t', 'u', 'v'],
      reason: 'failed: v',
    });
  });

  test('one skipped test leaves it open', () => {
    expect(stateOf(ran('t', 'passed', A1), ran('u', 'skipped', A1))).toMatchObject({ reason: 'skipped: u' });
  });

  test('a test that is said to fail proves nothing', () => {
    expect(stateOf(ran('t', 'expectedFailure', A1))).toMatchObject({ state: 'open', reason: 'expected to fail: t' });
  });
});

describe('the matrix', () => {
  test('a test proves all statements that it names, and no other', () => {
    const { rows, problems } = buildMatrix(clauses, none, [ran('t', 'passed', A1, B1)]);
    expect(rows.map(({ state }) => state)).toEqual(['proven', 'open', 'proven']);
    expect(problems).toEqual([]);
  });

  test('an unknown id in a title is a problem that names id and test', () => {
    const { problems } = buildMatrix(clauses, none, [ran('t', 'passed', A1, 'dev.alpha.one.9')]);
    expect(problems).toEqual(['dev.alpha.one.9 is not a statement, named by t']);
  });

  test('a listed statement keeps its reason; one that a test names is a problem and goes by the test', () => {
    const listed = {
      reasons: new Map([
        [A1, 'Left unused.'],
        [A2, 'Left unused too.'],
      ]),
      problems: ['from the list'],
    };
    const { rows, problems } = buildMatrix(clauses, listed, [ran('t', 'failed', A2)]);
    expect(rows[0]).toMatchObject({ state: 'notApplicable', reason: 'Left unused.', tests: [] });
    expect(rows[1]).toMatchObject({ state: 'open', reason: 'failed: t' });
    expect(problems).toEqual(['from the list', `${A2} is listed as not applicable, yet named by t`]);
  });
});

describe('the report', () => {
  const listed = { reasons: new Map([[B1, 'Left unused.']]), problems: [] };
  const { rows } = buildMatrix(clauses, listed, [ran('t', 'passed', A1), ran('u', 'failed', A2)]);

  test('the table counts per area, and percent leaves out what is not applicable', () => {
    expect(formatTable(rows)).toBe(
      [
        'area   statements  proven  not applicable  open  percent',
        'alpha           2       1               0     1       50',
        'beta            1       0               1     0',
        'all             3       1               1     1       50',
        '',
      ].join('\n'),
    );
  });

  test('percent is rounded down, so that one open statement is never 100', () => {
    const ids = Array.from({ length: 300 }, (_, i) => `dev.alpha.one.${i + 1}`);
    const most = ran('t', 'passed', ...ids.slice(1));
    expect(formatTable(buildMatrix(clausesOf(...ids), none, [most]).rows)).toMatch(/ 1 {7}99\n$/);
  });

  test('the open list gives the gist, and the test in the way', () => {
    expect(formatOpen(rows)).toBe(`${A2}  §2.7.1  the device MUST: gist of ${A2}\n  failed: u\n`);
  });

  test('JSON carries tallies and states', () => {
    const json = JSON.parse(formatJson(rows));
    expect(json.areas).toEqual({
      alpha: { proven: 1, notApplicable: 0, open: 1 },
      beta: { proven: 0, notApplicable: 1, open: 0 },
    });
    expect(json.statements).toMatchObject([
      { id: A1, state: 'proven', tests: ['t'] },
      { id: A2, state: 'open', tests: ['u'], reason: 'failed: u' },
      { id: B1, state: 'notApplicable', tests: [], reason: 'Left unused.' },
    ]);
    expect(json.statements[0]).not.toHaveProperty('reason');
  });

  test('a required area is unmet while one statement is open', () => {
    expect(unmetAreas(rows, ['alpha', 'beta'])).toEqual(['area alpha has 1 open statements']);
  });
});
