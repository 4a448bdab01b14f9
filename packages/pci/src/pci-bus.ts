import { VirtioError } from '@ringwire/virtio-spec';
import type { PciFunction } from './pci-function.js';
import type { VirtualFunctions } from './virtual-functions.js';

/** A function that is put on a bus, with its virtual functions if it has any. */
export interface Endpoint {
  readonly pci: PciFunction;
  readonly virtualFunctions?: VirtualFunctions;
}

/** A function with a bus behind it. */
export interface Bridge {
  readonly pci: PciFunction;
  readonly secondary: PciBus;
  /** Whether the bus is a link, with one device at its end, rather than the inside of a switch. */
  readonly isLink: boolean;
  /** Numbers of the buses behind it, as programmed; 0 and 0 before, and while the bus is held in reset. */
  readonly firstBus: number;
  readonly lastBus: number;
  /** Functions behind a link are reached whatever their number, not as device 0 alone. */
  readonly forwardsAri: boolean;
  /** Whether a window of it holds an address, of memory or of I/O. */
  forwards(address: number, io: boolean): boolean;
}

/** A function and where it is. */
export interface Located {
  readonly pci: PciFunction;
  readonly routingId: number;
  /** Of a virtual function. */
  readonly physicalId?: number;
  /** The port or bridge right above; none on the root bus. */
  readonly above?: number;
}

/**
 * A bus, and what is plugged into it. Nothing of the tree is remembered beyond that: each access finds its way by what the
 * registers say at that moment. Where two claim the same, the one with the lower number has it.
 */
export class PciBus {
  private readonly bridge: Bridge | undefined;
  private readonly plugged = new Map<number, Endpoint | Bridge>();
  private occupants: readonly (readonly [number, Endpoint | Bridge])[] = [];

  /** @param bridge that the bus is behind; none for a root bus, which has the number 0 */
  constructor(bridge?: Bridge) {
    this.bridge = bridge;
  }

  /** Its number, as programmed; 0 of a bus that has none yet. */
  get number(): number {
    return this.bridge?.firstBus ?? 0;
  }

  /**
   * @param place device << 3 | function; of the device at the end of a link, any function number
   * @throws VirtioError for one that is taken
   */
  plug(place: number, occupant: Endpoint | Bridge): void {
    if (!Number.isInteger(place) || place < 0 || place > 0xff || this.plugged.has(place))
      throw new VirtioError('place', place, 'one from 0 to 255 that is free', 'PCIe 5.0 §7.3');
    this.plugged.set(place, occupant);
    if ('virtualFunctions' in occupant && occupant.virtualFunctions !== undefined)
      occupant.virtualFunctions.physicalId = () => (this.number << 8) | place;
    this.arrange();
  }

  /** Surprise removal, of what is behind it too. */
  unplug(place: number): void {
    const occupant = this.plugged.get(place);
    if (occupant === undefined) return;
    this.plugged.delete(place);
    this.arrange();
    if ('secondary' in occupant)
      for (const [below] of [...occupant.secondary.plugged]) occupant.secondary.unplug(below);
    occupant.pci.remove();
  }

  /** Reset all that is on the bus and behind it. */
  reset(): void {
    for (const [, { pci }] of this.occupants) pci.reset('power-on');
  }

  /** The function that answers to a routing id, or undefined. */
  functionAt(routingId: number): PciFunction | undefined {
    const number = this.number;
    const isHere = routingId >>> 8 === number;
    if (isHere && !this.reaches(routingId)) return undefined;
    if (isHere) {
      const occupant = this.plugged.get(routingId & 0xff);
      if (occupant !== undefined) return occupant.pci;
    }
    for (const [, occupant] of this.occupants) {
      const found = 'secondary' in occupant ? behind(occupant, routingId) : occupant.virtualFunctions?.at(routingId);
      if (found !== undefined) return found;
    }
    return undefined;
  }

  /** The function that decodes an address, or undefined. */
  claims(address: number, io: boolean): PciFunction | undefined {
    for (const [, occupant] of this.occupants) {
      if (occupant.pci.barAt(address, io) >= 0) return occupant.pci;
      if ('secondary' in occupant) {
        if (occupant.forwards(address, io)) return occupant.secondary.claims(address, io);
      } else if (!io) {
        const found = occupant.virtualFunctions?.claims(address);
        if (found !== undefined) return found;
      }
    }
    return undefined;
  }

  /**
   * Who gets an access that nobody claims: at the end of the link that it was sent down, the virtual function whose share it
   * is for, or function 0.
   */
  strayedTo(address: number, io: boolean): Located | undefined {
    for (const [, occupant] of this.occupants) {
      if ('secondary' in occupant) {
        if (occupant.forwards(address, io)) return occupant.secondary.strayedTo(address, io);
        continue;
      }
      const virtual = io ? undefined : occupant.virtualFunctions;
      const index = virtual?.shareAt(address) ?? -1;
      if (index >= 0) return { pci: virtual!.functions[index]!, routingId: virtual!.routingIdOf(index) };
    }
    const first = this.bridge?.isLink === true ? this.plugged.get(0) : undefined;
    return first === undefined ? undefined : { pci: first.pci, routingId: this.number << 8 };
  }

  /** The port on this bus that leads to a routing id, or undefined. */
  portTo(routingId: number): PciFunction | undefined {
    const bus = routingId >>> 8;
    for (const [, occupant] of this.occupants)
      if ('secondary' in occupant && bus >= occupant.firstBus && bus <= occupant.lastBus && bus > 0)
        return occupant.pci;
    return undefined;
  }

  /** All functions on the bus and behind it, virtual ones included. */
  *functions(above?: number): Generator<Located> {
    for (const [place, occupant] of this.occupants) {
      const routingId = (this.number << 8) | place;
      const here = above === undefined ? {} : { above };
      yield { pci: occupant.pci, routingId, ...here };
      if ('secondary' in occupant) yield* occupant.secondary.functions(routingId);
      else if (occupant.virtualFunctions !== undefined) {
        const virtual = occupant.virtualFunctions;
        for (const [index, pci] of virtual.functions.entries())
          yield { pci, routingId: virtual.routingIdOf(index), physicalId: routingId, ...here };
      }
    }
  }

  /** PCIe 5.0 §7.3.1: a link leads to device 0 alone, unless its port takes the whole number for a function's. */
  private reaches(routingId: number): boolean {
    return this.bridge?.isLink !== true || this.bridge.forwardsAri || (routingId & 0xf8) === 0;
  }

  private arrange(): void {
    this.occupants = [...this.plugged].sort(([a], [b]) => a - b);
  }
}

function behind(bridge: Bridge, routingId: number): PciFunction | undefined {
  const bus = routingId >>> 8;
  const { firstBus, lastBus } = bridge;
  return firstBus > 0 && bus >= firstBus && bus <= lastBus ? bridge.secondary.functionAt(routingId) : undefined;
}
