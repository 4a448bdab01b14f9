import { MESSAGE, MESSAGE_WORD, VF_REG, VFMAILBOX, VFMBMEM_WORDS } from '@ringwire/nic-spec/ixgbe';
import { type Patience, waitFor } from '../patience.js';
import type { Registers } from './registers.js';

const { VFMBMEM, VFMAILBOX: CONTROL } = VF_REG;
const { REQ, ACK, VFU, PFSTS, PFACK, RSTI, RSTD, READ_CLEARS } = VFMAILBOX;

const GONE = 0xffff_ffff;

/** What became of a request. */
export const ANSWER = {
  /** It is done: the answer's words are in {@link VfMailbox.words}. */
  ACK: 0,
  /** Refused, or not known. */
  NACK: 1,
  /** No answer in the time given. */
  NONE: 2,
  /** The physical function wants a reset first. */
  RESET: 3,
} as const;

/** A virtual function's end of the mailbox. One request is under way at most. 82599 datasheet §7.10.2.9 */
export class VfMailbox {
  /** The answer to the last request. What is in it is the physical function's word, and data. */
  readonly words: Uint32Array = new Uint32Array(VFMBMEM_WORDS);
  /** A request waits: nobody else is to touch the mailbox. */
  isBusy = false;
  private readonly registers: Registers;
  private readonly patience: Patience;
  /** Bits that reading cleared and nobody has looked at. */
  private seen = 0;

  constructor(registers: Registers, patience: Patience) {
    this.registers = registers;
    this.patience = patience;
  }

  /** Forget what was seen of an earlier life. */
  forget(): void {
    this.look();
    this.seen = 0;
  }

  /** Whether the physical function was reset, or is being reset, since this was asked last. */
  takesReset(): boolean {
    const isReset = (this.look() & (RSTI | RSTD)) !== 0;
    this.seen &= ~RSTD;
    return isReset;
  }

  /** Wait until the physical function has been reset and says so. @returns false when it does not */
  awaitReset(): boolean {
    const isDone = waitFor(() => (this.look() & (RSTD | RSTI)) === RSTD, this.patience);
    this.seen &= ~RSTD;
    return isDone;
  }

  /**
   * Send a request and wait for what is answered.
   * @param message word 0 with the type, and the words behind it, at most 16
   * @returns an `ANSWER`
   */
  request(message: readonly number[]): number {
    this.isBusy = true;
    try {
      return this.exchange(message);
    } finally {
      this.isBusy = false;
    }
  }

  /** Take a message that was not asked for. @returns its word 0, or undefined when there is none */
  receive(): number | undefined {
    if (this.isBusy || (this.look() & PFSTS) === 0) return undefined;
    return this.take() ? this.words[0]! : undefined;
  }

  private exchange(message: readonly number[]): number {
    // What lies there unread goes: the answer tells as much.
    this.look();
    this.seen &= ~(PFSTS | PFACK);
    if (!this.lock()) return ANSWER.NONE;
    for (let word = 0; word < VFMBMEM_WORDS; word++) this.registers.write(VFMBMEM + word * 4, message[word] ?? 0);
    this.registers.write(CONTROL, REQ);
    const type = message[0]! & MESSAGE_WORD.TYPE_MASK;
    let answer: number = ANSWER.NONE;
    waitFor(() => {
      if ((this.look() & PFSTS) === 0 || !this.take()) return false;
      answer = answerOf(this.words[0]!, type);
      return answer !== ANSWER.NONE;
    }, this.patience);
    return answer;
  }

  private take(): boolean {
    if (!this.lock()) return false;
    this.seen &= ~PFSTS;
    for (let word = 0; word < VFMBMEM_WORDS; word++) this.words[word] = this.registers.read(VFMBMEM + word * 4);
    // Taken: this gives the memory back too.
    this.registers.write(CONTROL, ACK);
    return true;
  }

  private lock(): boolean {
    return waitFor(() => {
      this.registers.write(CONTROL, VFU);
      return (this.look() & VFU) !== 0;
    }, this.patience);
  }

  /** The register, with what reading it cleared before. All ones, of a function that is gone, are no bits. */
  private look(): number {
    const value = this.registers.read(CONTROL);
    if (value === GONE) return 0;
    this.seen |= value & READ_CLEARS;
    return (value & ~READ_CLEARS) | this.seen;
  }
}

/** @param type of the request */
function answerOf(word: number, type: number): number {
  const { ACK: YES, NACK: NO, CTS, TYPE_MASK } = MESSAGE_WORD;
  const isRefused = (word & NO) !== 0;
  // Only the answer to a reset comes before there is permission to go on.
  if (isRefused && (word & CTS) === 0 && type !== MESSAGE.VF_RESET) return ANSWER.RESET;
  if ((word & TYPE_MASK) !== type) return ANSWER.NONE;
  return isRefused ? ANSWER.NACK : (word & YES) !== 0 ? ANSWER.ACK : ANSWER.NONE;
}
