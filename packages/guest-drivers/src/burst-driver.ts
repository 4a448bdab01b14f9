import type { Breakdown } from './breakdown.js';
import type { FrameBurst } from './frame-pool.js';
import type { NetCounters } from './net-counters.js';

/**
 * What every poll-mode driver does, whatever its rings look like: bursts of frames of a `FramePool`, no interrupts. A program
 * that is written for it runs on a virtio device and on a card of a vendor's own.
 */
export interface BurstDriver {
  readonly counters: NetCounters;
  /** Queue pairs that were set up. */
  readonly pairs: number;
  /** Queue pairs that frames may be sent on. */
  readonly activePairs: number;
  readonly mac: Uint8Array;
  /** Append frames that came in on a queue pair, at most `max`: they are the caller's. @returns frames appended */
  rxBurst(pair: number, frames: FrameBurst, max?: number): number;
  /**
   * Send frames of a burst, from `from` on: those that the ring has room for are the driver's.
   * @returns frames taken
   * @throws VirtioError for a pair that is not in use, or a frame that may not be sent
   */
  txBurst(pair: number, frames: FrameBurst, from?: number): number;
  /** Put frames that were sent back into the pool. @returns how many */
  reclaim(pair: number): number;
  /** Read the link's state. */
  isLinkUp(): boolean;
  /** Whether the device is still to be believed: to be asked now and then. @returns why not */
  check(): Breakdown | undefined;
  /** Reset the device; all frames that it had go back into the pool. @returns what it did wrong */
  close(): Breakdown | undefined;
}
