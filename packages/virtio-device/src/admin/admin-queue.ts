import { ChainBurst, type DeviceQueue, TAKE } from '@ringwire/virtqueue';
import type { DevicePort } from '../device-model.js';
import { AdminCommand, LATER, writeOutcome } from './admin-command.js';
import type { AdminControl } from './admin-control.js';

/** How soon a command that waits for a member is asked anew, in µs. */
const RETRY_USECS = 50;
const NEVER = Number.POSITIVE_INFINITY;

/** One administration virtqueue: its commands in their order, each ended before the next one begins. @see virtio 1.4 §2.13 */
export class AdminQueue {
  /** When to ask a command anew that waits for a member. */
  retryAt: number = NEVER;
  private readonly index: number;
  private readonly control: AdminControl;
  private readonly burst: ChainBurst = new ChainBurst(1);
  private isDue = false;

  /** @param index virtqueue index */
  constructor(index: number, control: AdminControl) {
    this.index = index;
    this.control = control;
  }

  /** There may be commands. */
  notified(): void {
    this.isDue = true;
  }

  close(): void {
    this.retryAt = NEVER;
    this.isDue = false;
  }

  /** Carry out at most `budget` commands. @returns how many */
  turn(port: DevicePort, budget: number): number {
    const queue = this.isDue ? port.queue(this.index) : undefined;
    if (queue === undefined) return 0;
    const done = this.runSome(port, queue, budget);
    if (done > 0 && queue.publishUsed()) port.notifyUsed(this.index);
    // Nothing left: ask for a notification, and look once more before relying on it.
    if (done === 0 && this.retryAt === NEVER) this.isDue = queue.enableNotifications();
    return done;
  }

  private runSome(port: DevicePort, queue: DeviceQueue, budget: number): number {
    const { burst } = this;
    this.retryAt = NEVER;
    for (let done = 0; done < budget; done++) {
      burst.clear();
      const taken = queue.takeAvailable(burst);
      if (taken === TAKE.EMPTY || taken === TAKE.RING_FAULT) return done;
      const written = taken === TAKE.CHAIN ? this.answer(port) : 0;
      if (written === LATER) {
        // Its host ranges are good within this burst only: the ring keeps it, in front of those behind.
        queue.untake(burst.token[0]!);
        this.retryAt = port.now() + RETRY_USECS;
        return done;
      }
      queue.putUsed(burst.token[0]!, written);
    }
    return budget;
  }

  private answer(port: DevicePort): number | typeof LATER {
    const { burst } = this;
    // Without room for an answer nobody would be told what became of the command: it is not begun.
    if (burst.writableBytes(0) === 0) return 0;
    const outcome = this.control.run(new AdminCommand(port.memory, burst, 0));
    return outcome === LATER ? LATER : writeOutcome(port.memory, burst, 0, outcome);
  }
}
