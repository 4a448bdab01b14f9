import { EITR } from '@ringwire/nic-spec/ixgbe';

const NEVER = Number.POSITIVE_INFINITY;
const WORDS = 2;

/**
 * Causes of a function's vectors, one bit each, with what enables, clears and moderates them. 82599 datasheet §7.3
 * @see EICR, EIMS, EIAC, EIAM, EITR and their relatives of virtual functions
 */
export class VectorCauses {
  /** By 32 vectors: causes that are there, those that are enabled, those that a message clears, or disables. */
  readonly cause: Int32Array = new Int32Array(WORDS);
  readonly enabled: Int32Array = new Int32Array(WORDS);
  readonly autoClear: Int32Array = new Int32Array(WORDS);
  readonly autoMask: Int32Array = new Int32Array(WORDS);
  /** EITR by vector. */
  readonly eitr: Uint32Array;
  private readonly send: (vector: number) => void;
  private readonly waits: () => void;
  private readonly now: () => number;
  /** When a vector may send again, in µs. */
  private readonly nextAt: Float64Array;
  /** By 32 vectors: those that wait for that. */
  private readonly waiting: Int32Array = new Int32Array(WORDS);

  /**
   * @param vectors 1 to 64
   * @param send sends a vector's message
   * @param now in µs
   * @param waits called when a message has to wait for its time: {@link check} is due then
   */
  constructor(vectors: number, send: (vector: number) => void, now: () => number, waits: () => void = () => {}) {
    this.send = send;
    this.waits = waits;
    this.now = now;
    this.eitr = new Uint32Array(vectors);
    this.nextAt = new Float64Array(vectors);
  }

  /** Something happened. @param vector whose cause it is */
  set(vector: number): void {
    if (vector >= this.eitr.length) return;
    this.cause[vector >>> 5]! |= 1 << (vector & 31);
    this.settle(vector);
  }

  /** Software sets causes. @param word which 32 vectors */
  setBits(word: number, bits: number): void {
    for (let vector = word * 32; bits !== 0; vector++, bits >>>= 1) if ((bits & 1) !== 0) this.set(vector);
  }

  /** Enable vectors; those whose cause is there send. */
  enable(word: number, bits: number): void {
    this.enabled[word]! |= bits;
    let due = this.cause[word]! & bits;
    for (let vector = word * 32; due !== 0; vector++, due >>>= 1) if ((due & 1) !== 0) this.settle(vector);
  }

  disable(word: number, bits: number): void {
    this.enabled[word]! &= ~bits;
    this.waiting[word]! &= ~bits;
  }

  clear(word: number, bits: number): void {
    this.cause[word]! &= ~bits;
    this.waiting[word]! &= ~bits;
  }

  /** A message that is not one of these causes goes out by a vector, under the same moderation. */
  sendFor(vector: number): void {
    if (vector >= this.eitr.length) return;
    this.message(vector);
  }

  /** EITR of a vector is written. */
  moderate(vector: number, value: number): void {
    if (vector >= this.eitr.length) return;
    this.eitr[vector] = value & ~EITR.CNT_WDIS;
    if ((value & EITR.CNT_WDIS) === 0) this.nextAt[vector] = 0;
  }

  /** When {@link check} is due, in µs. */
  deadline(): number {
    if (this.waiting[0] === 0 && this.waiting[1] === 0) return NEVER;
    let first = NEVER;
    for (let vector = 0; vector < this.nextAt.length; vector++)
      if (this.isWaiting(vector)) first = Math.min(first, this.nextAt[vector]!);
    return first;
  }

  /** Send what waited long enough. */
  check(now: number): void {
    if (this.waiting[0] === 0 && this.waiting[1] === 0) return;
    for (let vector = 0; vector < this.nextAt.length; vector++)
      if (this.isWaiting(vector) && this.nextAt[vector]! <= now) this.message(vector);
  }

  reset(): void {
    for (const words of [this.cause, this.enabled, this.autoClear, this.autoMask, this.waiting]) words.fill(0);
    this.eitr.fill(0);
    this.nextAt.fill(0);
  }

  private settle(vector: number): void {
    if ((this.enabled[vector >>> 5]! & this.cause[vector >>> 5]! & (1 << (vector & 31))) !== 0) this.message(vector);
  }

  private message(vector: number): void {
    const word = vector >>> 5;
    const bit = 1 << (vector & 31);
    const interval = ((this.eitr[vector]! >>> EITR.INTERVAL_SHIFT) & EITR.INTERVAL_MASK) * EITR.UNIT_US;
    if (interval > 0) {
      const now = this.now();
      if (now < this.nextAt[vector]!) {
        this.waiting[word]! |= bit;
        this.waits();
        return;
      }
      this.nextAt[vector] = now + interval;
    }
    this.waiting[word]! &= ~bit;
    this.cause[word]! &= ~(bit & this.autoClear[word]!);
    this.enabled[word]! &= ~(bit & this.autoMask[word]!);
    this.send(vector);
  }

  private isWaiting(vector: number): boolean {
    return (this.waiting[vector >>> 5]! & (1 << (vector & 31))) !== 0;
  }
}
