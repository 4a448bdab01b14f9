import { type Command, InvalidArgumentError } from 'commander';
import { integer } from './option-values.js';
import { columns, type ExitCode, type Terminal, UnusableInput } from './terminal.js';

interface ServeOptions {
  readonly port: readonly string[];
  readonly memory: number;
  readonly queueSize: number;
  readonly hold?: true;
  readonly json?: true;
}

const EXAMPLES = `
Examples:
  Two network devices on a switch, and a DPDK that is plugged into both:
    ringwire serve --port /tmp/a.sock --port /tmp/b.sock
    dpdk-testpmd --no-pci --single-file-segments --vdev net_virtio_user0,path=/tmp/a.sock,queue_size=256 \\
      --vdev net_virtio_user1,path=/tmp/b.sock,queue_size=256 -- -i

One front-end at a time may connect to each socket, and another one after it. SIGINT or SIGTERM ends.

Exit code: 0 ended by a signal, 2 a socket cannot be made or the options cannot be used.
`;

/** The signals that end `ringwire serve`. */
const SIGNALS = ['SIGINT', 'SIGTERM'] as const;

/** `ringwire serve`: network devices behind vhost-user sockets, on one switch. */
export function addServe(program: Command, terminal: Terminal, done: (code: ExitCode) => void): void {
  program
    .command('serve')
    .summary('serve network devices to vhost-user front-ends, such as DPDK, on one switch (Linux)')
    .description('Serve one network device per socket to vhost-user front-ends. A learning switch joins them.')
    .requiredOption('--port <socket>', 'path of a UNIX socket to make; once per device', another)
    .option('--memory <MiB>', 'room for the memory of all front-ends', memorySize, 2048)
    .option('--queue-size <n>', 'most descriptors of a ring, a power of two', integer, 1024)
    .option('--hold', 'hold a sender up while the receiver has no buffer, rather than drop its frames')
    .option('--json', 'print the counters as JSON')
    .addHelpText('after', EXAMPLES)
    .action(async (options: ServeOptions) => {
      // Only here: what it needs of the system exists on Linux alone.
      const { servePorts } = await import('./serve-ports.js');
      const { port: paths, memory, queueSize, hold } = options;
      if (new Set(paths).size < paths.length) throw new UnusableInput('two ports have the same socket');
      const served = servePorts({ paths, memoryMiB: memory, queueSize, hold: hold === true }, (path, reason) =>
        terminal.err(`${path}: ${reason}\n`),
      );
      const end = (): void => served.close();
      for (const signal of SIGNALS) process.once(signal, end);
      terminal.err(`${paths.length === 1 ? '1 port is' : `${paths.length} ports are`} served\n`);
      try {
        await served.run();
      } finally {
        for (const signal of SIGNALS) process.off(signal, end);
      }
      const counters = served.counters();
      if (options.json) terminal.out(`${JSON.stringify(counters, null, 2)}\n`);
      else {
        const names = ['forwarded', 'flooded', 'filtered', 'lost'] as const;
        const rows = counters.map((port) => [...names.map((name) => String(port[name])), port.socket]);
        terminal.out(`${columns([[...names, 'frames from'], ...rows], '').join('\n')}\n`);
      }
      done(0);
    });
}

function another(path: string, before: readonly string[] = []): readonly string[] {
  return [...before, path];
}

function memorySize(text: string): number {
  const size = integer(text);
  if (size < 16 || size > 4095) throw new InvalidArgumentError('Want 16 to 4095 MiB.');
  return size;
}
