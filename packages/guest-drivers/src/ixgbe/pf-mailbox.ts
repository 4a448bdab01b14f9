import { PF_ROW, PFMAILBOX, PFMBICR, rowAt, VFMBMEM_WORDS } from '@ringwire/nic-spec/ixgbe';
import type { Registers } from './registers.js';

const { STS, ACK, PFU, RVFU } = PFMAILBOX;
/** Looks at a mailbox that a virtual function holds, before it is taken from it. */
const TRIES = 16;

/** The physical function's ends of the mailboxes. 82599 datasheet §7.10.2.9 */
export class PfMailbox {
  /** The message that was read last. */
  readonly words: Uint32Array = new Uint32Array(VFMBMEM_WORDS);
  private readonly registers: Registers;

  constructor(registers: Registers) {
    this.registers = registers;
  }

  /** Whether a message is there; asking takes the note away. */
  takesRequest(vf: number): boolean {
    return this.takesBit(PF_ROW.PFMBICR, Math.floor(vf / PFMBICR.VFS), 1 << (vf % PFMBICR.VFS));
  }

  /** Whether a message of ours was taken; asking takes the note away. */
  takesAck(vf: number): boolean {
    const bit = 1 << ((vf % PFMBICR.VFS) + PFMBICR.VFACK_SHIFT);
    return this.takesBit(PF_ROW.PFMBICR, Math.floor(vf / PFMBICR.VFS), bit);
  }

  /** Whether the function was reset by its own register or by PCI; asking takes the note away. */
  takesReset(vf: number): boolean {
    const bit = 1 << (vf & 31);
    if ((this.registers.read(rowAt(PF_ROW.PFVFLRE, vf >> 5)) & bit) === 0) return false;
    this.registers.write(rowAt(PF_ROW.PFVFLREC, vf >> 5), bit);
    return true;
  }

  /** Copy a message into {@link words}, and say that it was taken. @returns false when the memory cannot be had */
  read(vf: number): boolean {
    if (!this.lock(vf)) return false;
    for (let word = 0; word < VFMBMEM_WORDS; word++) this.words[word] = this.registers.read(memoryAt(vf, word));
    this.registers.write(rowAt(PF_ROW.PFMAILBOX, vf), ACK);
    return true;
  }

  /** @returns false when the memory cannot be had: the message is lost, and its sender will time out */
  write(vf: number, message: readonly number[]): boolean {
    if (!this.lock(vf)) return false;
    for (let word = 0; word < VFMBMEM_WORDS; word++) this.registers.write(memoryAt(vf, word), message[word] ?? 0);
    this.registers.write(rowAt(PF_ROW.PFMAILBOX, vf), STS);
    return true;
  }

  /** Virtual functions cannot keep the memory: after some looks it is taken from them. */
  private lock(vf: number): boolean {
    const at = rowAt(PF_ROW.PFMAILBOX, vf);
    for (let left = TRIES; left > 0; left--) {
      this.registers.write(at, PFU);
      if ((this.registers.read(at) & PFU) !== 0) return true;
    }
    this.registers.write(at, RVFU);
    this.registers.write(at, PFU);
    return (this.registers.read(at) & PFU) !== 0;
  }

  private takesBit(row: { readonly at: number; readonly stride: number }, index: number, bit: number): boolean {
    const at = rowAt(row, index);
    if ((this.registers.read(at) & bit) === 0) return false;
    this.registers.write(at, bit);
    return true;
  }
}

const memoryAt = (vf: number, word: number): number => rowAt(PF_ROW.PFMBMEM, vf) + word * 4;
