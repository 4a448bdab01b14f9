import { ACCESS, type AddressSpace, gather, RangeList } from '@ringwire/guest-memory';
import type { MemoryReader, Presence } from '@ringwire/ring-oracle';

/** Lengths that an address space takes. */
const MOST = 0xffff_ffff;
const TOP = BigInt(Number.MAX_SAFE_INTEGER);

/** A device's address space for the ring oracle, to be used within a burst. What the device cannot read is unmapped. */
export class SpaceReader implements MemoryReader {
  private readonly space: AddressSpace;
  private readonly ranges = new RangeList();

  constructor(space: AddressSpace) {
    this.space = space;
  }

  read(address: bigint, length: number): Uint8Array | null {
    const { space, ranges } = this;
    ranges.clear();
    if (address > TOP || !space.resolveRanges(Number(address), length, ACCESS.READ, ranges)) return null;
    const bytes = new Uint8Array(length);
    gather(space.memory, ranges, 0, ranges.count, bytes);
    return bytes;
  }

  probe(address: bigint, length: bigint): Presence {
    const wanted = length > BigInt(MOST) ? MOST : Number(length);
    if (this.reaches(address, wanted) && wanted === Number(length)) return { state: 'saved' };
    // A range is reachable up to some byte, and not beyond it.
    let [good, bad] = [0, wanted];
    while (bad - good > 1) {
      const middle = Math.floor((good + bad) / 2);
      if (this.reaches(address, middle)) good = middle;
      else bad = middle;
    }
    return { state: 'unmapped', at: address + BigInt(good) };
  }

  private reaches(address: bigint, length: number): boolean {
    this.ranges.clear();
    return address <= TOP && this.space.resolveRanges(Number(address), length, ACCESS.READ, this.ranges);
  }
}
