import type { Limit } from '../limit.js';

/** Where a card's frames leave it, as the gate in front of it sees it. What the gate lets through is taken of it at once. */
export interface WireRoom extends Limit {
  /** Mbit/s; 0: what comes is sent at once. */
  readonly rate: number;
  /** Called when there is room earlier than it said, or the rate is another one. */
  onChange: (() => void) | undefined;
}
