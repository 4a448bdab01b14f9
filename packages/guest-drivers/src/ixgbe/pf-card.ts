import { IXGBE_COUNT, RETA } from '@ringwire/nic-spec/ixgbe';
import { sameMac } from './mac-address.js';
import { GroupTable, MacTable, VlanTable } from './pf-filters.js';
import { PoolControl } from './pf-pool-control.js';
import type { PoolPlan } from './pf-pools.js';
import { DEFAULT_SETTINGS, type VfState } from './pf-vf-state.js';
import type { Registers } from './registers.js';

/** Longest frame with its check sequence that needs no jumbo frames. */
const PLAIN = 1518;
/** VLANs that a driver which is not trusted may be a member of: the card has 64 for all functions. */
export const UNTRUSTED_VLANS = 16;

/** What the card is set to: its shared tables and every pool, from one reset of the card to the next. */
export class PfCard {
  readonly plan: PoolPlan;
  readonly macs: MacTable;
  readonly vlans: VlanTable;
  readonly groups: GroupTable;
  readonly pools: PoolControl;
  /** Longest frame with its check sequence, in bytes: one for all functions. */
  readonly longestFrame: number;
  /** 40 bytes. */
  readonly hashKey: Uint8Array;
  /** Queue within its pool of each of 128 hashes. */
  readonly indirection: Uint8Array;
  /** The physical function's own pool, as if it were a virtual one. */
  readonly own: VfState;
  private readonly states: readonly VfState[];

  /** Tables are empty, and pools closed. @param states of virtual functions, and last of the physical one's own pool */
  constructor(
    registers: Registers,
    plan: PoolPlan,
    longestFrame: number,
    hashKey: Uint8Array,
    states: readonly VfState[],
  ) {
    this.plan = plan;
    this.longestFrame = longestFrame;
    this.hashKey = hashKey;
    this.indirection = Uint8Array.from({ length: RETA.ENTRIES }, (_, i) => i % plan.queuesPerPool);
    this.states = states;
    this.own = states[plan.vfs]!;
    this.macs = new MacTable(registers);
    this.vlans = new VlanTable(registers);
    this.groups = new GroupTable(registers);
    this.pools = new PoolControl(registers, plan);
  }

  /**
   * Further addresses of each virtual function: what the table has beside one of every function's own, shared evenly. One
   * entry stays free: who changes an address has the new one before the old one goes.
   */
  get unicastShare(): number {
    const { vfs } = this.plan;
    return vfs === 0 ? 0 : Math.floor((IXGBE_COUNT.RAR - 2 - vfs) / vfs);
  }

  /** Give a function an address in place of its old one. @returns false when the table is full: it keeps that then */
  giveMac(state: VfState, mac: Uint8Array): boolean {
    const before = state.mac;
    if (!this.macs.add(mac, state.vf)) return false;
    state.mac = mac.slice();
    if (before !== undefined && !sameMac(before, mac) && !state.unicast.some((other) => sameMac(other, before)))
      this.macs.remove(before, state.vf);
    return true;
  }

  /** Whether another function has this address, or is to have it by the host's word. */
  isTaken(mac: Uint8Array, vf: number): boolean {
    if (this.macs.isOthers(mac, vf)) return true;
    return this.states.some(
      (other) => other.vf !== vf && other.settings.mac !== undefined && sameMac(other.settings.mac, mac),
    );
  }

  /** What a function has on trust alone goes. */
  revokeTrust(state: VfState): void {
    const { mac } = state.settings;
    if (state.mode !== 'none') state.mode = 'multicast';
    this.vlans.keepSome(state.vf, UNTRUSTED_VLANS);
    if (mac === undefined) return;
    this.dropUnicast(state);
    this.giveMac(state, mac);
  }

  dropUnicast(state: VfState): void {
    for (const mac of state.unicast.splice(0))
      if (state.mac === undefined || !sameMac(mac, state.mac)) this.macs.remove(mac, state.vf);
  }

  /** The function was reset: nothing that its driver got is left, and what the host set holds. */
  reset(state: VfState): void {
    this.dropUnicast(state);
    if (state.mac !== undefined) this.macs.remove(state.mac, state.vf);
    this.groups.set(state.vf, []);
    this.vlans.leaveAll(state.vf);
    state.forget();
    const { mac } = state.settings;
    if (mac !== undefined) this.giveMac(state, mac);
    this.applyVlan(state);
    this.applyAccept(state);
    this.applyEnable(state);
    this.pools.setSpoofCheck(state.vf, state.settings.spoofchk);
    this.pools.setDrop(state.vf);
  }

  /** @param hashes of 12 bits each, of the groups whose frames the function gets */
  setGroups(state: VfState, hashes: readonly number[]): void {
    state.hashes = hashes;
    this.groups.set(state.vf, hashes);
    this.applyAccept(state);
  }

  /** What the function gets, beside frames to its addresses. */
  applyAccept(state: VfState): void {
    const mode = state.mode === 'none' && state.hashes.length > 0 ? 'multicast' : state.mode;
    this.pools.setAccept(state.vf, mode, state.settings.vlan === 0);
  }

  /** Whether the function sends and receives. */
  applyEnable(state: VfState): void {
    const isOpen = state.isClearToSend && !state.isShutOff && state.settings.linkState !== 'disable';
    // While there are long frames, a driver that did not say that it takes them is sent none.
    const mayReceive = isOpen && (this.longestFrame <= PLAIN || state.longestFrame > 0);
    this.pools.setTransmit(state.vf, isOpen);
    this.pools.setReceive(state.vf, mayReceive);
  }

  /** The VLAN that the function is in: the host's, or that of frames without a tag. */
  applyVlan(state: VfState): void {
    const { vlan, qos } = state.settings;
    this.vlans.leaveAll(state.vf);
    this.vlans.join(vlan, state.vf);
    this.pools.setPortVlan(state.vf, vlan, qos);
  }

  /** @param link Mbit/s of the link; -1 while it is down: limits come with it */
  applyRate(state: VfState, link: number): void {
    const { maxTxRate } = state.settings;
    const isLimited = maxTxRate !== 0 && link > 0 && maxTxRate < link;
    this.pools.setRate(state.vf, isLimited ? maxTxRate : 0, Math.max(link, 0), this.longestFrame > PLAIN);
  }

  /** Open the physical function's own pool. @param vlans whose frames it gets, beside those without a tag */
  openOwn(mac: Uint8Array, vlans: ReadonlySet<number>): void {
    const { own } = this;
    own.settings = { ...DEFAULT_SETTINGS, trust: true, spoofchk: false };
    own.isClearToSend = true;
    own.longestFrame = this.longestFrame;
    this.giveMac(own, mac);
    this.vlans.join(0, own.vf);
    for (const vlan of vlans) this.vlans.join(vlan, own.vf);
    this.setGroups(own, own.hashes);
    this.applyEnable(own);
  }
}
