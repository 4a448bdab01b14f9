import { ACCESS, type AddressSpace, type PageAllocator } from '@ringwire/guest-memory';
import { VirtioError } from '@ringwire/virtio-spec';
import type { Pin, PinMap } from './pin-map.js';

const PAGE_BYTES = 4096;
const HERE = 'PageReclaim';

/** Contents of a page that has no place in memory for the time being. */
export interface SwappedPage {
  readonly bytes: Uint8Array;
}

/** What became of a page that was to be taken: gone, or kept because these pins hold it. */
export type Reclaimed = { readonly gone: true } | { readonly gone: false; readonly heldBy: readonly Pin[] };

/**
 * A host that lends its guests more memory than it has: it takes pages back, for good (a balloon, a free) or with their
 * contents kept elsewhere (swap), and hands them to others. DMA goes on meanwhile without anyone being asked, so a page
 * that a device can reach stays where it is: what {@link PinMap} says is pinned is refused.
 */
export class PageReclaim {
  /** Pages that were to be taken and are pinned. */
  refused = 0;

  private readonly physical: AddressSpace;
  private readonly allocator: PageAllocator;
  private readonly pins: PinMap;

  /** @param allocator who owns the pages: each was allocated alone */
  constructor(physical: AddressSpace, allocator: PageAllocator, pins: PinMap) {
    this.physical = physical;
    this.allocator = allocator;
    this.pins = pins;
  }

  /** Take a page for good; its contents are lost. */
  giveUp(page: number): Reclaimed {
    const heldBy = this.pins.pinsOf(page, PAGE_BYTES);
    if (heldBy.length > 0) {
      this.refused++;
      return { gone: false, heldBy };
    }
    this.allocator.free(page);
    return { gone: true };
  }

  /** Take a page and keep its contents. @returns them, or who holds the page */
  swapOut(page: number): SwappedPage | { readonly heldBy: readonly Pin[] } {
    const bytes = this.bytesOf(page).slice();
    const taken = this.giveUp(page);
    return taken.gone ? { bytes } : { heldBy: taken.heldBy };
  }

  /** Give contents a page again. @returns its address, most likely another one than before */
  swapIn(swapped: SwappedPage): number {
    const page = this.allocator.allocate(PAGE_BYTES);
    this.bytesOf(page).set(swapped.bytes);
    return page;
  }

  private bytesOf(page: number): Uint8Array {
    const offset = this.physical.resolve(page, PAGE_BYTES, ACCESS.READ | ACCESS.WRITE);
    if (offset < 0) throw new VirtioError('page', page, 'a page of physical memory', HERE);
    return this.physical.memory.u8.subarray(offset, offset + PAGE_BYTES);
  }
}
