import type { AddressSpace } from '@ringwire/guest-memory';
import type { Bug } from './bugs.js';

/** One piece of a buffer. */
export interface Piece {
  readonly address: number;
  readonly length: number;
  readonly writable: boolean;
}

/** A queue as a driver writer would write it on one afternoon: no batching, no caching, one buffer at a time. */
export interface PlainRing {
  readonly desc: number;
  readonly driver: number;
  readonly device: number;
  readonly free: number;
  /** Make a buffer available. @returns its id, or -1 without room */
  add(pieces: readonly Piece[]): number;
  /** @returns whether the device wants to hear of what was added since it was asked last */
  wants(): boolean;
  /** What NOTIFICATION_DATA is made of. */
  data(): number;
  /** @returns the next used buffer */
  take(): { readonly id: number; readonly length: number } | undefined;
}

const NEXT = 1;
const WRITE = 2;
const INDIRECT = 4;
const RW = 3;

/** A split virtqueue in one page or more: descriptors, available ring, used ring. */
export class PlainSplit implements PlainRing {
  readonly desc: number;
  readonly driver: number;
  readonly device: number;
  private readonly view: DataView;
  private readonly at: { desc: number; driver: number; device: number };
  private readonly unused: number[];
  private readonly chains: Map<number, number[]> = new Map();
  private avail = 0;
  private told = 0;
  private used = 0;
  private added = 0;
  private readonly size: number;
  private readonly hasEvents: boolean;
  private readonly bug: Bug | undefined;

  constructor(space: AddressSpace, base: number, size: number, hasEvents: boolean, bug: Bug | undefined) {
    this.size = size;
    this.hasEvents = hasEvents;
    this.bug = bug;
    this.desc = base + (bug === 'misaligned ring' ? 8 : 0);
    this.driver = base + size * 16 + 16;
    this.device = base + 4096;
    const host = (address: number): number => space.resolve(address, 64, RW);
    this.at = { desc: host(this.desc), driver: host(this.driver), device: host(this.device) };
    this.view = space.memory.view;
    this.unused = Array.from({ length: size }, (_, index) => size - 1 - index);
  }

  static bytes(size: number): number {
    return 4096 + 4096 * Math.ceil((size * 8 + 6) / 4096);
  }

  get free(): number {
    return this.unused.length;
  }

  add(pieces: readonly Piece[]): number {
    if (pieces.length > this.unused.length) return -1;
    const { view, at, bug } = this;
    const nth = this.added++;
    const isOdd = nth % 4 === 3;
    const slots = pieces.map(() => this.unused.pop()!);
    if (bug === 'reuses a descriptor in flight' && this.chains.size > 0 && pieces[0]?.writable === false) {
      this.unused.push(...slots.splice(0));
      slots.push(...[...this.chains.values()].at(-1)!);
    }
    pieces.forEach(({ address, length, writable }, i) => {
      const to = at.desc + slots[i]! * 16;
      const isLast = i === pieces.length - 1;
      let flags = (isLast ? 0 : NEXT) | (writable ? WRITE : 0);
      if (bug === 'reserved flag' && isOdd) flags |= 0x100;
      if (bug === 'indirect and next' && !isLast && isOdd) flags |= INDIRECT;
      if (bug === 'writable before readable' && pieces.length > 1) flags = i === 0 ? flags | WRITE : flags & ~WRITE;
      if (bug === 'loop in a chain' && isLast && !writable && isOdd) flags |= NEXT;
      view.setUint32(to, address >>> 0, true);
      view.setUint32(to + 4, Math.floor(address / 2 ** 32), true);
      view.setUint32(to + 8, length, true);
      view.setUint16(to + 12, flags, true);
      view.setUint16(to + 14, slots[i + 1] ?? slots[0]!, true);
    });
    this.chains.set(slots[0]!, slots);
    view.setUint16(at.driver + 4 + (this.avail % this.size) * 2, slots[0]!, true);
    this.avail = (this.avail + 1) & 0xffff;
    if (bug === 'available index goes back' && nth === 80) this.avail = (this.avail - 40) & 0xffff;
    view.setUint16(at.driver + 2, this.avail, true);
    if (bug === 'changes a buffer under way' && pieces[0]?.writable === false && this.chains.size > 1)
      view.setUint32(at.desc + [...this.chains.keys()][0]! * 16 + 8, 99, true);
    return slots[0]!;
  }

  wants(): boolean {
    const { view, at } = this;
    const old = this.told;
    this.told = this.avail;
    if (!this.hasEvents) return (view.getUint16(at.device, true) & 1) === 0 && old !== this.avail;
    const event = view.getUint16(at.device + 4 + this.size * 8, true);
    return ((this.avail - event - 1) & 0xffff) < ((this.avail - old) & 0xffff);
  }

  data(): number {
    return this.avail;
  }

  take(): { id: number; length: number } | undefined {
    const { view, at, size } = this;
    // Every used buffer is to be told.
    view.setUint16(at.driver + 4 + size * 2, this.used, true);
    if (view.getUint16(at.device + 2, true) === this.used) return undefined;
    const from = at.device + 4 + (this.used % size) * 8;
    const id = view.getUint32(from, true);
    const slots = this.chains.get(id);
    this.used = (this.used + 1) & 0xffff;
    if (slots === undefined) return { id: -1, length: 0 };
    this.chains.delete(id);
    this.unused.push(...slots.filter((slot) => !this.unused.includes(slot)));
    return { id, length: view.getUint32(from + 4, true) };
  }
}

const AVAIL = 1 << 7;
const USED = 1 << 15;

/** A packed virtqueue. */
export class PlainPacked implements PlainRing {
  readonly desc: number;
  readonly driver: number;
  readonly device: number;
  private readonly view: DataView;
  private readonly at: { desc: number; device: number };
  private readonly ids: number[];
  private readonly chains: Map<number, number> = new Map();
  private next = 0;
  private wrap: 0 | 1 = 1;
  private used = 0;
  private usedWrap: 0 | 1 = 1;
  private left: number;
  private added = 0;
  private count = 0;
  private before = 0;
  private readonly size: number;
  private readonly hasEvents: boolean;
  private readonly bug: Bug | undefined;

  constructor(space: AddressSpace, base: number, size: number, hasEvents: boolean, bug: Bug | undefined) {
    this.size = size;
    this.hasEvents = hasEvents;
    this.bug = bug;
    this.desc = base;
    this.driver = base + size * 16;
    this.device = base + size * 16 + 16;
    const host = (address: number): number => space.resolve(address, 4, RW);
    this.at = { desc: host(this.desc), device: host(this.device) };
    this.view = space.memory.view;
    this.ids = Array.from({ length: size }, (_, id) => size - 1 - id);
    this.left = size;
  }

  static bytes(size: number): number {
    return size * 16 + 64;
  }

  get free(): number {
    return this.left;
  }

  add(pieces: readonly Piece[]): number {
    if (pieces.length > this.left) return -1;
    const { view, at, bug } = this;
    const nth = this.count++;
    const id = bug === 'reuses a buffer id' && nth % 8 === 7 ? [...this.chains.keys()].at(-1)! : this.ids.pop()!;
    let first = 0;
    let firstFlags = 0;
    for (const [i, { address, length, writable }] of pieces.entries()) {
      const to = at.desc + this.next * 16;
      const marks = this.wrap === 1 ? AVAIL : USED;
      let flags = marks | (i < pieces.length - 1 ? NEXT : 0) | (writable ? WRITE : 0);
      if (bug === 'reserved flag' && nth % 4 === 3) flags |= 0x100;
      if (bug === 'writable before readable' && pieces.length > 1) flags = i === 0 ? flags | WRITE : flags & ~WRITE;
      view.setUint32(to, address >>> 0, true);
      view.setUint32(to + 4, Math.floor(address / 2 ** 32), true);
      view.setUint32(to + 8, length, true);
      view.setUint16(to + 12, id, true);
      if (i === 0) {
        first = to;
        firstFlags = flags;
      } else view.setUint16(to + 14, flags, true);
      if (++this.next === this.size) {
        this.next = 0;
        if (bug !== 'wrap counter is not flipped') this.wrap = this.wrap === 1 ? 0 : 1;
      }
    }
    view.setUint16(first + 14, firstFlags, true);
    this.chains.set(id, pieces.length);
    this.left -= pieces.length;
    this.added += pieces.length;
    if (bug === 'changes a buffer under way' && this.before > 0) view.setUint32(this.before + 8, 99, true);
    this.before = first;
    return id;
  }

  wants(): boolean {
    const { view, at, added } = this;
    this.added = 0;
    const flags = view.getUint16(at.device + 2, true) & 3;
    if (flags === 1 || added === 0) return false;
    if (flags !== 2 || !this.hasEvents) return true;
    const event = view.getUint16(at.device, true);
    const wraps = event >>> 15 === this.wrap;
    const back = this.next - ((event & 0x7fff) - (wraps ? 0 : this.size));
    return back > 0 && back <= added;
  }

  data(): number {
    return this.next | (this.wrap << 15);
  }

  take(): { id: number; length: number } | undefined {
    const { view, at } = this;
    const from = at.desc + this.used * 16;
    const flags = view.getUint16(from + 14, true);
    const mark = this.usedWrap;
    if (((flags & AVAIL) !== 0) !== (mark === 1) || ((flags & USED) !== 0) !== (mark === 1)) return undefined;
    const id = view.getUint16(from + 12, true);
    const slots = this.chains.get(id);
    if (slots === undefined) {
      this.usedWrap = mark;
      return { id: -1, length: 0 };
    }
    const length = view.getUint32(from + 8, true);
    this.chains.delete(id);
    if (!this.ids.includes(id)) this.ids.push(id);
    this.left += slots;
    this.used += slots;
    if (this.used >= this.size) {
      this.used -= this.size;
      this.usedWrap = mark === 1 ? 0 : 1;
    }
    return { id, length };
  }
}
