import { readFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import * as spec from './index.js';

const readme = readFileSync(new URL('../README.md', import.meta.url), 'utf8');
const example = /```ts\n(.*?)```/s.exec(readme)![1]!;

test('the README’s example prints what its comments say', () => {
  const body = example.replace(/import (\{[^}]*\}) from '@ringwire\/virtio-spec';/, 'const $1 = spec;');
  const printed: string[] = [];
  const log = (...values: unknown[]): void => void printed.push(values.join(' '));
  new Function('spec', 'console', body)(spec, { log });
  expect(printed).toEqual([...example.matchAll(/; \/\/ (.*)/g)].map((match) => match[1]));
  expect(printed).toHaveLength(4);
});
