import { type Command, InvalidArgumentError } from 'commander';
import { checkedInput } from './input-file.js';
import { askCard } from './nic-client.js';
import { NicShow, nicText } from './nic-show.js';
import type { ExitCode, Terminal } from './terminal.js';

const EXAMPLES = `
SOCKET is that of "ringwire serve --nic FILE --control SOCKET". Settings are those of "ip link set DEVICE vf NUM":
  mac ADDRESS, vlan VID [qos 0..7] [proto 802.1Q|802.1ad], spoofchk on|off, trust on|off, state auto|enable|disable,
  max_tx_rate MBITS, min_tx_rate MBITS

Examples:
  ringwire nic show /tmp/card.sock
  ringwire nic set /tmp/card.sock vf 1 max_tx_rate 1000 spoofchk on

Exit code: 0, or 2 when the card cannot be asked or refuses.
`;

/** Words of `ip link set … vf`, and what they are in a file. */
const WORDS: Readonly<Record<string, (value: string) => Record<string, unknown>>> = {
  mac: (mac) => ({ mac }),
  vlan: (value) => ({ vlan: whole(value) }),
  qos: (value) => ({ qos: whole(value) }),
  proto: (protocol) => ({ protocol }),
  spoofchk: (value) => ({ spoofchk: isOn(value) }),
  trust: (value) => ({ trust: isOn(value) }),
  state: (link) => ({ link }),
  max_tx_rate: (value) => ({ maxTxRate: whole(value) }),
  min_tx_rate: (value) => ({ minTxRate: whole(value) }),
};

/** `ringwire nic`: a card that is served, as `ip link` shows and sets one. */
export function addNic(program: Command, terminal: Terminal, done: (code: ExitCode) => void): void {
  const nic = program
    .command('nic')
    .summary('show and set the virtual functions of a card that is served')
    .description('Show and set the virtual functions of a card that "ringwire serve --nic" serves.')
    .addHelpText('after', EXAMPLES);
  nic
    .command('show')
    .description('As "ip link show" does.')
    .argument('<socket>', 'of the card')
    .option('--json', 'in the shape of "ip -j link show"')
    .action(async (socket: string, { json }: { json?: true }) => {
      const shown = checkedInput(socket, await askCard(socket, '/nic'), NicShow);
      terminal.out(json === true ? `${JSON.stringify(shown)}\n` : nicText(shown));
      done(0);
    });
  nic
    .command('set')
    .description('As "ip link set … vf NUM …" does.')
    .argument('<socket>', 'of the card')
    .argument('<words...>', 'vf NUM, and settings')
    .action(async (socket: string, [keyword, number, ...words]: string[]) => {
      if (keyword !== 'vf' || number === undefined) throw new InvalidArgumentError('Want "vf NUM" and settings.');
      await askCard(socket, `/vf/${whole(number)}`, settingsOf(words));
      done(0);
    });
}

function settingsOf(words: readonly string[]): Record<string, unknown> {
  const settings: Record<string, unknown> = {};
  if (words.length === 0 || words.length % 2 !== 0) throw new InvalidArgumentError('Want settings, each with a value.');
  for (let at = 0; at < words.length; at += 2) {
    const { [words[at]!]: read } = WORDS;
    if (read === undefined)
      throw new InvalidArgumentError(`No setting is called ${words[at]}. Want ${Object.keys(WORDS).join(', ')}.`);
    Object.assign(settings, read(words[at + 1]!));
  }
  return settings;
}

function whole(text: string): number {
  if (!/^\d{1,9}$/.test(text)) throw new InvalidArgumentError(`Want a number, not ${text}.`);
  return Number(text);
}

function isOn(text: string): boolean {
  if (text !== 'on' && text !== 'off') throw new InvalidArgumentError(`Want on or off, not ${text}.`);
  return text === 'on';
}
