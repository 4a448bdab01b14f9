import { RING, TX_CMD, TX_CONTEXT, TX_DATA, TX_OLINFO } from '@ringwire/nic-spec/ixgbe';
import type { DmaArena } from '../dma-arena.js';
import type { Registers } from './registers.js';

// Words of a descriptor; plain module constants, because a hot loop reads an object's member from memory.
const SHIFT = 2;
const ADDRESS = TX_DATA.address >> 2;
const CMD = TX_DATA.cmd_type_len >> 2;
const OLINFO = TX_DATA.olinfo_status >> 2;
const VLAN_MACIP = TX_CONTEXT.vlan_macip_lens >> 2;
const SEED = TX_CONTEXT.seqnum_seed >> 2;
const TUCMD = TX_CONTEXT.type_tucmd_mlhl >> 2;
const MSS = TX_CONTEXT.mss_l4len_idx >> 2;
const { DD } = TX_OLINFO;
const { RS } = TX_CMD;
/** Token of a descriptor that no frame ends with. */
const NO_TOKEN = -1;

/**
 * A ring of advanced transmit descriptors. What is done is learnt from the descriptors that ask for a report; all before such
 * a one are done with it. Everything else that is to be known of a descriptor stands in tables of the driver's own.
 * 82599 datasheet §7.2.3
 */
export class TxRing {
  readonly size: number;
  /** Of the ring in memory. */
  readonly bytes: number;
  /** As the card uses it. */
  readonly address: number;
  /** Descriptors that may be written: one stays free, for a full ring is not to look like an empty one. */
  room: number;
  private readonly i32: Int32Array;
  private readonly start: number;
  private readonly registers: Registers;
  private readonly tailAt: number;
  private readonly mask: number;
  private readonly token: Int32Array;
  /** Descriptors that ask for a report, oldest first. */
  private readonly reports: Int32Array;
  private reportsFirst = 0;
  private reportsCount = 0;
  private tail = 0;
  private clean = 0;
  /** Descriptors from `clean` on that are known to be done. */
  private done = 0;
  // The context that the queue keeps; all ones are none.
  private vlanMacip = -1;
  private tucmd = -1;
  private mss = -1;

  /**
   * @param size   descriptors, a power of two from 8 on
   * @param tailAt offset of TDT
   */
  constructor(arena: DmaArena, size: number, registers: Registers, tailAt: number) {
    const bytes = size * RING.DESC_SIZE;
    this.size = size;
    this.bytes = bytes;
    this.mask = size - 1;
    this.room = size - 1;
    this.address = arena.allocate(bytes);
    const host = arena.hostOf(this.address, bytes);
    const { memory } = arena.dma.space;
    memory.engine.fill(host, 0, bytes);
    this.i32 = memory.i32;
    this.start = host >>> 2;
    this.registers = registers;
    this.tailAt = tailAt;
    this.token = new Int32Array(size).fill(NO_TOKEN);
    this.reports = new Int32Array(size);
  }

  /** Descriptors that the card has. */
  get outstanding(): number {
    return this.size - 1 - this.room;
  }

  /** Whether the queue does not keep this context: {@link putContext} is to come before what needs it. */
  needsContext(vlanMacip: number, tucmd: number, mss: number): boolean {
    return vlanMacip !== this.vlanMacip || tucmd !== this.tucmd || mss !== this.mss;
  }

  /** Write a context descriptor. There is room. 82599 datasheet §7.2.3.2.3 */
  putContext(vlanMacip: number, tucmd: number, mss: number): void {
    const { i32 } = this;
    const at = this.start + (this.tail << SHIFT);
    i32[at + VLAN_MACIP] = vlanMacip;
    i32[at + SEED] = 0;
    i32[at + TUCMD] = tucmd;
    i32[at + MSS] = mss;
    this.vlanMacip = vlanMacip;
    this.tucmd = tucmd;
    this.mss = mss;
    this.advance(NO_TOKEN);
  }

  /** Write a data descriptor. There is room. @param token of the frame that ends here, 0 or more; -1 for none */
  putData(addressLo: number, addressHi: number, cmdTypeLen: number, olinfo: number, token: number): void {
    const { i32, tail } = this;
    const at = this.start + (tail << SHIFT);
    i32[at + ADDRESS] = addressLo;
    i32[at + ADDRESS + 1] = addressHi;
    i32[at + CMD] = cmdTypeLen;
    i32[at + OLINFO] = olinfo;
    if ((cmdTypeLen & RS) !== 0) this.noteReport(tail);
    this.advance(token);
  }

  /** Ask for a report of the data descriptor that was written last, before it is published. */
  askReport(): void {
    const last = (this.tail - 1) & this.mask;
    const at = this.start + (last << SHIFT) + CMD;
    if ((this.i32[at]! & RS) !== 0) return;
    this.i32[at] = this.i32[at]! | RS;
    this.noteReport(last);
  }

  /** Show the card what was written. */
  publish(): void {
    this.registers.write(this.tailAt, this.tail);
  }

  /** Take frames that are done, as many as fit. @returns how many tokens were put into the list */
  reclaim(tokens: Int32Array): number {
    const { token, mask } = this;
    let count = 0;
    let { clean } = this;
    let freed = 0;
    while (count < tokens.length) {
      if (this.done === 0) {
        this.clean = clean;
        if (!this.takeReport()) break;
      }
      this.done = (this.done - 1) | 0;
      const ended = token[clean]!;
      clean = (clean + 1) & mask;
      freed = (freed + 1) | 0;
      if (ended === NO_TOKEN) continue;
      tokens[count] = ended;
      count = (count + 1) | 0;
    }
    this.clean = clean;
    this.room = (this.room + freed) | 0;
    return count;
  }

  /** The card let go of the ring: take frames back that were not done. @returns how many, as {@link reclaim} */
  takeBack(tokens: Int32Array): number {
    this.done = this.outstanding;
    this.reportsCount = 0;
    return this.reclaim(tokens);
  }

  /** @returns false when the oldest report is not there */
  private takeReport(): boolean {
    if (this.reportsCount === 0) return false;
    const reported = this.reports[this.reportsFirst]!;
    if ((Atomics.load(this.i32, this.start + (reported << SHIFT) + OLINFO) & DD) === 0) return false;
    this.reportsFirst = (this.reportsFirst + 1) & this.mask;
    this.reportsCount = (this.reportsCount - 1) | 0;
    this.done = (((reported - this.clean) & this.mask) + 1) | 0;
    return true;
  }

  private noteReport(index: number): void {
    this.reports[(this.reportsFirst + this.reportsCount) & this.mask] = index;
    this.reportsCount = (this.reportsCount + 1) | 0;
  }

  private advance(token: number): void {
    this.token[this.tail] = token;
    this.tail = (this.tail + 1) & this.mask;
    this.room = (this.room - 1) | 0;
  }
}
