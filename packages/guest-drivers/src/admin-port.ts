import { AdminClient } from './admin-client.js';
import { AdminQueue } from './admin-queue.js';
import { BREAK, type Breakdown, breakdown } from './breakdown.js';
import type { DmaArena } from './dma-arena.js';
import type { LiveQueue } from './live-queue.js';

/** How a driver uses its device's administration virtqueues: one of them, at the first index that the device gives. */
export interface AdminWishes {
  /** Memory for each of four commands and its answer, in bytes; 64 KiB unless given. Parts of a device have to fit in. */
  readonly commandBytes?: number;
  /** NumVFs while VF Enable is set, else 0; without it there is no SR-IOV group. */
  readonly functions?: () => number;
}

const COMMAND_BYTES = 0x1_0000;

/** One administration virtqueue in a driver's life. */
export class AdminPort {
  readonly live: LiveQueue;
  readonly client: AdminClient;

  /** @param now a clock in milliseconds that never goes back */
  constructor(live: LiveQueue, arena: DmaArena, wishes: AdminWishes, now: () => number) {
    this.live = live;
    const queue = new AdminQueue(live, arena, wishes.commandBytes ?? COMMAND_BYTES);
    this.client = new AdminClient(queue, now, wishes.functions ?? (() => 0));
  }

  /** @param limit milliseconds that a command may take */
  watch(now: number, limit: number): Breakdown | undefined {
    this.client.poll();
    if (now - this.client.waitingSince() <= limit) return undefined;
    return breakdown(BREAK.ADMIN_UNANSWERED, `an administration command is unanswered after ${limit} ms`);
  }
}
