import { quantaMillibits } from './mac-control.js';
import { NEVER } from './wire-medium.js';
import type { WireLink, WireSettings } from './wire-settings.js';

/** Nothing is to be said. */
export const SAY_NOTHING = -1;

/**
 * Says when the other end is to pause, and when it may go on: by how full the receive buffer is, with room between both,
 * and again before what it was told is over. IEEE 802.3 annex 31B.2
 */
export class FlowControl {
  /** When to ask again without the buffer having changed, in ns. */
  againAt: number = NEVER;
  private isHolding = false;

  /**
   * @param fill bytes in the buffer @param now ns
   * @returns quanta that the other end is to be told, 0 for going on, or SAY_NOTHING
   */
  ask(fill: number, { highWater, lowWater, pauseTime }: WireSettings, link: WireLink, now: number): number {
    if (!link.sendsPause) return this.isHolding ? this.release() : SAY_NOTHING;
    if (this.isHolding && fill <= lowWater) return this.release();
    if (this.isHolding ? now < this.againAt : fill <= highWater) return SAY_NOTHING;
    this.isHolding = true;
    this.againAt = now + Math.max(1, Math.floor(quantaMillibits(pauseTime) / link.speed / 2));
    return pauseTime;
  }

  reset(): void {
    this.isHolding = false;
    this.againAt = NEVER;
  }

  private release(): number {
    this.reset();
    return 0;
  }
}
