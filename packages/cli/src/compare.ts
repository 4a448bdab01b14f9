import { ARCHITECTURES, compareArchitectures, comparisonPage, comparisonTable } from '@ringwire/compare';
import type { Command } from 'commander';
import { integer } from './option-values.js';
import { OutputFile } from './output-file.js';
import type { ExitCode, Terminal } from './terminal.js';

interface CompareOptions {
  readonly frames?: number;
  readonly size?: number;
  readonly packed?: true;
  readonly json?: true;
  readonly html?: string;
}

const EXAMPLES = `
Counts are per frame. "host ns" is the time inside software of the host, "all ns" that of guests, host and card, in one thread;
"DMA" are buffers that a device asked for by address.

Examples:
  ringwire compare
  ringwire compare --size 1514 --packed --html compare.html

Exit code: 0, or 2 when the options cannot be used.
`;

/** `ringwire compare`: the architectures of network I/O, measured side by side. */
export function addCompare(program: Command, terminal: Terminal, done: (code: ExitCode) => void): void {
  program
    .command('compare')
    .summary('compare emulation, vhost, SR-IOV, full offload and vDPA, measured')
    .description('Send the same frames from guest to guest by six architectures, and say what each costs.')
    .option('--frames <n>', 'frames in each measurement; 20000', integer)
    .option('--size <bytes>', 'of a frame without its check sequence, 60 to 1514; 60', integer)
    .option('--packed', 'packed rings where guests have virtio; split ones otherwise')
    .option('--json', 'print figures as JSON')
    .option('--html <file>', 'write a page with bars, too')
    .addHelpText('after', EXAMPLES)
    .action(({ frames = 20_000, size = 60, packed, json, html }: CompareOptions) => {
      const rings = packed === true ? 'packed' : 'split';
      const architectures = compareArchitectures(ARCHITECTURES, { frames, size, rings });
      const heading = `${frames} frames of ${size} bytes, ${rings} rings`;
      if (html !== undefined) {
        const file = new OutputFile(html);
        file.write(new TextEncoder().encode(comparisonPage(architectures, `I/O architectures: ${heading}`)));
        file.close();
      }
      terminal.out(
        json === true ? `${JSON.stringify({ architectures })}\n` : `${heading}\n\n${comparisonTable(architectures)}`,
      );
      done(0);
    });
}
