import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { readdirSync, readFileSync } from 'node:fs';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { build } from 'esbuild';
import { sourceAliases } from '../../../../tools/source-aliases.mjs';

/** From where the system calls' library is found. */
const linux = fileURLToPath(new URL('../../../linux/', import.meta.url));

/** A process of its own that runs a program's sources. */
export class Child {
  readonly process: ChildProcess;
  private readonly lines: AsyncIterator<string>;

  private constructor(process: ChildProcess) {
    this.process = process;
    this.lines = createInterface({ input: process.stdout! })[Symbol.asyncIterator]();
  }

  /** Start a program, and wait for its first line. */
  static async start(program: URL, args: readonly string[]): Promise<Child> {
    const { outputFiles } = await build({
      entryPoints: [fileURLToPath(program)],
      bundle: true,
      write: false,
      platform: 'node',
      format: 'cjs',
      external: ['koffi'],
      alias: sourceAliases(),
      tsconfigRaw: { compilerOptions: { useDefineForClassFields: false } },
    });
    const child = spawn(process.execPath, ['-', ...args], { cwd: linux, stdio: ['pipe', 'pipe', 'inherit'] });
    child.stdin.end(outputFiles[0]!.text);
    const started = new Child(child);
    await started.line();
    return started;
  }

  get pid(): number {
    return this.process.pid!;
  }

  get isAlive(): boolean {
    return this.process.exitCode === null && this.process.signalCode === null;
  }

  /** The next line that it writes; undefined at its end. */
  async line(): Promise<string | undefined> {
    const { value, done } = await this.lines.next();
    return done ? undefined : value;
  }

  /** End it as nothing can prepare for. @returns when it is gone */
  async kill(): Promise<void> {
    if (!this.isAlive) return;
    const gone = once(this.process, 'exit');
    this.process.kill('SIGKILL');
    await gone;
  }

  /** What it has open, and mapped of files in memory. */
  held(): { fds: number; maps: number } {
    const maps = readFileSync(`/proc/${this.pid}/maps`, 'utf8').split('\n');
    return {
      fds: readdirSync(`/proc/${this.pid}/fd`).length,
      maps: maps.filter((line) => line.includes('memfd:')).length,
    };
  }

  /** Resident memory that no file is behind, in KiB. */
  get residentKiB(): number {
    return Number(/RssAnon:\s+(\d+)/.exec(readFileSync(`/proc/${this.pid}/status`, 'utf8'))![1]);
  }
}
