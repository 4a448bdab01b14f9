import { ACCESS, type AddressSpace, type HostMemory, type RangeList, RESOLVE } from '@ringwire/guest-memory';
import { VirtioError } from '@ringwire/virtio-spec';
import type { BusMember, InvalidationBus } from './invalidation-bus.js';
import { IOTLB_TAGS_MAX, type Iotlb } from './iotlb.js';
import { type Iommu, NO_PASID, newTranslation, TRANSLATED, type Translation } from './translation.js';

const { FAULT, SPLIT } = RESOLVE;
const { READ, WRITE } = ACCESS;
const PAGE_BYTES = 4096;

/** Whose DMA a space is, and through what it goes. */
export interface IommuSpaceConfig {
  readonly unit: Iommu;
  /** Requester id or endpoint id. */
  readonly sourceId: number;
  readonly pasid?: number;
  /** What the unit's physical addresses mean: the machine's memory. */
  readonly physical: AddressSpace;
  readonly iotlb: Iotlb;
  /** Tells this space apart in an IOTLB that several share, 0 ≤ tag < 2048. */
  readonly tag?: number;
  readonly bus: InvalidationBus;
}

/**
 * The address space of one requester behind an IOMMU. Between {@link enter} and {@link leave} lies a burst: host offsets
 * that were resolved in it are good until it ends, and whoever takes a mapping away waits for that.
 */
export class IommuSpace implements AddressSpace {
  readonly memory: HostMemory;

  private readonly unit: Iommu;
  private readonly sourceId: number;
  private readonly pasid: number;
  private readonly physical: AddressSpace;
  private readonly iotlb: Iotlb;
  private readonly tag: number;
  private readonly member: BusMember;
  private readonly walked: Translation = newTranslation();

  constructor(config: IommuSpaceConfig) {
    const { unit, sourceId, physical, iotlb, bus } = config;
    this.tag = config.tag ?? 0;
    if (!Number.isInteger(this.tag) || this.tag < 0 || this.tag >= IOTLB_TAGS_MAX)
      throw new VirtioError('tag', this.tag, `an integer below ${IOTLB_TAGS_MAX}`, 'IommuSpace');
    this.memory = physical.memory;
    this.unit = unit;
    this.sourceId = sourceId;
    this.pasid = config.pasid ?? NO_PASID;
    this.physical = physical;
    this.iotlb = iotlb;
    this.member = bus.join({
      all: () => iotlb.dropAll(),
      domain: (domain) => iotlb.dropDomain(domain),
      pages: (domain, address, mask) => iotlb.dropPages(domain, address, mask),
      requester: (requester) => {
        if (requester === sourceId) iotlb.dropTag(this.tag);
      },
    });
  }

  enter(): number {
    return this.member.enter();
  }

  leave(): void {
    this.member.leave();
  }

  /** Give up the place on the bus. */
  close(): void {
    this.member.quit();
  }

  resolve(address: number, length: number, access: number): number {
    const offset = this.iotlb.lookup(this.tag, address, length, access);
    // The compares refuse fractions too, which a piece's start may leave over.
    if (offset >= 0 && offset >>> 0 === offset && length >>> 0 === length) return offset;
    return this.resolveAcross(address, length, access, undefined);
  }

  resolveRanges(address: number, length: number, access: number, ranges: RangeList): boolean {
    const before = ranges.count;
    const offset = this.resolveAcross(address, length, access, ranges);
    if (offset === FAULT) ranges.truncate(before);
    return offset !== FAULT;
  }

  /** Page by page. Physical pages that follow one another on the host are one range. */
  private resolveAcross(address: number, length: number, access: number, ranges: RangeList | undefined): number {
    if (!Number.isSafeInteger(address) || address < 0 || length >>> 0 !== length) return FAULT;
    if (!Number.isSafeInteger(address + length)) return FAULT;
    let start = FAULT as number;
    let run = 0;
    let runEnd = 0;
    let runs = 0;
    let left = Math.max(length, 1);
    for (let at = address; left > 0; ) {
      const page = Math.floor(at / PAGE_BYTES);
      let host = this.iotlb.lookup(this.tag, page * PAGE_BYTES, 1, access);
      if (host < 0) host = this.walk(page, access);
      if (host < 0) return FAULT;
      const offset = host + (at - page * PAGE_BYTES);
      const take = Math.min(left, (page + 1) * PAGE_BYTES - at);
      if (offset !== runEnd || runs === 0) {
        if (runs > 0) ranges?.push(run, runEnd - run);
        else start = offset;
        runs++;
        run = offset;
      }
      runEnd = offset + take;
      at += take;
      left -= take;
    }
    if (length > 0) ranges?.push(run, runEnd - run);
    return runs === 1 ? start : SPLIT;
  }

  /** Ask the unit, and remember what it says. @returns host offset of the page's first byte, or FAULT */
  private walk(page: number, access: number): number {
    const { iotlb, walked } = this;
    iotlb.counters.misses++;
    const address = page * PAGE_BYTES;
    if (!Number.isSafeInteger(address) || address < 0) return FAULT;
    const outcome = this.unit.translate(this.sourceId, this.pasid, address, access, walked);
    iotlb.counters.entriesRead += walked.entriesRead;
    if (outcome !== TRANSLATED.OK && outcome !== TRANSLATED.PASS_THROUGH) return FAULT;
    const host = this.physical.resolve(walked.physical, PAGE_BYTES, access);
    if (host < 0) return FAULT;
    // A right that was not asked for is not remembered: the walk that uses it first marks the page dirty.
    const proven = access === WRITE ? READ | WRITE : access;
    const allowed =
      walked.allowed & (this.physical.resolve(walked.physical, PAGE_BYTES, proven) >= 0 ? proven : access);
    const start = Math.floor(address / (walked.pageMask + 1)) * (walked.pageMask + 1);
    iotlb.insert(this.tag, page, host, allowed | access, walked.domain, start, walked.pageMask);
    return host;
  }
}
