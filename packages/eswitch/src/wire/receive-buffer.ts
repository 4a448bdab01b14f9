import type { HostMemory } from '@ringwire/guest-memory';
import { DELIVERED, type Delivered, type Frame, FrameQueue, type FrameSink } from '@ringwire/net-backend';
import { TransmitLine } from '../transmit-line.js';
import { frameCost } from './frame-cost.js';
import { NEVER } from './wire-medium.js';
import { RECEIVE_BUFFER_BYTES } from './wire-settings.js';

const FRAMES = 0x2000;

/** Frames that came by the wire, and wait until the card has brought them into its host. */
export class ReceiveBuffer {
  /** Bytes of the frames in it. */
  fill = 0;
  private readonly queue: FrameQueue;
  /** What the card writes to its host, or undefined: it does so at once. */
  private readonly host: TransmitLine | undefined;
  private now = 0;
  /** The oldest frame is being brought to the host: it stays until that has ended, whatever happens to the link. */
  private isInHand = false;

  /** @param at host offset of RECEIVE_BUFFER_BYTES @param hostRate Mbit/s; 0: no limit */
  constructor(memory: HostMemory, at: number, hostRate: number) {
    this.queue = new FrameQueue(memory, at, RECEIVE_BUFFER_BYTES, FRAMES);
    this.host = hostRate === 0 ? undefined : new TransmitLine();
    this.host?.setRate(hostRate, 0);
  }

  get count(): number {
    return this.queue.count;
  }

  /** Whether frames may have to wait at all. */
  get isLimited(): boolean {
    return this.host !== undefined || this.queue.count > 0;
  }

  /** Whether a frame need not wait. */
  isOpen(now: number): boolean {
    return this.queue.count === 0 && (this.host === undefined || this.host.readyAt(0, now) <= now);
  }

  push(frame: Frame): Delivered {
    const delivered = this.queue.push(frame);
    if (delivered === DELIVERED.ACCEPTED) this.fill += frame.length;
    return delivered;
  }

  /** A frame passes by without waiting. */
  pass(frame: Frame): void {
    this.host?.take(frameCost(frame));
  }

  /** @returns frames that left @param told of each, and what the sink said */
  drain(sink: FrameSink, budget: number, now: number, told: (delivered: Delivered) => void): number {
    const { queue, host } = this;
    this.now = now;
    let left = 0;
    while (left < budget) {
      const frame = queue.peek();
      if (frame === undefined || (host !== undefined && host.readyAt(0, now) > now)) break;
      host?.take(frameCost(frame));
      const { length } = frame;
      this.isInHand = true;
      const delivered = sink.receive(frame);
      this.isInHand = false;
      this.fill -= length;
      queue.drop();
      told(delivered);
      left++;
    }
    return left;
  }

  /** Everything is gone, but for what is in the host's hand. @returns frames that are gone */
  clear(): number {
    const { queue } = this;
    const { count } = queue;
    if (!this.isInHand) {
      queue.clear();
      this.fill = 0;
      return count;
    }
    queue.keepOldest();
    this.fill = queue.peek()!.length;
    return count - 1;
  }

  /** When the next frame may leave, in ns, as of the last {@link drain}. */
  deadline(): number {
    if (this.queue.count === 0) return NEVER;
    return this.host?.readyAt(0, this.now) ?? this.now;
  }
}
