import { IXGBE_COUNT, PF_ROW, PFVLVF, RAH, rowAt } from '@ringwire/nic-spec/ixgbe';
import { sameMac, wordsOfMac } from './mac-address.js';
import type { Registers } from './registers.js';

/** Which pools something is for: pools 0 to 31, and 32 to 63. */
class PoolBits {
  private readonly words: Uint32Array;

  constructor(entries: number) {
    this.words = new Uint32Array(2 * entries);
  }

  set(entry: number, pool: number, isIn: boolean): void {
    const at = 2 * entry + (pool >> 5);
    const bit = 1 << (pool & 31);
    this.words[at] = isIn ? this.words[at]! | bit : this.words[at]! & ~bit;
  }

  has(entry: number, pool: number): boolean {
    return ((this.words[2 * entry + (pool >> 5)]! >>> (pool & 31)) & 1) === 1;
  }

  isEmpty(entry: number): boolean {
    return (this.words[2 * entry]! | this.words[2 * entry + 1]!) === 0;
  }

  word(entry: number, half: 0 | 1): number {
    return this.words[2 * entry + half]!;
  }
}

/** The card's table of station addresses, and which pools each is of. 82599 datasheet §8.2.3.7, RAL, RAH, MPSAR */
export class MacTable {
  private readonly registers: Registers;
  private readonly macs: (Uint8Array | undefined)[] = new Array(IXGBE_COUNT.RAR).fill(undefined);
  private readonly pools = new PoolBits(IXGBE_COUNT.RAR);

  constructor(registers: Registers) {
    this.registers = registers;
    for (let entry = 0; entry < IXGBE_COUNT.RAR; entry++) this.write(entry);
  }

  /** @returns false when the table is full */
  add(mac: Uint8Array, pool: number): boolean {
    const known = this.find(mac);
    const entry = known >= 0 ? known : this.macs.indexOf(undefined);
    if (entry < 0) return false;
    this.macs[entry] = mac.slice();
    this.pools.set(entry, pool, true);
    this.write(entry);
    return true;
  }

  remove(mac: Uint8Array, pool: number): void {
    const entry = this.find(mac);
    if (entry < 0) return;
    this.pools.set(entry, pool, false);
    if (this.pools.isEmpty(entry)) this.macs[entry] = undefined;
    this.write(entry);
  }

  /** Whether another pool has this address. */
  isOthers(mac: Uint8Array, pool: number): boolean {
    const entry = this.find(mac);
    return entry >= 0 && !this.pools.has(entry, pool);
  }

  private find(mac: Uint8Array): number {
    return this.macs.findIndex((known) => known !== undefined && sameMac(known, mac));
  }

  private write(entry: number): void {
    const { registers, pools } = this;
    const mac = this.macs[entry];
    const [low, high] = mac === undefined ? [0, 0] : wordsOfMac(mac);
    registers.write(rowAt(PF_ROW.RAL, entry), low);
    registers.write(rowAt(PF_ROW.MPSAR_LO, entry), pools.word(entry, 0));
    registers.write(rowAt(PF_ROW.MPSAR_HI, entry), pools.word(entry, 1));
    // With it the entry takes effect, or none any more.
    registers.write(rowAt(PF_ROW.RAH, entry), mac === undefined ? 0 : high | RAH.AV);
  }
}

/** The card's table of VLANs, and which pools are members. 82599 datasheet §8.2.3.27, PFVLVF, PFVLVFB; VFTA */
export class VlanTable {
  private readonly registers: Registers;
  private readonly ids = new Int16Array(IXGBE_COUNT.VLVF).fill(-1);
  private readonly pools = new PoolBits(IXGBE_COUNT.VLVF);
  private readonly filter = new Uint32Array(PF_ROW.VFTA.count);

  constructor(registers: Registers) {
    this.registers = registers;
    for (let entry = 0; entry < IXGBE_COUNT.VLVF; entry++) this.write(entry);
    for (let word = 0; word < PF_ROW.VFTA.count; word++) registers.write(rowAt(PF_ROW.VFTA, word), 0);
  }

  /** @returns false when the table is full */
  join(vlan: number, pool: number): boolean {
    const known = this.ids.indexOf(vlan);
    const entry = known >= 0 ? known : this.ids.indexOf(-1);
    if (entry < 0) return false;
    this.ids[entry] = vlan;
    this.pools.set(entry, pool, true);
    this.write(entry);
    this.let(vlan, true);
    return true;
  }

  leave(vlan: number, pool: number): void {
    const entry = this.ids.indexOf(vlan);
    if (entry < 0) return;
    this.pools.set(entry, pool, false);
    if (this.pools.isEmpty(entry)) {
      this.ids[entry] = -1;
      this.let(vlan, false);
    }
    this.write(entry);
  }

  leaveAll(pool: number): void {
    for (const [entry, vlan] of this.ids.entries())
      if (vlan >= 0 && this.pools.has(entry, pool)) this.leave(vlan, pool);
  }

  /** Let a pool be a member of so many VLANs and no more: it leaves the others. */
  keepSome(pool: number, most: number): void {
    let left = most;
    for (const [entry, vlan] of this.ids.entries())
      if (vlan >= 0 && this.pools.has(entry, pool) && --left < 0) this.leave(vlan, pool);
  }

  /** VLANs that a pool is a member of. */
  countOf(pool: number): number {
    return this.ids.filter((vlan, entry) => vlan >= 0 && this.pools.has(entry, pool)).length;
  }

  /** Whether {@link join} would find an entry. */
  hasRoom(vlan: number): boolean {
    return this.ids.includes(vlan) || this.ids.includes(-1);
  }

  has(vlan: number, pool: number): boolean {
    const entry = this.ids.indexOf(vlan);
    return entry >= 0 && this.pools.has(entry, pool);
  }

  private write(entry: number): void {
    const { registers, pools } = this;
    const vlan = this.ids[entry]!;
    registers.write(rowAt(PF_ROW.PFVLVFB, 2 * entry), pools.word(entry, 0));
    registers.write(rowAt(PF_ROW.PFVLVFB, 2 * entry + 1), pools.word(entry, 1));
    registers.write(rowAt(PF_ROW.PFVLVF, entry), vlan < 0 ? 0 : vlan | PFVLVF.VI_EN);
  }

  /** Whether the card takes frames of this VLAN at all. */
  private let(vlan: number, passes: boolean): void {
    const word = vlan >> 5;
    const bit = 1 << (vlan & 31);
    this.filter[word] = passes ? this.filter[word]! | bit : this.filter[word]! & ~bit;
    this.registers.write(rowAt(PF_ROW.VFTA, word), this.filter[word]!);
  }
}

/** The card's table of hashes of groups' addresses: one for all pools, so it is what any of them wants. MTA */
export class GroupTable {
  private readonly registers: Registers;
  private readonly wanted: Map<number, readonly number[]> = new Map();
  private readonly words = new Uint32Array(PF_ROW.MTA.count);

  constructor(registers: Registers) {
    this.registers = registers;
    for (let word = 0; word < PF_ROW.MTA.count; word++) registers.write(rowAt(PF_ROW.MTA, word), 0);
  }

  /** @param hashes of 12 bits each; none: the pool wants no group */
  set(pool: number, hashes: readonly number[]): void {
    if (hashes.length === 0) this.wanted.delete(pool);
    else this.wanted.set(pool, hashes);
    const next = new Uint32Array(this.words.length);
    for (const of of this.wanted.values())
      for (const hash of of) next[hash >> 5] = next[hash >> 5]! | (1 << (hash & 31));
    for (let word = 0; word < next.length; word++) {
      if (next[word] === this.words[word]) continue;
      this.words[word] = next[word]!;
      this.registers.write(rowAt(PF_ROW.MTA, word), next[word]!);
    }
  }
}
