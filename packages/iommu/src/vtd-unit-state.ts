import { ANY_OWNER, releaseLock, takeLock } from './invalidation-bus.js';

/** Words beside a unit's registers, which no software sees; shared by the unit's threads as the registers are. */
export const VTD_STATE = {
  /** Held for a few stores: while registers and fault records change. */
  LOCK: 0,
  /** Held while a command is carried out, be it until every device is between two bursts. */
  COMMAND_LOCK: 1,
  /** Whether DMA is translated, and the root table's address as it was last taken over. */
  TRANSLATING: 2,
  ROOT_LOW: 3,
  ROOT_HIGH: 4,
  /** The interrupt remapping table's address as it was last taken over, and how often it has been. */
  INTERRUPTS_LOW: 5,
  INTERRUPTS_HIGH: 6,
  INTERRUPT_TABLES: 7,
  /** Fault recording register that is next. */
  NEXT_FAULT: 8,
  RECORDED: 9,
  OVERFLOWED: 10,
  HIDDEN: 11,
  /** A device TLB did not answer: the next invalidation wait will not complete. */
  TIMED_OUT: 12,
  HOST_WIDTH: 13,
  /** Numbers given to threads, so that a lock says who holds it. */
  OWNERS: 14,
} as const;

export const VTD_STATE_WORDS = 16;
/** Words that a reset leaves alone: the locks, which are held, and what counts or is of the unit's making. */
const KEPT: readonly number[] = [
  VTD_STATE.LOCK,
  VTD_STATE.COMMAND_LOCK,
  VTD_STATE.INTERRUPT_TABLES,
  VTD_STATE.RECORDED,
  VTD_STATE.OVERFLOWED,
  VTD_STATE.HIDDEN,
  VTD_STATE.HOST_WIDTH,
  VTD_STATE.OWNERS,
];

/** One thread's hold on {@link VTD_STATE}. */
export class VtdUnitState {
  readonly words: Int32Array;
  /** Commands of this thread's unit under way: one may set off another. */
  private commands: number;
  private readonly owner: number;

  /** @param owner of a thread that may be ended from outside */
  constructor(words: Int32Array, owner: number = ANY_OWNER) {
    this.words = words;
    this.commands = 0;
    this.owner = owner;
  }

  /** Take the lock for a few stores. No call that leaves the unit comes before {@link unlock}. */
  lock(): void {
    takeLock(this.words, VTD_STATE.LOCK, this.owner);
  }

  unlock(): void {
    Atomics.store(this.words, VTD_STATE.LOCK, 0);
  }

  /** Have commands of other threads wait, until as many calls of {@link endCommand}. */
  beginCommand(): void {
    if (this.commands++ === 0) takeLock(this.words, VTD_STATE.COMMAND_LOCK, this.owner);
  }

  endCommand(): void {
    if (--this.commands === 0) Atomics.store(this.words, VTD_STATE.COMMAND_LOCK, 0);
  }

  /** Both locks, if a thread held them when it died. */
  evict(owner: number): void {
    releaseLock(this.words, VTD_STATE.LOCK, owner);
    releaseLock(this.words, VTD_STATE.COMMAND_LOCK, owner);
  }

  /** To zero, with the lock held. */
  clear(): void {
    for (let at = 0; at < VTD_STATE_WORDS; at++) if (!KEPT.includes(at)) this.words[at] = 0;
  }

  /** Count one more of RECORDED, OVERFLOWED or HIDDEN. */
  count(at: number): void {
    Atomics.add(this.words, at, 1);
  }
}
