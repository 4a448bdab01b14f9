import { type AddressSpace, NO_WINDOW, RESOLVE } from '@ringwire/guest-memory';

/** Upper words of addresses that need more than 53 bits begin here. */
const HIGH_LIMIT = 0x20_0000;
const WORD = 0x1_0000_0000;

/** An address of two words as an exact number, or -1 when it needs more than 53 bits: nothing is there. */
export const addressFrom = (low: number, high: number): number =>
  high >>> 0 < HIGH_LIMIT ? (high >>> 0) * WORD + (low >>> 0) : -1;

/**
 * One function's bursts of DMA: host offsets are good while one is open. Whoever keeps some between bursts compares
 * {@link generation}.
 */
export class DmaBurst {
  readonly space: AddressSpace;
  isOpen = false;
  /** Changes when host offsets of earlier bursts may be void. */
  generation = 0;
  private epoch = -1;

  constructor(space: AddressSpace) {
    this.space = space;
  }

  /** Begin a burst, unless there is one. */
  open(): void {
    if (this.isOpen) return;
    this.isOpen = true;
    const epoch = this.space.enter();
    if (epoch === this.epoch) return;
    this.epoch = epoch;
    this.generation++;
  }

  /**
   * Host offset of bytes at an address of two words, as `AddressSpace.resolve` gives it: mostly by the window around what
   * was found last, without a number that needs more than 32 bits. In a burst.
   * @param low,high as signed numbers
   * @param access READ or WRITE
   */
  reach(low: number, high: number, bytes: number, access: number): number {
    const { space } = this;
    const window = space.windowFor?.(access) ?? NO_WINDOW;
    const into = (low - window.lo32) >>> 0;
    const usable = (access & window.refused) === 0 ? window.bytes : 0;
    if (high === (window.hi | 0) && into < usable && bytes <= usable - into) return (window.host32 + into) >>> 0;
    const address = addressFrom(low, high);
    return address < 0 ? RESOLVE.FAULT : space.resolve(address, bytes, access);
  }

  close(): void {
    if (!this.isOpen) return;
    this.isOpen = false;
    this.space.leave();
  }
}
