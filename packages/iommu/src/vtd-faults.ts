import type { VtdCapabilities } from './vtd-capabilities.js';
import type { VtdEvent } from './vtd-event.js';
import { VTD_FRCD, VTD_FRCD_BITS, VTD_FSTS, VTD_REG } from './vtd-registers.js';

const FSTS = VTD_REG.FSTS.at >>> 2;
const F = VTD_FRCD_BITS.word3.F;
/** Conditions of FSTS that the fault event stands for. */
const PENDING = VTD_FSTS.PFO | VTD_FSTS.PPF | VTD_FSTS.IQE | VTD_FSTS.ICE | VTD_FSTS.ITE;
const CLEARABLE = VTD_REG.FSTS.writeClear[0];
const FRCD_WORDS = VTD_FRCD.SIZE >>> 2;

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
 * overwritten, and nothing recorded until software has cleared PFO.
 */
export class VtdFaults {
  readonly counters: VtdFaultCounters;

  private readonly words: Uint32Array;
  private readonly event: VtdEvent;
  private readonly first: number;
  private readonly count: number;
  private next: number;

  constructor(words: Uint32Array, capabilities: VtdCapabilities, event: VtdEvent) {
    this.counters = { recorded: 0, overflowed: 0, hidden: 0 };
    this.words = words;
    this.event = event;
    this.first = capabilities.faultRegisters >>> 2;
    this.count = capabilities.faultRegisterCount;
    this.next = 0;
  }

  reset(): void {
    this.next = 0;
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
   */
  record(low: number, high: number, sourceId: number, pasid: number, reason: number, read: boolean): void {
    const words = this.words;
    const before = words[FSTS]!;
    const at = this.first + this.next * FRCD_WORDS;
    const { PP } = VTD_FRCD_BITS.word2;
    const { PV_SHIFT, T } = VTD_FRCD_BITS.word3;
    if ((before & VTD_FSTS.PFO) !== 0 || (words[at + 3]! & F) !== 0) {
      this.counters.overflowed++;
      this.set(VTD_FSTS.PFO);
      return;
    }
    this.counters.recorded++;
    words[at] = low;
    words[at + 1] = high;
    words[at + 2] = sourceId | (pasid >= 0 ? PP : 0);
    words[at + 3] = F | (read ? T : 0) | (pasid >= 0 ? (pasid & 0xf_ffff) << PV_SHIFT : 0) | reason;
    // FRI stays at the first one until all have been served.
    if ((before & VTD_FSTS.PPF) === 0) words[FSTS] = (before & 0xffff_00ff) | (this.next << VTD_FSTS.FRI_SHIFT);
    this.next = this.next + 1 === this.count ? 0 : this.next + 1;
    this.set(VTD_FSTS.PPF);
  }

  /** Set conditions of FSTS; the message goes out only for the first of them, until software has cleared all. */
  set(conditions: number): void {
    const before = this.words[FSTS]!;
    this.words[FSTS] = before | conditions;
    if ((before & PENDING) === 0) this.event.raise();
  }

  /** Software wrote FSTS. @returns the conditions that this cleared */
  clearStatus(value: number): number {
    const before = this.words[FSTS]!;
    this.words[FSTS] = before & ~(value & CLEARABLE);
    this.served();
    return before & value & CLEARABLE;
  }

  /** Software wrote the last word of a fault recording register: F goes by writing 1. */
  clearRecord(index: number, value: number): void {
    if ((value & F) === 0) return;
    const at = this.first + index * FRCD_WORDS + 3;
    this.words[at] = (this.words[at]! & ~F) >>> 0;
    for (let i = 0; i < this.count; i++) if ((this.words[this.first + i * FRCD_WORDS + 3]! & F) !== 0) return;
    this.words[FSTS] = this.words[FSTS]! & ~VTD_FSTS.PPF;
    this.served();
  }

  private served(): void {
    if ((this.words[FSTS]! & PENDING) === 0) this.event.cancel();
  }
}
