import type { VduseNode } from './node.js';

/** How long the kernel may take to note that the driver runs, from the answer on that says so, until it is asked again. */
const RETRY_USECS = 500;

/**
 * Interrupts that the driver is owed. The kernel takes none before it has noted DRIVER_OK, which is some time after that was
 * answered: until then they are kept, for the one that is lost may be the one that the driver waits for.
 */
export class Interrupts {
  private readonly node: VduseNode;
  private readonly now: () => number;
  /** A byte for each queue. */
  private readonly owed: Uint8Array;
  private count = 0;
  private config = false;
  private retryAt = 0;

  constructor(node: VduseNode, queues: number, now: () => number) {
    this.node = node;
    this.now = now;
    this.owed = new Uint8Array(queues);
  }

  owe(queue: number): void {
    if (this.owed[queue] !== 0) return;
    this.owed[queue] = 1;
    this.count++;
  }

  oweConfig(): void {
    this.config = true;
  }

  /** Interrupt the driver for all that is owed. @returns how often the kernel took it */
  send(): number {
    if ((this.count === 0 && !this.config) || this.now() < this.retryAt) return 0;
    let sent = 0;
    if (this.config) {
      this.config = !this.isTaken(this.node.interruptConfig());
      if (!this.config) sent++;
    }
    for (let queue = 0; this.count > 0 && queue < this.owed.length; queue++) {
      if (this.owed[queue] === 0) continue;
      if (!this.isTaken(this.node.interrupt(queue))) return sent;
      this.owed[queue] = 0;
      this.count--;
      sent++;
    }
    return sent;
  }

  /** When {@link send} is to be called again at the latest. */
  deadline(): number {
    return this.count > 0 || this.config ? this.retryAt : Number.POSITIVE_INFINITY;
  }

  /** The driver is not there any more. */
  clear(): void {
    this.owed.fill(0);
    this.count = 0;
    this.config = false;
    this.retryAt = 0;
  }

  /** Nobody is left to be interrupted where the kernel says anything else but "not yet". */
  private isTaken(problem: string | undefined): boolean {
    if (problem !== 'EINVAL') return true;
    this.retryAt = this.now() + RETRY_USECS;
    return false;
  }
}
