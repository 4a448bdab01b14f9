import { type ChildProcessWithoutNullStreams, spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import { delimiter, join } from 'node:path';

/** What an error shows of a program that ended too early. */
const LAST_WORDS = 2000;

/** Where a program is, as a shell would find it; undefined when it is not installed. */
export function findProgram(name: string): string | undefined {
  const { PATH = '' } = process.env;
  return PATH.split(delimiter)
    .map((directory) => join(directory, name))
    .find((path) => existsSync(path));
}

/** A program that runs beside a test. All that it prints is kept. Whoever starts it sees to its end. */
export class Program {
  /** All that it printed: results, and what it says of itself. */
  out = '';
  err = '';
  running = true;
  readonly ended: Promise<void>;
  private readonly name: string;
  private readonly child: ChildProcessWithoutNullStreams;
  private readonly changed = new Set<() => void>();

  constructor(name: string, args: readonly string[], env: NodeJS.ProcessEnv = {}) {
    this.name = name;
    this.child = spawn(name, args, { env: { ...process.env, ...env } });
    // A command may come too late for a program that just ended.
    this.child.stdin.on('error', () => undefined);
    for (const [kind, stream] of [
      ['out', this.child.stdout],
      ['err', this.child.stderr],
    ] as const) {
      stream.setEncoding('latin1');
      stream.on('data', (piece: string) => {
        this[kind] += piece;
        this.wake();
      });
    }
    this.ended = new Promise((resolve) => {
      const finish = (): void => {
        this.running = false;
        this.wake();
        resolve();
      };
      this.child.once('error', finish);
      this.child.once('close', finish);
    });
  }

  write(text: string): void {
    this.child.stdin.write(text);
  }

  /** Nothing more will be written to it. */
  end(text: string): void {
    this.child.stdin.end(text);
  }

  /**
   * Wait until what it printed from `from` on matches.
   * @throws Error, with its last words, when it ends before
   */
  async printed(wanted: RegExp, from = 0, kind: 'out' | 'err' = 'out'): Promise<RegExpExecArray> {
    for (;;) {
      const found = wanted.exec(this[kind].slice(from));
      if (found !== null) return found;
      this.checkRunning();
      await new Promise<void>((resolve) => this.changed.add(resolve));
    }
  }

  /** @throws Error, with its last words, when it has ended */
  checkRunning(): void {
    if (!this.running) throw new Error(`${this.name} ended: ${(this.out + this.err).slice(-LAST_WORDS)}`);
  }

  /** End it, at once unless another signal is given, and wait for its end. */
  async kill(signal: NodeJS.Signals = 'SIGKILL'): Promise<void> {
    if (this.running) this.child.kill(signal);
    await this.ended;
  }

  private wake(): void {
    const waiting = [...this.changed];
    this.changed.clear();
    for (const resolve of waiting) resolve();
  }
}
