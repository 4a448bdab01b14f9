import { hashOf } from './address-table.js';

/** Places that an address may have, one behind the other. */
const WAYS = 4;
const FREE = -1;

/**
 * Where stations are that nobody set: by the source addresses of what they sent, for each VLAN by itself. A port has
 * its share of places and no more, and nobody's place is taken for another's: a port that sends from any number of
 * addresses costs itself alone.
 */
export class LearnedTable {
  /** Goes on when an address is known elsewhere than before. */
  epoch = 0;
  /** Frames whose address found no place. */
  refused = 0;
  private readonly low: Int32Array;
  /** The last two bytes of the address, and above them the VLAN. */
  private readonly high: Int32Array;
  private readonly port: Int32Array;
  private readonly until: Float64Array;
  private readonly sets: number;
  private readonly perPort: Uint32Array;
  private readonly most: number;
  private readonly lifetime: number;

  /**
   * @param entries  most addresses, rounded up to a power of two, at least 4
   * @param ports    highest port number plus 1
   * @param most     addresses of one port
   * @param lifetime µs that an address is known after its last frame
   */
  constructor(entries: number, ports: number, most: number, lifetime: number) {
    let places = WAYS;
    while (places < entries) places *= 2;
    this.low = new Int32Array(places);
    this.high = new Int32Array(places);
    this.port = new Int32Array(places).fill(FREE);
    this.until = new Float64Array(places);
    this.sets = places / WAYS;
    this.perPort = new Uint32Array(ports);
    this.most = most;
    this.lifetime = lifetime;
  }

  /** @param high the last two bytes of the address, and above them the VLAN @param frames that it was in, one unless given */
  learn(low: number, high: number, port: number, now: number, frames = 1): void {
    const first = this.setOf(low, high);
    let free = FREE;
    for (let at = first; at < first + WAYS; at++) {
      if (this.port[at] !== FREE && this.until[at]! < now) this.release(at);
      if (this.port[at] === FREE) free = at;
      else if (this.low[at] === low && this.high[at] === high) {
        if (this.port[at] !== port) {
          if (this.perPort[port]! >= this.most) {
            this.refused += frames;
            return;
          }
          this.release(at);
          this.take(at, port);
        }
        this.until[at] = now + this.lifetime;
        return;
      }
    }
    if (free === FREE || this.perPort[port]! >= this.most) {
      this.refused += frames;
      return;
    }
    this.low[free] = low;
    this.high[free] = high;
    this.until[free] = now + this.lifetime;
    this.take(free, port);
  }

  /** @returns a port, or -1 */
  find(low: number, high: number, now: number): number {
    const first = this.setOf(low, high);
    for (let at = first; at < first + WAYS; at++)
      if (this.low[at] === low && this.high[at] === high && this.port[at] !== FREE && this.until[at]! >= now)
        return this.port[at]!;
    return FREE;
  }

  /** Addresses that are known of a port. */
  countOf(port: number): number {
    return this.perPort[port]!;
  }

  forget(port: number): void {
    for (let at = 0; at < this.port.length; at++) if (this.port[at] === port) this.release(at);
  }

  private take(at: number, port: number): void {
    this.port[at] = port;
    this.perPort[port]!++;
    this.epoch++;
  }

  private release(at: number): void {
    this.perPort[this.port[at]!]!--;
    this.port[at] = FREE;
    this.epoch++;
  }

  private setOf(low: number, high: number): number {
    return (hashOf(low, high) & (this.sets - 1)) * WAYS;
  }
}
