import { type Command, InvalidArgumentError } from 'commander';
import { z } from 'zod';
import { checkedInput } from './input-file.js';
import { askCard } from './nic-client.js';
import { contentOf, textOf } from './serve-file.js';
import type { ExitCode, Terminal } from './terminal.js';

const RulesShow = z.array(
  z.looseObject({
    name: z.string().optional(),
    match: z.record(z.string(), z.unknown()),
    action: z.unknown(),
    frames: z.number(),
    bytes: z.number(),
  }),
);
const MirrorsShow = z.array(z.object({ port: z.string(), direction: z.string(), to: z.string() }));

/** `ringwire nic rules` and `ringwire nic mirrors`: what a card that is served does with frames besides what its ports are set to. */
export function addRules(nic: Command, terminal: Terminal, done: (code: ExitCode) => void): void {
  const rules = nic.command('rules').description('Flow rules, in their order.');
  rules
    .command('show')
    .description('Each rule as a file has it, and how often it matched.')
    .argument('<socket>', 'of the card')
    .option('--json', 'as JSON')
    .action(async (socket: string, { json }: { json?: true }) => {
      const shown = checkedInput(socket, await askCard(socket, '/rules'), RulesShow);
      const lines = shown.map(
        ({ frames, bytes, ...rule }, at) => `${at}: ${frames} frames, ${bytes} bytes: ${JSON.stringify(rule)}\n`,
      );
      terminal.out(json === true ? `${JSON.stringify(shown)}\n` : lines.join(''));
      done(0);
    });
  rules
    .command('set')
    .description('These rules in place of all that there are, with new counters.')
    .argument('<socket>', 'of the card')
    .argument('<file>', 'a list of rules as "ringwire serve --nic" takes them: YAML or (*.json) JSON')
    .action(async (socket: string, file: string) => {
      await askCard(socket, '/rules', contentOf(file, textOf(file)) ?? []);
      done(0);
    });
  const mirrors = nic.command('mirrors').description('Which ports’ frames others get as well.');
  mirrors
    .command('show')
    .argument('<socket>', 'of the card')
    .option('--json', 'as JSON')
    .action(async (socket: string, { json }: { json?: true }) => {
      const shown = checkedInput(socket, await askCard(socket, '/mirrors'), MirrorsShow);
      const lines = shown.map(({ port, direction, to }) => `${port},${direction},${to}\n`);
      terminal.out(json === true ? `${JSON.stringify(shown)}\n` : lines.join(''));
      done(0);
    });
  mirrors
    .command('set')
    .description('These mirrors in place of all that there are; none, if none is given.')
    .argument('<socket>', 'of the card')
    .argument(
      '[mirrors...]',
      'PORT,in|out|both,PORT: what comes in at the first one, goes out of it, or both, for the second one',
    )
    .action(async (socket: string, mirrors: string[]) => {
      await askCard(socket, '/mirrors', mirrors.map(mirror));
      done(0);
    });
}

function mirror(text: string): z.output<typeof MirrorsShow>[number] {
  const [port, direction, to, ...more] = text.split(',');
  if (port === undefined || direction === undefined || to === undefined || more.length > 0)
    throw new InvalidArgumentError(`Want PORT,in|out|both,PORT, such as vf0,in,vf1, not ${text}.`);
  return { port, direction, to };
}
