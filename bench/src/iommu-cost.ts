import {
  ACCESS,
  type AddressSpace,
  GuestMemory,
  HostMemory,
  IdentitySpace,
  PageAllocator,
} from '@ringwire/guest-memory';
import { BUS_WORDS, InvalidationBus, IommuDomain, IommuSpace, Iotlb, RequesterTable, VtdCaches } from '@ringwire/iommu';
import type { Translation } from './case-plan.js';
import { SOURCE_ID, vtdUnit } from './device-dma.js';

const MIB = 0x10_0000;
const GIB = 0x4000_0000;
const PAGE_BYTES = 4096;
const PIECES = 2048;
/** Where the device's addresses begin: above 4 GiB. */
const IOVA = 0x1_0000_0000;
/** Physical memory that pages lead to, again and again; tables lie behind it. */
const TARGET_BYTES = 16 * MIB;
const TABLE_BYTES = 16 * MIB;
const ACCESS_BYTES = 64;
/** Pages that a device has mapped for its rings and buffers, all in the IOTLB. */
const HOT_PAGES = 512;
/** Unmaps that lazy mode puts off at most, as many as a Linux flush queue holds. */
const FLUSH_AFTER = 256;
/** A step that is prime to every working set: each page comes once in a lap, and none next to the one before. */
const STEP = 40_503;

/** Working set of a case: how many pieces of 4 KiB are accessed, in pages of which size. */
const SETS: Readonly<
  Record<Exclude<Translation, 'unmap-strict' | 'unmap-lazy'>, readonly [pieces: number, page: number]>
> = {
  none: [HOT_PAGES, PAGE_BYTES],
  hit: [HOT_PAGES, PAGE_BYTES],
  'miss-4k': [8 * PIECES, PAGE_BYTES],
  'walk-4k': [8 * PIECES, PAGE_BYTES],
  'miss-2m': [8 * PIECES, 2 * MIB],
  'miss-1g': [8 * PIECES, GIB],
  thrash: [100 * PIECES, PAGE_BYTES],
};

/** What the case does, in words. */
export const TRANSLATION_TEXT: Readonly<Record<Translation, string>> = {
  none: `64 B of ${HOT_PAGES} pages in turn, without an IOMMU: what the others are to be compared with`,
  hit: `the same through a VT-d unit, every page in an IOTLB of ${PIECES} pieces`,
  'miss-4k': `${8 * PIECES} pages of 4 KiB in turn, none in the IOTLB; contexts and tables are cached`,
  'walk-4k': 'the same with nothing cached: root, context and four levels of tables are read each time',
  'miss-2m': `as many pieces of 4 KiB, none in the IOTLB, in pages of 2 MiB`,
  'miss-1g': `as many in pages of 1 GiB`,
  thrash: `${100 * PIECES} pages of 4 KiB, a hundred times what the IOTLB holds, and more tables than are cached`,
  'unmap-strict': 'map a page, access it, unmap it, after which it is out of reach',
  'unmap-lazy': `the same, out of reach after at most ${FLUSH_AFTER} unmaps`,
};

/** One case of translation alone, in one thread. */
export class IommuCost {
  /** Accesses that went somewhere else than their mapping says. */
  wrong = 0;
  /** Kept, so that no compiler leaves the accesses out. */
  sum = 0;

  private readonly kind: Translation;
  private readonly space: AddressSpace;
  private readonly domain: IommuDomain;
  /** Addresses in the order in which they are accessed, each piece once; none where pages are mapped and unmapped. */
  private readonly lap: Float64Array;
  private at = 0;

  constructor(kind: Translation) {
    const memory = HostMemory.create(TARGET_BYTES + TABLE_BYTES);
    const physical = new IdentitySpace(memory);
    const bus = new InvalidationBus(new Int32Array(new SharedArrayBuffer(BUS_WORDS * 4)));
    const allocator = new PageAllocator(TARGET_BYTES, TABLE_BYTES);
    const lazy = kind === 'unmap-lazy';
    this.kind = kind;
    this.domain = new IommuDomain({ id: 1, physical, allocator, sink: bus, lazy, largestPage: largestPage(kind) });
    const requesters = new RequesterTable({ physical, allocator, sink: bus });
    requesters.attach(SOURCE_ID, this.domain);
    const caches = kind === 'walk-4k' ? undefined : new VtdCaches();
    const unit = vtdUnit(physical, bus, requesters.root, caches);
    this.space = new IommuSpace({ unit, sourceId: SOURCE_ID, physical, iotlb: new Iotlb(PIECES), bus });
    this.lap = new Float64Array(0);
    if (kind === 'unmap-strict' || kind === 'unmap-lazy') {
      // One page stays, as others of a driver do: tables do not come and go with each mapping.
      this.domain.map(iovaOf(kind, HOT_PAGES - 1), 0, PAGE_BYTES, ACCESS.READ);
      return;
    }
    const [pieces, pageBytes] = SETS[kind];
    this.lap = Float64Array.from({ length: pieces }, (_, at) => iovaOf(kind, pieceAt(at, pieces)));
    const bytes = kind === 'hit' ? PAGE_BYTES : Math.max(TARGET_BYTES, pageBytes);
    for (let piece = 0; piece < pieces; piece += Math.min(bytes, TARGET_BYTES) / PAGE_BYTES)
      this.domain.map(iovaOf(kind, piece), hostOf(kind, piece), bytes, ACCESS.READ | ACCESS.WRITE);
    if (kind === 'none') this.space = new GuestMemory(memory, [{ gpa: IOVA, size: TARGET_BYTES, host: 0 }]);
  }

  /** Do it so often. @param checked whether each answer is compared with the mapping */
  run(operations: number, checked: boolean): void {
    if (this.lap.length === 0) this.mapAndUnmap(operations, checked);
    else if (checked) this.accessChecked(operations);
    else for (let done = 0; done < operations; done += BURST) this.accessBurst();
  }

  /** A burst of accesses. A function of its own, which is compiled as a whole: no loop of it runs long enough to be. */
  private accessBurst(): void {
    const { space, lap } = this;
    let { at, sum } = this;
    space.enter();
    for (let i = 0; i < BURST; i++) {
      sum = (sum + space.resolve(lap[at]!, ACCESS_BYTES, ACCESS.READ)) | 0;
      at = at + 1 === lap.length ? 0 : at + 1;
    }
    space.leave();
    this.at = at;
    this.sum = sum;
  }

  private accessChecked(operations: number): void {
    const { space, lap, kind } = this;
    for (let done = 0; done < operations; done++) {
      space.enter();
      const offset = space.resolve(lap[this.at]!, ACCESS_BYTES, ACCESS.READ);
      space.leave();
      if (offset !== hostOf(kind, pieceAt(this.at, lap.length))) this.wrong++;
      this.at = this.at + 1 === lap.length ? 0 : this.at + 1;
    }
  }

  private mapAndUnmap(operations: number, checked: boolean): void {
    const { domain, space } = this;
    for (let done = 0; done < operations; done++) {
      this.at = (this.at + 1) % (HOT_PAGES - 1);
      const iova = IOVA + this.at * PAGE_BYTES;
      const target = this.at * PAGE_BYTES;
      domain.map(iova, target, PAGE_BYTES, ACCESS.READ | ACCESS.WRITE);
      if (this.write(iova) !== target) this.wrong++;
      domain.unmap(iova, PAGE_BYTES);
      if (domain.stale.mappings >= FLUSH_AFTER) domain.flush();
      if (!checked) continue;
      if (domain.stale.mappings > 0) domain.flush();
      if (this.write(iova) >= 0) this.wrong++;
    }
    space.enter();
    space.leave();
  }

  private write(iova: number): number {
    this.space.enter();
    const offset = this.space.resolve(iova, ACCESS_BYTES, ACCESS.WRITE);
    this.space.leave();
    return offset;
  }
}

/** Accesses between the beginning and the end of a burst. */
const BURST = 32;

const largestPage = (kind: Translation): number =>
  kind === 'miss-1g' ? GIB : kind === 'miss-2m' ? 2 * MIB : PAGE_BYTES;

const pieceAt = (at: number, pieces: number): number => (at * STEP) % pieces;

/** Pages of 1 GiB show the same memory from their beginning on, one behind the other. */
function iovaOf(kind: Translation, piece: number): number {
  if (kind !== 'miss-1g') return IOVA + piece * PAGE_BYTES;
  const perPage = TARGET_BYTES / PAGE_BYTES;
  return IOVA + Math.floor(piece / perPage) * GIB + (piece % perPage) * PAGE_BYTES;
}

/** The pages that are hit lie in memory in another order, so that no two are neighbours in both. */
function hostOf(kind: Translation, piece: number): number {
  const frames = TARGET_BYTES / PAGE_BYTES;
  return (kind === 'hit' ? (piece * 5) % frames : piece % frames) * PAGE_BYTES;
}
