import { execFile } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
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
  static serve(sockets: readonly string[], ...more: readonly string[]): Promise<Ringwire> {
    return Ringwire.start([...sockets.flatMap((socket) => ['--port', socket]), ...more]);
  }

  /** Serve the virtual functions of a card that a file describes. */
  static serveCard(file: string, ...more: readonly string[]): Promise<Ringwire> {
    return Ringwire.start(['--nic', file, ...more]);
  }

  /** Run another command. @returns what it printed. @throws Error, with its words, when its exit code is not 0 */
  static async command(...args: readonly string[]): Promise<string> {
    const { stdout } = await promisify(execFile)(process.execPath, [MAIN, ...args]);
    return stdout;
  }

  private static async start(args: readonly string[]): Promise<Ringwire> {
    const served = new Ringwire(args);
    await served.program.printed(/ served\n/, 0, 'err');
    return served;
  }

  /** What it told with `--json` so far, of one kind of event. */
  events(kind: string): Record<string, unknown>[] {
    const lines = this.program.out.split('\n').slice(0, -1);
    return lines.map((line) => JSON.parse(line)).filter(({ event }) => event === kind);
  }

  /** With `--metrics 0`: the value of a line of its metrics, such as `ringwire_port_running{socket="a"}`. */
  async metric(line: string): Promise<number> {
    const { url } = this.events('metrics')[0] as { url: string };
    const text = await (await fetch(`${url}/metrics`)).text();
    const found = text.split('\n').find((one) => one.startsWith(`${line} `));
    if (found === undefined) throw new Error(`no metric ${line} in:\n${text}`);
    return Number(found.slice(line.length + 1));
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
