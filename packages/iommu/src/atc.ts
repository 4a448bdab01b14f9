import type { ForgetTarget, InvalidationBus } from './invalidation-bus.js';
import { Iotlb, type IotlbCounters } from './iotlb.js';
import { KEEP } from './translation.js';
import { DEVICE_TLB, type DeviceTlbInvalidation } from './vtd-invalidation.js';

/** What an {@link Atc} counted since it was made, beside what its cache did. */
export interface AtcCounters {
  /** Translation requests sent. */
  requests: number;
  /** Of these, answered without the rights that were asked for, or refused. */
  refused: number;
  /** Accesses that went untranslated, because the unit answers no translation requests at present. */
  untranslated: number;
  /** Invalidation requests that named this device. */
  invalidations: number;
}

/**
 * A device's own translation cache (PCIe address translation services): what it holds was asked for by translation
 * requests, and is used without the IOMMU looking again until an invalidation request takes it away.
 */
export class Atc implements ForgetTarget {
  readonly counters: AtcCounters = { requests: 0, refused: 0, untranslated: 0, invalidations: 0 };
  readonly cache: Iotlb;

  /** @param capacity pieces of 4 KiB, a power of two from 2 to 2^20 */
  constructor(capacity = 256) {
    this.cache = new Iotlb(capacity);
  }

  /** Hits, misses, evictions and what was invalidated; translation requests say how many entries they read. */
  get cacheCounters(): IotlbCounters {
    return this.cache.counters;
  }

  all(keep = 0): void {
    if ((keep & KEEP.DEVICES) === 0) this.cache.all();
  }

  domain(domain: number, keep = 0): void {
    if ((keep & KEEP.DEVICES) === 0) this.cache.domain(domain);
  }

  pages(domain: number, address: number, mask: number, keep = 0): void {
    if ((keep & KEEP.DEVICES) === 0) this.cache.pages(domain, address, mask);
  }

  /** Translated requests are checked against the requester's context, which changed. */
  requester(sourceId: number): void {
    this.cache.requester(sourceId);
  }

  deviceTlb(sourceId: number, pasid: number, address: number, mask: number): void {
    if (this.cache.stretch(sourceId, pasid, address, mask)) this.counters.invalidations++;
  }
}

/**
 * For `VtdUnitConfig.deviceTlb`: device-TLB descriptors reach the caches of devices on all threads of a bus. The answer is
 * there when no DMA goes by what they held.
 */
export function deviceTlbOver(bus: InvalidationBus): DeviceTlbInvalidation {
  return (sourceId, pasid, address, mask) => {
    bus.deviceTlb(sourceId, pasid, address, mask);
    return DEVICE_TLB.DONE;
  };
}
