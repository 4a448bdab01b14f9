import { type ChildProcess, fork } from 'node:child_process';
import { childSeconds } from './cpu-share.js';
import { PeerFailure } from './testpmd.js';
import type { ToVhostServer, VhostServerFigures } from './vhost-job.js';

/** Built code, also when a test runs the sources. */
const PROGRAM = new URL('../dist/vhost-server.js', import.meta.url);

/** Network devices of ours behind vhost-user sockets, in a process of their own. */
export class VhostProcess {
  private readonly child: ChildProcess;
  private readonly ended: Promise<void>;
  private alive = true;
  private answer: ((figures: VhostServerFigures) => void) | undefined;
  private fail: ((why: PeerFailure) => void) | undefined;

  constructor() {
    this.child = fork(PROGRAM, { stdio: ['ignore', 'ignore', 'inherit', 'ipc'] });
    const kill = (): void => void this.child.kill('SIGKILL');
    process.once('exit', kill);
    this.child.on('message', (figures: VhostServerFigures) => this.answer?.(figures));
    this.ended = new Promise((resolve) => {
      this.child.once('exit', (code) => {
        this.alive = false;
        process.off('exit', kill);
        this.fail?.(new PeerFailure(`our server ended with code ${code}`));
        resolve();
      });
    });
  }

  /** @throws PeerFailure when the process has ended */
  async tell(message: ToVhostServer): Promise<VhostServerFigures> {
    if (!this.alive) throw new PeerFailure('our server has ended');
    return await new Promise((resolve, reject) => {
      this.answer = resolve;
      this.fail = reject;
      this.child.send(message);
    });
  }

  seconds(): number {
    return this.child.pid === undefined ? 0 : childSeconds(this.child.pid);
  }

  /** End it; it lets go of its sockets. */
  async end(): Promise<void> {
    if (this.alive) {
      this.fail = undefined;
      this.child.send({ type: 'close' } satisfies ToVhostServer);
    }
    await this.ended;
  }
}
