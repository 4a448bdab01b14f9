import { type AddressSpace, type HostMemory, type RangeList, RESOLVE } from '@ringwire/guest-memory';
import type { BurstBus, ForgetTarget } from './invalidation-bus.js';
import { IommuSpace } from './iommu-space.js';
import type { Iotlb } from './iotlb.js';
import type { Iommu } from './translation.js';

/**
 * What a guest's addresses are to its host, seen by a guest's IOMMU: its tables are read through it, and its results end
 * there. Counts what the host refuses.
 */
export class HostStage implements AddressSpace {
  readonly memory: HostMemory;
  /** Accesses to guest-physical addresses that the host does not allow. */
  refused = 0;

  private readonly space: AddressSpace;

  /** @param space guest-physical addresses: those of the same requester behind the host's IOMMU */
  constructor(space: AddressSpace) {
    this.memory = space.memory;
    this.space = space;
  }

  enter(): number {
    return this.space.enter();
  }

  leave(): void {
    this.space.leave();
  }

  resolve(address: number, length: number, access: number): number {
    const offset = this.space.resolve(address, length, access);
    if (offset === RESOLVE.FAULT) this.refused++;
    return offset;
  }

  resolveRanges(address: number, length: number, access: number, ranges: RangeList): boolean {
    if (this.space.resolveRanges(address, length, access, ranges)) return true;
    this.refused++;
    return false;
  }
}

/** The two stages of a {@link NestedSpace}. */
export interface NestedSpaceConfig {
  readonly guest: {
    /** The guest's IOMMU, over tables in the guest's memory: made with a {@link HostStage} as its memory. */
    readonly unit: Iommu;
    /** The requester as the guest knows it. */
    readonly sourceId: number;
    readonly pasid?: number;
    /** This thread's bus of the guest's invalidations. */
    readonly bus: BurstBus;
  };
  readonly host: {
    readonly stage: HostStage;
    /** This thread's bus of the host's, which the stage's own space is on. */
    readonly bus: BurstBus;
  };
  /** For translations from the guest's I/O addresses to host offsets; shared with nobody. */
  readonly iotlb: Iotlb;
}

/**
 * A device's addresses behind two IOMMUs: a guest's, whose tables lie in the guest's memory, and the host's. What one of
 * them ends is out of reach when the one who ended it goes on: both are waited for. Translations are cached whole, and
 * all of them are forgotten when the host publishes anything, for it names addresses that the cache doesn't know.
 */
export class NestedSpace implements AddressSpace {
  readonly memory: HostMemory;
  /** Requests that ended in a fault, by whose tables had no place for them. */
  readonly faults: { guest: number; host: number } = { guest: 0, host: 0 };

  private readonly stage: HostStage;
  private readonly hostBus: BurstBus;
  private readonly inner: IommuSpace;
  private readonly forget: ForgetTarget;

  constructor({ guest, host, iotlb }: NestedSpaceConfig) {
    this.memory = host.stage.memory;
    this.stage = host.stage;
    this.hostBus = host.bus;
    this.inner = new IommuSpace({ ...guest, bus: bothBuses(host.stage, guest.bus), physical: host.stage, iotlb });
    const forget = (): void => iotlb.all();
    this.forget = { all: forget, domain: forget, pages: forget, requester: forget };
    host.bus.join(this.forget);
  }

  enter(): number {
    return this.inner.enter();
  }

  leave(): void {
    this.inner.leave();
  }

  /** Give up the places on both buses; the host's space is its owner's to close. */
  close(): void {
    this.inner.close();
    this.hostBus.quit(this.forget);
  }

  resolve(address: number, length: number, access: number): number {
    const before = this.stage.refused;
    const offset = this.inner.resolve(address, length, access);
    if (offset === RESOLVE.FAULT) this.count(before);
    return offset;
  }

  resolveRanges(address: number, length: number, access: number, ranges: RangeList): boolean {
    const before = this.stage.refused;
    if (this.inner.resolveRanges(address, length, access, ranges)) return true;
    this.count(before);
    return false;
  }

  private count(refusedBefore: number): void {
    if (this.stage.refused === refusedBefore) this.faults.guest++;
    else this.faults.host++;
  }
}

/** Bursts of both stages as one; what joins hears of the guest's invalidations. */
function bothBuses(stage: HostStage, guest: BurstBus): BurstBus {
  return {
    // Each counts up: the sum is another one when either is.
    enter: () => (stage.enter() + guest.enter()) | 0,
    leave: () => {
      guest.leave();
      stage.leave();
    },
    join: (target) => guest.join(target),
    quit: (target) => guest.quit(target),
  };
}
