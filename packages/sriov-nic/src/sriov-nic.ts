import type { AddressSpace } from '@ringwire/guest-memory';
import {
  advancedErrorReporting,
  alternativeRoutingId,
  type Endpoint,
  type PciFunction,
  type PciHost,
  type SriovOptions,
  VirtualFunctions,
  type VirtualSeat,
} from '@ringwire/pci';
import type { Personality, PhysicalPlace, VirtualPlace } from './personality.js';

/** An address space that is made for one function, and given up with it: an `IommuSpace`. */
export type OwnedSpace = AddressSpace & { close(): void };

/** What a card's functions are, and where they are on the bus. */
export interface SriovNicOptions extends SriovOptions {
  /**
   * Routing id that the physical function has once buses are numbered: bus << 8 | device << 3 | function. Its DMA carries
   * it, so that whoever numbers the buses has to keep to it.
   */
  readonly physicalId: number;
  /** Of a device with several physical functions, each a `SriovNic`: number of the next one; 0, unless given: the last. */
  readonly nextFunction?: number;
  /** What the physical function is. */
  readonly physical: (place: PhysicalPlace) => Personality;
  /** What each virtual function is. Called when VF Enable is set. */
  readonly virtual: (place: VirtualPlace) => Personality;
  /** The way of a requester id to memory, through the machine's IOMMU. */
  readonly openSpace: (requesterId: number) => OwnedSpace;
  /** An MSI-X message: a DMA write by the requester. As of `PciHost.sendMessage`. */
  readonly sendMessage: (requesterId: number, low: number, high: number, data: number, vector: number) => void;
  /** The level of the physical function's interrupt pin; virtual ones have none. */
  readonly setIntx?: (asserted: boolean) => void;
}

const NEVER = Number.POSITIVE_INFINITY;

/** A virtual function that is there, or one that went and is not closed yet. */
interface Live {
  readonly personality: Personality;
  readonly space: OwnedSpace;
}

/**
 * A network card with SR-IOV: one physical function, and virtual ones that come and go by its capability. It is plugged
 * into a bus as it is, and stepped; what its functions are, it is told.
 */
export class SriovNic implements Endpoint {
  readonly virtualFunctions: VirtualFunctions;
  private readonly options: SriovNicOptions;
  private readonly physical: Personality;
  /** By index; undefined for one that is not there. */
  private readonly live: (Live | undefined)[];
  /** Gone, but perhaps at work when it went: closed when the step has ended. */
  private readonly retired: Live[] = [];
  private isStepping = false;

  constructor(options: SriovNicOptions) {
    this.options = options;
    this.live = new Array<Live | undefined>(options.totalVfs).fill(undefined);
    this.virtualFunctions = new VirtualFunctions({
      ...options,
      make: (seat) => this.make(seat),
      gone: (index) => this.retire(index),
    });
    const { physicalId } = options;
    this.physical = options.physical({
      space: options.openSpace(physicalId),
      host: this.hostOf(physicalId, options.setIntx),
      extended: [advancedErrorReporting(), alternativeRoutingId(options.nextFunction ?? 0)],
      virtualFunctions: this.virtualFunctions,
    });
  }

  /** The physical function. */
  get pci(): PciFunction {
    return this.physical.pci;
  }

  /** What a virtual function is now; undefined for one that is not there. @param index from 0 on */
  personalityOf(index: number): Personality | undefined {
    return this.live[index]?.personality;
  }

  /**
   * Do a bounded amount of work for every function. Whatever it leads to may switch virtual functions on and off.
   * @param budget most frames per queue
   * @returns 0: nothing to do until a notification or a frame
   */
  step(budget: number): number {
    const isOuter = !this.isStepping;
    this.isStepping = true;
    let done = this.physical.step(budget);
    for (let index = 0; index < this.live.length; index++) done += this.live[index]?.personality.step(budget) ?? 0;
    if (isOuter) {
      this.isStepping = false;
      this.closeRetired();
    }
    return done;
  }

  /** When {@link step} is to be called at the latest, in µs of the functions' clock; Infinity when nothing waits. */
  deadline(): number {
    let first = this.physical.deadline?.() ?? NEVER;
    for (const live of this.live) first = Math.min(first, live?.personality.deadline?.() ?? NEVER);
    return first;
  }

  private make(seat: VirtualSeat): PciFunction {
    const space = this.options.openSpace(seat.routingId);
    const personality = this.options.virtual({ seat, space, host: this.hostOf(seat.routingId) });
    this.live[seat.index] = { personality, space };
    return personality.pci;
  }

  private retire(index: number): void {
    const gone = this.live[index];
    if (gone === undefined) return;
    this.live[index] = undefined;
    this.retired.push(gone);
    if (!this.isStepping) this.closeRetired();
  }

  private closeRetired(): void {
    for (const { personality, space } of this.retired.splice(0)) {
      personality.close();
      space.close();
    }
  }

  private hostOf(requesterId: number, setIntx: (asserted: boolean) => void = () => {}): PciHost {
    const { sendMessage } = this.options;
    return { sendMessage: (low, high, data, vector) => sendMessage(requesterId, low, high, data, vector), setIntx };
  }
}
