import { type AddressSpace, type HostMemory, type RangeList, RESOLVE } from '@ringwire/guest-memory';
import type { DmaDebug } from './dma-debug.js';

/** A device's address space that tells a {@link DmaDebug} what becomes of each request. For a device on the same thread. */
export class DebugSpace implements AddressSpace {
  readonly memory: HostMemory;

  private readonly space: AddressSpace;
  private readonly debug: DmaDebug;

  constructor(space: AddressSpace, debug: DmaDebug) {
    this.memory = space.memory;
    this.space = space;
    this.debug = debug;
  }

  enter(): number {
    return this.space.enter();
  }

  leave(): void {
    this.space.leave();
  }

  resolve(address: number, length: number, access: number): number {
    const offset = this.space.resolve(address, length, access);
    if (offset === RESOLVE.FAULT) this.debug.faulted(address, length, access);
    // Ranges are asked for next, and told of then.
    else if (offset !== RESOLVE.SPLIT) this.debug.reached(address, length, access);
    return offset;
  }

  resolveRanges(address: number, length: number, access: number, ranges: RangeList): boolean {
    const isReachable = this.space.resolveRanges(address, length, access, ranges);
    if (isReachable) this.debug.reached(address, length, access);
    else this.debug.faulted(address, length, access);
    return isReachable;
  }
}
