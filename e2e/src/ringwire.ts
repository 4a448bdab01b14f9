import { fileURLToPath } from 'node:url';
import { Program } from './program.js';

/** What `pnpm test` builds before it runs tests. */
const MAIN = fileURLToPath(new URL('../../packages/cli/dist/main.js', import.meta.url));

/** `ringwire serve` in a process of its own. */
export class Ringwire {
  private readonly program: Program;

  private constructor(args: readonly string[]) {
    this.program = new Program(process.execPath, [MAIN, 'serve', ...args]);
  }

  /** Serve, and be there when the sockets are. */
  static async serve(sockets: readonly string[], ...more: readonly string[]): Promise<Ringwire> {
    const served = new Ringwire([...sockets.flatMap((socket) => ['--port', socket]), ...more]);
    await served.program.printed(/ served\n/, 0, 'err');
    return served;
  }

  /** What it said of its connections so far. */
  get said(): string {
    return this.program.err;
  }

  /** End it as an operator does, or harder. */
  async kill(signal: NodeJS.Signals = 'SIGTERM'): Promise<void> {
    await this.program.kill(signal);
  }
}
