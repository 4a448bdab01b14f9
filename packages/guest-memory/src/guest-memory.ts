import { VirtioError } from '@ringwire/virtio-spec';
import { ACCESS, type AddressSpace, type AddressWindow, NO_WINDOW, RESOLVE } from './address-space.js';
import type { HostMemory } from './host-memory.js';
import { gather, scatter } from './range-copy.js';
import { RangeList } from './range-list.js';

/** One stretch of a guest's address space that lies in host memory. */
export interface GuestRegion {
  /** First guest-physical address. */
  readonly gpa: number;
  /** Bytes, at least 1; the region ends at 2^53 at the latest. */
  readonly size: number;
  /** Host offset of the first byte. */
  readonly host: number;
  /** ROM: the device may read it and not write it. */
  readonly readOnly?: boolean;
}

const HERE = 'GuestMemory';
const READ_WRITE = ACCESS.READ | ACCESS.WRITE;
/** No span goes across a multiple of this, so that every span is a window. */
const SPAN_BYTES = 0x4000_0000;

/** What `resolve` reads: a plain object of numbers, which is what V8 reaches fastest. */
interface Span extends AddressWindow {
  readonly gpa: number;
  bytes: number;
  readonly host: number;
  /** The span at the next address, if no hole comes between. */
  next: Span | undefined;
}

/**
 * A guest's physical address space: regions of host memory with holes between them. Two regions may show the same host
 * bytes at two addresses, as machines do with ROM; they may not share an address.
 */
export class GuestMemory implements AddressSpace {
  readonly memory: HostMemory;
  /** The regions as given, sorted by address. */
  readonly regions: readonly GuestRegion[];

  /** The regions once more, by address, joined where nothing tells them apart. */
  private readonly spans: readonly Span[];
  /** The span of the last hit: successive addresses mostly lie in the same one. */
  private last: Span;

  constructor(memory: HostMemory, regions: readonly GuestRegion[]) {
    this.memory = memory;
    this.regions = regions.map((region) => ({ ...region })).sort((a, b) => a.gpa - b.gpa);
    this.regions.forEach((region, index) => {
      checkRegion(region, memory.size);
      const before = this.regions[index - 1];
      if (before !== undefined && region.gpa - before.gpa < before.size) {
        throw new VirtioError('gpa', region.gpa, `an address past ${before.gpa} + ${before.size}, its neighbour`, HERE);
      }
    });
    this.spans = spansOf(this.regions);
    this.last = this.spans[0] ?? { ...NO_WINDOW, gpa: 0, host: 0, next: undefined };
  }

  windowFor(): AddressWindow {
    return this.last;
  }

  /** Nothing is ever unmapped: bursts need no beginning and no end. */
  enter(): number {
    return 0;
  }

  leave(): void {}

  resolve(address: number, length: number, access: number): number {
    const span = this.last;
    const at = address - span.gpa;
    // The first compare refuses NaN too, the last two fractions; `at` is exact because everything else is an integer.
    if (at >= 0 && at < span.bytes && length <= span.bytes - at && (access & span.refused) === 0) {
      const offset = span.host + at;
      if (offset >>> 0 === offset && length >>> 0 === length) return offset;
    }
    return this.walk(address, length, access, undefined);
  }

  resolveRanges(address: number, length: number, access: number, ranges: RangeList): boolean {
    const offset = this.resolve(address, length, access);
    if (offset === RESOLVE.FAULT) return false;
    if (offset === RESOLVE.SPLIT) this.walk(address, length, access, ranges);
    else if (length > 0) ranges.push(offset, length);
    return true;
  }

  /** Copy of guest bytes, for tests and tools. Throws where the device's read would fault. */
  read(gpa: number, length: number): Uint8Array {
    const ranges = this.reach(gpa, length, ACCESS.READ);
    const bytes = new Uint8Array(length);
    gather(this.memory, ranges, 0, ranges.count, bytes);
    return bytes;
  }

  /** Change guest bytes, for tests and tools. Throws, with nothing written, where the device's write would fault. */
  write(gpa: number, bytes: Uint8Array): void {
    const ranges = this.reach(gpa, bytes.length, ACCESS.WRITE);
    scatter(this.memory, ranges, 0, ranges.count, bytes);
  }

  private reach(gpa: number, length: number, access: number): RangeList {
    const ranges = new RangeList();
    if (this.resolveRanges(gpa, length, access, ranges)) return ranges;
    const what = access === ACCESS.READ ? 'readable' : 'writable';
    throw new VirtioError('gpa', gpa, `${length} ${what} bytes from there in the guest's regions`, HERE);
  }

  /** `resolve` from the beginning; pushes the ranges, when a list is given, of a range known to be legal. */
  private walk(address: number, length: number, access: number, ranges: RangeList | undefined): number {
    if (!Number.isSafeInteger(address) || length >>> 0 !== length) return RESOLVE.FAULT;
    let span = this.find(address);
    if (span === undefined) return RESOLVE.FAULT;
    let at = address - span.gpa;
    const start = span.host + at;
    let left = Math.max(length, 1);
    let runs = 1;
    let run = start;
    let runEnd = start;
    while (true) {
      if ((access & span.refused) !== 0) return RESOLVE.FAULT;
      const offset = span.host + at;
      if (offset !== runEnd) {
        ranges?.push(run, runEnd - run);
        runs++;
        run = offset;
      }
      const take = Math.min(left, span.bytes - at);
      runEnd = offset + take;
      left -= take;
      if (left === 0) break;
      if (span.next === undefined) return RESOLVE.FAULT;
      span = span.next;
      at = 0;
    }
    ranges?.push(run, runEnd - run);
    this.last = span;
    return runs === 1 ? start : RESOLVE.SPLIT;
  }

  /** The span that holds the address. */
  private find(address: number): Span | undefined {
    let low = 0;
    let high = this.spans.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if (this.spans[middle]!.gpa <= address) low = middle + 1;
      else high = middle;
    }
    const span = this.spans[low - 1];
    return span !== undefined && address - span.gpa < span.bytes ? span : undefined;
  }
}

function checkRegion(region: GuestRegion, memorySize: number): void {
  const { gpa, size, host } = region;
  if (!Number.isSafeInteger(gpa) || gpa < 0) {
    throw new VirtioError('gpa', gpa, 'an integer from 0 to 2^53-1', HERE);
  }
  if (!Number.isSafeInteger(size) || size < 1 || size > 2 ** 53 - gpa) {
    throw new VirtioError('size', size, `an integer from 1 on, with gpa ${gpa} + size ≤ 2^53`, HERE);
  }
  if (!Number.isSafeInteger(host) || host < 0 || host > memorySize - size) {
    throw new VirtioError('host', host, `an offset with ${size} bytes in the host memory's ${memorySize}`, HERE);
  }
}

/** Bits of `ACCESS` that the device may use in a region. */
function allowedIn(region: GuestRegion): number {
  return region.readOnly === true ? ACCESS.READ : READ_WRITE;
}

/** Neighbours in both address spaces become one span, so that a range over their border is an ordinary hit. */
function spansOf(sorted: readonly GuestRegion[]): Span[] {
  const spans: Span[] = [];
  for (const region of sorted) {
    const refused = ~allowedIn(region);
    for (let done = 0; done < region.size; ) {
      const gpa = region.gpa + done;
      const host = region.host + done;
      const bytes = Math.min(region.size - done, SPAN_BYTES - (gpa % SPAN_BYTES));
      done += bytes;
      const before = spans.at(-1);
      const adjacent = before !== undefined && before.gpa + before.bytes === gpa;
      const goesOn = adjacent && before.host + before.bytes === host && before.refused === refused;
      if (goesOn && gpa % SPAN_BYTES !== 0) {
        before.bytes += bytes;
        continue;
      }
      const hi = Math.floor(gpa / 0x1_0000_0000);
      const span: Span = { hi, lo32: gpa | 0, bytes, host32: host | 0, refused, gpa, host, next: undefined };
      if (adjacent) before.next = span;
      spans.push(span);
    }
  }
  return spans;
}
