import { PF_REG, PF_ROW, PFQDE, PFVFSPOOF, PFVML2FLT, PFVMVIR, RTTBCNRC, rowAt } from '@ringwire/nic-spec/ixgbe';
import type { PoolPlan } from './pf-pools.js';
import type { Registers } from './registers.js';
import type { AcceptMode } from './vf-wishes.js';

const PRIORITY_SHIFT = 13;
/** RTTBCNRM: how far ahead the limiter looks, for frames of up to 1518 bytes and for longer ones. 82599 datasheet §8.2.3.10 */
const LOOK_AHEAD = { SHORT: 0x4, JUMBO: 0x14 } as const;

/** Registers of single pools: what they may send and receive. 82599 datasheet §8.2.3.27 */
export class PoolControl {
  private readonly registers: Registers;
  private readonly plan: PoolPlan;
  private readonly promiscuous: Set<number> = new Set();

  constructor(registers: Registers, plan: PoolPlan) {
    this.registers = registers;
    this.plan = plan;
  }

  setReceive(pool: number, isOn: boolean): void {
    this.setBit(PF_ROW.PFVFRE, pool, isOn);
  }

  setTransmit(pool: number, isOn: boolean): void {
    this.setBit(PF_ROW.PFVFTE, pool, isOn);
  }

  /** What a pool gets beside frames to its own addresses. @param untagged frames without a tag too */
  setAccept(pool: number, mode: AcceptMode, untagged: boolean): void {
    const { BAM, AUPE, ROMPE, MPE, ROPE } = PFVML2FLT;
    let bits: number = BAM;
    if (untagged) bits |= AUPE;
    if (mode !== 'none') bits |= ROMPE;
    if (mode === 'allMulticast' || mode === 'promiscuous') bits |= MPE;
    // The card has no switch for every address: one that looks hashes up in a table where all are set is the same.
    if (mode === 'promiscuous') bits |= ROPE;
    this.fillHashes(pool, mode === 'promiscuous');
    this.registers.write(rowAt(PF_ROW.PFVML2FLT, pool), bits);
  }

  /** @param vlan 0 with priority 0: descriptors say which tag is put in */
  setPortVlan(pool: number, vlan: number, priority: number): void {
    const isSet = vlan !== 0 || priority !== 0;
    const tag = vlan | (priority << PRIORITY_SHIFT);
    this.registers.write(rowAt(PF_ROW.PFVMVIR, pool), isSet ? tag | PFVMVIR.VLANA_DEFAULT : 0);
  }

  /** Whether frames from addresses and VLANs that are not the pool's are dropped. */
  setSpoofCheck(pool: number, isOn: boolean): void {
    const at = rowAt(PF_ROW.PFVFSPOOF, Math.floor(pool / PFVFSPOOF.POOLS));
    const bit = 1 << (pool % PFVFSPOOF.POOLS);
    const bits = bit | (bit << PFVFSPOOF.VLANAS_SHIFT);
    this.registers.change(at, isOn ? bits : 0, bits);
  }

  /** Frames for a pool without buffers are dropped: others do not wait for it. */
  setDrop(pool: number): void {
    for (const queue of this.queuesOf(pool))
      this.registers.write(PF_REG.PFQDE, PFQDE.ENABLE | PFQDE.WE | (queue << PFQDE.IDX_SHIFT));
  }

  /**
   * Limit what each of a pool's queues sends.
   * @param rate Mbit/s, 0: no limit @param link Mbit/s of the link
   */
  setRate(pool: number, rate: number, link: number, isJumbo: boolean): void {
    const { registers } = this;
    const { RF_INT_SHIFT, RF_INT_MASK, RF_DEC_MASK, RS_ENA } = RTTBCNRC;
    const factor = rate === 0 ? 0 : Math.floor((link * 2 ** RF_INT_SHIFT) / rate);
    const value = rate === 0 ? 0 : RS_ENA | (factor & ((RF_INT_MASK << RF_INT_SHIFT) | RF_DEC_MASK));
    registers.write(PF_REG.RTTBCNRM, isJumbo ? LOOK_AHEAD.JUMBO : LOOK_AHEAD.SHORT);
    for (const queue of this.queuesOf(pool)) {
      registers.write(PF_REG.RTTDQSEL, queue);
      registers.write(PF_REG.RTTBCNRC, value);
    }
  }

  /** Queue numbers of a pool. */
  private queuesOf(pool: number): number[] {
    const { queuesPerPool } = this.plan;
    return Array.from({ length: queuesPerPool }, (_, i) => pool * queuesPerPool + i);
  }

  private fillHashes(pool: number, isWanted: boolean): void {
    const wasWanted = this.promiscuous.size > 0;
    if (isWanted) this.promiscuous.add(pool);
    else this.promiscuous.delete(pool);
    const isNow = this.promiscuous.size > 0;
    if (wasWanted === isNow) return;
    const { PFUTA } = PF_ROW;
    for (let word = 0; word < PFUTA.count; word++) this.registers.write(rowAt(PFUTA, word), isNow ? 0xffff_ffff : 0);
  }

  private setBit(row: { readonly at: number; readonly stride: number }, pool: number, isOn: boolean): void {
    const bit = 1 << (pool & 31);
    this.registers.change(rowAt(row, pool >> 5), isOn ? bit : 0, bit);
  }
}
