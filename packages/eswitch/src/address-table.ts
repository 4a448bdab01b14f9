const NONE = -1;

/**
 * Which ports an address was set for: one, or several in different VLANs. Built anew when settings change, and only
 * looked into per frame.
 */
export class AddressTable {
  private low = new Int32Array(0);
  private high = new Uint16Array(0);
  /** First of an address's links in a slot, and of each link its port and the next one. */
  private head = new Int32Array(0);
  private port = new Uint16Array(0);
  private next = new Int32Array(0);
  private mask = 0;
  private count = 0;

  /** Forget everything, and make room. @param addresses most that will be added */
  reset(addresses: number): void {
    let slots = 16;
    while (slots < 2 * addresses) slots *= 2;
    if (slots > this.head.length) {
      this.low = new Int32Array(slots);
      this.high = new Uint16Array(slots);
      this.head = new Int32Array(slots);
      this.port = new Uint16Array(slots);
      this.next = new Int32Array(slots);
    }
    this.mask = this.head.length - 1;
    this.head.fill(NONE);
    this.count = 0;
  }

  add(low: number, high: number, port: number): void {
    let slot = hashOf(low, high) & this.mask;
    while (this.head[slot] !== NONE && (this.low[slot] !== low || this.high[slot] !== high))
      slot = (slot + 1) & this.mask;
    for (let link = this.head[slot]!; link !== NONE; link = this.next[link]!) if (this.port[link] === port) return;
    this.low[slot] = low;
    this.high[slot] = high;
    const link = this.count++;
    this.port[link] = port;
    this.next[link] = this.head[slot]!;
    this.head[slot] = link;
  }

  /** @returns the first link of an address, or -1 */
  find(low: number, high: number): number {
    for (let slot = hashOf(low, high) & this.mask; this.head[slot] !== NONE; slot = (slot + 1) & this.mask)
      if (this.low[slot] === low && this.high[slot] === high) return this.head[slot]!;
    return NONE;
  }

  portOf(link: number): number {
    return this.port[link]!;
  }

  /** @returns the next link of the same address, or -1 */
  after(link: number): number {
    return this.next[link]!;
  }
}

export function hashOf(low: number, high: number): number {
  const mixed = Math.imul(low ^ Math.imul(high, 0x9e37_79b1), 0x85eb_ca6b);
  return mixed ^ (mixed >>> 15);
}
