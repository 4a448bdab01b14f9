import { macHigh, macLow } from './mac-address.js';
import type { MulticastHash, PortSettings } from './port-settings.js';

const VLAN_WORDS = 4096 / 32;
/** How far the last two bytes of an address are moved, the last one on top, before 12 bits are taken. */
const HASH_SHIFT = [4, 3, 2, 0] as const;

/** A port's settings as words and bits, for looking into them per frame. */
export class PortFilters {
  readonly macLow: number;
  readonly macHigh: number;
  /** One bit per VLAN id: whose frames it gets, and whose tags it may send. */
  readonly member: Uint32Array = new Uint32Array(VLAN_WORDS);
  readonly allowed: Uint32Array = new Uint32Array(VLAN_WORDS);
  private readonly unicastLow: Int32Array;
  private readonly unicastHigh: Uint16Array;
  private readonly hash: MulticastHash | undefined;

  constructor({ mac, unicast, vlans, allowedVlans, multicastHash }: PortSettings) {
    this.macLow = macLow(mac);
    this.macHigh = macHigh(mac);
    this.unicastLow = Int32Array.from(unicast, (address) => macLow(address));
    this.unicastHigh = Uint16Array.from(unicast, (address) => macHigh(address));
    this.hash = multicastHash;
    fillVlans(this.allowed, allowedVlans);
    fillVlans(this.member, vlans);
    for (let word = 0; word < VLAN_WORDS; word++) this.member[word]! &= this.allowed[word]!;
  }

  /** Whether a station address is this port's. Nobody has the address of zeros. */
  owns(low: number, high: number): boolean {
    if (low === this.macLow && high === this.macHigh) return (low | high) !== 0;
    for (let i = 0; i < this.unicastLow.length; i++)
      if (this.unicastLow[i] === low && this.unicastHigh[i] === high) return true;
    return false;
  }

  /** Whether the hash table has a group. 82599 datasheet §7.1.1.3 Multicast filter */
  hashes(high: number): boolean {
    if (this.hash === undefined) return false;
    return hasBit(this.hash.table, (high >>> HASH_SHIFT[this.hash.offset]) & 0xfff);
  }
}

export function hasBit(words: Uint32Array, bit: number): boolean {
  return ((words[bit >>> 5]! >>> (bit & 31)) & 1) === 1;
}

function fillVlans(words: Uint32Array, vlans: 'all' | ReadonlySet<number>): void {
  if (vlans === 'all') words.fill(0xffff_ffff);
  else for (const id of vlans) words[id >>> 5]! |= 1 << (id & 31);
}
