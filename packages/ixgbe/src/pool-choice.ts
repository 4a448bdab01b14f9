import { IXGBE_COUNT, PF_ROW, PFVLVF, PFVML2FLT, RAH, rowAt } from '@ringwire/nic-spec/ixgbe';
import type { IxgbeCard } from './card.js';
import type { FrameFacts } from './frame-facts.js';

const { POOLS } = IXGBE_COUNT;
const NOBODY = -1;
const VLAN_MASK = 0xfff;

/**
 * The pool of a frame that came by the physical function's port: of those that are its own the first that its address and
 * VLAN name, else the default pool. 82599 datasheet §7.10.3
 * @param isOwn whether a pool is the physical function's
 * @returns a pool, or -1
 */
export function choosePool(card: IxgbeCard, facts: FrameFacts, isOwn: (pool: number) => boolean): number {
  const named = facts.isGroup ? groupPool(card, facts, isOwn) : addressPool(card, facts, isOwn);
  if (named !== NOBODY) return named;
  return isOwn(card.defaultPool) ? card.defaultPool : NOBODY;
}

function addressPool(card: IxgbeCard, facts: FrameFacts, isOwn: (pool: number) => boolean): number {
  const { registers } = card;
  const high = swap16(facts.be16(4));
  const low = ((swap16(facts.be16(2)) << 16) | swap16(facts.be16(0))) >>> 0;
  for (let i = 0; i < PF_ROW.RAL.count; i++) {
    const rah = registers.get(rowAt(PF_ROW.RAH, i));
    if ((rah & RAH.AV) === 0 || (rah & RAH.ADDRESS_MASK) !== high) continue;
    if (registers.get(rowAt(PF_ROW.RAL, i)) !== low) continue;
    const pools = [registers.get(rowAt(PF_ROW.MPSAR_LO, i)), registers.get(rowAt(PF_ROW.MPSAR_HI, i))];
    for (let pool = 0; pool < POOLS; pool++) {
      const isNamed = ((pools[pool >>> 5]! >>> (pool & 31)) & 1) !== 0;
      if (isNamed && isOwn(pool) && isInVlan(card, facts, pool)) return pool;
    }
  }
  return NOBODY;
}

/** Of several pools that take a group the first one gets the frame: the port brings one copy. */
function groupPool(card: IxgbeCard, facts: FrameFacts, isOwn: (pool: number) => boolean): number {
  const wanted = facts.isBroadcast ? PFVML2FLT.BAM : PFVML2FLT.MPE | PFVML2FLT.ROMPE;
  const takes = (pool: number): boolean =>
    isOwn(pool) && (card.registers.get(rowAt(PF_ROW.PFVML2FLT, pool)) & wanted) !== 0 && isInVlan(card, facts, pool);
  if (takes(card.defaultPool)) return card.defaultPool;
  for (let pool = 0; pool < POOLS; pool++) if (takes(pool)) return pool;
  return NOBODY;
}

/** The VLAN table has no entry for the frame's VLAN, or one that names the pool. */
function isInVlan({ registers }: IxgbeCard, facts: FrameFacts, pool: number): boolean {
  if (!facts.isTagged) return true;
  const vlan = facts.vlan & VLAN_MASK;
  for (let i = 0; i < PF_ROW.PFVLVF.count; i++) {
    const entry = registers.get(rowAt(PF_ROW.PFVLVF, i));
    if ((entry & PFVLVF.VI_EN) === 0 || (entry & PFVLVF.VLAN_MASK) !== vlan) continue;
    return ((registers.get(rowAt(PF_ROW.PFVLVFB, 2 * i + (pool >>> 5))) >>> (pool & 31)) & 1) !== 0;
  }
  return true;
}

const swap16 = (value: number): number => ((value & 0xff) << 8) | (value >>> 8);
