import { ACCESS, type AddressSpace } from '@ringwire/guest-memory';
import { COMPLETION, COMPLETION_TAIL, VB_FAULT } from '@ringwire/nic-spec/vendor-b';
import { RingReach } from './reach.js';

const { STATUS_SHIFT, HEAD_SHIFT } = COMPLETION_TAIL;
const NONE = -1;

/** Where a ring is and what it is called, as a command says it; checked by whoever opens it. */
export interface RingPlace {
  readonly id: number;
  /** A power of two. */
  readonly entries: number;
  readonly generation: number;
  /** A multiple of `VB_RING_ALIGN`, below 2^48. */
  readonly address: number;
}

/**
 * The device's side of a completion ring. Entries are put in a burst, and those of a burst become visible together: the phase
 * of the first one is written last. A ring that is full takes none: whoever puts looks at {@link room} before.
 */
export class CompletionRing {
  readonly place: RingPlace;
  readonly vector: number;
  /** Indexes of 16 bits that run free. */
  produced = 0;
  consumed = 0;
  /** A message is wanted when there is a completion behind `consumed`. */
  isArmed = false;
  /** `VB_FAULT`: once it is set, nothing is written any more. */
  fault: number = VB_FAULT.NONE;
  private readonly space: AddressSpace;
  private readonly reach: RingReach;
  /** Index in `i32` of the last word of the first entry that is not visible yet, and that word. */
  private heldAt = NONE;
  private heldTail = 0;

  constructor(space: AddressSpace, place: RingPlace, vector: number) {
    this.space = space;
    this.place = place;
    this.vector = vector;
    this.reach = new RingReach(space, place.address, place.entries, COMPLETION.SIZE, ACCESS.WRITE);
  }

  /** Entries that can be put. */
  get room(): number {
    return this.place.entries - this.waiting;
  }

  /** Completions that the driver has not consumed. */
  get waiting(): number {
    return (this.produced - this.consumed) & 0xffff;
  }

  /**
   * Write a completion, which {@link publish} makes visible. In a burst, with room.
   * @param head how far the submission ring is read
   */
  put(ring: number, cookie: number, status: number, length: number, head: number): void {
    if (this.fault !== VB_FAULT.NONE) return;
    const { entries } = this.place;
    const { memory } = this.space;
    const word = this.reach.wordOf(this.produced & (entries - 1));
    if (word < 0) {
      this.fault = VB_FAULT.RING_ADDRESS;
      return;
    }
    const phase = (this.produced & entries) === 0 ? 1 : 0;
    const tail = phase | (status << STATUS_SHIFT) | (head << HEAD_SHIFT);
    memory.i32[word] = cookie | (ring << 16);
    memory.i32[word + 1] = length;
    memory.i32[word + 2] = 0;
    if (this.heldAt === NONE) {
      this.heldAt = word + 3;
      this.heldTail = tail;
    } else memory.i32[word + 3] = tail;
    this.produced = (this.produced + 1) & 0xffff;
  }

  /** Make what was put visible, before the burst ends. @returns whether a message is due */
  publish(): boolean {
    if (this.heldAt !== NONE) {
      Atomics.store(this.space.memory.i32, this.heldAt, this.heldTail);
      this.heldAt = NONE;
    }
    return this.isDue();
  }

  /** The driver's doorbell. @returns whether a message is due */
  consume(index: number, arms: boolean): boolean {
    if (this.fault !== VB_FAULT.NONE) return false;
    if (((index - this.consumed) & 0xffff) > this.waiting) {
      this.fault = VB_FAULT.COMPLETION_INDEX;
      return false;
    }
    this.consumed = index;
    this.isArmed = arms;
    return this.isDue();
  }

  /** Touch memory no more. */
  stop(): void {
    this.fault = VB_FAULT.RING_ADDRESS;
    this.heldAt = NONE;
    this.isArmed = false;
  }

  /** Arming is for one message. What is put and not visible yet counts when it is published. */
  private isDue(): boolean {
    if (!this.isArmed || this.heldAt !== NONE || this.waiting === 0) return false;
    this.isArmed = false;
    return true;
  }
}
