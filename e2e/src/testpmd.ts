import { readFileSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { findProgram, Program } from './program.js';

/** MiB of huge pages that a testpmd takes. */
const MEMORY_MIB = 128;
const TESTPMD = 'dpdk-testpmd';
/** Has it print line by line, so that answers come when they are given. */
const STDBUF = 'stdbuf';
/** Between two questions. */
const POLL_MS = 50;

/** Why testpmd cannot be run here; undefined when it can. @param processes that are to run at the same time */
export function testpmdProblem(processes = 1): string | undefined {
  for (const program of [TESTPMD, STDBUF])
    if (findProgram(program) === undefined) return `${program} is not installed (Debian: dpdk, coreutils)`;
  const field = (name: string): number =>
    Number(new RegExp(`^${name}:\\s+(\\d+)`, 'm').exec(readFileSync('/proc/meminfo', 'utf8'))?.[1] ?? 0);
  const free = (field('HugePages_Free') * field('Hugepagesize')) / 1024;
  const wanted = processes * MEMORY_MIB;
  if (free < wanted) return `${free} MiB of huge pages are free, want ${wanted}`;
  return undefined;
}

/** One testpmd with its ports. Its huge pages have no files and its runtime files are in a directory of ours. */
export class Testpmd {
  private readonly program: Program;

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
    this.program = new Program(STDBUF, ['-oL', TESTPMD, ...eal, ...place, ...ports, ...application], {
      RUNTIME_DIRECTORY: directory,
    });
  }

  /** @throws Error, with its last words, when it has ended */
  checkRunning(): void {
    this.program.checkRunning();
  }

  command(line: string): void {
    this.program.write(`${line}\n`);
  }

  /** Ask again and again until what it prints from now on matches. @throws Error, with its words, when it ends before */
  async ask(line: string, wanted: RegExp): Promise<void> {
    const { program } = this;
    for (let from = program.out.length; !wanted.test(program.out.slice(from)); ) {
      program.checkRunning();
      from = program.out.length;
      this.command(line);
      await sleep(POLL_MS);
    }
  }

  /** Stop forwarding and end. @returns all that it printed */
  async quit(): Promise<string> {
    this.command('stop');
    this.program.end('quit\n');
    await this.program.ended;
    return this.program.out;
  }

  /** End it at once, wherever it is. */
  async kill(): Promise<void> {
    await this.program.kill();
  }
}
