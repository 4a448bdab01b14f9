import { join } from 'node:path';
import { PcapngWriter } from '@ringwire/net-backend';
import { ChromeTrace, PcapngTrace, snapshotFiles } from '@ringwire/virtio-device';
import { type Command, InvalidArgumentError } from 'commander';
import { LoopedMachine } from './looped-machine.js';
import { MISTAKES } from './mistakes.js';
import { makeFolder, OutputFile } from './output-file.js';
import type { ExitCode, Terminal } from './terminal.js';

interface RecordOptions {
  readonly frames: number;
  readonly packed?: true;
  readonly mistake?: string;
}

const FRAMES_MAX = 100_000;
/** Frames that are sent before the device gets its turn. */
const BURST = 32;
const SHORTEST = 60;
const LENGTHS = 1455;

const HELP = `
Mistakes:
${Object.entries(MISTAKES)
  .map(([name, { what }]) => `  ${name.padEnd(16)} ${what}`)
  .join('\n')}

Written to the folder:
  device.json, pages.json, pages.bin   the device at the end, for "ringwire explain"
  frames.pcapng                        every frame, and why it was dropped, for Wireshark
  trace.json                           rings, registers and interrupts in time, for https://ui.perfetto.dev
`;

/** `ringwire record`: a driver and a device at work, written down in every form there is. */
export function addRecord(program: Command, terminal: Terminal, done: (code: ExitCode) => void): void {
  program
    .command('record')
    .summary('run a network driver against a device and write down what happens')
    .description(
      "Run this project's network driver against its network device over PCI in one thread, on a cable that brings back what is sent; write frames, trace and the device's state to a folder.",
    )
    .argument('<folder>', 'made if it is not there; files of these names are overwritten')
    .option('--frames <n>', `frames to send, up to ${FRAMES_MAX}`, frameCount, 100)
    .option('--packed', 'packed rings; split ones without it')
    .option('--mistake <name>', 'something that goes wrong at the end', mistake)
    .addHelpText('after', HELP)
    .action((folder: string, options: RecordOptions) => done(record(folder, options, terminal)));
}

function frameCount(text: string): number {
  const count = /^[0-9]+$/.test(text) ? Number(text) : FRAMES_MAX + 1;
  if (count > FRAMES_MAX) throw new InvalidArgumentError(`Want 0 to ${FRAMES_MAX}.`);
  return count;
}

function mistake(name: string): string {
  if (Object.hasOwn(MISTAKES, name)) return name;
  throw new InvalidArgumentError(`Want one of ${Object.keys(MISTAKES).join(', ')}.`);
}

function record(folder: string, options: RecordOptions, terminal: Terminal): ExitCode {
  makeFolder(folder);
  const frames = new OutputFile(join(folder, 'frames.pcapng'));
  const events = new OutputFile(join(folder, 'trace.json'));
  const text = new TextEncoder();
  const start = performance.now();
  const clock = (): number => (performance.now() - start) * 1000;
  const writer = new PcapngWriter((bytes) => frames.write(bytes), {
    clock,
    startSeconds: Math.floor(Date.now() / 1000),
  });
  const trace = new ChromeTrace({
    output: (piece) => events.write(text.encode(piece)),
    clock,
    name: 'virtio-net',
    queueName,
  });
  const machine = new LoopedMachine({
    packed: options.packed === true,
    trace,
    frameTrace: new PcapngTrace(writer, 'net0'),
  });
  const sent = exchange(machine, options.frames);
  if (options.mistake !== undefined) MISTAKES[options.mistake]!.make(machine);
  trace.close();
  frames.close();
  events.close();
  for (const [name, content] of Object.entries(snapshotFiles(machine.virtio.device))) {
    const file = new OutputFile(join(folder, name));
    file.write(typeof content === 'string' ? text.encode(content) : content);
    file.close();
  }
  terminal.out(
    `${sent} frames sent, ${machine.received} came back; see ringwire record --help for what is in ${folder}\n`,
  );
  return 0;
}

/** @returns frames that the driver took: all, as long as the device keeps up */
function exchange(machine: LoopedMachine, frames: number): number {
  let sent = 0;
  for (let frame = 0; frame < frames; frame++) {
    if (machine.send(SHORTEST + ((frame * 97) % LENGTHS))) sent++;
    if (frame % BURST === BURST - 1) machine.settle();
  }
  machine.settle();
  return sent;
}

const queueName = (queue: number): string => (queue === 2 ? 'controlq' : queue === 0 ? 'receiveq1' : 'transmitq1');
