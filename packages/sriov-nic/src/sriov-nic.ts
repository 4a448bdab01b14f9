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

/** A function, its way to memory, and whether it is to be stepped. */
class Live {
  readonly space: OwnedSpace;
  isAwake = true;
  private made: Personality | undefined = undefined;

  /** @param woken called whenever it is woken */
  constructor(space: OwnedSpace, woken: () => void, make: (wake: () => void) => Personality) {
    this.space = space;
    this.made = make(() => {
      this.isAwake = true;
      woken();
    });
  }

  get personality(): Personality {
    return this.made!;
  }

  step(budget: number): number {
    const personality = this.made!;
    if (personality.sleeps !== true) return personality.step(budget);
    // Before: what comes while it is at work is for the next step.
    this.isAwake = false;
    const done = personality.step(budget);
    if (done > 0 || this.deadline() < NEVER) this.isAwake = true;
    return done;
  }

  deadline(): number {
    return this.made!.deadline?.() ?? NEVER;
  }
}

/**
 * A network card with SR-IOV: one physical function, and virtual ones that come and go by its capability. It is plugged
 * into a bus as it is, and stepped; what its functions are, it is told.
 */
export class SriovNic implements Endpoint {
  readonly virtualFunctions: VirtualFunctions;
  private readonly options: SriovNicOptions;
  private readonly physical: Live;
  /** Virtual functions by index; undefined for one that is not there. */
  private readonly live: (Live | undefined)[];
  /** Gone, but perhaps at work when it went: closed when the step has ended. */
  private readonly retired: Live[] = [];
  private isStepping = false;
  private wasWoken = false;

  constructor(options: SriovNicOptions) {
    this.options = options;
    this.live = new Array<Live | undefined>(options.totalVfs).fill(undefined);
    this.virtualFunctions = new VirtualFunctions({
      ...options,
      make: (seat) => this.make(seat),
      gone: (index) => this.retire(index),
    });
    const { physicalId } = options;
    const space = options.openSpace(physicalId);
    this.physical = new Live(space, this.noteWoken, (wake) =>
      options.physical({
        space,
        host: this.hostOf(physicalId, options.setIntx),
        wake,
        extended: [advancedErrorReporting(), alternativeRoutingId(options.nextFunction ?? 0)],
        virtualFunctions: this.virtualFunctions,
      }),
    );
  }

  /** The physical function. */
  get pci(): PciFunction {
    return this.physical.personality.pci;
  }

  /** What a virtual function is now; undefined for one that is not there. @param index from 0 on */
  personalityOf(index: number): Personality | undefined {
    return this.live[index]?.personality;
  }

  /**
   * Do a bounded amount of work for every function that may have some. Whatever it leads to may switch virtual functions on
   * and off.
   * @param budget most frames per queue
   * @returns 0: nothing to do until a notification or a frame
   */
  step(budget: number): number {
    const isOuter = !this.isStepping;
    this.isStepping = true;
    this.wasWoken = false;
    let done = this.physical.isAwake ? this.physical.step(budget) : 0;
    for (let index = 0; index < this.live.length; index++) {
      const live = this.live[index];
      if (live?.isAwake === true) done += live.step(budget);
    }
    if (isOuter) {
      this.isStepping = false;
      this.closeRetired();
    }
    // One may have been woken by another that was stepped behind it.
    return done > 0 || !this.wasWoken ? done : 1;
  }

  /** When {@link step} is to be called at the latest, in µs of the functions' clock; Infinity when nothing waits. */
  deadline(): number {
    let first = this.physical.isAwake ? this.physical.deadline() : NEVER;
    for (const live of this.live) if (live?.isAwake === true) first = Math.min(first, live.deadline());
    return first;
  }

  private readonly noteWoken = (): void => {
    this.wasWoken = true;
  };

  private make(seat: VirtualSeat): PciFunction {
    const space = this.options.openSpace(seat.routingId);
    const host = this.hostOf(seat.routingId);
    const live = new Live(space, this.noteWoken, (wake) => this.options.virtual({ seat, space, host, wake }));
    this.live[seat.index] = live;
    return live.personality.pci;
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
