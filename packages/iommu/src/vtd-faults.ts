import type { VtdCapabilities } from './vtd-capabilities.js';
import type { VtdEvent } from './vtd-event.js';
import { VTD_FRCD, VTD_FRCD_BITS, VTD_FSTS, VTD_REG } from './vtd-registers.js';
import { VTD_STATE, type VtdUnitState } from './vtd-unit-state.js';

const FSTS = VTD_REG.FSTS.at >>> 2;
const F = VTD_FRCD_BITS.word3.F;
/** Conditions of FSTS that the fault event stands for. */
const PENDING = VTD_FSTS.PFO | VTD_FSTS.PPF | VTD_FSTS.IQE | VTD_FSTS.ICE | VTD_FSTS.ITE;
const CLEARABLE = VTD_REG.FSTS.writeClear[0];
const FRCD_WORDS = VTD_FRCD.SIZE >>> 2;

/** Modulo 2^32, of all threads together. */
export interface VtdFaultCounters {
  recorded: number;
  /** Lost because every fault recording register was in use. */
  overflowed: number;
  /** Not recorded because FPD said so. */
  hidden: number;
}

/**
 * Primary fault logging (VT-d 4.0 §7.3.1): a ring of fault recording registers, their summary in FSTS, and one message
 * when the first condition appears. When the next register is still in use the fault is dropped and PFO set; nothing is
 * overwritten, and nothing recorded until software has cleared PFO. The registers are one set for all threads of the unit.
 */
export class VtdFaults {
  private readonly words: Uint32Array;
  private readonly state: VtdUnitState;
  private readonly event: VtdEvent;
  private readonly first: number;
  private readonly count: number;

  constructor(words: Uint32Array, state: VtdUnitState, capabilities: VtdCapabilities, event: VtdEvent) {
    this.words = words;
    this.state = state;
    this.event = event;
    this.first = capabilities.faultRegisters >>> 2;
    this.count = capabilities.faultRegisterCount;
  }

  get counters(): VtdFaultCounters {
    const { words } = this.state;
    const recorded = Atomics.load(words, VTD_STATE.RECORDED) >>> 0;
    const overflowed = Atomics.load(words, VTD_STATE.OVERFLOWED) >>> 0;
    return { recorded, overflowed, hidden: Atomics.load(words, VTD_STATE.HIDDEN) >>> 0 };
  }

  /** A fault is not recorded because FPD said so. */
  hide(): void {
    this.state.count(VTD_STATE.HIDDEN);
  }

  /** Which fault recording register the word belongs to, or -1. */
  indexOfWord(word: number): number {
    const at = word - this.first;
    return at >= 0 && at < this.count * FRCD_WORDS ? Math.floor(at / FRCD_WORDS) : -1;
  }

  /**
   * @param low, high  fault information: the page of a DMA fault, the index of an interrupt's
   * @param pasid      -1 for none
   * @param read       T: the request was no write
   * @param type       VTD_ADDRESS_TYPE
   */
  record(low: number, high: number, sourceId: number, pasid: number, reason: number, read: boolean, type = 0): void {
    const { PV_SHIFT, AT_SHIFT, T } = VTD_FRCD_BITS.word3;
    const process = pasid >= 0 ? (pasid & 0xf_ffff) << PV_SHIFT : 0;
    const word2 = sourceId | (pasid >= 0 ? VTD_FRCD_BITS.word2.PP : 0);
    const word3 = F | (read ? T : 0) | (type << AT_SHIFT) | process | reason;
    this.state.lock();
    const isFirst = this.log(low, high, word2, word3);
    this.state.unlock();
    if (isFirst) this.event.sendPending();
  }

  /** Set conditions of FSTS; the message goes out only for the first of them, until software has cleared all. */
  set(conditions: number): void {
    this.state.lock();
    const isFirst = this.raise(conditions);
    this.state.unlock();
    if (isFirst) this.event.sendPending();
  }

  /**
   * A thread may have died within {@link record}: a record that software can see is in the summary, the next one goes behind
   * it, and the message comes, perhaps once more than it had to.
   */
  mend(): void {
    const { words, state, count } = this;
    state.lock();
    const isUsed = (index: number): boolean => (words[this.first + index * FRCD_WORDS + 3]! & F) !== 0;
    const next = state.words[VTD_STATE.NEXT_FAULT]!;
    const behind = next + 1 === count ? 0 : next + 1;
    const begun = isUsed(next) && !isUsed(behind);
    if (begun) state.words[VTD_STATE.NEXT_FAULT] = behind;
    if (begun && (words[FSTS]! & VTD_FSTS.PPF) === 0)
      words[FSTS] = (words[FSTS]! & 0xffff_00ff) | (next << VTD_FSTS.FRI_SHIFT);
    if (this.anyRecord()) words[FSTS] = words[FSTS]! | VTD_FSTS.PPF;
    const isDue = (words[FSTS]! & PENDING) !== 0;
    if (isDue) this.event.pend();
    state.unlock();
  }

  /** With the lock held. @returns whether the message is due */
  private log(low: number, high: number, word2: number, word3: number): boolean {
    const { words, state } = this;
    const before = words[FSTS]!;
    const next = state.words[VTD_STATE.NEXT_FAULT]!;
    const at = this.first + next * FRCD_WORDS;
    if ((before & VTD_FSTS.PFO) !== 0 || (words[at + 3]! & F) !== 0) {
      state.count(VTD_STATE.OVERFLOWED);
      return this.raise(VTD_FSTS.PFO);
    }
    state.count(VTD_STATE.RECORDED);
    words[at] = low;
    words[at + 1] = high;
    words[at + 2] = word2;
    // The word with F last: software that reads while a thread records finds all of a record or none.
    Atomics.store(words, at + 3, word3);
    // FRI stays at the first one until all have been served.
    if ((before & VTD_FSTS.PPF) === 0) words[FSTS] = (before & 0xffff_00ff) | (next << VTD_FSTS.FRI_SHIFT);
    state.words[VTD_STATE.NEXT_FAULT] = next + 1 === this.count ? 0 : next + 1;
    return this.raise(VTD_FSTS.PPF);
  }

  /** With the lock held. @returns whether the message is due */
  private raise(conditions: number): boolean {
    const before = this.words[FSTS]!;
    Atomics.store(this.words, FSTS, before | conditions);
    if ((before & PENDING) !== 0) return false;
    this.event.pend();
    return true;
  }

  /** Software wrote FSTS. @returns the conditions that this cleared */
  clearStatus(value: number): number {
    this.state.lock();
    const before = this.words[FSTS]!;
    this.words[FSTS] = before & ~(value & CLEARABLE);
    this.served();
    this.state.unlock();
    return before & value & CLEARABLE;
  }

  /** Software wrote the last word of a fault recording register: F goes by writing 1. */
  clearRecord(index: number, value: number): void {
    if ((value & F) === 0) return;
    this.state.lock();
    const at = this.first + index * FRCD_WORDS + 3;
    this.words[at] = (this.words[at]! & ~F) >>> 0;
    if (!this.anyRecord()) {
      this.words[FSTS] = this.words[FSTS]! & ~VTD_FSTS.PPF;
      this.served();
    }
    this.state.unlock();
  }

  private anyRecord(): boolean {
    for (let i = 0; i < this.count; i++) if ((this.words[this.first + i * FRCD_WORDS + 3]! & F) !== 0) return true;
    return false;
  }

  /** With the lock held. */
  private served(): void {
    if ((this.words[FSTS]! & PENDING) === 0) this.event.cancel();
  }
}
