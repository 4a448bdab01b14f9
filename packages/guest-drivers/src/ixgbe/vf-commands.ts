import { MULTICAST_MESSAGE } from '@ringwire/nic-spec/ixgbe';
import { VirtioError } from '@ringwire/virtio-spec';
import { MAC_BYTES, needStation, showMac } from './mac-address.js';
import type { VfRequests } from './vf-requests.js';
import { checkMtu } from './vf-setup.js';
import { type AcceptMode, modeOf, type VfWishes } from './vf-wishes.js';

/** Most further addresses: the number of one has 8 bits in its message. */
const UNICAST_MOST = 255;

/** What commands need of their driver. */
export interface VfCommandScope {
  /** The way to the physical function; undefined while it is not to be used. */
  requests(): VfRequests | undefined;
  macChanged(mac: Uint8Array): void;
  mtuChanged(mtu: number): void;
}

/**
 * What a virtual function asks the physical one for. Each waits for the answer; what was granted is asked for again whenever
 * the function begins anew. A refusal, or a driver that is not running, is an outcome; what no function may ask for throws.
 */
export class VfCommands {
  private readonly wishes: VfWishes;
  private readonly scope: VfCommandScope;

  constructor(wishes: VfWishes, scope: VfCommandScope) {
    this.wishes = wishes;
    this.scope = scope;
  }

  /** @returns whether the address is the function's now @throws VirtioError for one that no station has */
  setMac(mac: Uint8Array): boolean {
    needStation(mac);
    if (this.scope.requests()?.setMac(mac) !== true) return false;
    this.wishes.mac = mac.slice();
    this.scope.macChanged(mac);
    return true;
  }

  /** @param mtu bytes behind the Ethernet header, 68 to 9710 */
  setMtu(mtu: number): boolean {
    checkMtu(mtu);
    if (this.scope.requests()?.setMtu(mtu) !== true) return false;
    this.wishes.mtu = mtu;
    this.scope.mtuChanged(mtu);
    return true;
  }

  /** Become a member of a VLAN: frames with its tag come in. @param id 0 to 4094 */
  addVlan(id: number): boolean {
    checkVlan(id);
    if (this.scope.requests()?.setVlan(id, true) !== true) return false;
    this.wishes.vlans.add(id);
    return true;
  }

  removeVlan(id: number): boolean {
    checkVlan(id);
    if (this.scope.requests()?.setVlan(id, false) !== true) return false;
    this.wishes.vlans.delete(id);
    return true;
  }

  /**
   * Replace the list of groups whose frames come in. The card tells them apart by 12 bits, in one table for all functions:
   * some come that were not asked for.
   * @param groups at most 30
   */
  setMulticast(groups: readonly Uint8Array[]): boolean {
    const { MOST } = MULTICAST_MESSAGE;
    if (groups.length > MOST) throw new VirtioError('groups', groups.length, `at most ${MOST}`, 'SET_MULTICAST');
    for (const group of groups) needGroup(group);
    const before = modeOf(this.wishes);
    const after = modeOf({ mode: this.wishes.mode, multicast: groups });
    const requests = this.scope.requests();
    if (requests === undefined) return false;
    // Those of version 1.0 and 1.1 have no modes: groups are theirs at once.
    if (after !== before) requests.setMode(after);
    if (!requests.setMulticast(groups)) return false;
    this.wishes.multicast = groups.map((group) => group.slice());
    return true;
  }

  /** Replace the list of further addresses. @returns false when one was refused: those before it are taken */
  setUnicast(stations: readonly Uint8Array[]): boolean {
    if (stations.length > UNICAST_MOST)
      throw new VirtioError('stations', stations.length, `at most ${UNICAST_MOST}`, 'SET_MACVLAN');
    for (const mac of stations) needStation(mac);
    if (this.scope.requests()?.setUnicast(stations) !== true) return false;
    this.wishes.unicast = stations.map((mac) => mac.slice());
    return true;
  }

  /** @returns what was granted, which may be less; undefined when nothing was */
  setMode(mode: AcceptMode): AcceptMode | undefined {
    const { multicast } = this.wishes;
    const granted = this.scope.requests()?.setMode(modeOf({ mode, multicast }));
    if (granted !== undefined) this.wishes.mode = mode;
    return granted;
  }

  /** Which of its queues each of 128 hashes goes to; undefined when the function may not know. */
  indirection(): Uint8Array<ArrayBuffer> | undefined {
    return this.scope.requests()?.indirection();
  }

  /** The 40 bytes that hashes are made with; undefined when the function may not know. */
  hashKey(): Uint8Array<ArrayBuffer> | undefined {
    return this.scope.requests()?.hashKey();
  }
}

function checkVlan(id: number): void {
  if (!Number.isInteger(id) || id < 0 || id > 4094)
    throw new VirtioError('id', id, 'an integer from 0 to 4094', 'IEEE 802.1Q §9.6');
}

function needGroup(group: Uint8Array): void {
  if (group.length !== MAC_BYTES || (group[0]! & 1) === 0)
    throw new VirtioError('group', showMac(group), "a group's address of 6 bytes", 'IEEE 802 §8.2');
}
