import { VirtioError } from '@ringwire/virtio-spec';
import {
  VIRTIO_IOMMU_PROBE_PROPERTY,
  VIRTIO_IOMMU_PROBE_RESV_MEM,
  VIRTIO_IOMMU_PROBE_T,
  VIRTIO_IOMMU_RESV_MEM_T,
} from '@ringwire/virtio-spec/iommu';

/** Virtual addresses of an endpoint that no MAP request may use; `end` is the last of them. */
export interface ReservedRegion {
  readonly kind: 'reserved' | 'msi';
  /** Both below 2^53, on the page granularity: `start` and `end + 1` are multiples of it. */
  readonly start: number;
  readonly end: number;
}

/** Most regions of one endpoint. */
const REGIONS_MAX = 16;

const SPEC = 'virtio 1.4 §5.13.6.8.1';

/**
 * Check an endpoint's regions.
 * @returns a sorted copy
 * @throws VirtioError where they overlap, are off the granularity, too many, or have more than one MSI region
 */
export function checkRegions(regions: readonly ReservedRegion[], granule: number): readonly ReservedRegion[] {
  if (regions.length > REGIONS_MAX) throw new VirtioError('regions', regions.length, `at most ${REGIONS_MAX}`, SPEC);
  const sorted = regions.map(({ kind, start, end }) => ({ kind, start, end })).sort((a, b) => a.start - b.start);
  sorted.forEach(({ start, end }, at) => {
    if (!Number.isSafeInteger(start) || start < 0 || start % granule !== 0)
      throw new VirtioError('region start', start, `a multiple of ${granule} below 2^53`, SPEC);
    if (!Number.isSafeInteger(end) || end < start || (end % granule) + 1 !== granule)
      throw new VirtioError('region end', end, `from ${start} on, one below a multiple of ${granule}`, SPEC);
    const before = sorted[at - 1];
    if (before !== undefined && before.end >= start)
      throw new VirtioError('region start', start, `an address past ${before.end}, the end of its neighbour`, SPEC);
  });
  const doorbells = sorted.filter(({ kind }) => kind === 'msi').length;
  if (doorbells > 1) throw new VirtioError('MSI regions', doorbells, 'at most 1', SPEC);
  return sorted;
}

/** The region that holds the address. */
export function regionAt(regions: readonly ReservedRegion[], address: number): ReservedRegion | undefined {
  for (let at = 0; at < regions.length; at++) {
    const region = regions[at]!;
    if (address >= region.start && address <= region.end) return region;
  }
  return undefined;
}

/** Whether an address of `first` to `last` is reserved. */
export function regionsOverlap(regions: readonly ReservedRegion[], first: number, last: number): boolean {
  return regions.some(({ start, end }) => first <= end && last >= start);
}

/** Whether two endpoints may share a domain: no address is a doorbell to one of them and forbidden to the other. */
export function regionsAgree(one: readonly ReservedRegion[], other: readonly ReservedRegion[]): boolean {
  return one.every((a) => other.every((b) => a.kind === b.kind || a.end < b.start || b.end < a.start));
}

/** Bytes of the properties that tell of the regions. */
export const propertyBytes = (regions: readonly ReservedRegion[]): number =>
  regions.length * VIRTIO_IOMMU_PROBE_RESV_MEM.SIZE;

/** Write the properties, one behind the other, into bytes that are zero. @see virtio 1.4 §5.13.6.7, §5.13.6.8.1 */
export function writeProperties(regions: readonly ReservedRegion[], properties: DataView): void {
  const { SIZE, subtype, start, end } = VIRTIO_IOMMU_PROBE_RESV_MEM;
  regions.forEach((region, index) => {
    const at = index * SIZE;
    properties.setUint16(at + VIRTIO_IOMMU_PROBE_PROPERTY.type, VIRTIO_IOMMU_PROBE_T.RESV_MEM, true);
    properties.setUint16(at + VIRTIO_IOMMU_PROBE_PROPERTY.length, SIZE - VIRTIO_IOMMU_PROBE_PROPERTY.SIZE, true);
    const { MSI, RESERVED } = VIRTIO_IOMMU_RESV_MEM_T;
    properties.setUint8(at + subtype, region.kind === 'msi' ? MSI : RESERVED);
    properties.setBigUint64(at + start, BigInt(region.start), true);
    properties.setBigUint64(at + end, BigInt(region.end), true);
  });
}
