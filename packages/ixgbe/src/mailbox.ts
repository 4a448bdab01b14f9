import { PFMAILBOX, VFMAILBOX, VFMBMEM_WORDS } from '@ringwire/nic-spec/ixgbe';

/** What a write to a mailbox register asks of the other side. */
export interface MailboxCalls {
  /** The virtual function has written a message; the physical one took theirs. */
  request(): void;
  acknowledged(): void;
  /** The virtual function is to be interrupted: a message is there, or its own was taken. */
  interrupt(): void;
  /** What was asked of the physical function is void: RVFU. */
  forget(): void;
  /** A message that the card answers itself: the answer is in its place now. @returns false: it is the physical function's */
  answers(words: Uint32Array): boolean;
}

/**
 * The mailbox between one virtual function and the physical one: 16 words, which one side at a time holds, and flags that
 * tell the other. 82599 datasheet §8.2.3.27 and §8.3
 */
export class Mailbox {
  readonly memory: Uint32Array = new Uint32Array(VFMBMEM_WORDS);
  private holder: 'vf' | 'pf' | undefined;
  private pfSts = false;
  private pfAck = false;
  private rstd = false;
  private rsti = true;
  private readonly calls: MailboxCalls;

  constructor(calls: MailboxCalls) {
    this.calls = calls;
  }

  /** VFMAILBOX; reading clears some of it. */
  readVirtual(): number {
    const value =
      (this.holder === 'vf' ? VFMAILBOX.VFU : 0) |
      (this.holder === 'pf' ? VFMAILBOX.PFU : 0) |
      (this.pfSts ? VFMAILBOX.PFSTS : 0) |
      (this.pfAck ? VFMAILBOX.PFACK : 0) |
      (this.rsti ? VFMAILBOX.RSTI : 0) |
      (this.rstd ? VFMAILBOX.RSTD : 0);
    this.pfSts = false;
    this.pfAck = false;
    this.rstd = false;
    return value;
  }

  writeVirtual(value: number): void {
    this.hold('vf', (value & VFMAILBOX.VFU) !== 0);
    if ((value & VFMAILBOX.REQ) !== 0) this.post();
    if ((value & VFMAILBOX.ACK) !== 0) this.calls.acknowledged();
  }

  private post(): void {
    if (this.holder === 'pf' || !this.calls.answers(this.memory)) {
      this.calls.request();
      return;
    }
    this.pfSts = true;
    this.pfAck = true;
  }

  /** PFMAILBOX. */
  readPhysical(): number {
    return (this.holder === 'vf' ? PFMAILBOX.VFU : 0) | (this.holder === 'pf' ? PFMAILBOX.PFU : 0);
  }

  writePhysical(value: number): void {
    if ((value & PFMAILBOX.RVFU) !== 0) {
      if (this.holder === 'vf') this.holder = undefined;
      this.calls.forget();
    }
    this.hold('pf', (value & PFMAILBOX.PFU) !== 0);
    if ((value & PFMAILBOX.STS) !== 0) this.pfSts = true;
    if ((value & PFMAILBOX.ACK) !== 0) this.pfAck = true;
    if ((value & (PFMAILBOX.STS | PFMAILBOX.ACK)) !== 0) this.calls.interrupt();
  }

  /** The physical function was reset, and has not said that it is there again. */
  physicalReset(): void {
    this.holder = undefined;
    this.memory.fill(0);
    this.pfSts = false;
    this.pfAck = false;
    this.rsti = true;
    this.rstd = false;
  }

  /** It says so: CTRL_EXT.PFRSTD. */
  physicalIsBack(): void {
    this.rsti = false;
    this.rstd = true;
  }

  /** The virtual function was reset. */
  virtualReset(): void {
    if (this.holder === 'vf') this.holder = undefined;
    this.pfSts = false;
    this.pfAck = false;
    this.rstd = !this.rsti;
  }

  /** A side takes the memory, if the other one has not, or gives it back. */
  private hold(side: 'vf' | 'pf', isWanted: boolean): void {
    if (isWanted) this.holder ??= side;
    else if (this.holder === side) this.holder = undefined;
  }
}
