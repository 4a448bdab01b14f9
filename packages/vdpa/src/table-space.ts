import {
  ACCESS,
  type AddressWindow,
  GuestMemory,
  type HostMemory,
  NO_WINDOW,
  type RangeList,
} from '@ringwire/guest-memory';
import { type AsidSpace, isRange, MAPPINGS_MAX, mappingProblem } from './asid-space.js';
import { MappingList } from './mapping-list.js';
import type { HostRange, VdpaMapping } from './vdpa-device.js';
import { VDPA, type VdpaOutcome } from './vdpa-outcome.js';
import { WrittenPages } from './written-pages.js';

/**
 * An address space that a device translates by itself, in a table of ranges: a software device, or one with an IOMMU on the
 * chip. For one thread: mappings change between its bursts.
 */
export class TableSpace implements AsidSpace {
  readonly memory: HostMemory;
  readonly granule: number;
  readonly tracksDirty = true;
  private readonly list = new MappingList();
  private depth = 0;
  /** Goes on whenever something was taken away. */
  private epoch = 0;
  private isStale = false;
  /** All mappings that can be read. */
  private readable: GuestMemory;
  /** All that can be written, where some of them cannot be read; else `readable` knows all. */
  private writable: GuestMemory | undefined = undefined;
  /** While writes are noted. */
  private written: WrittenPages | undefined = undefined;

  /** @param granule what addresses and lengths are multiples of: 1 unless given */
  constructor(memory: HostMemory, granule = 1) {
    this.memory = memory;
    this.granule = granule;
    this.readable = new GuestMemory(memory, []);
  }

  get mappings(): readonly VdpaMapping[] {
    return this.list.all;
  }

  map(mapping: VdpaMapping): VdpaOutcome {
    const problem = mappingProblem(mapping, this.granule, this.memory.size);
    if (problem !== VDPA.OK) return problem;
    if (this.list.overlaps(mapping.iova, mapping.bytes)) return VDPA.EXISTS;
    if (this.list.all.length >= MAPPINGS_MAX) return VDPA.NO_ROOM;
    this.list.add(mapping);
    this.isStale = true;
    return VDPA.OK;
  }

  unmap(iova: number, bytes: number): VdpaOutcome {
    if (!isRange(iova, bytes, this.granule)) return VDPA.INVALID;
    if (this.depth > 0) return VDPA.BUSY;
    if (this.list.cut(iova, bytes).length > 0) this.ended();
    return VDPA.OK;
  }

  clear(): VdpaOutcome {
    if (this.depth > 0) return VDPA.BUSY;
    if (this.list.clear().length > 0) this.ended();
    return VDPA.OK;
  }

  trackDirty(isOn: boolean): VdpaOutcome {
    if (this.depth > 0) return VDPA.BUSY;
    if (isOn === (this.written !== undefined)) return VDPA.OK;
    this.written = isOn ? new WrittenPages(this.memory) : undefined;
    // Rings are resolved once and written ever after: they are to be resolved anew.
    this.epoch++;
    return VDPA.OK;
  }

  takeDirty(): readonly HostRange[] {
    if (this.written === undefined) return [];
    this.epoch++;
    return this.written.take();
  }

  /** Where host memory is mapped, in one piece; -1 where it is not, or not any more. */
  addressOf(host: number, bytes: number): number {
    const { all } = this.list;
    const end = host + bytes;
    for (let at = 0; at < all.length; at++) {
      const first = all[at]!;
      if (host < first.host || host >= first.host + first.bytes) continue;
      // One behind the other for the device as well.
      let last = first;
      for (let next = at + 1; last.host + last.bytes < end && next < all.length; next++) {
        const { iova, host: behind } = all[next]!;
        if (iova !== last.iova + last.bytes || behind !== last.host + last.bytes) break;
        last = all[next]!;
      }
      if (last.host + last.bytes >= end) return first.iova + host - first.host;
    }
    return -1;
  }

  /** Host memory was written by whoever resolved it earlier: while writes are noted, this one is. */
  noteWritten(host: number, bytes: number): void {
    this.written?.note(host, bytes);
  }

  windowFor(access: number): AddressWindow {
    if (this.written !== undefined) return NO_WINDOW;
    return (access === ACCESS.WRITE && this.writable !== undefined ? this.writable : this.readable).windowFor();
  }

  enter(): number {
    if (this.depth++ === 0 && this.isStale) this.rebuild();
    return this.epoch;
  }

  leave(): void {
    this.depth--;
  }

  resolve(address: number, length: number, access: number): number {
    const offset = this.spaceOf(access).resolve(address, length, access);
    if (this.written !== undefined && offset >= 0 && (access & ACCESS.WRITE) !== 0) this.written.note(offset, length);
    return offset;
  }

  resolveRanges(address: number, length: number, access: number, ranges: RangeList): boolean {
    const { count } = ranges;
    if (!this.spaceOf(access).resolveRanges(address, length, access, ranges)) return false;
    if (this.written === undefined || (access & ACCESS.WRITE) === 0) return true;
    for (let at = count; at < ranges.count; at++) this.written.note(ranges.offset[at]!, ranges.length[at]!);
    return true;
  }

  private ended(): void {
    this.epoch++;
    this.isStale = true;
  }

  private spaceOf(access: number): GuestMemory {
    if (this.isStale) this.rebuild();
    return access === ACCESS.WRITE && this.writable !== undefined ? this.writable : this.readable;
  }

  private rebuild(): void {
    this.isStale = false;
    const regions = (access: number) =>
      this.list.all
        .filter((mapping) => (mapping.access & access) !== 0)
        .map(({ iova, bytes, host, access: rights }) => ({
          gpa: iova,
          size: bytes,
          host,
          readOnly: (rights & ACCESS.WRITE) === 0,
        }));
    this.readable = new GuestMemory(this.memory, regions(ACCESS.READ));
    const isAnyUnreadable = this.list.all.some(({ access }) => access === ACCESS.WRITE);
    this.writable = isAnyUnreadable ? new GuestMemory(this.memory, regions(ACCESS.WRITE)) : undefined;
  }
}
