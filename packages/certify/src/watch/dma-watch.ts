import type { DmaMemory } from '@ringwire/guest-drivers';
import type { AddressSpace } from '@ringwire/guest-memory';
import type { DriverWatch } from './driver-watch.js';

/** The driver's memory, watched: what a device may still use is not given back. */
export class DmaWatch implements DmaMemory {
  readonly space: AddressSpace;
  /** Allocations that are not given back. */
  readonly held: Map<number, number> = new Map();
  private readonly dma: DmaMemory;
  private readonly watch: DriverWatch;

  constructor(dma: DmaMemory, watch: DriverWatch) {
    this.dma = dma;
    this.space = dma.space;
    this.watch = watch;
  }

  allocate(bytes: number): number {
    const address = this.dma.allocate(bytes);
    this.held.set(address, bytes);
    return address;
  }

  free(address: number): void {
    const { verdict } = this.watch;
    const bytes = this.held.get(address) ?? 0;
    const message = `${bytes} bytes at 0x${address.toString(16)} are given back`;
    const ring = [...this.watch.rings.values()].find((one) => one.overlaps(address, bytes));
    if (ring !== undefined) verdict.break('drv.basic.cleanup.2', `${message} while queue ${ring.index} uses them`);
    else if (this.watch.isLive && this.watch.rings.size === 0)
      verdict.break('drv.basic.cleanup.2', `${message} before the reset was seen to end`);
    else verdict.keep('drv.basic.cleanup.2');
    this.held.delete(address);
    this.dma.free(address);
  }
}
