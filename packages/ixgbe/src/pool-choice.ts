import { IXGBE_COUNT, PF_ROW, PFVLVF, PFVML2FLT, RAH, rowAt } from '@ringwire/nic-spec/ixgbe';
import type { IxgbeCard } from './card.js';
import type { FrameFacts } from './frame-facts.js';

const { POOLS, RAR } = IXGBE_COUNT;
const NOBODY = -1;
const VLAN_MASK = 0xfff;

/**
 * Which of the physical function's pools get a frame that came by its port: those that its address and VLAN name, else the
 * default pool. 82599 datasheet §7.10.3
 */
export class PoolChoice {
  private readonly card: IxgbeCard;
  /** Registers as of which the tables below are. */
  private version = 0;
  /** Pools that no virtual function has. */
  private readonly own: Uint8Array = new Uint8Array(POOLS);
  /** Receive addresses with their pools, one entry for each pair. */
  private readonly low: Uint32Array = new Uint32Array(RAR);
  private readonly high: Uint16Array = new Uint16Array(RAR);
  private readonly pool: Uint8Array = new Uint8Array(RAR);
  private entries = 0;

  constructor(card: IxgbeCard) {
    this.card = card;
  }

  /** The pool of a frame to a station; -1: none of its pools. */
  ofStation(facts: FrameFacts): number {
    this.refresh();
    const high = swap16(facts.be16(4));
    const low = ((swap16(facts.be16(2)) << 16) | swap16(facts.be16(0))) >>> 0;
    for (let i = 0; i < this.entries; i++)
      if (this.low[i] === low && this.high[i] === high && this.isInVlan(facts, this.pool[i]!)) return this.pool[i]!;
    const { defaultPool } = this.card;
    return this.own[defaultPool] === 1 ? defaultPool : NOBODY;
  }

  /**
   * The next pool that takes a group's frame.
   * @param from the first pool to be asked, 0 to 64
   * @returns 0 to 63, or -1
   */
  nextOfGroup(facts: FrameFacts, from: number): number {
    this.refresh();
    const wanted = facts.isBroadcast ? PFVML2FLT.BAM : PFVML2FLT.MPE | PFVML2FLT.ROMPE;
    for (let pool = from; pool < POOLS; pool++) {
      if (this.own[pool] === 0) continue;
      const takes = (this.card.registers.get(rowAt(PF_ROW.PFVML2FLT, pool)) & wanted) !== 0;
      if (takes && this.isInVlan(facts, pool)) return pool;
    }
    return NOBODY;
  }

  private refresh(): void {
    const { card } = this;
    if (this.version === card.settingsVersion) return;
    this.version = card.settingsVersion;
    const { registers } = card;
    for (let pool = 0; pool < POOLS; pool++) this.own[pool] = card.virtualAt(pool) === undefined ? 1 : 0;
    this.entries = 0;
    for (let i = 0; i < RAR; i++) {
      const high = registers.get(rowAt(PF_ROW.RAH, i));
      if ((high & RAH.AV) === 0) continue;
      for (let pool = 0; pool < POOLS && this.entries < RAR; pool++) {
        const pools = registers.get(rowAt(pool < 32 ? PF_ROW.MPSAR_LO : PF_ROW.MPSAR_HI, i));
        if (this.own[pool] === 0 || ((pools >>> (pool & 31)) & 1) === 0) continue;
        this.low[this.entries] = registers.get(rowAt(PF_ROW.RAL, i));
        this.high[this.entries] = high & RAH.ADDRESS_MASK;
        this.pool[this.entries++] = pool;
      }
    }
  }

  /** The VLAN table has no entry for the frame's VLAN, or one that names the pool. */
  private isInVlan(facts: FrameFacts, pool: number): boolean {
    if (!facts.isTagged) return true;
    const { registers } = this.card;
    const vlan = facts.vlan & VLAN_MASK;
    for (let i = 0; i < PF_ROW.PFVLVF.count; i++) {
      const entry = registers.get(rowAt(PF_ROW.PFVLVF, i));
      if ((entry & PFVLVF.VI_EN) === 0 || (entry & PFVLVF.VLAN_MASK) !== vlan) continue;
      return ((registers.get(rowAt(PF_ROW.PFVLVFB, 2 * i + (pool >>> 5))) >>> (pool & 31)) & 1) !== 0;
    }
    return true;
  }
}

const swap16 = (value: number): number => ((value & 0xff) << 8) | (value >>> 8);
