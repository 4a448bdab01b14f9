import type { Frame } from './frame.js';
import type { FrameQueue } from './frame-queue.js';
import { type Delivered, EVERY_OFFLOAD, type FrameSink, type NetBackend } from './net-backend.js';
import { pumpQueue } from './pump-queue.js';

/**
 * What is sent comes back, each frame once. Between the two it waits in a queue of copies; while that is full, nothing
 * more is taken.
 */
export class LoopbackBackend implements NetBackend {
  /** The device gets its own frames back, so it says itself what need not be done to them. */
  get offloads(): number {
    return this.#device?.offloads ?? EVERY_OFFLOAD;
  }

  readonly #queue: FrameQueue;
  #device: FrameSink | undefined = undefined;

  constructor(queue: FrameQueue) {
    this.#queue = queue;
  }

  receive(frame: Frame): Delivered {
    return this.#queue.push(frame);
  }

  attach(device: FrameSink | undefined): void {
    this.#device = device;
    this.#queue.clear();
  }

  pump(budget: number): number {
    return this.#device === undefined ? 0 : pumpQueue(this.#queue, this.#device, budget);
  }
}
