import type { HostMemory } from '@ringwire/guest-memory';
import {
  DELIVERED,
  type Delivered,
  type Frame,
  FrameQueue,
  type FrameSink,
  type NetBackend,
} from '@ringwire/net-backend';

/** A cable that comes back to where it began, and keeps what is on it when another device is plugged in. */
export class Cable implements NetBackend {
  readonly offloads = 0;
  private readonly queue: FrameQueue;
  private sink: FrameSink | undefined = undefined;

  /** @param base host offset of 0x2_0000 bytes */
  constructor(memory: HostMemory, base: number) {
    this.queue = new FrameQueue(memory, base, 0x2_0000, 64);
  }

  receive(frame: Frame): Delivered {
    return this.queue.push(frame);
  }

  attach(sink: FrameSink | undefined): void {
    this.sink = sink;
  }

  pump(budget: number): number {
    const { queue, sink } = this;
    let left = 0;
    for (; sink !== undefined && left < budget; left++) {
      const frame = queue.peek();
      if (frame === undefined || sink.receive(frame) === DELIVERED.FULL) break;
      queue.drop();
    }
    return left;
  }
}
