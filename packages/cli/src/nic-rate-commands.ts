import type { Command } from 'commander';
import { checkedInput } from './input-file.js';
import { askCard } from './nic-client.js';
import { RatesShow, rateBytes, ratesText } from './nic-rates.js';
import type { ExitCode, Terminal } from './terminal.js';
import { settingsOf, type Words, whole } from './words.js';

const WORDS: Words = {
  tx_share: (value) => ({ tx_share: rateBytes(value) }),
  tx_max: (value) => ({ tx_max: rateBytes(value) }),
  tx_priority: (value) => ({ tx_priority: whole(value) }),
  tx_weight: (value) => ({ tx_weight: whole(value) }),
  parent: (parent) => ({ parent }),
};
/** The one word without a value. */
const NO_PARENT = 'noparent';

function rateSettings(words: readonly string[]): Record<string, unknown> {
  const others = words.filter((word) => word !== NO_PARENT);
  const settings = others.length === 0 && words.length > 0 ? {} : settingsOf(others, WORDS);
  return others.length === words.length ? settings : { ...settings, parent: null };
}

/** `ringwire nic rate`: what ports and groups of them may send, as `devlink port function rate` has it. */
export function addRate(nic: Command, terminal: Terminal, done: (code: ExitCode) => void): void {
  const rate = nic
    .command('rate')
    .description('What ports and groups may send, as "devlink port function rate" has it.');
  rate
    .command('show')
    .argument('<socket>', 'of the card')
    .argument('[name]', 'of a port or a group; all unless given')
    .option('--json', 'in the shape of "devlink -j port function rate show"')
    .action(async (socket: string, name: string | undefined, { json }: { json?: true }) => {
      const which = name === undefined ? '' : `?name=${encodeURIComponent(name)}`;
      const shown = checkedInput(socket, await askCard(socket, `/rates${which}`), RatesShow);
      terminal.out(json === true ? `${JSON.stringify(shown)}\n` : ratesText(shown));
      done(0);
    });
  for (const [act, what] of [
    ['set', 'Set the rates of a port or of a group.'],
    ['add', 'Add a group.'],
  ] as const)
    rate
      .command(act)
      .description(what)
      .argument('<socket>', 'of the card')
      .argument('<name>', act === 'set' ? 'of a port or of a group' : 'of the group')
      .argument(act === 'set' ? '<words...>' : '[words...]', 'settings')
      .action(async (socket: string, name: string, words: string[]) => {
        const settings = words.length === 0 ? {} : rateSettings(words);
        await askCard(socket, '/rates', { do: act, name, ...settings });
        done(0);
      });
  rate
    .command('del')
    .description('Take a group away that nothing is in.')
    .argument('<socket>', 'of the card')
    .argument('<name>', 'of the group')
    .action(async (socket: string, name: string) => {
      await askCard(socket, '/rates', { do: 'del', name });
      done(0);
    });
}
