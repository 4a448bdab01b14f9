import type { AddressSpace, HostMemory, RangeList } from '@ringwire/guest-memory';

/** The bursts of several address spaces as one. Addresses are those of the first. */
export class GroupBurst implements AddressSpace {
  readonly memory: HostMemory;
  private readonly spaces: readonly AddressSpace[];
  private readonly epochs: Float64Array;
  private epoch = 0;

  /** @param spaces at least one */
  constructor(spaces: readonly AddressSpace[]) {
    this.memory = spaces[0]!.memory;
    this.spaces = spaces;
    this.epochs = new Float64Array(spaces.length).fill(Number.NaN);
  }

  enter(): number {
    const { spaces, epochs } = this;
    for (let asid = 0; asid < spaces.length; asid++) {
      const epoch = spaces[asid]!.enter();
      if (epoch === epochs[asid]) continue;
      epochs[asid] = epoch;
      this.epoch++;
    }
    return this.epoch;
  }

  leave(): void {
    for (let asid = 0; asid < this.spaces.length; asid++) this.spaces[asid]!.leave();
  }

  resolve(address: number, length: number, access: number): number {
    return this.spaces[0]!.resolve(address, length, access);
  }

  resolveRanges(address: number, length: number, access: number, ranges: RangeList): boolean {
    return this.spaces[0]!.resolveRanges(address, length, access, ranges);
  }
}
