import type { Frame } from './frame.js';
import type { FrameQueue } from './frame-queue.js';
import { DELIVERED, type Delivered, EVERY_OFFLOAD, type FrameSink, type NetBackend } from './net-backend.js';
import { pumpQueue } from './pump-queue.js';

/** What went through one end of a pair, towards the other end's device. */
export interface PairCounters {
  /** Frames that the other device took at once. */
  direct: number;
  /** Frames that waited, because that device had no room. */
  queued: number;
  /** Frames lost because there was no queue. */
  noRoom: number;
  /** Frames lost because nobody is at the other end. */
  noDevice: number;
  /** Frames that the other device refused. */
  refused: number;
}

/**
 * One end of a cable between two devices in the same thread: what one sends, the other receives in the same call, so
 * that a frame is copied once. See {@link pairBackends}.
 */
export class PairBackend implements NetBackend {
  readonly counters: PairCounters = { direct: 0, queued: 0, noRoom: 0, noDevice: 0, refused: 0 };
  /** Frames on their way to this end's device. */
  readonly #waiting: FrameQueue | undefined;
  #device: FrameSink | undefined = undefined;
  #other: PairBackend = this;

  /** @param waiting where frames wait for this end's device while it has no room; undefined: they are dropped */
  constructor(waiting: FrameQueue | undefined) {
    this.#waiting = waiting;
  }

  /** What the device at the other end takes. A frame that waited while that changed is for the device to refuse. */
  get offloads(): number {
    return this.#other.#device?.offloads ?? EVERY_OFFLOAD;
  }

  receive(frame: Frame): Delivered {
    const { counters } = this;
    const device = this.#other.#device;
    const waiting = this.#other.#waiting;
    if (device === undefined) {
      counters.noDevice++;
      return DELIVERED.DROPPED;
    }
    // Not past those that wait.
    if (waiting === undefined || waiting.count === 0) {
      const delivered = device.receive(frame);
      if (delivered === DELIVERED.ACCEPTED) counters.direct++;
      else if (delivered === DELIVERED.DROPPED) counters.refused++;
      if (delivered !== DELIVERED.FULL) return delivered;
    }
    if (waiting === undefined) {
      counters.noRoom++;
      return DELIVERED.DROPPED;
    }
    const delivered = waiting.push(frame);
    if (delivered === DELIVERED.ACCEPTED) counters.queued++;
    return delivered;
  }

  /** What the other device received in this burst becomes visible to its driver. */
  flush(): void {
    this.#other.#device?.flush?.();
  }

  attach(device: FrameSink | undefined): void {
    this.#device = device;
    this.#waiting?.clear();
  }

  pump(budget: number): number {
    if (this.#device === undefined || this.#waiting === undefined) return 0;
    return pumpQueue(this.#waiting, this.#device, budget);
  }

  /** Plug both ends together. */
  join(other: PairBackend): void {
    this.#other = other;
    other.#other = this;
  }
}

/**
 * Both ends of a cable.
 * @param toFirst where frames wait for the first end's device while it has no room; without it they are dropped
 * @param toSecond likewise for the second end's device
 */
export function pairBackends(toFirst?: FrameQueue, toSecond?: FrameQueue): [PairBackend, PairBackend] {
  const first = new PairBackend(toFirst);
  const second = new PairBackend(toSecond);
  first.join(second);
  return [first, second];
}
