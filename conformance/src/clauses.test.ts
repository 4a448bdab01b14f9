import { readFileSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import { checkAreas, readClauses } from './clauses.js';
import { readNotApplicable } from './not-applicable.js';
import { UnusableInput } from './unusable-input.js';

const clause = (id: string, numbers: string[], area = 'alpha'): Record<string, unknown> => ({
  id,
  role: id.startsWith('dev') ? 'device' : 'driver',
  label: 'Made up',
  file: 'made-up.tex',
  spec_section: '2.7.1',
  area,
  statements: numbers.map((statement) => ({ id: statement, level: 'MUST', gist: `gist of ${statement}` })),
});

const read = (name: string): unknown => JSON.parse(readFileSync(new URL(`../data/${name}`, import.meta.url), 'utf8'));

describe('clause list', () => {
  test('statements keep their order and take role, area and section from their clause', () => {
    const clauses = readClauses([
      clause('drv.beta.x', ['drv.beta.x.1'], 'beta'),
      clause('dev.alpha.one', ['dev.alpha.one.1', 'dev.alpha.one.2']),
    ]);
    expect([...clauses.statements.keys()]).toEqual(['drv.beta.x.1', 'dev.alpha.one.1', 'dev.alpha.one.2']);
    expect(clauses.areas).toEqual(['beta', 'alpha']);
    expect(clauses.statements.get('drv.beta.x.1')).toEqual({
      id: 'drv.beta.x.1',
      area: 'beta',
      role: 'driver',
      level: 'MUST',
      gist: 'gist of drv.beta.x.1',
      section: '2.7.1',
    });
  });

  test.each([
    ['twice', [clause('dev.alpha.one', ['dev.alpha.one.1', 'dev.alpha.one.1'])], 'dev.alpha.one.1 is there twice'],
    ['outside its clause', [clause('dev.alpha.one', ['dev.alpha.two.1'])], 'dev.alpha.two.1 is not a number in'],
    ['in another area', [clause('dev.alpha.one', ['dev.alpha.one.1'], 'beta')], 'dev.alpha.one does not begin with'],
    ['with a field too many', [{ ...clause('dev.alpha.one', ['dev.alpha.one.1']), note: '' }], 'note'],
    ['without statements', [clause('dev.alpha.one', [])], 'statements'],
  ])('an id %s is refused by name', (_, content, message) => {
    expect(() => readClauses(content)).toThrow(UnusableInput);
    expect(() => readClauses(content)).toThrow(message);
  });

  test('an unknown area is refused with the known ones', () => {
    const clauses = readClauses([clause('dev.alpha.one', ['dev.alpha.one.1'])]);
    expect(() => checkAreas(['alpha'], clauses, '--area')).not.toThrow();
    expect(() => checkAreas(['alpha', 'gamma'], clauses, '--area')).toThrow(
      '--area: area is "gamma", want one of alpha',
    );
  });
});

describe('list of not applicable statements', () => {
  const clauses = readClauses([clause('dev.alpha.one', ['dev.alpha.one.1', 'dev.alpha.one.2', 'dev.alpha.one.3'])]);
  const reason = 'A MAY left unused by this device.';

  test('one reason serves several ids', () => {
    const { reasons, problems } = readNotApplicable([{ ids: ['dev.alpha.one.1', 'dev.alpha.one.3'], reason }], clauses);
    expect([...reasons]).toEqual([
      ['dev.alpha.one.1', reason],
      ['dev.alpha.one.3', reason],
    ]);
    expect(problems).toEqual([]);
  });

  test('unknown and repeated ids are problems that name the id', () => {
    const content = [
      { ids: ['dev.alpha.one.1', 'dev.alpha.one.9'], reason },
      { ids: ['dev.alpha.one.1'], reason },
    ];
    expect(readNotApplicable(content, clauses).problems).toEqual([
      'not-applicable list: dev.alpha.one.9 is not a statement',
      'not-applicable list: dev.alpha.one.1 is there twice',
    ]);
  });

  test.each([
    { ids: ['dev.alpha.one.1'], reason: 'unused' },
    { ids: ['dev.alpha.one.1'], reason: 'a reason that nobody finished in a sentence' },
    { ids: [], reason },
    { id: 'dev.alpha.one.1', reason },
  ])('an entry of another shape is refused: %j', (entry) => {
    expect(() => readNotApplicable([entry], clauses)).toThrow(UnusableInput);
  });
});

test('the data files fit together: 887 statements in 8 areas, and no unknown id among those not applicable', () => {
  const clauses = readClauses(read('virtio-1.4-clauses.json'));
  expect(clauses.statements.size).toBe(887);
  expect(clauses.areas).toHaveLength(8);
  expect(readNotApplicable(read('not-applicable.json'), clauses).problems).toEqual([]);
});
