import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import { readmeBlocks } from './readme-blocks.js';

const packagesDir = new URL('../packages/', import.meta.url);
const IMPORT = /^import (\{[^}]*\}) from '(@ringwire\/[^']+|node:[^']+)';$/gm;

const examples = readdirSync(packagesDir)
  .map((name) => ({ name, url: new URL(`${name}/README.md`, packagesDir) }))
  .filter(({ url }) => existsSync(url))
  .flatMap(({ name, url }) => readmeBlocks(url).map((block) => ({ name, ...block })));

test.each(examples)('the example in the README of $name prints what its comments say', async ({ code, promised }) => {
  const modules: Record<string, unknown> = {};
  for (const [, , from] of code.matchAll(IMPORT)) modules[from!] = await import(/* @vite-ignore */ from!);
  const printed: string[] = [];
  const log = (...values: unknown[]): number => printed.push(values.join(' '));
  const body = code.replace(IMPORT, "const $1 = modules['$2'];");
  // A module's own level may wait.
  await new Function('modules', 'console', `return (async () => {${body}\n})()`)(modules, { log });
  expect(printed).toEqual(promised);
  expect(promised.length).toBeGreaterThan(0);
});

test('every package has a README and a CHANGELOG', () => {
  const missing = readdirSync(packagesDir).flatMap((name) =>
    ['README.md', 'CHANGELOG.md']
      .filter((file) => !existsSync(new URL(`${name}/${file}`, packagesDir)))
      .map((file) => `${name}/${file}`),
  );
  expect(missing).toEqual([]);
});

test('every package has one version, and its CHANGELOG begins with that', () => {
  const of = (name: string, file: string): string => readFileSync(new URL(`${name}/${file}`, packagesDir), 'utf8');
  const versions = readdirSync(packagesDir).map((name) => {
    const { version } = JSON.parse(of(name, 'package.json')) as { version: string };
    expect(/^# Changelog\n\n## (\S+)$/m.exec(of(name, 'CHANGELOG.md'))?.[1], name).toBe(version);
    return version;
  });
  expect(new Set(versions).size).toBe(1);
});
