import { type ChildProcessWithoutNullStreams, spawn } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { delimiter, join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';

/** MiB of huge pages that a testpmd takes. */
const MEMORY_MIB = 256;
const TESTPMD = 'dpdk-testpmd';
/** Has it print line by line, so that answers come when they are given. */
const STDBUF = 'stdbuf';
/** Between two questions. */
const POLL_MS = 50;

/** Why testpmd cannot be run here; undefined when it can. */
export function testpmdProblem(): string | undefined {
  for (const program of [TESTPMD, STDBUF])
    if (!onPath(program)) return `${program} is not installed (Debian: dpdk, coreutils)`;
  const field = (name: string): number =>
    Number(new RegExp(`^${name}:\\s+(\\d+)`, 'm').exec(readFileSync('/proc/meminfo', 'utf8'))?.[1] ?? 0);
  const free = (field('HugePages_Free') * field('Hugepagesize')) / 1024;
  if (free < MEMORY_MIB) return `${free} MiB of huge pages are free, want ${MEMORY_MIB}`;
  return undefined;
}

function onPath(program: string): boolean {
  const { PATH = '' } = process.env;
  return PATH.split(delimiter).some((directory) => existsSync(join(directory, program)));
}

/** One testpmd with its ports. Its huge pages have no files and its runtime files are in a directory of ours. */
export class Testpmd {
  /** All that it printed. */
  text = '';
  readonly ended: Promise<void>;
  private readonly child: ChildProcessWithoutNullStreams;
  private running = true;

  /**
   * @param vdevs one port each, in pairs that forward to each other
   * @param queues pairs of queues of every port
   */
  constructor(directory: string, vdevs: readonly string[], queues: number) {
    const eal = ['--no-pci', '--in-memory', '--no-telemetry', '--single-file-segments', '-m', `${MEMORY_MIB}`];
    const place = ['--lcores', '0,1', '--file-prefix', `ringwire-${process.pid}`];
    const ports = vdevs.flatMap((vdev) => ['--vdev', vdev]);
    // What a capture holds is not to be thrown away before forwarding starts.
    const application = ['--', '-i', '--no-flush-rx', '--total-num-mbufs=16384', `--rxq=${queues}`, `--txq=${queues}`];
    this.child = spawn(STDBUF, ['-oL', TESTPMD, ...eal, ...place, ...ports, ...application], {
      env: { ...process.env, RUNTIME_DIRECTORY: directory },
    });
    this.child.stdin.on('error', () => undefined);
    for (const stream of [this.child.stdout, this.child.stderr]) {
      stream.setEncoding('latin1');
      stream.on('data', (piece: string) => {
        this.text += piece;
      });
    }
    this.ended = new Promise((resolve) => {
      const finish = (): void => {
        this.running = false;
        resolve();
      };
      this.child.once('error', finish);
      this.child.once('close', finish);
    });
  }

  command(line: string): void {
    this.child.stdin.write(`${line}\n`);
  }

  /** Ask again and again until what it prints from now on matches. @throws Error, with its words, when it ends before */
  async ask(line: string, wanted: RegExp): Promise<void> {
    for (let from = this.text.length; !wanted.test(this.text.slice(from)); ) {
      if (!this.running) throw new Error(`testpmd ended: ${this.text.slice(-2000)}`);
      from = this.text.length;
      this.command(line);
      await sleep(POLL_MS);
    }
  }

  /** Stop forwarding and end. @returns all that it printed */
  async quit(): Promise<string> {
    this.command('stop');
    this.child.stdin.end('quit\n');
    await this.ended;
    return this.text;
  }

  /** End it at once, wherever it is. */
  async kill(): Promise<void> {
    if (this.running) this.child.kill('SIGKILL');
    await this.ended;
  }
}
