import { readFileSync } from 'node:fs';
import { VirtioError } from '@ringwire/virtio-spec';
import { Command, CommanderError, InvalidArgumentError } from 'commander';
import { addCertify } from './certify.js';
import { addCheck } from './check.js';
import { addCompare } from './compare.js';
import { addExplain } from './explain.js';
import { addIommuWalk } from './iommu-walk.js';
import { addNic } from './nic.js';
import { addRecord } from './record.js';
import { addServe } from './serve.js';
import { type ExitCode, type Terminal, UnusableInput } from './terminal.js';
import { addVdpa } from './vdpa.js';
import { addWhy } from './why.js';

/** Each subcommand is one file that adds itself; `done` takes its exit code. */
const COMMANDS = [
  addCertify,
  addCheck,
  addCompare,
  addExplain,
  addIommuWalk,
  addNic,
  addRecord,
  addServe,
  addVdpa,
  addWhy,
];

/** Run one command line, without the name of the program. */
export async function run(args: readonly string[], terminal: Terminal): Promise<ExitCode> {
  let code: ExitCode = 0;
  const program = new Command('ringwire')
    .description('See what is in virtio rings and IOMMU tables and what is wrong with them; serve virtio devices.')
    .version(version())
    .exitOverride()
    .configureOutput({ writeOut: terminal.out, writeErr: terminal.err });
  for (const add of COMMANDS) {
    add(program, terminal, (exitCode) => {
      code = exitCode;
    });
  }
  // Subcommands take these settings over only when they are added later, so they are told themselves.
  for (const command of program.commands.flatMap(withCommandsBelow)) {
    command.exitOverride().configureOutput({ writeOut: terminal.out, writeErr: terminal.err });
  }
  try {
    await program.parseAsync(args, { from: 'user' });
    return code;
  } catch (error) {
    // Of options, commander says itself what is wrong with them.
    if (error instanceof CommanderError && !(error instanceof InvalidArgumentError))
      return error.exitCode === 0 ? 0 : 2;
    if (error instanceof UnusableInput || error instanceof VirtioError || error instanceof InvalidArgumentError) {
      terminal.err(`ringwire: ${error.message}\n`);
      return 2;
    }
    throw error;
  }
}

const withCommandsBelow = (command: Command): Command[] => [command, ...command.commands.flatMap(withCommandsBelow)];

function version(): string {
  const manifest: unknown = JSON.parse(readFileSync(new URL('../package.json', import.meta.url), 'utf8'));
  const found = manifest !== null && typeof manifest === 'object' && 'version' in manifest ? manifest.version : null;
  return typeof found === 'string' ? found : 'unknown';
}
