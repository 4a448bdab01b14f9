import type { AddressWindow, HostMemory, RangeList } from '@ringwire/guest-memory';
import type { InvalidationBus, IommuDomain, IommuSpace } from '@ringwire/iommu';
import type { AsidSpace } from './asid-space.js';
import { DomainMappings } from './domain-mappings.js';

/** An address space that the platform's IOMMU translates, with the device's side of it. */
export class DomainSpace extends DomainMappings implements AsidSpace {
  private readonly space: IommuSpace;

  /**
   * @param space of a requester, with or without PASID, that uses the domain
   * @param tracksDirty see {@link DomainMappings}
   */
  constructor(memory: HostMemory, domain: IommuDomain, bus: InvalidationBus, space: IommuSpace, tracksDirty = false) {
    super(memory, domain, bus, tracksDirty);
    this.space = space;
  }

  windowFor(access: number): AddressWindow {
    return this.space.windowFor(access);
  }

  enter(): number {
    return this.space.enter();
  }

  leave(): void {
    this.space.leave();
  }

  resolve(address: number, length: number, access: number): number {
    return this.space.resolve(address, length, access);
  }

  resolveRanges(address: number, length: number, access: number, ranges: RangeList): boolean {
    return this.space.resolveRanges(address, length, access, ranges);
  }

  /** Nobody resolves here any more. */
  close(): void {
    this.clear();
    this.space.close();
  }
}
