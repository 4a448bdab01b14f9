import type { DevicePackedQueue, DeviceQueue, DeviceSplitQueue, QueueConfig, QueueState } from '@ringwire/virtqueue';

/** In place of a queue's position: where its keeper says that it goes on. */
export const KEPT = 'kept';
export type KeptPosition = typeof KEPT;

/**
 * Keeps where a device stands in its queues, in memory that outlives it: so that, when its thread is ended in the middle of
 * anything, another one goes on there and every buffer is used exactly once.
 */
export interface QueueKeeper {
  /**
   * Find where a queue goes on that the device had before. Called in a burst.
   * @returns why that is not known, in a sentence
   */
  resume(index: number, config: QueueConfig): QueueState | string;
  /**
   * Keep a queue that was opened.
   * @param goesOn where {@link resume} said; otherwise it begins
   */
  keep(index: number, queue: DeviceSplitQueue | DevicePackedQueue, goesOn: boolean, config: QueueConfig): DeviceQueue;
}
