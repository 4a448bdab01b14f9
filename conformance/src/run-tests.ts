import { readFileSync } from 'node:fs';
import { relative } from 'node:path';
import { createVitest, type TestCase, type TestModule } from 'vitest/node';
import type { TestOutcome } from './matrix.js';
import { statementIdsIn, statementIdsInSource } from './statement-ids.js';

/** What the test runner found. */
export interface TestRun {
  readonly tests: readonly TestOutcome[];
  /** Whether anything went wrong: a test, a file, a hook or an unhandled rejection. */
  readonly failed: boolean;
}

/**
 * Run the workspace's tests in one go, with the runner's progress on stderr. The conformance package's own tests are
 * left out: their titles are about made-up statements.
 * @param root folder of the workspace, with its vitest configuration
 * @param all  every test file instead of only those whose text has a statement id
 */
export async function runTests(root: string, all: boolean): Promise<TestRun> {
  const options = {
    root,
    watch: false,
    run: true,
    exclude: ['conformance/**', '**/node_modules/**', '**/dist/**'],
    // Not the workspace's own: one of them writes to stdout, which is the report's.
    reporters: ['default'],
  };
  const vitest = await createVitest('test', options, {}, { stdout: process.stderr, stderr: process.stderr });
  try {
    await vitest.standalone();
    const found = await vitest.globTestSpecifications();
    const wanted = all ? found : found.filter(({ moduleId }) => sourceIds(moduleId).length > 0);
    if (wanted.length === 0) return { tests: [], failed: false };
    const { testModules, unhandledErrors } = await vitest.runTestSpecifications(wanted);
    return {
      tests: testModules.flatMap((module) => outcomesOf(module, relative(root, module.moduleId))),
      failed: unhandledErrors.length > 0 || testModules.some((module) => module.state() === 'failed'),
    };
  } finally {
    await vitest.close();
  }
}

function sourceIds(path: string): string[] {
  return statementIdsInSource(readFileSync(path, 'utf8'));
}

function outcomesOf(module: TestModule, path: string): TestOutcome[] {
  const outcomes = [...module.children.allTests()].map((test) => outcomeOf(test, path));
  // A file that does not load has no tests to fail: what its text names is in doubt.
  if (module.state() === 'failed' && outcomes.length === 0) {
    outcomes.push({ name: `${path} > (did not load)`, ids: sourceIds(module.moduleId), outcome: 'failed' });
  }
  return outcomes;
}

function outcomeOf(test: TestCase, path: string): TestOutcome {
  const { state } = test.result();
  const done = state === 'pending' ? 'skipped' : state;
  return {
    name: `${path} > ${test.fullName}`,
    ids: statementIdsIn(test.fullName),
    outcome: done === 'passed' && test.options.fails === true ? 'expectedFailure' : done,
  };
}
