import type { DmaArena } from './dma-arena.js';

export const PAGE_BYTES = 4096;
const NONE = -1;

/** Pages for frames that are handed over as bytes: chained by number, so that a frame's pages go back together. */
export class PageStock {
  readonly address: Float64Array;
  readonly host: Uint32Array;
  /** The page behind each one of a frame's, or -1. */
  readonly next: Int32Array;
  free: number;
  private first = 0;

  constructor(arena: DmaArena, pages: number) {
    this.address = new Float64Array(pages);
    this.host = new Uint32Array(pages);
    this.next = new Int32Array(pages);
    this.free = pages;
    for (let page = 0; page < pages; page++) {
      const address = arena.allocate(PAGE_BYTES);
      this.address[page] = address;
      this.host[page] = arena.hostOf(address, PAGE_BYTES);
      this.next[page] = page + 1 < pages ? page + 1 : NONE;
    }
  }

  /** @param count at most {@link free} @returns the first of `count` pages, linked by {@link next} */
  take(count: number): number {
    const first = this.first;
    let last = first;
    for (let i = 1; i < count; i++) last = this.next[last]!;
    this.first = this.next[last]!;
    this.next[last] = NONE;
    this.free -= count;
    return first;
  }

  /** Give back a page and those behind it; -1 for none. */
  put(first: number): void {
    for (let page = first; page !== NONE; ) {
      const behind = this.next[page]!;
      this.next[page] = this.first;
      this.first = page;
      this.free++;
      page = behind;
    }
  }
}
