import { VTD_EVENT_CTL, VTD_REG } from './vtd-registers.js';
import type { VtdUnitState } from './vtd-unit-state.js';

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
  private readonly state: VtdUnitState;
  private readonly control: number;
  private readonly send: VtdInterrupt;

  /** @param at byte offset of the control register */
  constructor(words: Uint32Array, state: VtdUnitState, at: number, send: VtdInterrupt) {
    this.words = words;
    this.state = state;
    this.control = at >>> 2;
    this.send = send;
  }

  /** Send the message, now or when it is unmasked. */
  raise(): void {
    this.state.lock();
    this.pend();
    this.state.unlock();
    this.sendPending();
  }

  /** The same but for the sending, with the lock held: {@link sendPending} comes once it is given back. */
  pend(): void {
    this.words[this.control] = this.words[this.control]! | IP;
  }

  /** What is pending and not masked goes out, in whichever thread comes here first. */
  sendPending(): void {
    const { words, control } = this;
    this.state.lock();
    const found = words[control]!;
    const isDue = (found & IP) !== 0 && (found & IM) === 0;
    if (isDue) words[control] = (found & ~IP) >>> 0;
    const data = words[control + 1]!;
    const low = words[control + 2]!;
    const high = words[control + 3]!;
    this.state.unlock();
    if (isDue) this.send(low, high, data);
  }

  /** Software served the cause before it unmasked: nothing is pending any more. With the lock held. */
  cancel(): void {
    this.words[this.control] = (this.words[this.control]! & ~IP) >>> 0;
  }
}

/** Reset value of FECTL and IECTL: masked. */
export function resetEvents(words: Uint32Array): void {
  words[VTD_REG.FECTL.at >>> 2] = IM;
  words[VTD_REG.IECTL.at >>> 2] = IM;
}
