import type { Delivered, FrameRun } from '@ringwire/net-backend';
import type { DmaBurst } from './dma-burst.js';
import type { FrameFacts } from './frame-facts.js';
import type { RxQueue } from './rx-queue.js';
import type { TxQueue } from './tx-queue.js';

/** What a queue wants of the function that it belongs to. */
export interface QueueOwner {
  readonly dma: DmaBurst;
  /** There may be work: whoever steps the card does so soon. */
  wake(): void;
  /** A queue was switched on or off. */
  queuesChanged(): void;
  /** Frames for a full ring are dropped, whatever the queue's own registers say: PFQDE. */
  mustDrop(queue: RxQueue): boolean;
  /** Headers that a queue splits off: its pool's PSRTYPE. */
  splitTypes(queue: RxQueue): number;
  /** Count a frame that is given up. @returns DROPPED */
  drop(queue: RxQueue, facts: FrameFacts): Delivered;
  /** Count a frame that lies in a ring. @param bytes as it came, without check sequence */
  received(queue: RxQueue, bytes: number, facts: FrameFacts): void;
  /** Find out what there is to say of a frame of a run. @param range where it lies @returns its queue, or -1 */
  lookAt(run: FrameRun, range: number): number;
  /** Count frames of a run that lie in a ring. @param from how many were dealt with before */
  receivedRun(queue: RxQueue, run: FrameRun, from: number, count: number, facts: FrameFacts): void;
  /** Count a frame that left. @param bytes without check sequence */
  transmitted(queue: TxQueue, frames: number, bytes: number): void;
  /** A queue was stopped. @param cause of `MISBEHAVIOR` */
  misbehaved(queue: RxQueue | TxQueue, cause: number): void;
}
