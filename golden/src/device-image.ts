import { type AddressSpace, GuestMemory, type GuestRegion, HostMemory } from '@ringwire/guest-memory';
import { BUS_WORDS, InvalidationBus, IommuSpace, Iotlb } from '@ringwire/iommu';
import { vtdRegisterValues, vtdUnitOf } from '@ringwire/iommu/testing';
import type { PendingElement, RingReport } from '@ringwire/ring-oracle';
import type { RingSet } from './load-set.js';

const PAGE = 4096;

/** Room behind the image: for the device, and for a frame that is brought to it. */
const DEVICE_BYTES = 0x1_0000;
const FRAME_BYTES = 0x2_0000;

/**
 * A copy of a set's memory for a device to run in: the saved pages, and zeros for those of its rings and
 * elements that were not saved. Behind tables, the device reaches it through a unit that walks them.
 */
export class DeviceImage {
  readonly memory: HostMemory;
  readonly space: AddressSpace;
  /** Host offsets of memory that is none of the set's. */
  readonly deviceArea: number;
  readonly frameArea: number;
  /** Page numbers, ascending; page `i` of host memory is this one. */
  private readonly pages: readonly number[];
  private readonly saved: ReadonlySet<number>;

  /** @param reports what waits in each queue */
  constructor(set: RingSet, reports: readonly RingReport[]) {
    this.saved = new Set(set.pieces.flatMap(({ address, bytes }) => pagesOf(Number(address), bytes.length)));
    const named = reports.flatMap((report) => pagesOfQueue(set, report));
    this.pages = [...new Set([...this.saved, ...named])].sort((a, b) => a - b);
    const end = this.pages.length * PAGE;
    this.deviceArea = end;
    this.frameArea = end + DEVICE_BYTES;
    this.memory = HostMemory.create(end + DEVICE_BYTES + FRAME_BYTES);
    for (const { address, bytes } of set.pieces) this.memory.u8.set(bytes, this.hostOf(Number(address)));
    const physical = new GuestMemory(this.memory, regionsOf(this.pages));
    this.space = set.tables === undefined ? physical : spaceBehind(set, set.tables, physical);
  }

  /** All of the set's memory. */
  copy(): Uint8Array {
    return this.memory.u8.slice(0, this.deviceArea);
  }

  /** Host offset of a physical address, or -1 where the image has no page. */
  hostOf(address: number): number {
    const index = indexOf(this.pages, Math.floor(address / PAGE));
    return index < 0 ? -1 : index * PAGE + (address % PAGE);
  }

  /** Physical address of a host offset. */
  addressOf(host: number): number {
    return this.pages[Math.floor(host / PAGE)]! * PAGE + (host % PAGE);
  }

  /** Whether the set says what was at a host offset. Memory that is none of the set's is known. */
  isKnown(host: number): boolean {
    return host >= this.deviceArea || this.saved.has(this.pages[Math.floor(host / PAGE)]!);
  }
}

function pagesOf(address: number, length: number): number[] {
  const first = Math.floor(address / PAGE);
  return Array.from({ length: Math.floor((address + length - 1) / PAGE) - first + 1 }, (_, i) => first + i);
}

function pagesOfQueue(set: RingSet, { parts, pending }: RingReport): number[] {
  const inParts = parts.flatMap(({ address, bytes }) => pagesReached(set, address, bytes, 'read'));
  return [...inParts, ...pending.flatMap((element) => pagesOfElement(set, element))];
}

function pagesOfElement(set: RingSet, { descriptors }: PendingElement): number[] {
  return descriptors.flatMap(({ address, length, access }) =>
    pagesReached(set, address, length, access === 'readable' ? 'read' : 'write'),
  );
}

function pagesReached({ memory }: RingSet, address: string, length: number, access: 'read' | 'write'): number[] {
  const runs = memory.reach(BigInt(address), length, access);
  return typeof runs === 'string' ? [] : runs.flatMap((run) => pagesOf(Number(run.address), run.length));
}

/** Pages that follow one another are one region. */
function regionsOf(pages: readonly number[]): GuestRegion[] {
  const regions: { gpa: number; size: number; host: number }[] = [];
  for (const [i, page] of pages.entries()) {
    const last = regions.at(-1);
    if (last !== undefined && last.gpa + last.size === page * PAGE) last.size += PAGE;
    else regions.push({ gpa: page * PAGE, size: PAGE, host: i * PAGE });
  }
  return regions;
}

function indexOf(pages: readonly number[], page: number): number {
  let low = 0;
  let high = pages.length;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if (pages[middle]! < page) low = middle + 1;
    else high = middle;
  }
  return pages[low] === page ? low : -1;
}

function spaceBehind(set: RingSet, tables: NonNullable<RingSet['tables']>, physical: GuestMemory): IommuSpace {
  const unit = vtdUnitOf(tables, physical);
  unit.load(vtdRegisterValues(tables.expected));
  const bus = new InvalidationBus(new Int32Array(new SharedArrayBuffer(4 * BUS_WORDS)));
  return new IommuSpace({ unit, sourceId: set.expected.source_id!, physical, iotlb: new Iotlb(), bus });
}
