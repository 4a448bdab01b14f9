import {
  ACCESS,
  type AddressSpace,
  type AddressWindow,
  type HostMemory,
  type RangeList,
  RESOLVE,
} from '@ringwire/guest-memory';
import { VirtioError } from '@ringwire/virtio-spec';
import type { Atc } from './atc.js';
import type { BurstBus } from './invalidation-bus.js';
import type { Iotlb } from './iotlb.js';
import { newRunWindow, placeWindow, type RunWindow } from './run-window.js';
import { type AtsIommu, type Iommu, NO_PASID, newTranslation, TRANSLATED, type Translation } from './translation.js';

const { FAULT, SPLIT } = RESOLVE;
const { READ, WRITE } = ACCESS;
const RW = READ | WRITE;
const PAGE_BYTES = 4096;

/** Whose DMA a space is, and through what it goes. */
export interface IommuSpaceConfig {
  /** Able to answer translation requests where there is an ATC. */
  readonly unit: Iommu | AtsIommu;
  /** Requester id or endpoint id. */
  readonly sourceId: number;
  readonly pasid?: number;
  /** What the unit's physical addresses mean: the machine's memory. */
  readonly physical: AddressSpace;
  /** The unit's cache; all spaces of a thread may share one. */
  readonly iotlb: Iotlb;
  /** The device's own cache, if it has one: the unit is asked for translations to keep in it. */
  readonly atc?: Atc;
  /** This thread's. */
  readonly bus: BurstBus;
}

/** Of about as many lookups and one, one has a run of pages looked for: pages in no order are in none. */
const STRAYS = 15;
/** Pages that a run is looked for in each direction: few at first, since every invalidation ends the runs. */
const REACH_FIRST = 4;
const REACH_MOST = 512;

/**
 * The address space of one requester behind an IOMMU. Between {@link enter} and {@link leave} lies a burst: host offsets
 * that were resolved in it are good until it ends, and whoever takes a mapping away waits for that.
 */
export class IommuSpace implements AddressSpace {
  readonly memory: HostMemory;

  private readonly unit: Iommu;
  /** The same where there is an ATC. */
  private readonly ats: AtsIommu | undefined;
  private readonly sourceId: number;
  private readonly pasid: number;
  private readonly physical: AddressSpace;
  private readonly iotlb: Iotlb;
  private readonly tag: number;
  private readonly atc: Atc | undefined;
  /** What is looked at first: the device's own cache, else the unit's. */
  private readonly front: Iotlb;
  private readonly frontTag: number;
  private readonly bus: BurstBus;
  private readonly walked: Translation = newTranslation();
  // Pages that were looked up and follow one another at addresses and on the host; good until the cache forgets anything.
  private readonly readWindow: RunWindow = newRunWindow(READ);
  private readonly writeWindow: RunWindow = newRunWindow(WRITE);
  private reach: number = REACH_FIRST;
  private generation = 0;

  constructor(config: IommuSpaceConfig) {
    const { unit, sourceId, physical, iotlb, bus } = config;
    this.ats = config.atc !== undefined && 'requestTranslation' in unit ? unit : undefined;
    if (config.atc !== undefined && this.ats === undefined)
      throw new VirtioError('unit', sourceId, 'one that answers translation requests of an ATC', 'IommuSpace');
    this.memory = physical.memory;
    this.unit = unit;
    this.sourceId = sourceId;
    this.pasid = config.pasid ?? NO_PASID;
    this.physical = physical;
    this.iotlb = iotlb;
    this.tag = iotlb.claim(sourceId, this.pasid);
    this.atc = config.atc;
    this.front = this.atc?.cache ?? iotlb;
    this.frontTag = this.atc === undefined ? this.tag : this.front.claim(sourceId, this.pasid);
    this.bus = bus;
    if (this.atc !== undefined) bus.join(this.atc);
    bus.join(iotlb);
    if (unit.follower !== undefined) bus.join(unit.follower);
  }

  enter(): number {
    const epoch = this.bus.enter();
    if (this.generation !== this.front.generation) {
      this.generation = this.front.generation;
      this.readWindow.bytes = 0;
      this.writeWindow.bytes = 0;
      this.reach = REACH_FIRST;
    }
    return epoch;
  }

  leave(): void {
    this.bus.leave();
  }

  /** Give up the place in the caches and on the bus. Nothing is resolved any more. */
  close(): void {
    if (this.atc !== undefined) {
      this.front.release(this.frontTag);
      this.bus.quit(this.atc);
    }
    this.iotlb.release(this.tag);
    this.bus.quit(this.iotlb);
    if (this.unit.follower !== undefined) this.bus.quit(this.unit.follower);
  }

  /** Accesses that a window answers are no hits of a cache: nobody asked it. */
  windowFor(access: number): AddressWindow {
    return access === WRITE ? this.writeWindow : this.readWindow;
  }

  resolve(address: number, length: number, access: number): number {
    const offset = this.front.lookup(this.frontTag, address, length, access);
    if (offset < 0) return this.resolveSlowly(address, length, access, undefined);
    if ((this.front.hits & STRAYS) === 0) this.gather(address, offset, access);
    return offset;
  }

  /** Find the run around an address that the cache has just answered. */
  private gather(address: number, offset: number, access: number): void {
    if (access !== READ && access !== WRITE) return;
    const { front, frontTag, reach } = this;
    const into = address & (PAGE_BYTES - 1);
    let start = address - into;
    let host = offset - into;
    let end = start + PAGE_BYTES;
    for (let i = 0; i < reach && front.peek(frontTag, end, access) === host + end - start; i++) end += PAGE_BYTES;
    for (let i = 0; i < reach && front.peek(frontTag, start - PAGE_BYTES, access) === host - PAGE_BYTES; i++) {
      start -= PAGE_BYTES;
      host -= PAGE_BYTES;
    }
    placeWindow(access === WRITE ? this.writeWindow : this.readWindow, address, start, end, host);
    this.reach = Math.min(2 * reach, REACH_MOST);
  }

  resolveRanges(address: number, length: number, access: number, ranges: RangeList): boolean {
    const known = this.front.lookup(this.frontTag, address, length, access);
    if (known >= 0) {
      if (length > 0) ranges.push(known, length);
      return true;
    }
    const before = ranges.count;
    const offset = this.resolveSlowly(address, length, access, ranges);
    if (offset === FAULT) ranges.truncate(before);
    return offset !== FAULT;
  }

  /** What the cache does not know as one piece. */
  private resolveSlowly(address: number, length: number, access: number, ranges: RangeList | undefined): number {
    if (!Number.isSafeInteger(address) || address < 0 || length >>> 0 !== length || (access & RW) !== access)
      return FAULT;
    const into = address & (PAGE_BYTES - 1);
    if (into + length > PAGE_BYTES) return this.resolveAcross(address, length, access, ranges);
    const host = this.walk(address - into, access);
    if (host < 0) return FAULT;
    if (length > 0) ranges?.push(host + into, length);
    return host + into;
  }

  /** Page by page. Physical pages that follow one another on the host are one range. */
  private resolveAcross(address: number, length: number, access: number, ranges: RangeList | undefined): number {
    const end = address + length;
    if (!Number.isSafeInteger(end)) return FAULT;
    let start = FAULT as number;
    let run = 0;
    let runEnd = 0;
    let runs = 0;
    for (let at = address; at < end; ) {
      const into = at & (PAGE_BYTES - 1);
      const host = this.page(at - into, access);
      if (host < 0) return FAULT;
      const take = Math.min(end - at, PAGE_BYTES - into);
      if (host + into !== runEnd || runs === 0) {
        if (runs > 0) ranges?.push(run, runEnd - run);
        else start = host + into;
        runs++;
        run = host + into;
      }
      runEnd = host + into + take;
      at += take;
    }
    ranges?.push(run, runEnd - run);
    return runs === 1 ? start : SPLIT;
  }

  /** @param address of a page's first byte @returns host offset of that byte, or FAULT */
  private page(address: number, access: number): number {
    const host = this.front.lookup(this.frontTag, address, 1, access);
    return host >= 0 ? host : this.walk(address, access);
  }

  /** What `front` does not know: ask the unit, and remember what it says. */
  private walk(address: number, access: number): number {
    if (this.atc !== undefined && this.ats !== undefined) {
      const outcome = this.request(this.atc, this.ats, address, access);
      if (outcome !== TRANSLATED.PASS_THROUGH)
        return outcome === TRANSLATED.OK ? this.remember(this.front, this.frontTag, address, access) : FAULT;
      this.atc.counters.untranslated++;
      const host = this.iotlb.lookup(this.tag, address, 1, access);
      if (host >= 0) return host;
    }
    const { iotlb, walked } = this;
    iotlb.misses++;
    const outcome = this.unit.translate(this.sourceId, this.pasid, address, access, walked);
    iotlb.entriesRead += walked.entriesRead;
    if (outcome !== TRANSLATED.OK && outcome !== TRANSLATED.PASS_THROUGH) return FAULT;
    return this.remember(iotlb, this.tag, address, access);
  }

  private request({ counters, cache }: Atc, unit: AtsIommu, address: number, access: number): number {
    const { walked } = this;
    cache.misses++;
    counters.requests++;
    const outcome = unit.requestTranslation(this.sourceId, this.pasid, address, access, walked);
    cache.entriesRead += walked.entriesRead;
    if (outcome !== TRANSLATED.OK && outcome !== TRANSLATED.PASS_THROUGH) counters.refused++;
    return outcome;
  }

  /** Put what was translated into a cache. */
  private remember(cache: Iotlb, tag: number, address: number, access: number): number {
    const { walked } = this;
    const { physical, domain, pageMask } = walked;
    // A right that was not asked for is not remembered, READ beside WRITE excepted: the walk that uses it first marks the
    // page dirty.
    let allowed = access === WRITE ? (walked.allowed & READ) | WRITE : access;
    let host = this.physical.resolve(physical, PAGE_BYTES, allowed);
    if (host < 0 && allowed !== access) {
      allowed = access;
      host = this.physical.resolve(physical, PAGE_BYTES, access);
    }
    if (host < 0) return FAULT;
    cache.insert(tag, address, host, allowed, domain, pageStart(address, pageMask), pageMask);
    return host;
  }
}

/** First address of the page that holds an address; of one larger than 2^31 bytes the remainder is no small integer. */
function pageStart(address: number, mask: number): number {
  if (mask < PAGE_BYTES) return address;
  return mask <= 0x7fff_ffff ? address - ((address & mask) >>> 0) : address - (address % (mask + 1));
}
