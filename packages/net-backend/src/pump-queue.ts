import type { Frame } from './frame.js';
import { DELIVERED, type FrameSink } from './net-backend.js';

/** Frames that wait, the oldest first. */
export interface WaitingFrames {
  peek(): Frame | undefined;
  drop(): void;
}

/**
 * Bring waiting frames to a device until it has no room.
 * @param budget most frames
 * @returns frames that left the queue, refused ones included
 */
export function pumpQueue(queue: WaitingFrames, device: FrameSink, budget: number): number {
  let left = 0;
  while (left < budget) {
    const frame = queue.peek();
    if (frame === undefined || device.receive(frame) === DELIVERED.FULL) break;
    queue.drop();
    left++;
  }
  return left;
}
