import { type Explanation, explanationText } from '@ringwire/eswitch';
import { HostMemory } from '@ringwire/guest-memory';
import { DELIVERED, EVERY_OFFLOAD, NullBackend, readPcap } from '@ringwire/net-backend';
import { type Command, InvalidArgumentError } from 'commander';
import { readBytes } from './input-file.js';
import { NIC_AREA_BYTES, NicCard } from './nic-card.js';
import { askCard } from './nic-client.js';
import { readNicFile } from './nic-file.js';
import { defaultMac, frameOf, portName, portNumber } from './nic-names.js';
import { type ExitCode, type Terminal, UnusableInput } from './terminal.js';

interface WhyOptions {
  readonly from: string;
  readonly nic?: string;
  readonly control?: string;
  readonly json?: true;
}

const EXAMPLES = `
FRAME is hexadecimal bytes from the destination address on, or a capture and the number of a frame in it, FILE:NUMBER (from 1).
With --control the card that is served is asked, and says what it learnt; with --nic a card is made as the file says, with
everybody plugged in.

Examples:
  ringwire why --nic card.yaml --from vf0 'ff ff ff ff ff ff 02 00 00 00 00 01 08 06'
  ringwire why --control /tmp/card.sock --from wire trace.pcap:17

Exit code: 0 somebody gets it, 1 nobody does, 2 the card or the frame cannot be used.
`;

/** `ringwire why`: by which rule a frame is delivered or dropped. Nothing is sent, counted or learnt. */
export function addWhy(program: Command, terminal: Terminal, done: (code: ExitCode) => void): void {
  program
    .command('why')
    .summary('say which rule of a card delivers or drops a frame')
    .description("Say by which of a card's rules a frame would be delivered or dropped, port by port.")
    .argument('<frame>', 'hexadecimal bytes, or FILE:NUMBER')
    .requiredOption('--from <port>', 'where it comes in: wire, pf, or vf0')
    .option('--nic <file>', 'the card that a file describes')
    .option('--control <socket>', 'the card that is served')
    .option('--json', 'print the rules as JSON')
    .addHelpText('after', EXAMPLES)
    .action(async (text: string, options: WhyOptions) => {
      const frame = await frameNamed(text);
      const explanation = await explain(frame, options);
      terminal.out(options.json === true ? `${JSON.stringify(explanation)}\n` : `${named(explanation)}\n`);
      done(explanation.ports.some(({ drop }) => drop === undefined) ? 0 : 1);
    });
}

async function explain(frame: Uint8Array, { from, nic, control }: WhyOptions): Promise<Explanation> {
  if ((nic === undefined) === (control === undefined)) throw new UnusableInput('want --nic FILE or --control SOCKET');
  if (control !== undefined) {
    const hex = Buffer.from(frame).toString('hex');
    return (await askCard(control, `/why?port=${encodeURIComponent(from)}&frame=${hex}`)) as Explanation;
  }
  const { nic: config } = readNicFile(nic!);
  const card = new NicCard(HostMemory.create(NIC_AREA_BYTES), 0, config, () => 0);
  for (const [vf, { backend, settings }] of card.vfs.entries()) {
    backend.attach({ offloads: EVERY_OFFLOAD, receive: () => DELIVERED.ACCEPTED });
    // As a port that is served: its address unless the file has one.
    if (settings.mac.every((byte) => byte === 0)) card.setVf(vf, { mac: defaultMac(vf) });
  }
  card.connectWire(new NullBackend());
  return card.why(portNumber(from, card.vfs.length), frame);
}

/** Ports by their names. */
const named = (explanation: Explanation): string =>
  explanationText(explanation)
    .replace(/port (\d+)/g, (_, number: string) => portName(Number(number)))
    .replace(
      /(delivered to )([\d, ]+)$/,
      (_, words: string, numbers: string) =>
        words +
        numbers
          .split(', ')
          .map((number) => portName(Number(number)))
          .join(', '),
    );

async function frameNamed(text: string): Promise<Uint8Array> {
  const [, path, number] = /^(.+):(\d+)$/.exec(text) ?? [];
  if (path === undefined || /^[0-9a-f\s:.-]*$/i.test(text)) return frameOf(text);
  const { frames } = readPcap(readBytes(path, path));
  const found = frames[Number(number) - 1];
  if (found === undefined)
    throw new InvalidArgumentError(`${path} has ${frames.length} frames, and no number ${number}.`);
  return found.bytes;
}
