import { inspectRing, type RingInput, type RingReport, SavedMemory } from '@ringwire/ring-oracle';
import type { Command } from 'commander';
import { checkJson, checkText } from './check-report.js';
import { type MemoryDump, readDump } from './memory-dump.js';
import { address, features, integer, type RamRange, ram, wrapCounter } from './option-values.js';
import { type ExitCode, type Terminal, UnusableInput } from './terminal.js';

interface CheckOptions {
  readonly split?: true;
  readonly packed?: true;
  readonly desc: bigint;
  readonly driver: bigint;
  readonly device: bigint;
  readonly size: number;
  readonly base?: bigint;
  readonly ram?: readonly (RamRange | 'dump')[];
  readonly features?: bigint;
  readonly lastAvail?: number;
  readonly wrap?: 0 | 1;
  readonly used?: number;
  readonly usedWrap?: 0 | 1;
  readonly driverUsed?: number;
  readonly status?: number;
  readonly all?: true;
  readonly json?: true;
}

const EXAMPLES = `
Examples:
  The receive queue of a saved image, whose pages are in pages.bin beside pages.json:
    ringwire check pages.json --split --desc 0x5452000 --driver 0x5453000 --device 0x5453240 --size 256

  A packed ring in a raw dump of all of RAM (QEMU: pmemsave 0 0x8000000 ram.bin), with what the device says of itself:
    ringwire check ram.bin --ram dump --packed --desc 0x5526000 --driver 0x5525000 --device 0x5524000 \\
      --size 256 --features VERSION_1,RING_PACKED,INDIRECT_DESC,EVENT_IDX --last-avail 39 --wrap 1

Without --features only what is wrong with every choice of features is a violation; without --last-avail the
positions are read from the ring and the report says how sure they are.

Exit code: 0 no violation, 1 violations, 2 the input cannot be used.
`;

/** `ringwire check`: one virtqueue in a memory dump. */
export function addCheck(program: Command, terminal: Terminal, done: (code: ExitCode) => void): void {
  program
    .command('check')
    .summary('decode a virtqueue in a memory dump and name the clauses of the spec it breaks')
    .description(
      'Decode one virtqueue in a memory dump: its parts, what is pending, which clauses of virtio 1.4 it breaks at which byte, and why nothing happens.',
    )
    .argument('<dump>', 'pages.json with pages.bin beside it, or a raw dump of memory; - reads a raw dump from stdin')
    .option('--split', 'the queue is a split one')
    .option('--packed', 'the queue is a packed one')
    .requiredOption('--desc <address>', 'descriptor area: descriptor table or ring', address)
    .requiredOption('--driver <address>', 'driver area: available ring, or driver event suppression', address)
    .requiredOption('--device <address>', 'device area: used ring, or device event suppression', address)
    .requiredOption('--size <n>', 'Queue Size', integer)
    .option('--base <address>', 'guest address of the first byte of a raw dump (default: 0)', address)
    .option(
      '--ram <start+size>',
      'a range of RAM, or "dump" when the dump is all of it; addresses outside are then wrong',
      ram,
    )
    .option('--features <bits>', 'negotiated features: hex bits, or names separated by commas', features)
    .option('--last-avail <n>', 'next element the device takes: index (split) or slot (packed)', integer)
    .option('--wrap <0|1>', 'packed: the wrap counter that goes with --last-avail', wrapCounter)
    .option('--used <n>', 'next element the device returns: index (split) or slot (packed)', integer)
    .option('--used-wrap <0|1>', 'packed: the wrap counter that goes with --used', wrapCounter)
    .option(
      '--driver-used <n>',
      'split: next used index the driver looks at; what it has not seen is judged too',
      integer,
    )
    .option('--status <byte>', 'device status byte', integer)
    .option('--all', 'show all pending elements, not only the oldest')
    .option('--json', 'print the report as JSON')
    .addHelpText('after', EXAMPLES)
    .action((path: string, options: CheckOptions) => done(check(path, options, terminal)));
}

function check(path: string, options: CheckOptions, terminal: Terminal): ExitCode {
  const layout = layoutOf(options);
  const dump = readDump(path, options.base ?? 0n);
  const input = ringInput(layout, options, dump);
  const report = inspectRing(input);
  requireRing(dump, input, report);
  terminal.out(
    options.json === true ? checkJson(report, dump) : checkText(report, dump, terminal.color, options.all === true),
  );
  return report.violations.length + report.findingsOmitted > 0 ? 1 : 0;
}

function layoutOf({ split, packed }: CheckOptions): RingInput['layout'] {
  if (split === packed)
    throw new UnusableInput(`want one of --split and --packed, got ${split === true ? 'both' : 'neither'}`);
  return split === true ? 'split' : 'packed';
}

function ringInput(layout: RingInput['layout'], options: CheckOptions, dump: MemoryDump): RingInput {
  const { desc, driver, device, size } = options;
  const ranges = options.ram?.flatMap((range) => (range === 'dump' ? dump.ranges : [range]));
  if (layout === 'packed') {
    if (options.lastAvail !== undefined && options.wrap === undefined)
      throw new UnusableInput('--last-avail of a packed queue wants --wrap beside it');
    if (options.used !== undefined && options.usedWrap === undefined)
      throw new UnusableInput('--used of a packed queue wants --used-wrap beside it');
    if (options.driverUsed !== undefined) throw new UnusableInput('--driver-used is for split queues');
  } else if (options.wrap !== undefined || options.usedWrap !== undefined) {
    throw new UnusableInput('--wrap and --used-wrap are for packed queues');
  }
  return {
    memory: new SavedMemory(dump.pieces, ranges),
    ...{ layout, size, desc, driver, device },
    ...(options.features === undefined ? {} : { features: options.features }),
    ...(options.lastAvail === undefined ? {} : { lastAvail: position(options.lastAvail, options.wrap) }),
    ...(options.used === undefined ? {} : { used: position(options.used, options.usedWrap) }),
    ...(options.driverUsed === undefined ? {} : { driverUsedIdx: options.driverUsed }),
    ...(options.status === undefined ? {} : { deviceStatus: options.status }),
  };
}

const position = (index: number, wrap: 0 | 1 | undefined): { index: number; wrap?: 0 | 1 } =>
  wrap === undefined ? { index } : { index, wrap };

/** A dump without the ring is no input; event suppression areas may be missing, and parts of a packed ring. */
function requireRing(dump: MemoryDump, { memory }: RingInput, report: RingReport): void {
  for (const { name, area, address: start, bytes, state } of report.parts) {
    const needed = report.layout === 'split' || (area === 'desc' && report.positions.lastAvail === null);
    if (state !== 'unsaved' || !needed) continue;
    const presence = memory.probe(BigInt(start), BigInt(bytes));
    if (presence.state === 'saved') continue;
    const there = presence.at - BigInt(start);
    const where = there === 0n ? '' : `, of which the first ${there} are there`;
    throw new UnusableInput(`the ${name} is ${bytes} bytes at ${start}${where}; ${dump.missing(presence.at)}`);
  }
}
