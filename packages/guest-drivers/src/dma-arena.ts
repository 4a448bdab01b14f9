import { type DmaMemory, hostOffset } from './dma-memory.js';

/** All memory of one life of a device, from reset to reset: freed together, when the device has let go of it. */
export class DmaArena {
  readonly dma: DmaMemory;
  private readonly allocations: number[] = [];

  constructor(dma: DmaMemory) {
    this.dma = dma;
  }

  /** @returns the device's address of whole pages, contiguous */
  allocate(bytes: number): number {
    const address = this.dma.allocate(bytes);
    this.allocations.push(address);
    return address;
  }

  /** Host offset of what {@link allocate} gave. */
  hostOf(address: number, bytes: number): number {
    return hostOffset(this.dma, address, bytes);
  }

  /** After a reset of the device that was seen to end, and not before. */
  free(): void {
    for (const address of this.allocations.splice(0)) this.dma.free(address);
  }
}
