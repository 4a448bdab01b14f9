import { readdirSync, readFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import { REMARKS, RULES } from './rules.js';

const sources = readdirSync(new URL('.', import.meta.url))
  .filter((name) => name.endsWith('.test.ts') && name !== 'rules.test.ts')
  .map((name) => readFileSync(new URL(name, import.meta.url), 'utf8'))
  .join('\n');

test('every rule and every remark is broken on purpose by some test', () => {
  const ids = [...Object.keys(RULES), ...Object.keys(REMARKS)];
  expect(ids.filter((id) => !sources.includes(`'${id}'`))).toEqual([]);
});

test('a rule is the duty of the side that its statement id names', () => {
  for (const [id, { by }] of Object.entries(RULES)) {
    if (!id.startsWith('ring.')) expect(by).toBe(id.startsWith('drv.') ? 'driver' : 'device');
  }
});
