/**
 * A second reading of VT-d 4.0 §3, §7 and §9, slow and in 64-bit arithmetic, to hold the unit's walk against. It shares
 * no code and no constant with the unit.
 */
export interface ReferenceUnit {
  /** Physical memory from address 0 on; accessed and dirty bits are set in it. */
  readonly memory: DataView;
  readonly hostWidth: number;
  readonly widths: readonly number[];
  readonly large: readonly string[];
  readonly scalable: boolean;
  readonly firstStage: boolean;
  readonly nested: boolean;
  readonly fiveLevels: boolean;
  readonly firstLarge1G: boolean;
  readonly extendedAccess: boolean;
  readonly accessDirty: boolean;
  readonly passThrough: boolean;
  readonly deviceTlb: boolean;
  readonly snoop: boolean;
  readonly rtaddr: bigint;
}

export interface ReferenceAnswer {
  readonly verdict: 'page' | 'direct' | 'fault';
  readonly reason: number;
  /** FPD stood in a context or PASID entry that the request came to. */
  readonly quiet: boolean;
  readonly domain: number;
  readonly physical: bigint;
  readonly size: bigint;
  /** r, w in a string; without w when a write would have to set the dirty bit first. */
  readonly rights: string;
}

class Fault {
  readonly reason: number;
  constructor(reason: number) {
    this.reason = reason;
  }
}
/** Somebody changed an entry whose bits were to be set. */
class Again {}

interface Leaf {
  address: bigint;
  size: bigint;
  mayRead: boolean;
  mayWrite: boolean;
  dirty: boolean;
}

const bits = (value: bigint, high: number, low: number): bigint =>
  (value >> BigInt(low)) & ((1n << BigInt(high - low + 1)) - 1n);
const bit = (value: bigint, at: number): boolean => bits(value, at, at) === 1n;

export function referenceWalk(
  unit: ReferenceUnit,
  sid: number,
  pasid: number | undefined,
  address: bigint,
  want: string,
): ReferenceAnswer {
  const walker = new ReferenceWalker(unit, sid, pasid, want);
  let reason = 0;
  for (let round = 1; round <= 4; round++) {
    try {
      return walker.go(address);
    } catch (thrown) {
      if (thrown instanceof Fault) {
        reason = thrown.reason;
        break;
      }
      if (!(thrown instanceof Again)) throw thrown;
      reason = walker.stages === 'second' ? 0x78 : 0x91;
    }
  }
  const { quiet, domain } = walker;
  return { verdict: 'fault', reason, quiet, domain, physical: 0n, size: 0n, rights: '' };
}

class ReferenceWalker {
  quiet = false;
  domain = 0;
  stages: 'second' | 'first' | 'both' | 'none' = 'second';
  private readonly u: ReferenceUnit;
  private readonly sid: number;
  private readonly pasid: number | undefined;
  private readonly want: string;
  private readonly legacy: boolean;
  private ssRoot = 0n;
  private ssLevels = 0;
  private ssAd = false;

  constructor(unit: ReferenceUnit, sid: number, pasid: number | undefined, want: string) {
    this.u = unit;
    this.sid = sid;
    this.pasid = pasid;
    this.want = want;
    this.legacy = bits(unit.rtaddr, 11, 10) === 0n;
  }

  go(address: bigint): ReferenceAnswer {
    this.quiet = false;
    this.domain = 0;
    const walk = this.legacy ? this.legacyTables() : this.scalableTables();
    if (walk === undefined) {
      // Direct: only a request with PASID can still have an interrupt address.
      if (isInterrupt(address)) throw new Fault(0x87);
      return {
        verdict: 'direct',
        reason: 0,
        quiet: false,
        domain: this.domain,
        physical: address,
        size: 0n,
        rights: 'rw',
      };
    }
    const leaf = walk(address);
    if (isInterrupt(leaf.address)) throw new Fault(this.legacy ? 0x0e : 0x87);
    const rights = `${leaf.mayRead ? 'r' : ''}${leaf.mayWrite && leaf.dirty ? 'w' : ''}`;
    const { quiet, domain } = this;
    return { verdict: 'page', reason: 0, quiet, domain, physical: leaf.address, size: leaf.size, rights };
  }

  private load(address: bigint, reason: number): bigint {
    if (address + 8n > BigInt(this.u.memory.byteLength)) throw new Fault(reason);
    return this.u.memory.getBigUint64(Number(address), true);
  }

  /** Set bits of an entry that was read as `was`. */
  private store(address: bigint, was: bigint, more: bigint): void {
    const now = this.u.memory.getBigUint64(Number(address), true);
    if (bits(now, 31, 0) !== bits(was, 31, 0)) throw new Again();
    this.u.memory.setBigUint64(Number(address), now | more, true);
  }

  private pointer(entry: bigint): bigint {
    return bits(entry, 51, 12) << 12n;
  }

  private tooHigh(entry: bigint): boolean {
    return entry >> BigInt(this.u.hostWidth) !== 0n;
  }

  private legacyTables(): ((address: bigint) => Leaf) | undefined {
    if (this.pasid !== undefined) throw new Fault(0x31);
    const u = this.u;
    const rootAt = this.pointerOf(u.rtaddr) + BigInt(this.sid >> 8) * 16n;
    this.load(rootAt + 8n, 0x08);
    const root = this.load(rootAt, 0x08);
    if (!bit(root, 0)) throw new Fault(0x01);
    if (bits(root, 11, 1) !== 0n || this.tooHigh(root) || this.load(rootAt + 8n, 0x08) !== 0n) throw new Fault(0x0a);
    const at = this.pointer(root) + BigInt(this.sid & 255) * 16n;
    const high = this.load(at + 8n, 0x09);
    const low = this.load(at, 0x09);
    this.quiet = bit(low, 1);
    if (!bit(low, 0)) throw new Fault(0x02);
    if (bits(low, 11, 4) !== 0n || this.tooHigh(low)) throw new Fault(0x0b);
    if (bit(high, 7) || high >> 24n !== 0n) throw new Fault(0x0b);
    const width = 30 + 9 * Number(bits(high, 2, 0));
    const type = Number(bits(low, 3, 2));
    if (!u.widths.includes(width) || type === 3) throw new Fault(0x03);
    if ((type === 1 && !u.deviceTlb) || (type === 2 && !u.passThrough)) throw new Fault(0x03);
    this.domain = Number(bits(high, 23, 8));
    if (type === 2) {
      this.stages = 'none';
      return undefined;
    }
    this.stages = 'second';
    this.setSecond(this.pointer(low), width, false);
    return (address) => {
      try {
        return this.second(address, this.want);
      } catch (thrown) {
        if (!(thrown instanceof Fault)) throw thrown;
        const absent = this.want.includes('w') ? 5 : 6;
        const codes: Record<number, number> = { 120: 7, 121: absent, 122: 0xc, 123: 3, 132: 4, 133: 5, 134: 6 };
        throw new Fault(codes[thrown.reason]!);
      }
    };
  }

  private pointerOf(register: bigint): bigint {
    return (register >> 12n) << 12n;
  }

  private setSecond(root: bigint, width: number, ad: boolean): void {
    this.ssRoot = root;
    this.ssLevels = (width - 12) / 9;
    this.ssAd = ad;
  }

  private scalableTables(): ((address: bigint) => Leaf) | undefined {
    const u = this.u;
    const rootAt = this.pointerOf(u.rtaddr) + BigInt(this.sid >> 8) * 16n;
    this.load(rootAt + 8n, 0x38);
    const upper = (this.sid & 0x80) !== 0;
    const root = this.load(rootAt + (upper ? 8n : 0n), 0x38);
    if (!bit(root, 0)) throw new Fault(0x39);
    if (bits(root, 11, 1) !== 0n || this.tooHigh(root)) throw new Fault(0x3a);
    const at = this.pointer(root) + BigInt(this.sid & 0x7f) * 32n;
    this.load(at + 24n, 0x40);
    const context = [0n, 8n, 16n, 24n].map((i) => this.load(at + i, 0x40));
    this.quiet = bit(context[0]!, 1);
    if (!bit(context[0]!, 0)) throw new Fault(0x41);
    if (bits(context[0]!, 8, 5) !== 0n || this.tooHigh(context[0]!) || context[1]! >> 21n !== 0n) throw new Fault(0x42);
    if (context[2] !== 0n || context[3] !== 0n) throw new Fault(0x42);
    const room = 64 * 2 ** (Number(bits(context[0]!, 11, 9)) + 7);
    let pasid = this.pasid;
    let supervisor = false;
    if (pasid === undefined) {
      pasid = Number(bits(context[1]!, 19, 0));
      supervisor = bit(context[1]!, 20);
      if (pasid >= room) throw new Fault(0x48);
    } else {
      if (!bit(context[0]!, 3)) throw new Fault(0x45);
      if (pasid >= room) throw new Fault(0x46);
    }
    const dir = this.load(this.pointer(context[0]!) + BigInt(pasid >> 6) * 8n, 0x50);
    if (bit(dir, 1)) this.quiet = true;
    if (!bit(dir, 0)) throw new Fault(0x51);
    if (bits(dir, 11, 2) !== 0n || this.tooHigh(dir)) throw new Fault(0x52);
    const entryAt = this.pointer(dir) + BigInt(pasid & 63) * 64n;
    this.load(entryAt + 56n, 0x58);
    const entry = [0, 1, 2, 3, 4, 5, 6, 7].map((i) => this.load(entryAt + BigInt(i) * 8n, 0x58));
    if (bit(entry[0]!, 1)) this.quiet = true;
    if (!bit(entry[0]!, 0)) throw new Fault(0x59);
    const reserved =
      bits(entry[0]!, 11, 10) !== 0n ||
      this.tooHigh(entry[0]!) ||
      bits(entry[1]!, 22, 16) !== 0n ||
      bits(entry[2]!, 11, 8) !== 0n ||
      this.tooHigh(entry[2]!) ||
      (bit(entry[2]!, 7) && !u.extendedAccess) ||
      entry.slice(3).some((quad) => quad !== 0n);
    if (reserved) throw new Fault(0x5a);
    this.domain = Number(bits(entry[1]!, 15, 0));
    const type = Number(bits(entry[0]!, 8, 6));
    if (type === 4 && u.passThrough) {
      this.stages = 'none';
      return undefined;
    }
    const usable = (type === 1 && u.firstStage) || type === 2 || (type === 3 && u.nested);
    const width = 30 + 9 * Number(bits(entry[0]!, 4, 2));
    const five = Number(bits(entry[2]!, 3, 2));
    if (!usable || (type !== 1 && !u.widths.includes(width))) throw new Fault(0x5b);
    if (type !== 2 && (five > 1 || (five === 1 && !u.fiveLevels))) throw new Fault(0x5b);
    if (type !== 1) this.setSecond(this.pointer(entry[0]!), width, u.accessDirty && bit(entry[0]!, 9));
    this.stages = type === 2 ? 'second' : type === 1 ? 'first' : 'both';
    if (type === 2) return (address) => this.second(address, this.want);
    const protect = !supervisor || bit(entry[2]!, 4);
    return (address) =>
      this.first(address, this.pointer(entry[2]!), 4 + five, !supervisor, protect, bit(entry[2]!, 7), type === 3);
  }

  private second(address: bigint, want: string): Leaf {
    const u = this.u;
    const top = BigInt(Math.min(12 + 9 * this.ssLevels, Math.max(...u.widths)));
    if (address >> top !== 0n) throw new Fault(0x84);
    let table = this.ssRoot;
    let r = true;
    let w = true;
    for (let level = this.ssLevels; ; level--) {
      const shift = 12 + 9 * (level - 1);
      const at = table + bits(address, shift + 8, shift) * 8n;
      const entry = this.load(at, level === this.ssLevels ? 0x7b : 0x78);
      if (!bit(entry, 0) && !bit(entry, 1)) throw new Fault(0x79);
      r &&= bit(entry, 0);
      w &&= bit(entry, 1);
      if (want.includes('w') && !w) throw new Fault(0x85);
      if (want.includes('r') && !r) throw new Fault(0x86);
      const big = bit(entry, 7) && ((level === 2 && u.large.includes('2M')) || (level === 3 && u.large.includes('1G')));
      const leaf = level === 1 || big;
      let wrong = bits(entry, 51, u.hostWidth) !== 0n;
      if (bit(entry, 11) && !(leaf && u.snoop)) wrong = true;
      if (bit(entry, 62) && !(leaf && u.deviceTlb)) wrong = true;
      if (bit(entry, 7) && !leaf && level > 1) wrong = true;
      if (big && bits(entry, shift - 1, 12) !== 0n) wrong = true;
      if (wrong) throw new Fault(0x7a);
      const dirty = !this.ssAd || bit(entry, 9) || want.includes('w');
      if (this.ssAd) {
        const more = leaf && want.includes('w') ? 0x300n : 0x100n;
        if ((entry & more) !== more) this.store(at, entry, more);
      }
      if (leaf) {
        if (!r && !w) throw new Fault(0x86);
        return { ...pageOf(entry, address, shift), mayRead: r, mayWrite: w, dirty };
      }
      table = this.pointer(entry);
    }
  }

  private first(
    address: bigint,
    root: bigint,
    levels: number,
    user: boolean,
    protect: boolean,
    extended: boolean,
    nested: boolean,
  ): Leaf {
    const u = this.u;
    if (address >> BigInt(levels === 4 ? 47 : 56) !== 0n) throw new Fault(0x80);
    let table = root;
    let w = true;
    for (let level = levels; ; level--) {
      const shift = 12 + 9 * (level - 1);
      const guest = table + bits(address, shift + 8, shift) * 8n;
      const at = nested ? this.guestTable(guest, 'r', level === levels) : guest;
      const entry = this.load(at, level === levels ? 0x73 : 0x70);
      if (!bit(entry, 0)) throw new Fault(0x71);
      if (user && !bit(entry, 2)) throw new Fault(0x81);
      if (protect && !bit(entry, 1)) w = false;
      if (this.want.includes('w') && !w) throw new Fault(0x85);
      const big = bit(entry, 7) && (level === 2 || (level === 3 && u.firstLarge1G));
      const leaf = level === 1 || big;
      let wrong = bits(entry, 51, u.hostWidth) !== 0n;
      if (bit(entry, 7) && !leaf && level > 1) wrong = true;
      if (big && bits(entry, shift - 1, 13) !== 0n) wrong = true;
      if (wrong) throw new Fault(0x72);
      let more = extended ? 0x420n : 0x20n;
      if (leaf && this.want.includes('w')) more |= 0x40n;
      if ((entry & more) !== more) {
        if (nested && this.guestTable(guest, 'w', false) !== at) throw new Again();
        this.store(at, entry, more);
      }
      if (leaf) {
        const dirty = bit(entry, 6) || this.want.includes('w');
        const own = { ...pageOf(entry, address, shift), mayRead: true, mayWrite: w, dirty };
        return nested ? this.throughSecond(own) : own;
      }
      table = this.pointer(entry);
    }
  }

  private guestTable(guest: bigint, want: string, top: boolean): bigint {
    try {
      return this.second(guest, want).address;
    } catch (thrown) {
      if (!(thrown instanceof Fault)) throw thrown;
      const codes: Record<number, number> = { 132: 0x74, 133: 0x77, 134: top ? 0x75 : 0x76 };
      throw new Fault(codes[thrown.reason] ?? thrown.reason);
    }
  }

  private throughSecond(own: Leaf): Leaf {
    try {
      const outer = this.second(own.address, this.want);
      return {
        address: outer.address,
        size: smaller(outer.size, own.size),
        mayRead: outer.mayRead,
        mayWrite: outer.mayWrite && own.mayWrite,
        dirty: outer.dirty && own.dirty,
      };
    } catch (thrown) {
      if (thrown instanceof Fault && thrown.reason === 0x84) throw new Fault(0x74);
      throw thrown;
    }
  }
}

const smaller = (a: bigint, b: bigint): bigint => (a > b ? b : a);
const isInterrupt = (address: bigint): boolean => address >> 20n === 0xfeen;

function pageOf(entry: bigint, address: bigint, shift: number): { address: bigint; size: bigint } {
  const base = bits(entry, 51, shift) << BigInt(shift);
  return { address: base | bits(address, shift - 1, 0), size: 1n << BigInt(shift) };
}
