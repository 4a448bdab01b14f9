import type { MulticastHash, PortSettings, PortVlan } from '@ringwire/eswitch';
import {
  FCTRL,
  MCSTCTRL,
  PF_REG,
  PF_ROW,
  PFVFSPOOF,
  PFVLVF,
  PFVML2FLT,
  PFVMVIR,
  RAH,
  RTTBCNRC,
  rowAt,
  VLNCTRL,
} from '@ringwire/nic-spec/ixgbe';
import type { IxgbeCard } from './card.js';

const GROUP = 1;
const RATE_POINT = 2 ** RTTBCNRC.RF_INT_SHIFT;
const VLAN_MASK = 0xfff;
const PRIORITY_SHIFT = 13;
const TAG_BYTES = 4;
const FRAME_LEAST = 64;
const NO_MAC: Uint8Array = new Uint8Array(6);

type Settings = Partial<PortSettings>;

/** Pools as bits: 0 to 31, and 32 to 63. */
type Pools = readonly [low: number, high: number];

/** What the registers say for a virtual function's port. @param vf its pool */
export function poolSettings(card: IxgbeCard, vf: number): Settings {
  const pools: Pools = vf < 32 ? [1 << vf, 0] : [0, 1 << (vf - 32)];
  return settingsOfPools(card, pools, [vf]);
}

/**
 * What they say for the physical function's port: that of its pools together, or of all that is received where there are
 * no pools.
 */
export function physicalSettings(card: IxgbeCard, own: readonly number[]): Settings {
  if (!card.hasPools) return settingsWithoutPools(card);
  const pools: [number, number] = [0, 0];
  for (const pool of own) pools[pool >>> 5]! |= 1 << (pool & 31);
  const settings = settingsOfPools(card, pools, own);
  // The default pool gets what no other pool is named for.
  const fctrl = card.registers.get(PF_REG.FCTRL);
  const isDefault = own.includes(card.defaultPool);
  if (isDefault && (fctrl & FCTRL.UPE) !== 0) return { ...settings, promiscuous: true };
  return settings;
}

function settingsOfPools(card: IxgbeCard, pools: Pools, list: readonly number[]): Settings {
  const { registers } = card;
  let filter = 0;
  for (const pool of list) filter |= registers.get(rowAt(PF_ROW.PFVML2FLT, pool));
  const vlans = vlansOf(card, pools);
  const first = list[0];
  const isChecked = (shift: number): boolean => first !== undefined && isSpoofChecked(card, first, shift);
  return {
    ...addressesOf(card, (index) => isOf(card, pools, index)),
    promiscuous: (filter & PFVML2FLT.ROPE) !== 0 && takesEveryUnicast(card),
    allMulticast: (filter & PFVML2FLT.MPE) !== 0,
    multicastHash: (filter & PFVML2FLT.ROMPE) !== 0 ? multicastHash(card) : undefined,
    broadcast: (filter & PFVML2FLT.BAM) !== 0,
    vlans,
    allowedVlans: isChecked(PFVFSPOOF.VLANAS_SHIFT) ? vlans : 'all',
    untagged: (filter & PFVML2FLT.AUPE) !== 0,
    portVlan: first === undefined ? undefined : portVlan(card, first),
    checkMac: isChecked(0),
    checkVlan: isChecked(PFVFSPOOF.VLANAS_SHIFT),
    hairpin: list.some((pool) => isLoopedBack(card, pool)),
    maxTxRate: rateOf(card, list),
    longestFrame: longestOf(card),
  };
}

function settingsWithoutPools(card: IxgbeCard): Settings {
  const { registers } = card;
  const fctrl = registers.get(PF_REG.FCTRL);
  return {
    ...addressesOf(card, () => true),
    promiscuous: (fctrl & FCTRL.UPE) !== 0,
    allMulticast: (fctrl & FCTRL.MPE) !== 0,
    multicastHash: multicastHash(card),
    broadcast: (fctrl & FCTRL.BAM) !== 0,
    vlans: hasVlanFilter(card) ? filteredVlans(card) : 'all',
    allowedVlans: 'all',
    untagged: true,
    portVlan: undefined,
    checkMac: false,
    checkVlan: false,
    hairpin: false,
    maxTxRate: 0,
    longestFrame: longestOf(card),
  };
}

/** Receive addresses that are on. @param isWanted by their index */
function addressesOf({ registers }: IxgbeCard, isWanted: (index: number) => boolean): Settings {
  const unicast: Uint8Array[] = [];
  const multicast: Uint8Array[] = [];
  for (let i = 0; i < PF_ROW.RAL.count; i++) {
    const high = registers.get(rowAt(PF_ROW.RAH, i));
    if ((high & RAH.AV) === 0 || !isWanted(i)) continue;
    const low = registers.get(rowAt(PF_ROW.RAL, i));
    const mac = Uint8Array.of(low, low >>> 8, low >>> 16, low >>> 24, high, high >>> 8);
    if ((mac[0]! & GROUP) !== 0) multicast.push(mac);
    else if (mac.some((byte) => byte !== 0)) unicast.push(mac);
  }
  return { mac: unicast[0] ?? NO_MAC, unicast: unicast.slice(1), multicast };
}

/** MPSAR: a receive address is that of one of these pools; of the default one where it has none. */
function isOf(card: IxgbeCard, [low, high]: Pools, index: number): boolean {
  const ofLow = card.registers.get(rowAt(PF_ROW.MPSAR_LO, index));
  const ofHigh = card.registers.get(rowAt(PF_ROW.MPSAR_HI, index));
  if ((ofLow | ofHigh) === 0) return ((card.defaultPool < 32 ? low : high) & (1 << (card.defaultPool & 31))) !== 0;
  return (ofLow & low) !== 0 || (ofHigh & high) !== 0;
}

/** VLANs that pools are in. Without the filter (VLNCTRL.VFE) they get all. */
function vlansOf(card: IxgbeCard, [low, high]: Pools): 'all' | ReadonlySet<number> {
  if (!hasVlanFilter(card)) return 'all';
  const { registers } = card;
  const vlans = new Set<number>();
  for (let i = 0; i < PF_ROW.PFVLVF.count; i++) {
    const entry = registers.get(rowAt(PF_ROW.PFVLVF, i));
    if ((entry & PFVLVF.VI_EN) === 0) continue;
    const ofLow = registers.get(rowAt(PF_ROW.PFVLVFB, 2 * i));
    const ofHigh = registers.get(rowAt(PF_ROW.PFVLVFB, 2 * i + 1));
    if ((ofLow & low) !== 0 || (ofHigh & high) !== 0) addVlan(vlans, entry & PFVLVF.VLAN_MASK);
  }
  return vlans;
}

/** 0 in a tag is a priority alone, and 4095 is nobody's. */
function addVlan(vlans: Set<number>, vlan: number): void {
  if (vlan > 0 && vlan < VLAN_MASK) vlans.add(vlan);
}

const hasVlanFilter = (card: IxgbeCard): boolean => (card.registers.get(PF_REG.VLNCTRL) & VLNCTRL.VFE) !== 0;

/** VFTA: a bit for each VLAN. */
function filteredVlans(card: IxgbeCard): ReadonlySet<number> {
  const vlans = new Set<number>();
  for (let i = 0; i < PF_ROW.VFTA.count; i++) {
    let bits = card.registers.get(rowAt(PF_ROW.VFTA, i));
    for (let vlan = i * 32; bits !== 0; vlan++, bits >>>= 1) if ((bits & 1) !== 0) addVlan(vlans, vlan);
  }
  return vlans;
}

/** The table of groups, if it is looked at: MTA with MCSTCTRL. */
function multicastHash({ registers }: IxgbeCard): MulticastHash | undefined {
  const control = registers.get(PF_REG.MCSTCTRL);
  if ((control & MCSTCTRL.MFE) === 0) return undefined;
  const table = new Uint32Array(PF_ROW.MTA.count);
  for (let i = 0; i < table.length; i++) table[i] = registers.get(rowAt(PF_ROW.MTA, i));
  return { table, offset: (control & MCSTCTRL.MO_MASK) as MulticastHash['offset'] };
}

/** PFUTA takes whatever address: the way to get every unicast frame that this card has. */
function takesEveryUnicast({ registers }: IxgbeCard): boolean {
  for (let i = 0; i < PF_ROW.PFUTA.count; i++) if (registers.get(rowAt(PF_ROW.PFUTA, i)) !== 0xffff_ffff) return false;
  return true;
}

function isSpoofChecked({ registers }: IxgbeCard, pool: number, shift: number): boolean {
  const bits = registers.get(rowAt(PF_ROW.PFVFSPOOF, Math.floor(pool / PFVFSPOOF.POOLS))) >>> shift;
  return ((bits >>> (pool % PFVFSPOOF.POOLS)) & 1) !== 0;
}

/** PFVMTXSW: what a pool sends may come back to it. 82599 datasheet §8.2.3.27 */
function isLoopedBack({ registers }: IxgbeCard, pool: number): boolean {
  return ((registers.get(rowAt(PF_ROW.PFVMTXSW, pool >>> 5)) >>> (pool & 31)) & 1) !== 0;
}

/** PFVMVIR with the default tag: the port is in a VLAN without knowing it. */
function portVlan({ registers }: IxgbeCard, pool: number): PortVlan | undefined {
  const insert = registers.get(rowAt(PF_ROW.PFVMVIR, pool));
  if ((insert & PFVMVIR.VLANA_MASK) !== PFVMVIR.VLANA_DEFAULT) return undefined;
  const tag = insert & PFVMVIR.PORT_VLAN_MASK;
  const id = tag & VLAN_MASK;
  return id === 0 || id === VLAN_MASK ? undefined : { id, priority: tag >>> PRIORITY_SHIFT, protocol: 0x8100 };
}

/** The gate is the port's, rates are queues': the highest of them, and none where a queue has none. In Mbit/s. */
function rateOf(card: IxgbeCard, pools: readonly number[]): number {
  const { queuesPerPool, rates, wireMbits } = card;
  let highest = 0;
  for (const pool of pools) {
    for (let i = 0; i < queuesPerPool; i++) {
      const rate = rates[pool * queuesPerPool + i]!;
      const factor = rate & (RATE_POINT * (RTTBCNRC.RF_INT_MASK + 1) - 1);
      if ((rate & RTTBCNRC.RS_ENA) === 0 || factor < RATE_POINT) return 0;
      highest = Math.max(highest, Math.round((wireMbits * RATE_POINT) / factor));
    }
  }
  return highest;
}

/** With the tag that a frame may have more. */
const longestOf = (card: IxgbeCard): number => Math.max(FRAME_LEAST, card.longestFrame + TAG_BYTES);
