import type { ProbedRegion } from './virtio-iommu-driver-reports.js';

interface Mapped {
  readonly start: number;
  readonly end: number;
}

/** What a driver knows of one domain that it made. */
export class DriverDomain {
  readonly bypass: boolean;
  readonly endpoints: Set<number> = new Set();
  /** Mappings asked for and not gone, by address. */
  private readonly mapped: Mapped[] = [];

  constructor(bypass: boolean) {
    this.bypass = bypass;
  }

  /** Whether an address of `start` to `end` is mapped. */
  overlaps(start: number, end: number): boolean {
    const at = this.behind(end);
    return at > 0 && this.mapped[at - 1]!.end >= start;
  }

  /** Whether a mapping lies on both sides of `address - 1` and `address`: no UNMAP may begin or end between them. */
  splits(address: number): boolean {
    const at = this.behind(address - 1);
    return at > 0 && this.mapped[at - 1]!.end >= address;
  }

  add(start: number, end: number): void {
    this.mapped.splice(this.behind(start), 0, { start, end });
  }

  /** Forget the mappings from `start` to `end`. */
  remove(start: number, end: number): void {
    const first = this.behind(start - 1);
    this.mapped.splice(first, this.behind(end) - first);
  }

  /** How many mappings start at or below the address. */
  private behind(address: number): number {
    let low = 0;
    let high = this.mapped.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if (this.mapped[middle]!.start <= address) low = middle + 1;
      else high = middle;
    }
    return low;
  }
}

/** Endpoints and domains, as far as the device said OK to them. */
export class DriverDomains {
  /** Regions of each endpoint that was probed. */
  readonly probed: Map<number, readonly ProbedRegion[]> = new Map();
  readonly domains: Map<number, DriverDomain> = new Map();
  private readonly domainOf: Map<number, number> = new Map();

  attached(endpoint: number, id: number, bypass: boolean): void {
    this.detached(endpoint);
    const domain = this.domains.get(id) ?? new DriverDomain(bypass);
    domain.endpoints.add(endpoint);
    this.domains.set(id, domain);
    this.domainOf.set(endpoint, id);
  }

  /** A domain without endpoints is gone. */
  detached(endpoint: number): void {
    const id = this.domainOf.get(endpoint);
    const domain = id === undefined ? undefined : this.domains.get(id);
    if (id === undefined || domain === undefined) return;
    this.domainOf.delete(endpoint);
    domain.endpoints.delete(endpoint);
    if (domain.endpoints.size === 0) this.domains.delete(id);
  }

  domainIdOf(endpoint: number): number | undefined {
    return this.domainOf.get(endpoint);
  }

  /** The reserved region of an endpoint in the domain that has an address of `start` to `end`. */
  reservedIn(domain: DriverDomain, start: number, end: number): ProbedRegion | undefined {
    for (const endpoint of domain.endpoints) {
      const regions = this.probed.get(endpoint) ?? [];
      const region = regions.find((one) => start <= one.end && end >= one.start);
      if (region !== undefined) return region;
    }
    return undefined;
  }
}
