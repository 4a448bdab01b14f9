import { type ChildProcess, spawn } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import type { TestNamespace } from '@ringwire/linux/testing';

/** What `pnpm test` builds before it runs tests. */
const MAIN = fileURLToPath(new URL('../../packages/cli/dist/main.js', import.meta.url));

/** `ringwire serve --json` in a process and a network namespace of its own. */
export class NamespacedServe {
  /** All that it told. */
  text = '';
  readonly ended: Promise<number | null>;
  private readonly child: ChildProcess;

  constructor(namespace: TestNamespace, args: readonly string[]) {
    this.child = namespace.inside(() =>
      spawn(process.execPath, [MAIN, 'serve', '--json', ...args], { stdio: ['ignore', 'pipe', 'pipe'] }),
    );
    for (const stream of [this.child.stdout!, this.child.stderr!]) {
      stream.setEncoding('utf8');
      stream.on('data', (piece: string) => {
        this.text += piece;
      });
    }
    this.ended = new Promise((resolve) => {
      this.child.once('error', () => resolve(null));
      this.child.once('close', resolve);
    });
  }

  /** What it told of one kind. */
  events(kind: string): Record<string, unknown>[] {
    const lines = this.text.split('\n').filter((line) => line.startsWith('{') && line.endsWith('}'));
    return lines.map((line) => JSON.parse(line)).filter(({ event }) => event === kind);
  }

  /** End it as an operator does, and wait for its end. @returns its exit code */
  end(signal: NodeJS.Signals = 'SIGTERM'): Promise<number | null> {
    this.child.kill(signal);
    return this.ended;
  }
}
