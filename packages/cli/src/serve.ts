import { type Command, InvalidArgumentError } from 'commander';
import { integer } from './option-values.js';
import { SERVE_DEFAULTS, type ServeSettings, serveConfig } from './serve-config.js';
import { columns, type ExitCode, type Terminal, UnusableInput } from './terminal.js';
import { type UplinkConfig, uplink } from './uplink-option.js';

interface ServeOptions {
  readonly port?: readonly string[];
  readonly uplink?: readonly (UplinkConfig | undefined)[];
  readonly memory?: number;
  readonly queueSize?: number;
  readonly mtu?: number;
  readonly split?: true;
  readonly packed?: true;
  readonly hold?: true;
  readonly json?: true;
}

const EXAMPLES = `
Examples:
  Two network devices on a switch, and a DPDK that is plugged into both:
    ringwire serve --port /tmp/a.sock --port /tmp/b.sock
    dpdk-testpmd --no-pci --single-file-segments --vdev net_virtio_user0,path=/tmp/a.sock,queue_size=256 \\
      --vdev net_virtio_user1,path=/tmp/b.sock,queue_size=256 -- -i
  A guest in QEMU that reaches this machine through the interface tap0:
    ringwire serve --port /tmp/a.sock --uplink tap:tap0
    ip address add 192.0.2.1/24 dev tap0
    qemu-system-x86_64 … -object memory-backend-memfd,id=m,size=512M,share=on -numa node,memdev=m \\
      -chardev socket,id=c,path=/tmp/a.sock -netdev vhost-user,id=n,chardev=c -device virtio-net-pci,netdev=n

One front-end at a time may connect to each socket, and another one after it. SIGINT or SIGTERM ends.

Exit code: 0 ended by a signal, 2 a socket or an uplink cannot be made or the options cannot be used.
`;

/** The signals that end `ringwire serve`. */
const SIGNALS = ['SIGINT', 'SIGTERM'] as const;

/** `ringwire serve`: network devices behind vhost-user sockets, on one switch. */
export function addServe(program: Command, terminal: Terminal, done: (code: ExitCode) => void): void {
  const { memory, queueSize, mtu } = SERVE_DEFAULTS;
  program
    .command('serve')
    .summary('serve network devices to vhost-user front-ends, such as DPDK and QEMU, on one switch (Linux)')
    .description('Serve one network device per socket to vhost-user front-ends. A learning switch joins them.')
    .option('--port <socket>', 'path of a UNIX socket to make; once per device', another)
    .option('--uplink <where>', 'tap:NAME is an interface of this machine; once per uplink', anotherUplink)
    .option('--memory <MiB>', `room for the memory of all front-ends; ${memory}`, memorySize)
    .option('--queue-size <n>', `most descriptors of a ring, a power of two; ${queueSize}`, integer)
    .option('--mtu <bytes>', `of devices, and of the interfaces of uplinks; devices have ${mtu} without it`, integer)
    .option('--split', 'offer split rings only')
    .option('--packed', 'serve packed rings only; both are offered without these two')
    .option('--hold', 'hold a sender up while the receiver has no buffer, rather than drop its frames')
    .option('--json', 'print the counters as JSON')
    .addHelpText('after', EXAMPLES)
    .action(async (options: ServeOptions) => {
      await serve(options, terminal);
      done(0);
    });
}

async function serve(options: ServeOptions, terminal: Terminal): Promise<void> {
  const config = serveConfig(settingsOf(options));
  // Only here: what it needs of the system exists on Linux alone.
  const { servePorts } = await import('./serve-ports.js');
  const served = servePorts(config, {
    state: () => {},
    end: (socket, reason) => terminal.err(`${socket}: ${reason}\n`),
  });
  const end = (): void => served.close();
  for (const signal of SIGNALS) process.once(signal, end);
  const { length } = config.ports;
  terminal.err(`${length === 1 ? '1 port is' : `${length} ports are`} served\n`);
  try {
    await served.run();
  } finally {
    for (const signal of SIGNALS) process.off(signal, end);
  }
  const counters = served.counters();
  if (config.json) {
    terminal.out(`${JSON.stringify(counters, null, 2)}\n`);
    return;
  }
  const names = ['forwarded', 'flooded', 'filtered', 'lost'] as const;
  const rows = counters.map((port) => [...names.map((name) => String(port[name])), port.socket]);
  terminal.out(`${columns([[...names, 'frames from'], ...rows], '').join('\n')}\n`);
}

function settingsOf(options: ServeOptions): ServeSettings {
  const { port, uplink, split, packed, memory, queueSize, mtu, hold, json } = options;
  if (split === true && packed === true) throw new UnusableInput('want --split or --packed, not both');
  const rings = split === true ? 'split' : packed === true ? 'packed' : undefined;
  return {
    ports: port?.map((socket) => ({ socket })) ?? [],
    uplinks: uplink?.filter((found) => found !== undefined),
    memory,
    queueSize,
    mtu,
    rings,
    hold,
    json,
  };
}

function another(path: string, before: readonly string[] = []): readonly string[] {
  return [...before, path];
}

function anotherUplink(
  text: string,
  before: readonly (UplinkConfig | undefined)[] = [],
): readonly (UplinkConfig | undefined)[] {
  return [...before, uplink(text)];
}

function memorySize(text: string): number {
  const size = integer(text);
  if (size < 16 || size > 4095) throw new InvalidArgumentError('Want 16 to 4095 MiB.');
  return size;
}
