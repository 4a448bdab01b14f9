import { ARCHITECTURES, columnNotes, compareArchitectures, comparisonPage, comparisonTable } from '@ringwire/compare';
import type { Command } from 'commander';
import { integer } from './option-values.js';
import { OutputFile } from './output-file.js';
import type { ExitCode, Terminal } from './terminal.js';

interface CompareOptions {
  readonly frames?: number;
  readonly rounds?: number;
  readonly size?: number;
  readonly packed?: true;
  readonly quick?: true;
  readonly json?: true;
  readonly html?: string;
}

const USUAL = { frames: 50_000, rounds: 9 };
const QUICK = { frames: 20_000, rounds: 3 };
/** To the start of the line, which is empty then. */
const CLEAR = '\r\u001b[K';

const EXAMPLES = `
Columns:
${columnNotes()}
Counts are the same on every machine; what is measured is of this one. Every byte of the frames that are counted is compared.

Examples:
  ringwire compare
  ringwire compare --quick --json
  ringwire compare --size 1514 --packed --html compare.html

Exit code: 0, or 2 when the options cannot be used.
`;

/** `ringwire compare`: the architectures of network I/O, measured side by side. */
export function addCompare(program: Command, terminal: Terminal, done: (code: ExitCode) => void): void {
  program
    .command('compare')
    .summary('compare emulation, vhost, SR-IOV, full offload and vDPA, measured')
    .description(
      'Send the same frames from guest to guest by six architectures, and say what each costs; move a guest.',
    )
    .option('--frames <n>', `frames in each measured round; ${USUAL.frames}, quick ${QUICK.frames}`, integer)
    .option('--rounds <n>', `measured rounds; ${USUAL.rounds}, quick ${QUICK.rounds}`, integer)
    .option('--size <bytes>', 'of a frame without its check sequence, 60 to 1514; 60', integer)
    .option('--packed', 'packed rings where guests have virtio; split ones otherwise')
    .option('--quick', 'short rounds')
    .option('--json', 'print figures as JSON')
    .option('--html <file>', 'write a page with tables and plots, too')
    .addHelpText('after', EXAMPLES)
    .action(({ packed, quick, size = 60, json, html, ...given }: CompareOptions) => {
      const { frames, rounds } = { ...(quick === true ? QUICK : USUAL), ...given };
      const rings = packed === true ? 'packed' : 'split';
      const file = html === undefined ? undefined : new OutputFile(html);
      const progress = progressLine(terminal);
      const architectures = compareArchitectures(ARCHITECTURES, { frames, rounds, size, rings, progress });
      progress('', 1);
      const heading = `frames of ${size} bytes, ${rings} rings, ${rounds} rounds of ${frames}`;
      if (file !== undefined) {
        file.write(new TextEncoder().encode(comparisonPage(architectures, `I/O architectures: ${heading}`)));
        file.close();
      }
      terminal.out(
        json === true ? `${JSON.stringify({ architectures })}\n` : `${heading}\n\n${comparisonTable(architectures)}`,
      );
      done(0);
    });
}

/** Where there is a screen: what is under way, on one line, which is gone at the end. */
function progressLine({ err, liveColumns }: Terminal): (what: string, done: number) => void {
  if (liveColumns === undefined) return () => {};
  return (what, done) => {
    const text = done < 1 ? `${Math.round(done * 100)} %  ${what}` : '';
    err(`${CLEAR}${text.slice(0, Math.max(0, liveColumns() - 1))}`);
  };
}
