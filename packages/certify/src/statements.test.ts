import { readFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import { statementOf, statementsOf } from './statements.js';

interface Clause {
  readonly id: string;
  readonly role: string;
  readonly area: string;
  readonly spec_section: string;
  readonly statements: readonly { readonly id: string; readonly level: string; readonly gist: string }[];
}

const AREAS = ['basic', 'split', 'packed', 'pci', 'mmio', 'net'];

test('the driver’s statements are those of the conformance matrix, word for word', () => {
  const matrix = new URL('../../../conformance/data/virtio-1.4-clauses.json', import.meta.url);
  const clauses = (JSON.parse(readFileSync(matrix, 'utf8')) as Clause[]).filter(
    ({ role, area }) => role === 'driver' && AREAS.includes(area),
  );
  const wanted = clauses.flatMap(({ spec_section: spec, statements }) =>
    statements.map(({ id, level, gist }) => ({ id, level, spec, gist })),
  );
  expect(wanted.length).toBe(312);
  for (const one of wanted) expect(statementOf(one.id as Parameters<typeof statementOf>[0])).toEqual(one);
  const binding = wanted.filter(({ level }) => level !== 'MAY').map(({ id }) => id);
  expect(statementsOf(AREAS).map(({ id }) => id)).toEqual(binding);
});

test('a statement that a clause does not have is a mistake', () => {
  expect(() => statementOf('drv.basic.status.5')).toThrow('there is no statement drv.basic.status.5');
});
