import { close, newEvent, takeEvent, WaitSet } from '@ringwire/linux';
import type { VduseNode } from './node.js';

/** In the set, in place of a queue. */
const NODE = 0xffff_ffff;

/** What a device waits for: its driver's notifications, an event for each queue, and the kernel's requests. */
export class Kicks {
  private readonly node: VduseNode;
  private readonly waiting: WaitSet = new WaitSet();
  /** By queue, those that the driver uses. */
  private readonly events = new Map<number, number>();

  /** @throws SystemError when nothing more can be waited for */
  constructor(node: VduseNode) {
    this.node = node;
    try {
      this.waiting.add(node.fd, NODE);
    } catch (error) {
      this.waiting.close();
      throw error;
    }
  }

  /** Ready while any of them is. */
  get fd(): number {
    return this.waiting.fd;
  }

  /** Have notifications of these queues. @returns why they cannot be had */
  listen(queues: readonly number[]): string | undefined {
    for (const queue of queues) {
      const event = this.events.get(queue) ?? newEvent();
      if (!this.events.has(queue)) {
        this.events.set(queue, event);
        this.waiting.add(event, queue);
      }
      const problem = this.node.setKick(queue, event);
      if (problem !== undefined) return `queue ${queue} can have no notifications: ${problem}`;
    }
    return undefined;
  }

  /** What came. */
  take(): { queues: readonly number[]; hasRequest: boolean } {
    const found = this.waiting.look();
    const queues = found.filter((name) => name !== NODE);
    for (const queue of queues) takeEvent(this.events.get(queue)!);
    return { queues, hasRequest: queues.length < found.length };
  }

  /** The driver uses no queue any more, and the kernel has forgotten their events. */
  clear(): void {
    for (const event of this.events.values()) close(event);
    this.events.clear();
  }

  close(): void {
    for (const queue of this.events.keys()) this.node.setKick(queue, -1);
    this.clear();
    this.waiting.close();
  }
}
