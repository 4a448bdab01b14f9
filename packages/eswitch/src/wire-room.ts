import type { Limit } from './limit.js';

/** Where a card's frames leave it, as the gate in front of it sees it. It counts by itself what comes. */
export interface WireRoom extends Limit {
  /** Mbit/s; 0: what comes is sent at once. */
  readonly rate: number;
}
