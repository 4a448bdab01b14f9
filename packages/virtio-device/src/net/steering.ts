import type { Frame } from '@ringwire/net-backend';
import type { NetState } from './net-state.js';

/** Which receive queue a frame belongs to, and how many pairs are in use. */
export class Steering {
  /** Transmit queues that are served, receive queues that are filled: 1 until the driver asks for more. */
  txPairs = 1;
  rxPairs = 1;
  private readonly state: NetState;

  constructor(state: NetState) {
    this.state = state;
  }

  start(): void {
    this.txPairs = 1;
    this.rxPairs = 1;
  }

  /** A frame leaves on `frame.pair`. */
  learn(_frame: Frame): void {}

  /** @returns a pair, or -1: no receive queue is on */
  pick(_frame: Frame): number {
    return this.state.port === undefined ? -1 : 0;
  }
}
