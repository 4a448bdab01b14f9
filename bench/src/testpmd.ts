import { type ChildProcessWithoutNullStreams, spawn } from 'node:child_process';
import { setTimeout as sleep } from 'node:timers/promises';
import { childSeconds } from './cpu-share.js';
import { complaint, TestpmdOutput } from './dpdk-output.js';
import { coresOf, procFile } from './machine.js';

/** MiB of huge pages that a testpmd takes: enough for its mbufs. */
export const TESTPMD_MIB = 128;
const MBUFS = 8192;
const START_MS = 30_000;
const END_MS = 5000;
const POLL_MS = 20;

export class PeerFailure extends Error {
  override readonly name = 'PeerFailure';
}

/** How a testpmd is started. */
export interface TestpmdStart {
  readonly program: string;
  /** For its runtime files. */
  readonly directory: string;
  /** Tells those of one testpmd from another's. */
  readonly prefix: string;
  /** For reading commands, and for forwarding. */
  readonly cores: readonly [number, number];
  /** One port each. */
  readonly vdevs: readonly string[];
  readonly more: readonly string[];
}

/** One testpmd. Its huge pages have no files and its runtime files are in our directory: nothing outlives it. */
export class Testpmd {
  readonly output: TestpmdOutput = new TestpmdOutput();
  text = '';
  private readonly child: ChildProcessWithoutNullStreams;
  private readonly ended: Promise<void>;
  private alive = true;

  constructor({ program, directory, prefix, cores, vdevs, more }: TestpmdStart) {
    const eal = ['--no-pci', '--in-memory', '--no-telemetry', '--single-file-segments', '-m', `${TESTPMD_MIB}`];
    // The main lcore only reads commands; lcore 1 forwards.
    const place = ['--lcores', `0@${cores[0]},1@${cores[1]}`, `--file-prefix=${prefix}`];
    const ports = vdevs.flatMap((vdev) => ['--vdev', vdev]);
    const application = ['--', '-i', `--total-num-mbufs=${MBUFS}`, ...more];
    this.child = spawn(program, [...eal, ...place, ...ports, ...application], {
      env: { ...process.env, RUNTIME_DIRECTORY: directory },
    });
    const kill = (): void => void this.child.kill('SIGKILL');
    process.once('exit', kill);
    this.ended = new Promise((resolve) => {
      const finish = (): void => {
        this.alive = false;
        process.off('exit', kill);
        resolve();
      };
      this.child.once('close', finish);
      this.child.once('error', (error) => {
        this.text += `\n${error.message}`;
        finish();
      });
    });
    // A command that comes too late for a process that just ended is no fault of its own.
    this.child.stdin.on('error', () => undefined);
    for (const stream of [this.child.stdout, this.child.stderr]) stream.setEncoding('latin1');
    this.child.stdout.on('data', (piece: string) => {
      this.text += piece;
      this.output.push(piece);
    });
    this.child.stderr.on('data', (piece: string) => {
      this.text += piece;
    });
  }

  /** Wait for the first prompt. */
  async started(): Promise<void> {
    const deadline = performance.now() + START_MS;
    while (this.output.prompts === 0) {
      this.checkAlive();
      if (performance.now() > deadline) throw new PeerFailure(`did not start: ${complaint(this.text)}`);
      await sleep(POLL_MS);
    }
  }

  checkAlive(): void {
    if (!this.alive) throw new PeerFailure(`ended early: ${complaint(this.text)}`);
  }

  command(line: string): void {
    this.child.stdin.write(`${line}\n`);
  }

  seconds(): number {
    return this.child.pid === undefined ? 0 : childSeconds(this.child.pid);
  }

  /** Ask it to quit, and end it by its own id if it doesn't. */
  async end(): Promise<void> {
    if (this.alive) this.child.stdin.end('quit\n');
    const timer = setTimeout(() => this.child.kill('SIGKILL'), END_MS);
    await this.ended;
    clearTimeout(timer);
  }
}

/** Cores that this process may run on. */
export function allowedCores(): number[] {
  const list = /^Cpus_allowed_list:\s+(\S+)/m.exec(procFile('self/status'))?.[1];
  return list === undefined ? [] : coresOf(list);
}
