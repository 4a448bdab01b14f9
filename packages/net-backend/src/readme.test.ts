import { readFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import * as netBackend from './index.js';

test('the example in the README prints what its comments say', () => {
  const readme = readFileSync(new URL('../README.md', import.meta.url), 'utf8');
  const example = /```ts\n([\s\S]*?)```/.exec(readme)![1]!;
  const body = example.replace(/import (\{[^}]*\}) from '@ringwire\/net-backend';/, 'const $1 = netBackend;');
  const printed: string[] = [];
  const console = { log: (...values: unknown[]) => printed.push(values.join(' ')) };
  new Function('netBackend', 'console', body)(netBackend, console);
  const promised = [...example.matchAll(/console\.log\(.*\/\/ (.*)/g)].map((line) => line[1]);
  expect(printed).toEqual(promised);
  expect(printed).toHaveLength(3);
});
