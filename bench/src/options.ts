import { fileURLToPath } from 'node:url';
import { Command, CommanderError, InvalidArgumentError, Option } from 'commander';
import type { Timing } from './case-plan.js';
import type { IommuChoice } from './cases.js';
import type { PeerTiming } from './dpdk-peer.js';
import { SABOTAGES, type Sabotage } from './worker-job.js';

/** What the command line asks for. */
export interface Options {
  readonly timing: Timing;
  readonly peerTiming: PeerTiming;
  /** Times that a case is run at most while other programs disturb it, … */
  readonly attempts: number;
  /** … as long as all cases together stay below as many seconds. */
  readonly budgetSeconds: number;
  readonly filter: RegExp | undefined;
  readonly list: boolean;
  readonly iommu: IommuChoice;
  /** Few cases of network devices. */
  readonly quick: boolean;
  readonly peer: boolean;
  /** File for the JSON; `-` is stdout. */
  readonly json: string | undefined;
  readonly svg: string | undefined;
  readonly out: string;
  readonly sabotage: Sabotage | undefined;
}

/** The command line ends the program here: help, or a mistake that has been explained already. */
export class EndOfProgram extends Error {
  override readonly name = 'EndOfProgram';
  readonly exitCode: number;

  constructor(exitCode: number) {
    super(`exit code ${exitCode}`);
    this.exitCode = exitCode;
  }
}

const RESULTS = fileURLToPath(new URL('../results/', import.meta.url));
const USUAL = { warmSeconds: 0.4, seconds: 0.4, repeats: 5 };
const QUICK = { warmSeconds: 0.1, seconds: 0.06, repeats: 3 };

interface Flags {
  readonly quick?: true;
  readonly filter?: RegExp;
  readonly list?: true;
  readonly iommu?: 'off' | 'on';
  readonly peer: boolean;
  readonly json?: string;
  readonly svg?: string;
  readonly out: string;
  readonly seconds?: number;
  readonly repeat?: number;
  readonly sabotage?: Sabotage;
}

/** @param say where help and mistakes go */
export function readOptions(argv: readonly string[], say: { out: Say; err: Say }): Options {
  const command = new Command('bench')
    .description('Measure the rings, beside DPDK on the same machine, and check every frame.')
    .option('--quick', 'short rounds: all cases in less than a minute')
    .option('--filter <pattern>', 'only cases whose name has this text or matches this regular expression', pattern)
    .option('--list', 'print the names of the cases and end')
    .addOption(
      new Option('--iommu <which>', 'rings of all devices through an IOMMU, or of none (some of each)').choices([
        'off',
        'on',
      ]),
    )
    .option('--no-peer', 'leave DPDK out')
    .option('--seconds <s>', `length of a measured round (${USUAL.seconds}, quick ${QUICK.seconds})`, positive)
    .option('--repeat <n>', `measured rounds per case (${USUAL.repeats}, quick ${QUICK.repeats})`, count)
    .option('--json <file>', 'write the figures as JSON here too; - for stdout, the table then goes to stderr')
    .option('--svg <file>', 'write the plot here too')
    .option('--out <directory>', 'where bench.json, bench.svg and bench.html go', RESULTS)
    .addOption(
      new Option('--sabotage <what>', 'spoil a frame on purpose, to see the bench fail').choices([...SABOTAGES]),
    )
    .addHelpText(
      'after',
      '\nExit code: 0, 1 when a frame was lost, out of place or damaged, or a claim in virtual time fails, 2 for a wrong argument.',
    )
    .allowExcessArguments(false)
    .configureOutput({ writeOut: say.out, writeErr: say.err })
    .exitOverride();
  try {
    command.parse([...argv], { from: 'user' });
  } catch (error) {
    if (error instanceof CommanderError) throw new EndOfProgram(error.exitCode === 0 ? 0 : 2);
    throw error;
  }
  return optionsOf(command.opts<Flags>());
}

type Say = (text: string) => void;

function optionsOf(flags: Flags): Options {
  const quick = flags.quick === true;
  const usual = quick ? QUICK : USUAL;
  return {
    timing: {
      warmSeconds: usual.warmSeconds,
      seconds: flags.seconds ?? usual.seconds,
      repeats: flags.repeat ?? usual.repeats,
    },
    peerTiming: quick ? { sampleMs: 200, samples: 4 } : { sampleMs: 300, samples: 8 },
    attempts: 3,
    budgetSeconds: quick ? 20 : Number.POSITIVE_INFINITY,
    filter: flags.filter,
    list: flags.list === true,
    iommu: flags.iommu,
    quick,
    peer: flags.peer,
    json: flags.json,
    svg: flags.svg,
    out: flags.out,
    sabotage: flags.sabotage,
  };
}

function pattern(value: string): RegExp {
  try {
    return new RegExp(value);
  } catch {
    throw new InvalidArgumentError('Want a part of a name, or a regular expression.');
  }
}

function positive(value: string): number {
  const number = Number(value);
  if (!(number > 0 && number <= 3600)) throw new InvalidArgumentError('Want seconds above 0, at most 3600.');
  return number;
}

function count(value: string): number {
  const number = Number(value);
  if (!Number.isInteger(number) || number < 1 || number > 1000) throw new InvalidArgumentError('Want 1 to 1000.');
  return number;
}
