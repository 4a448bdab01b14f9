import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { checkPackage, createPackageFromTarballData } from '@arethetypeswrong/core';
import { build } from 'esbuild';
import { publint } from 'publint';
import { formatMessage } from 'publint/utils';
import ts from 'typescript';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { installPackages, type PackedPackage, packPackages, publishedFolders, run } from './packed-packages.js';
import { readmeBlocks } from './readme-blocks.js';

/** ESM alone: what `require` and resolution without `exports` find is not asked. */
const NOT_ASKED = new Set(['node10', 'node16-cjs']);
/** As docs/architecture.md says. */
const NOT_FOR_BROWSERS = new Set(
  ['cli', 'linux', 'net-uplink', 'peer-memory', 'vduse', 'vhost-user'].map((name) => `@ringwire/${name}`),
);
const PATIENCE_MS = 240_000;
const folder = mkdtempSync(join(tmpdir(), 'ringwire-packages-'));
const project = join(folder, 'project');
const names = publishedFolders().map((path) => path.split('/').at(-1)!);
let packed: readonly PackedPackage[] = [];

beforeAll(() => {
  packed = packPackages(join(folder, 'packed'));
  installPackages(project, packed);
}, PATIENCE_MS);
afterAll(() => rmSync(folder, { recursive: true, force: true }));

const find = (name: string): PackedPackage => packed.find((one) => one.folder.endsWith(`/${name}`))!;

test.each(names)('publint has nothing to say of %s', async (name) => {
  const { tarball } = find(name);
  const bytes = readFileSync(tarball);
  const data = bytes.buffer.slice(bytes.byteOffset, bytes.byteOffset + bytes.byteLength);
  const { messages, pkg } = await publint({ pack: { tarball: data } });
  expect(messages.map((message) => formatMessage(message, pkg!))).toEqual([]);
});

test.each(names)('the types of %s are those of its modules, by every entry', async (name) => {
  const { tarball, entries } = find(name);
  // A package of commands alone has none.
  if (entries.length === 0) return;
  const result = await checkPackage(createPackageFromTarballData(readFileSync(tarball)));
  if (result.types === false) return expect.fail('there are no types');
  const problems = result.problems.filter((one) => !('resolutionKind' in one && NOT_ASKED.has(one.resolutionKind)));
  expect(problems).toEqual([]);
  expect(Object.keys(result.entrypoints).length).toBe(entries.length);
});

test.each(names)('%s, installed in an empty project, does what its README shows', (name) => {
  const { name: id } = find(name);
  const blocks = readmeBlocks(join(project, 'node_modules', id, 'README.md'));
  for (const [index, { code, promised }] of blocks.entries()) {
    const file = join(project, `${name}-${index}.mjs`);
    writeFileSync(file, code);
    expect(run(process.execPath, [file], project).trimEnd().split('\n')).toEqual(promised);
  }
});

test('a package that exports anything to call has an example in its README', () => {
  const without = packed.filter(
    ({ name, entries }) =>
      entries.length > 0 && readmeBlocks(join(project, 'node_modules', name, 'README.md')).length === 0,
  );
  const file = join(project, 'callable.mjs');
  writeFileSync(
    file,
    `const names = ${JSON.stringify(without.map(({ name, entries }) => [name, entries[0]]))};
    for (const [name, entry] of names)
      if (Object.values(await import(entry)).some((value) => typeof value === 'function')) console.log(name);`,
  );
  expect(run(process.execPath, [file], project)).toBe('');
});

test('a strict project takes the types of every entry, libraries checked', () => {
  const entries = packed.flatMap((one) => one.entries);
  const file = join(project, 'every-entry.ts');
  writeFileSync(file, entries.map((entry) => `import type {} from '${entry}';`).join('\n'));
  const program = ts.createProgram([file], {
    strict: true,
    noEmit: true,
    target: ts.ScriptTarget.ES2023,
    lib: ['lib.es2023.d.ts', 'lib.dom.d.ts'],
    module: ts.ModuleKind.NodeNext,
    moduleResolution: ts.ModuleResolutionKind.NodeNext,
    exactOptionalPropertyTypes: true,
    types: [],
  });
  const problems = ts.getPreEmitDiagnostics(program);
  // Ours: what a library of others declares, they answer for.
  const ours = problems.filter((one) => !/node_modules\/(?!@ringwire\/)/.test(one.file?.fileName ?? ''));
  expect(ours.map((one) => `${one.file?.fileName}: ${ts.flattenDiagnosticMessageText(one.messageText, ' ')}`)).toEqual(
    [],
  );
  expect(entries.length).toBeGreaterThan(20);
});

test('every package bundles for browsers, as installed, but for those that need Linux and its commands', async () => {
  const entries = packed
    .filter(({ name }) => !NOT_FOR_BROWSERS.has(name))
    .flatMap((one) => one.entries)
    .filter((entry) => !entry.endsWith('/testing'));
  const contents = entries.map((entry, index) => `export * as entry${index} from '${entry}';`).join('\n');
  const stdin = { contents, resolveDir: project };
  const { outputFiles } = await build({ stdin, bundle: true, write: false, format: 'esm', platform: 'browser' });
  expect(outputFiles[0]!.contents.length).toBeGreaterThan(0);
});

test('every command of a package says what it does', () => {
  const commands = packed.flatMap((one) => one.commands);
  expect(commands).toContain('ringwire');
  for (const command of commands)
    expect(run(join(project, 'node_modules/.bin', command), ['--help'], project)).toMatch(/^Usage: /);
});

test('ringwire, installed in an empty project, records a device and explains it', () => {
  const ringwire = join(project, 'node_modules/.bin/ringwire');
  run(ringwire, ['record', join(folder, 'run'), '--frames', '100'], project);
  expect(run(ringwire, ['explain', join(folder, 'run')], project)).toContain('virtio NET device over PCI, running');
});
