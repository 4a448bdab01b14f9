import {
  devConfigShow,
  devShow,
  devVstatsShow,
  isVdpaRefusal,
  mgmtdevShow,
  type ShownSection,
  type VdpaBus,
  type VdpaRefusal,
  vdpaJson,
} from '@ringwire/vdpa';
import type { Command } from 'commander';
import { type ExitCode, type Terminal, UnusableInput } from './terminal.js';
import { addDevice, addedDevice, deleteDevice } from './vdpa-change.js';
import { openVdpaSystem } from './vdpa-system.js';

interface VdpaOptions {
  readonly system: string;
  readonly json?: true;
  readonly pretty?: true;
}

const USAGE = `mgmtdev show [ MGMTDEV ]
dev add name NAME mgmtdev MGMTDEV [ mac MACADDR ] [ mtu MTU ] [ max_vqp MAX_VQ_PAIRS ]
dev del DEV
dev show [ DEV ]
dev config show [ DEV ]
dev vstats show DEV qidx INDEX`;

const HELP = `
Words, as with vdpa of iproute2:
${USAGE.replace(/^/gm, '  ')}

The system is made anew for each command, as the file says, YAML or JSON; dev add and dev del change the file:
  parents:
    - sim: vdpasim_net        # the software simulator under this name
      pairs: 2                # queue pairs of a device at most
      devices: 4              # devices at a time
      vendor: 0x15b3          # vendor id
    - card: vendor-b          # a card with virtual functions of a vendor's, or 82599
      name: pci/0000:01:00.0
      functions: 4            # devices at a time
    - module: ./addon.js      # a vendor's add-on, an ES module beside this file
  devices:
    - name: vdpa0
      mgmtdev: vdpasim_net
      mac: 02:00:00:00:00:07  # mac, mtu and max_vqp as in "vdpa dev add"
      mtu: 9000
      max_vqp: 2
      driver: virtio_vdpa     # or vhost_vdpa; none unless given
      frames: 100             # sent by the driver, virtio_vdpa's

Exit code: 0 shown or done, 1 there is no such thing, or it is refused, 2 the file or the words cannot be used.
`;

/** `ringwire vdpa`: management devices and vDPA devices of a described system, in the JSON of iproute2's `vdpa`. */
export function addVdpa(program: Command, terminal: Terminal, done: (code: ExitCode) => void): void {
  program
    .command('vdpa')
    .summary('show, add and delete the vDPA devices of a described system, as "vdpa" does')
    .description("Make a system of vDPA devices from a file, show it in the JSON of iproute2's vdpa, and change it.")
    .argument('<words...>', 'what to show or do')
    .requiredOption('--system <file>', 'the system, YAML or JSON')
    .option('-j, --json', 'JSON, which is all there is')
    .option('-p, --pretty', 'JSON over several lines')
    .addHelpText('after', HELP)
    .action(async (words: string[], { system, pretty }: VdpaOptions) => {
      const outcome = await commandOf(words)(system);
      if (isVdpaRefusal(outcome)) terminal.err(`ringwire: ${outcome.message}\n`);
      else if (outcome !== undefined) terminal.out(`${vdpaJson(outcome, pretty === true)}\n`);
      done(isVdpaRefusal(outcome) ? 1 : 0);
    });
}

/** What a command does to the system of a file. @returns what is to be shown, if anything */
type VdpaCommand = (system: string) => Promise<ShownSection | VdpaRefusal | undefined>;

/** @throws UnusableInput for words that are no command */
function commandOf(words: readonly string[]): VdpaCommand {
  const [object, verb, ...rest] = words;
  const device = object === 'dev' && verb === 'add' ? addedDevice(rest) : undefined;
  if (device !== undefined) return (system) => addDevice(system, device);
  const [name, ...more] = rest;
  if (object === 'dev' && verb === 'del' && name !== undefined && more.length === 0)
    return (system) => deleteDevice(system, name);
  const show = showOf(words);
  if (show !== undefined) return async (system) => show(await openVdpaSystem(system));
  throw new UnusableInput(`"${words.join(' ')}" is no command, want one of:\n${USAGE}`);
}

function showOf(words: readonly string[]): ((bus: VdpaBus) => ShownSection | VdpaRefusal) | undefined {
  const [object, ...rest] = words;
  if (object === 'mgmtdev' && isShow(rest)) return (bus) => mgmtdevShow(bus, rest[1]);
  if (object === 'dev' && isShow(rest)) return (bus) => devShow(bus, rest[1]);
  const [what, ...last] = rest;
  if (object === 'dev' && what === 'config' && isShow(last)) return (bus) => devConfigShow(bus, last[1]);
  const [show, name, qidx, index = ''] = last;
  const isVstats = object === 'dev' && what === 'vstats' && show === 'show' && last.length === 4;
  const isIndex = name !== undefined && qidx === 'qidx' && /^[0-9]{1,5}$/.test(index);
  return isVstats && isIndex ? (bus) => devVstatsShow(bus, name, Number(index)) : undefined;
}

const isShow = (words: readonly string[]): boolean => words[0] === 'show' && words.length <= 2;
