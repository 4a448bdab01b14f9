import type { Command } from 'commander';
import { checkedInput } from './input-file.js';
import { askCard } from './nic-client.js';
import { WireShow, wireText } from './nic-wire-show.js';
import type { ExitCode, Terminal } from './terminal.js';
import { settingsOf, type Words, whole } from './words.js';

const WORDS: Words = {
  speed: (value) => ({ speed: whole(value) }),
  duplex: (duplex) => ({ duplex }),
  pause: (pause) => ({ pause }),
  highWater: (value) => ({ highWater: whole(value) }),
  lowWater: (value) => ({ lowWater: whole(value) }),
  pauseTime: (value) => ({ pauseTime: whole(value) }),
};

/** `ringwire nic wire`: the wire of a card that is served. */
export function addWire(nic: Command, terminal: Terminal, done: (code: ExitCode) => void): void {
  const wire = nic.command('wire').description('The wire: speed, duplex, PAUSE, and what passed.');
  wire
    .command('show')
    .argument('<socket>', 'of the card')
    .option('--json', 'as JSON')
    .action(async (socket: string, { json }: { json?: true }) => {
      const shown = checkedInput(socket, await askCard(socket, '/wire'), WireShow);
      terminal.out(json === true ? `${JSON.stringify([shown])}\n` : wireText(shown));
      done(0);
    });
  wire
    .command('set')
    .description('What changes the link takes it down for a moment.')
    .argument('<socket>', 'of the card')
    .argument('<words...>', 'settings')
    .action(async (socket: string, words: string[]) => {
      await askCard(socket, '/wire', settingsOf(words, WORDS));
      done(0);
    });
}
