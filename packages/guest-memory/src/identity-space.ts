import { type AddressSpace, type AddressWindow, RESOLVE } from './address-space.js';
import type { HostMemory } from './host-memory.js';
import type { RangeList } from './range-list.js';

/** All of a host memory with addresses that are host offsets: a device without an IOMMU and without a guest. */
export class IdentitySpace implements AddressSpace {
  readonly memory: HostMemory;
  /** Always the lowest addresses: who needs more of them resolves them. */
  private readonly window: AddressWindow;
  private readonly size: number;

  constructor(memory: HostMemory) {
    this.memory = memory;
    this.size = memory.size;
    this.window = { hi: 0, lo32: 0, bytes: Math.min(memory.size, 0x4000_0000), host32: 0, refused: ~3 };
  }

  /** Nothing is ever unmapped: bursts need no beginning and no end. */
  enter(): number {
    return 0;
  }

  leave(): void {}

  windowFor(): AddressWindow {
    return this.window;
  }

  resolve(address: number, length: number, access: number): number {
    // `>>> 0` leaves exactly the integers 0 … 2^32-1 as they are, so these two compares refuse everything else.
    if (address >>> 0 !== address || length >>> 0 !== length) return RESOLVE.FAULT;
    const inside = address < this.size && length <= this.size - address;
    return inside && (access & ~3) === 0 ? address : RESOLVE.FAULT;
  }

  resolveRanges(address: number, length: number, access: number, ranges: RangeList): boolean {
    if (this.resolve(address, length, access) < 0) return false;
    if (length > 0) ranges.push(address, length);
    return true;
  }
}
