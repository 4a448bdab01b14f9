import { readFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import * as guestMemory from './index.js';

test('the example in the README prints what its comments say', () => {
  const readme = readFileSync(new URL('../README.md', import.meta.url), 'utf8');
  const example = /```ts\n([\s\S]*?)```/.exec(readme)![1]!;
  const body = example.replace(/import (\{[^}]*\}) from '@ringwire\/guest-memory';/, 'const $1 = guestMemory;');
  const printed: string[] = [];
  new Function('guestMemory', 'console', body)(guestMemory, { log: (value: unknown) => printed.push(String(value)) });
  const promised = [...example.matchAll(/console\.log\(.*\/\/ (.*)/g)].map((line) => line[1]);
  expect(printed).toEqual(promised);
  expect(printed).toHaveLength(3);
});
