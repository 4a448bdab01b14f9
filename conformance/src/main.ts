import { readFileSync, writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { Command, CommanderError } from 'commander';
import { checkAreas, readClauses } from './clauses.js';
import { buildMatrix } from './matrix.js';
import { readNotApplicable } from './not-applicable.js';
import { formatJson, formatOpen, formatTable, unmetAreas } from './report.js';
import { runTests } from './run-tests.js';
import { UnusableInput } from './unusable-input.js';

const WORKSPACE = fileURLToPath(new URL('../../', import.meta.url));
const DATA = new URL('../data/', import.meta.url);

interface Options {
  readonly all?: true;
  readonly area?: string[];
  readonly json?: true | string;
  readonly open?: true | string[];
  readonly require?: string[];
}

const list = (value: string): string[] => value.split(',').map((area) => area.trim());

function readOptions(argv: readonly string[]): Options {
  const command = new Command('conformance')
    .description('Run the tests and show which normative statements of virtio 1.4 they prove.')
    .option('--all', 'run every test file, not only those whose text has a statement id')
    .option('--area <areas>', 'show these areas only, separated by commas', list)
    .option('--open [areas]', 'also list the open statements, of all shown areas or of these', list)
    .option('--json [file]', 'print JSON instead of the table, or write it to a file beside it')
    .option('--require <areas>', 'exit with 1 while a statement of these areas is open', list)
    .allowExcessArguments(false)
    .exitOverride();
  command.parse(argv);
  return command.opts<Options>();
}

function readData(name: string): unknown {
  try {
    return JSON.parse(readFileSync(new URL(name, DATA), 'utf8'));
  } catch (error) {
    throw new UnusableInput(`${name}: ${error instanceof Error ? error.message : String(error)}`);
  }
}

/** @returns the exit code: 0, or 1 for a failed run, an id that is wrong, or a required area with open statements */
async function conformance(options: Options): Promise<number> {
  const clauses = readClauses(readData('virtio-1.4-clauses.json'));
  const notApplicable = readNotApplicable(readData('not-applicable.json'), clauses);
  const shown = options.area ?? clauses.areas;
  const opened = options.open === true ? shown : (options.open ?? []);
  const required = options.require ?? [];
  checkAreas(shown, clauses, '--area');
  checkAreas(opened, clauses, '--open');
  checkAreas(required, clauses, '--require');

  const run = await runTests(WORKSPACE, options.all === true);
  const { rows, problems } = buildMatrix(clauses, notApplicable, run.tests);

  const shownRows = rows.filter(({ statement }) => shown.includes(statement.area));
  if (typeof options.json === 'string') writeResult(options.json, formatJson(shownRows));
  if (options.json === true) {
    process.stdout.write(formatJson(shownRows));
  } else {
    process.stdout.write(formatTable(shownRows));
    const openText = formatOpen(rows.filter(({ statement }) => opened.includes(statement.area)));
    if (openText !== '') process.stdout.write(`\n${openText}`);
  }

  const complaints = [...problems, ...unmetAreas(rows, required)];
  if (run.failed) complaints.push('the test run failed');
  for (const complaint of complaints) process.stderr.write(`conformance: ${complaint}\n`);
  return complaints.length === 0 ? 0 : 1;
}

function writeResult(file: string, text: string): void {
  try {
    writeFileSync(file, text);
  } catch (error) {
    throw new UnusableInput(`--json: ${error instanceof Error ? error.message : String(error)}`);
  }
}

try {
  process.exitCode = await conformance(readOptions(process.argv));
} catch (error) {
  if (error instanceof CommanderError) {
    process.exitCode = error.exitCode === 0 ? 0 : 2;
  } else if (error instanceof UnusableInput) {
    process.stderr.write(`conformance: ${error.message}\n`);
    process.exitCode = 2;
  } else {
    throw error;
  }
}
