import {
  type AddressSpace,
  GuestMemory,
  type GuestRegion,
  type HostMemory,
  type RangeList,
} from '@ringwire/guest-memory';

/** A guest's RAM as one function reaches it: throws when the function resolves outside a burst, or nests bursts. */
export class BurstSpace implements AddressSpace {
  readonly memory: HostMemory;
  /** Bursts that were opened. */
  bursts = 0;
  isOpen = false;
  private guest: GuestMemory;
  private epoch = 0;

  constructor(memory: HostMemory, regions: readonly GuestRegion[]) {
    this.memory = memory;
    this.guest = new GuestMemory(memory, regions);
  }

  /** Other memory from now on, between two bursts. */
  remap(regions: readonly GuestRegion[]): void {
    this.guest = new GuestMemory(this.memory, regions);
    this.epoch++;
  }

  enter(): number {
    if (this.isOpen) throw new Error('a burst begins within a burst');
    this.isOpen = true;
    this.bursts++;
    return this.epoch;
  }

  leave(): void {
    if (!this.isOpen) throw new Error('a burst ends that did not begin');
    this.isOpen = false;
  }

  resolve(address: number, length: number, access: number): number {
    this.check();
    return this.guest.resolve(address, length, access);
  }

  resolveRanges(address: number, length: number, access: number, ranges: RangeList): boolean {
    this.check();
    return this.guest.resolveRanges(address, length, access, ranges);
  }

  close(): void {}

  private check(): void {
    if (!this.isOpen) throw new Error('an address is resolved outside a burst');
  }
}
