import { ACCESS, type AddressSpace, type HostMemory, type RangeList } from '@ringwire/guest-memory';
import type { OwnedSpace } from '../sriov-nic.js';

/**
 * An address space that remembers whose memory a function was let write to. It has no `windowFor`, so that it hears of every
 * address.
 */
export class TracedSpace implements OwnedSpace {
  readonly memory: HostMemory;
  private readonly space: AddressSpace & Partial<OwnedSpace>;
  private readonly ownerOf: (host: number) => string;
  private readonly written: Set<string> = new Set();

  constructor(space: AddressSpace & Partial<OwnedSpace>, ownerOf: (host: number) => string) {
    this.memory = space.memory;
    this.space = space;
    this.ownerOf = ownerOf;
  }

  /** Owners of all memory that was resolved for writing, with " and " between them. */
  get writesTo(): string {
    return [...this.written].join(' and ');
  }

  enter(): number {
    return this.space.enter();
  }

  leave(): void {
    this.space.leave();
  }

  resolve(address: number, length: number, access: number): number {
    const host = this.space.resolve(address, length, access);
    if (host >= 0 && (access & ACCESS.WRITE) !== 0) this.written.add(this.ownerOf(host));
    return host;
  }

  resolveRanges(address: number, length: number, access: number, ranges: RangeList): boolean {
    const first = ranges.count;
    const isReachable = this.space.resolveRanges(address, length, access, ranges);
    if (isReachable && (access & ACCESS.WRITE) !== 0)
      for (let range = first; range < ranges.count; range++) this.written.add(this.ownerOf(ranges.offset[range]!));
    return isReachable;
  }

  close(): void {
    this.space.close?.();
  }
}
