import { hasFeature } from '@ringwire/virtio-spec';
import {
  type IommuConfigField,
  VIRTIO_IOMMU_CONFIG,
  VIRTIO_IOMMU_CONFIG_SIZE,
  VIRTIO_IOMMU_F,
} from '@ringwire/virtio-spec/iommu';
import type { VirtioIommuSetup } from './virtio-iommu-options.js';

const BYPASS_AT = VIRTIO_IOMMU_CONFIG.bypass.at;

/**
 * The device configuration space, read and written in pieces of any size at any offset. A field whose feature is not
 * offered reads as zeros, and so does what lies past the end.
 */
export class IommuConfigSpace {
  private readonly bytes: Uint8Array;
  private readonly offered: Uint32Array;

  constructor(setup: VirtioIommuSetup) {
    this.bytes = new Uint8Array(VIRTIO_IOMMU_CONFIG_SIZE);
    this.offered = setup.offered;
    this.put('page_size_mask', setup.pageSizeMask);
    this.put('input_range_start', setup.inputRange.start);
    this.put('input_range_end', setup.inputRange.end);
    this.put('domain_range_start', setup.domainRange.start);
    this.put('domain_range_end', setup.domainRange.end);
    this.put('probe_size', setup.probeSize);
    this.bypass = setup.bypass;
  }

  /** The field bypass: 0 or 1, nothing else. */
  get bypass(): boolean {
    return this.bytes[BYPASS_AT] === 1;
  }

  set bypass(value: boolean) {
    this.put('bypass', value ? 1 : 0);
  }

  read(offset: number, into: Uint8Array): void {
    for (let at = 0; at < into.length; at++) into[at] = this.bytes[offset + at] ?? 0;
  }

  /**
   * The one byte of a write that may change something.
   * @returns the new value of bypass, or undefined when it stays as it is: not written, not negotiated, or neither 0
   *          nor 1
   */
  writtenBypass(offset: number, bytes: Uint8Array, negotiated: Uint32Array): boolean | undefined {
    const value = bytes[BYPASS_AT - offset];
    if (!hasFeature(negotiated, VIRTIO_IOMMU_F.BYPASS_CONFIG)) return undefined;
    return value === 0 || value === 1 ? value === 1 : undefined;
  }

  private put(field: IommuConfigField, value: number | bigint): void {
    const row = VIRTIO_IOMMU_CONFIG[field];
    if ('feature' in row && !hasFeature(this.offered, VIRTIO_IOMMU_F[row.feature])) return;
    let rest = BigInt(value);
    for (let at = 0; at < row.bytes; at++) {
      this.bytes[row.at + at] = Number(rest & 0xffn);
      rest >>= 8n;
    }
  }
}
