import { writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Command, InvalidArgumentError } from 'commander';
import { plotSvg } from './plot.js';
import { problemsOf, resultText } from './report.js';
import { runMigrate } from './run-migrate.js';

const MEBIBYTE = 2 ** 20;

// A guest with a virtio-net driver moves from a virtual function of one vendor's card to one of another vendor's, and back, while it
// sends and receives over TCP and answers pings.
const command = new Command('migrate')
  .description('A guest moves between two vendors’ cards under ping and TCP, and back; prints the timeline.')
  .argument('[mebibytes]', 'what TCP carries in each direction', positive, 16)
  .argument('[plot]', 'SVG file to write', join(tmpdir(), 'migrate.svg'))
  .addHelpText(
    'after',
    '\nExit code: 0, 1 when bytes changed or pings were lost while nothing moved, 2 for a wrong argument.',
  )
  .exitOverride(({ exitCode }) => process.exit(exitCode === 0 ? 0 : 2))
  .parse();
const [mebibytes, plot] = command.processedArgs as [number, string];

function positive(text: string): number {
  const number = Number(text);
  if (!(number >= 1 && number <= 256)) throw new InvalidArgumentError('Want 1 to 256 MiB.');
  return number;
}

const result = runMigrate(Math.round(mebibytes * MEBIBYTE), () => performance.now() * 1000);
process.stdout.write(resultText(result));
const problems = problemsOf(result);
for (const problem of problems) console.log(`FAILED: ${problem}`);
writeFileSync(plot, plotSvg(result));
console.log(`plot: ${plot}`);
process.exitCode = problems.length === 0 ? 0 : 1;
