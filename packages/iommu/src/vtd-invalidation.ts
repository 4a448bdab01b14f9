import { ACCESS, type AddressSpace } from '@ringwire/guest-memory';
import { type InvalidationSink, KEEP } from './translation.js';
import type { VtdCapabilities } from './vtd-capabilities.js';
import { VTD_GRANULARITY } from './vtd-registers.js';

const WORD = 0x1_0000_0000;
/** Invalidation hint: the paging-structure caches may stay as they are. */
const IH = 0x40;

/** How a device answered an invalidation of its own TLB. */
export const DEVICE_TLB = { DONE: 0, TIMEOUT: 1, ERROR: 2 } as const;
export type DeviceTlbAnswer = (typeof DEVICE_TLB)[keyof typeof DEVICE_TLB];

/**
 * Forward the invalidation of a device's own TLB.
 * @param pasid        or NO_PASID
 * @param address,mask a naturally aligned stretch, `address` to `address + mask`; all of it when mask is Infinity
 */
export type DeviceTlbInvalidation = (sourceId: number, pasid: number, address: number, mask: number) => DeviceTlbAnswer;

/** Interrupt remapping entries from `first` on are void. */
export type InterruptEntryInvalidation = (first: number, count: number) => void;

/**
 * What an invalidation means for the caches above the unit, whichever way it was asked for (VT-d 4.0 §6.5). Where a
 * cache cannot name exactly what is void, more is dropped. Domains and requesters that nothing knows are no error.
 */
export class VtdInvalidator {
  private readonly sink: InvalidationSink;
  private readonly capabilities: VtdCapabilities;
  /** What an invalidation of the IOTLB leaves alone. */
  private readonly keep: number;

  /** @param separateDevices whether devices' own caches are told by descriptors of their own alone */
  constructor(sink: InvalidationSink, capabilities: VtdCapabilities, separateDevices: boolean) {
    this.sink = sink;
    this.capabilities = capabilities;
    this.keep = separateDevices ? KEEP.DEVICES : 0;
  }

  all(): void {
    this.sink.all();
  }

  /** PASID-cache invalidation: the tables of a domain changed. */
  domain(domain: number): void {
    this.sink.domain(domain);
  }

  /** IOTLB invalidation of all pages of a domain. */
  wholeDomain(domain: number): void {
    this.sink.domain(domain, this.keep);
  }

  /**
   * Context-cache invalidation, §6.5.1.1.
   * @param functionMask 0 to 3: how many bits of the function number, from its top, don't count
   * @returns the granularity that was done; 0 for a reserved one
   */
  context(granularity: number, domain: number, sourceId: number, functionMask: number): number {
    switch (granularity) {
      case VTD_GRANULARITY.GLOBAL:
        this.sink.all();
        return granularity;
      case VTD_GRANULARITY.DOMAIN:
        this.sink.domain(domain);
        return granularity;
      case VTD_GRANULARITY.FINE: {
        // FM 1 takes bit 2 of the function number out of the comparison, 2 bits 2:1, 3 bits 2:0.
        const ignored = (0b111 << (3 - functionMask)) & 0b111;
        for (let bits = 0; bits < 8; bits++)
          if ((bits & ~ignored) === 0) this.sink.requester((sourceId & ~ignored) | bits);
        return granularity;
      }
      default:
        return 0;
    }
  }

  /**
   * IOTLB invalidation, §6.5.1.2.
   * @param low, high address and address mask as IVA_REG and the descriptor have them
   * @returns the granularity that was done; 0 for a reserved one or too large a mask
   */
  iotlb(granularity: number, domain: number, low: number, high: number): number {
    if (granularity === VTD_GRANULARITY.GLOBAL) {
      this.sink.all(this.keep);
      return granularity;
    }
    if (granularity === VTD_GRANULARITY.FINE && this.capabilities.pageSelective) {
      if ((low & 0x3f) > this.capabilities.maxAddressMask) return 0;
      // Under nested translation these are addresses of the second stage, which no cache keeps.
      if (this.capabilities.nested) this.wholeDomain(domain);
      else this.pages(domain, low, high);
      return granularity;
    }
    if (granularity !== VTD_GRANULARITY.DOMAIN && granularity !== VTD_GRANULARITY.FINE) return 0;
    this.wholeDomain(domain);
    return VTD_GRANULARITY.DOMAIN;
  }

  /**
   * 2^AM pages around an address; AM is bits 5:0 of `low`, the address bits 63:12. With IH, bit 6, software says that no
   * entry above the pages' own changed.
   */
  pages(domain: number, low: number, high: number): void {
    const mask = 2 ** ((low & 0x3f) + 12) - 1;
    const address = high * WORD + ((low & 0xffff_f000) >>> 0);
    if (mask >= 2 ** 53 - 1) {
      this.wholeDomain(domain);
      return;
    }
    // No translation has an input address past 2^53.
    if (address >= 2 ** 53) return;
    const keep = (low & IH) !== 0 ? this.keep | KEEP.TABLES : this.keep;
    this.sink.pages(domain, address - (address % (mask + 1)), mask, keep);
  }

  requester(sourceId: number): void {
    this.sink.requester(sourceId);
  }
}

/**
 * The status write of an invalidation wait: to RAM and nowhere else, whatever the address names.
 * @returns whether there was such RAM
 */
export function writeStatus(memory: AddressSpace, low: number, high: number, data: number): boolean {
  const offset = memory.resolve(high * WORD + low, 4, ACCESS.WRITE);
  if (offset < 0) return false;
  if ((offset & 3) === 0) Atomics.store(memory.memory.i32, offset >>> 2, data | 0);
  else memory.memory.view.setUint32(offset, data, true);
  return true;
}
