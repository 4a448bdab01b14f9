import type { DmaMemory } from '@ringwire/guest-drivers';
import type { HostMemory } from '@ringwire/guest-memory';
import type { CardFunction } from '../claims/card-machine.js';
import { taintMemory } from './taint.js';

export const PAGE = 4096;
/** Allocations from this size on are for frames alone. */
const POOL_BYTES = 0x8000;
/** … and smaller ones are no buffers. */
const BUFFER_BYTES = 2048;
/** Upper word of addresses of guests' RAM. */
const RAM_HIGH = 1;

/** What a page of a guest's RAM is: never its driver's, for frames, or for rings and what else a driver has. */
type Use = 'never' | 'frames' | 'rings';

/** RAM of a guest, or of a host, and what it was before the card worked. */
export class WatchedRam {
  readonly of: CardFunction;
  /** All of it, and as it was. */
  readonly now: Uint8Array;
  readonly before: Uint8Array;

  constructor(memory: HostMemory, of: CardFunction) {
    this.of = of;
    this.now = memory.u8.subarray(of.ramAt, of.ramAt + of.ramBytes);
    this.before = new Uint8Array(of.ramBytes);
  }

  remember(): void {
    this.before.set(this.now);
  }

  /** Offsets of pages that are other than before. */
  changedPages(): number[] {
    const { now, before } = this;
    const pages: number[] = [];
    for (let from = 0; from < now.length; from += PAGE)
      if (Buffer.compare(now.subarray(from, from + PAGE), before.subarray(from, from + PAGE)) !== 0) pages.push(from);
    return pages;
  }
}

/** A guest whose RAM says that it is its own, but for rings and what else its driver has. */
export class TaintedGuest extends WatchedRam {
  /** In tainted bytes: 1 to 3. */
  readonly owner: number;
  /** By page. */
  readonly uses: Use[] = [];
  private readonly words: Uint32Array;
  private readonly allocated: { address: number; bytes: number }[] = [];

  constructor(memory: HostMemory, of: CardFunction, owner: number) {
    super(memory, of);
    this.owner = owner;
    this.words = memory.u32.subarray(of.ramAt / 4, (of.ramAt + of.ramBytes) / 4);
  }

  /** The guest's memory, for its driver: what that allocates is noted. */
  noted(own: DmaMemory): DmaMemory {
    return {
      space: own.space,
      allocate: (bytes) => {
        const address = own.allocate(bytes);
        this.allocated.push({ address, bytes });
        return address;
      },
      free: (address) => own.free(address),
    };
  }

  /** The driver runs: from here on bytes say whose they are. */
  taint(): void {
    this.sortPages();
    for (const [page, use] of this.uses.entries())
      if (use !== 'rings') taintMemory(this.now, page * PAGE, PAGE, this.owner, page * PAGE);
  }

  /** A page is for frames when its allocation is large, or when its address is in a ring; else it may be a ring. */
  private sortPages(): void {
    const { words, uses } = this;
    // Addresses are two words; vendor B has a length in the upper half of the second.
    const addresses = new Set<number>();
    for (let word = 0; word + 1 < words.length; word++)
      if ((words[word + 1]! & 0xffff) === RAM_HIGH) addresses.add(words[word]!);
    for (let page = 0; page < this.now.length / PAGE; page++) uses.push('never');
    for (const { address, bytes } of this.allocated) {
      const isForFrames = bytes >= POOL_BYTES || (bytes >= BUFFER_BYTES && addresses.has(address % 2 ** 32));
      const first = (address % 2 ** 32) / PAGE;
      for (let page = first; page < first + bytes / PAGE; page++) uses[page] = isForFrames ? 'frames' : 'rings';
    }
  }
}
