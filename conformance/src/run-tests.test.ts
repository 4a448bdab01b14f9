import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { runTests } from './run-tests.js';

let root: string;
let exitCode: typeof process.exitCode;

beforeEach(() => {
  exitCode = process.exitCode;
  root = mkdtempSync(join(tmpdir(), 'conformance-'));
  write(
    'vitest.config.mjs',
    `export default { test: { globals: true, include: ['**/*.test.mjs'], reporters: [{}] } };`,
  );
});

afterEach(() => {
  // A run with failures sets the exit code of its process, which here is that of these tests.
  process.exitCode = exitCode;
  rmSync(root, { recursive: true });
});

const write = (name: string, text: string): void => writeFileSync(join(root, name), text);

test('each test comes back with its ids, those of its describes included, and its outcome', async () => {
  write(
    'states.test.mjs',
    `describe('dev.alpha.one.1', () => {
      test('passes', () => {});
      test('dev.alpha.one.2: fails', () => { throw new Error('as it should'); });
    });
    test.skip('dev.alpha.one.3: skipped', () => {});
    test('dev.alpha.one.4: skips itself', (context) => context.skip());
    test.fails('dev.alpha.one.5: said to fail', () => { throw new Error('as it should'); });
    test.todo('dev.alpha.one.6: not written');`,
  );
  const run = await runTests(root, false);
  expect(run.failed).toBe(true);
  expect(run.tests).toEqual([
    { name: 'states.test.mjs > dev.alpha.one.1 > passes', ids: ['dev.alpha.one.1'], outcome: 'passed' },
    {
      name: 'states.test.mjs > dev.alpha.one.1 > dev.alpha.one.2: fails',
      ids: ['dev.alpha.one.1', 'dev.alpha.one.2'],
      outcome: 'failed',
    },
    { name: 'states.test.mjs > dev.alpha.one.3: skipped', ids: ['dev.alpha.one.3'], outcome: 'skipped' },
    { name: 'states.test.mjs > dev.alpha.one.4: skips itself', ids: ['dev.alpha.one.4'], outcome: 'skipped' },
    { name: 'states.test.mjs > dev.alpha.one.5: said to fail', ids: ['dev.alpha.one.5'], outcome: 'expectedFailure' },
    { name: 'states.test.mjs > dev.alpha.one.6: not written', ids: ['dev.alpha.one.6'], outcome: 'skipped' },
  ]);
});

test('a file that does not load fails what its text names', async () => {
  write('broken.test.mjs', `throw new Error('at load'); test('dev.alpha.one.1,.2: never seen', () => {});`);
  expect(await runTests(root, false)).toEqual({
    tests: [
      {
        name: 'broken.test.mjs > (did not load)',
        ids: ['dev.alpha.one.1', 'dev.alpha.one.2'],
        outcome: 'failed',
      },
    ],
    failed: true,
  });
});

test('a failing hook fails the run though its tests passed', async () => {
  write('hook.test.mjs', `afterAll(() => { throw new Error('late'); }); test('dev.alpha.one.1', () => {});`);
  expect((await runTests(root, false)).failed).toBe(true);
});

test('files without an id run only when all do', async () => {
  write('with.test.mjs', `test('dev.alpha.one.1', () => {});`);
  write('without.test.mjs', `test('plain', () => {});`);
  const names = async (all: boolean): Promise<string[]> => (await runTests(root, all)).tests.map(({ name }) => name);
  expect(await names(false)).toEqual(['with.test.mjs > dev.alpha.one.1']);
  expect((await names(true)).sort()).toEqual(['with.test.mjs > dev.alpha.one.1', 'without.test.mjs > plain']);
});
