import type { AddressSpace } from '@ringwire/guest-memory';
import type { Capability, PciFunction, PciHost, VirtualFunctions, VirtualSeat } from '@ringwire/pci';

/**
 * What a function of the card is, behind its place on the bus. Everything that software does arrives at `pci`: its
 * capabilities are the pieces of configuration space, its BAR regions see reads and writes, its `PciDevice` resets and
 * changes of bus mastering; messages leave by its `msix`. A virtio function is one, with a `VirtioPci`; one with registers
 * of its vendor's is a `PciFunction` with its own regions.
 */
export interface Personality {
  readonly pci: PciFunction;
  /**
   * Do a bounded amount of work. Never throws.
   * @param budget most frames per queue
   * @returns 0: nothing to do until a notification or a frame
   */
  step(budget: number): number;
  /**
   * The function calls `place.wake` for whatever there is to be done for it, a message that became due included: after a step
   * that had nothing to do, and with no deadline, it is not stepped until then. Without it, it is stepped each time.
   */
  readonly sleeps?: boolean;
  /** When `step` is to be called at the latest, in µs of its clock; Infinity, also where it is left out, when nothing waits. */
  deadline?(): number;
  /**
   * The function is gone, and not at work: give back what it was made with, such as its port of the switch. `pci` was
   * removed before; its address space is closed afterwards.
   */
  close(): void;
}

/** What every function is given. */
export interface FunctionPlace {
  /** The only way to memory: DMA with this function's requester id. */
  readonly space: AddressSpace;
  /** For the `PciFunction`: takes its messages, as this function's. */
  readonly host: PciHost;
  /** There is something to be done for the function: it is stepped soon. Only noted; for one that {@link Personality.sleeps}. */
  readonly wake?: () => void;
}

/** What the physical function is given. */
export interface PhysicalPlace extends FunctionPlace {
  /** Extended capabilities to have; `virtualFunctions` has one more, to come behind them. */
  readonly extended: readonly Capability[];
  readonly virtualFunctions: VirtualFunctions;
}

/** What a virtual function is given. */
export interface VirtualPlace extends FunctionPlace {
  /** For the `PciFunction`. Its `index` says which function it is, its `routingId` is the requester id. */
  readonly seat: VirtualSeat;
}
