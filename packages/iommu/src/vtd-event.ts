import { VTD_EVENT_CTL, VTD_REG } from './vtd-registers.js';

const IM = VTD_EVENT_CTL.IM;
const IP = VTD_EVENT_CTL.IP;

/** An interrupt message that a unit sends for itself: never remapped by the unit. */
export type VtdInterrupt = (addressLow: number, addressHigh: number, data: number) => void;

/**
 * The message of one of a unit's own events: control, data, address and upper address register in a row, as FECTL to
 * FEUADDR and IECTL to IEUADDR are (VT-d 4.0 §7.3). While it is masked it stays pending.
 */
export class VtdEvent {
  private readonly words: Uint32Array;
  private readonly control: number;
  private readonly send: VtdInterrupt;

  /** @param at byte offset of the control register */
  constructor(words: Uint32Array, at: number, send: VtdInterrupt) {
    this.words = words;
    this.control = at >>> 2;
    this.send = send;
  }

  /** Send the message, now or when it is unmasked. */
  raise(): void {
    this.words[this.control] = this.words[this.control]! | IP;
    this.sendPending();
  }

  /** After the control register was written: what was pending and is no longer masked goes out. */
  sendPending(): void {
    const control = this.words[this.control]!;
    if ((control & IP) === 0 || (control & IM) !== 0) return;
    this.words[this.control] = (control & ~IP) >>> 0;
    this.send(this.words[this.control + 2]!, this.words[this.control + 3]!, this.words[this.control + 1]!);
  }

  /** Software served the cause before it unmasked: nothing is pending any more. */
  cancel(): void {
    this.words[this.control] = (this.words[this.control]! & ~IP) >>> 0;
  }
}

/** Reset value of FECTL and IECTL: masked. */
export function resetEvents(words: Uint32Array): void {
  words[VTD_REG.FECTL.at >>> 2] = IM;
  words[VTD_REG.IECTL.at >>> 2] = IM;
}
