import { featureWords, VirtioError } from '@ringwire/virtio-spec';
import { VIRTIO_IOMMU_F } from '@ringwire/virtio-spec/iommu';
import type { InvalidationSink } from './translation.js';

/** Numbers from `start` to `end`, both included. */
export interface InclusiveRange {
  readonly start: number;
  readonly end: number;
}

/**
 * A host's own IOMMU, or anything else that is to have the same domains. Each method is called before the request is
 * answered; one that returns false refuses it, and nothing has changed then.
 */
export interface DomainMirror {
  /** An endpoint comes to a domain, from another one perhaps; the domain exists from its first endpoint on. */
  attach(endpoint: number, domain: number, bypass: boolean): boolean;
  /** An endpoint leaves its domain for none. A domain without endpoints is gone, and its mappings with it. */
  detach(endpoint: number, domain: number): void;
  /** @param flags `VIRTIO_IOMMU_MAP_F` bits */
  map(domain: number, virtStart: number, virtEnd: number, physStart: number, flags: number): boolean;
  /** All mappings between the two addresses go; the first one starts and the last one ends there. */
  unmap(domain: number, virtStart: number, virtEnd: number): void;
}

/** What a virtio-iommu device offers. Everything has a default. */
export interface VirtioIommuOptions {
  /** Page sizes, bit n for 2^n; the lowest bit, below 2^53, is the granularity. 4 KiB, 2 MiB and 1 GiB unless given. */
  readonly pageSizeMask?: bigint;
  /** Virtual addresses that can be mapped, on the granularity; all below 2^53 unless given. Offered as INPUT_RANGE. */
  readonly inputRange?: InclusiveRange;
  /** Domain ids, offered as DOMAIN_RANGE; any 32-bit number will do without it. */
  readonly domainRange?: InclusiveRange;
  /** Bytes of a PROBE request's properties, a multiple of 4 up to 4096; 512 unless given. With 0 PROBE isn't offered. */
  readonly probeSize?: number;
  /** Whether MMIO is offered: unless false. */
  readonly mmio?: boolean;
  /** Whether BYPASS_CONFIG is offered: unless false. */
  readonly bypassConfig?: boolean;
  /** Initial value of the field bypass: not set unless true. */
  readonly bypass?: boolean;
  /** Most mappings of all domains together, up to 2^24; 2^20 unless given. One more is refused with NOMEM. */
  readonly maxMappings?: number;
  /** Highest guest-physical address that may be mapped; 2^53-1 unless given. */
  readonly physicalEnd?: number;
  /** Who caches translations. */
  readonly invalidations?: InvalidationSink;
  /** Who has the same domains. */
  readonly mirror?: DomainMirror;
}

/** The options with their defaults, checked. */
export interface VirtioIommuSetup {
  readonly pageSizeMask: bigint;
  /** The page granularity in bytes. */
  readonly granule: number;
  /** Page sizes in bytes, the largest first, up to what a cache may want to hold as one page. */
  readonly pageSizes: Float64Array;
  readonly inputRange: InclusiveRange;
  readonly domainRange: InclusiveRange;
  readonly probeSize: number;
  readonly bypass: boolean;
  readonly maxMappings: number;
  readonly physicalEnd: number;
  readonly invalidations: InvalidationSink;
  readonly mirror: DomainMirror | undefined;
  /** Feature bits of `VIRTIO_IOMMU_F` that the device offers. */
  readonly offered: Uint32Array<ArrayBuffer>;
}

/** Most endpoints of one device, and so most domains: a domain exists only while an endpoint is attached to it. */
export const ENDPOINTS_MAX = 0x1_0000;

const TOP = Number.MAX_SAFE_INTEGER;
const UINT32_MAX = 0xffff_ffff;
const PROBE_SIZE_MAX = 4096;
const MAPPINGS_MAX = 2 ** 24;
const CONFIG = 'virtio 1.4 §5.13.4';

/** @throws VirtioError for an option that cannot be */
export function setUp(options: VirtioIommuOptions): VirtioIommuSetup {
  const { pageSizeMask = 0x4020_1000n, probeSize = 512, maxMappings = 2 ** 20, physicalEnd = TOP } = options;
  const pageSizes = pageSizesOf(pageSizeMask);
  const granule = pageSizes[pageSizes.length - 1]!;
  const inputRange = options.inputRange ?? { start: 0, end: TOP };
  checkRange('input_range', inputRange, TOP);
  if (inputRange.start % granule !== 0 || (inputRange.end % granule) + 1 !== granule) {
    const range = `${inputRange.start} to ${inputRange.end}`;
    throw new VirtioError('input_range', range, `whole pages of ${granule} bytes`, CONFIG);
  }
  const domainRange = options.domainRange ?? { start: 0, end: UINT32_MAX };
  checkRange('domain_range', domainRange, UINT32_MAX);
  checkNumber('probe_size', probeSize, 0, PROBE_SIZE_MAX);
  if (probeSize % 4 !== 0) throw new VirtioError('probe_size', probeSize, 'a multiple of 4', CONFIG);
  checkNumber('maxMappings', maxMappings, 1, MAPPINGS_MAX);
  checkNumber('physicalEnd', physicalEnd, 0, TOP);
  const { bypass = false, bypassConfig = true } = options;
  if (bypass && !bypassConfig) throw new VirtioError('bypass', 1, 'BYPASS_CONFIG offered along with it', CONFIG);
  return {
    pageSizeMask,
    granule,
    pageSizes,
    inputRange,
    domainRange,
    probeSize,
    bypass,
    maxMappings,
    physicalEnd,
    invalidations: options.invalidations ?? NOBODY,
    mirror: options.mirror,
    offered: offeredBy(options, probeSize, bypassConfig),
  };
}

/** virtio 1.4 §5.13.3.2. BYPASS, which BYPASS_CONFIG supersedes, is never offered. */
function offeredBy(options: VirtioIommuOptions, probeSize: number, bypassConfig: boolean): Uint32Array<ArrayBuffer> {
  const bits: number[] = [VIRTIO_IOMMU_F.INPUT_RANGE, VIRTIO_IOMMU_F.MAP_UNMAP];
  if (options.domainRange !== undefined) bits.push(VIRTIO_IOMMU_F.DOMAIN_RANGE);
  if (probeSize > 0) bits.push(VIRTIO_IOMMU_F.PROBE);
  if (options.mmio !== false) bits.push(VIRTIO_IOMMU_F.MMIO);
  if (bypassConfig) bits.push(VIRTIO_IOMMU_F.BYPASS_CONFIG);
  return featureWords(bits);
}

function pageSizesOf(mask: bigint): Float64Array {
  if (mask <= 0n || mask >> 64n !== 0n) throw new VirtioError('page_size_mask', mask, '1 to 2^64-1', CONFIG);
  const sizes: number[] = [];
  for (let bit = 0; bit < 53; bit++) if ((mask >> BigInt(bit)) & 1n) sizes.push(2 ** bit);
  if (sizes.length === 0) throw new VirtioError('page_size_mask', mask, 'a page size below 2^53', CONFIG);
  return Float64Array.from(sizes.reverse());
}

function checkRange(field: string, { start, end }: InclusiveRange, max: number): void {
  checkNumber(`${field}.end`, end, 0, max);
  checkNumber(`${field}.start`, start, 0, end);
}

function checkNumber(field: string, value: number, min: number, max: number): void {
  if (!Number.isSafeInteger(value) || value < min || value > max)
    throw new VirtioError(field, value, `an integer from ${min} to ${max}`, CONFIG);
}

const NOBODY: InvalidationSink = { all: () => {}, domain: () => {}, pages: () => {}, requester: () => {} };
