import { type Command, InvalidArgumentError } from 'commander';
import { checkedInput } from './input-file.js';
import { askCard } from './nic-client.js';
import { addRate } from './nic-rate-commands.js';
import { addRules } from './nic-rule-commands.js';
import { NicShow, nicText } from './nic-show.js';
import { addWire } from './nic-wire-commands.js';
import type { ExitCode, Terminal } from './terminal.js';
import { isOn, settingsOf, type Words, whole } from './words.js';

const EXAMPLES = `
SOCKET is that of "ringwire serve --nic FILE --control SOCKET". Settings are those of "ip link set DEVICE vf NUM":
  mac ADDRESS, vlan VID [qos 0..7] [proto 802.1Q|802.1ad], spoofchk on|off, trust on|off, state auto|enable|disable,
  max_tx_rate MBITS, min_tx_rate MBITS
of the wire:
  speed MBITS, duplex full|half, pause off|rx|tx|on, highWater BYTES, lowWater BYTES, pauseTime QUANTA
and those of "devlink port function rate" (PORT is pf, vf0, or a number; GROUP a name):
  tx_max RATE, tx_share RATE, tx_weight N, tx_priority N, parent GROUP, noparent

Examples:
  ringwire nic show /tmp/card.sock
  ringwire nic set /tmp/card.sock vf 1 max_tx_rate 1000 spoofchk on
  ringwire nic wire set /tmp/card.sock speed 25000 pause on
  ringwire nic rate add /tmp/card.sock tenant tx_max 5gbit
  ringwire nic rate set /tmp/card.sock vf0 tx_weight 3 parent tenant
  ringwire nic rules set /tmp/card.sock rules.yaml
  ringwire nic mirrors set /tmp/card.sock vf0,in,vf1

Exit code: 0, or 2 when the card cannot be asked or refuses.
`;

/** Words of `ip link set … vf`, and what they are in a file. */
const WORDS: Words = {
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
    .summary('show and set the functions, the wire, rates, rules and mirrors of a card that is served')
    .description(
      'Show and set the functions, the wire, rates, rules and mirrors of a card that "ringwire serve --nic" serves.',
    )
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
      await askCard(socket, `/vf/${whole(number)}`, settingsOf(words, WORDS));
      done(0);
    });
  addWire(nic, terminal, done);
  addRate(nic, terminal, done);
  addRules(nic, terminal, done);
}
