import { ACCESS, type AddressWindow, GuestMemory, type HostMemory, type RangeList } from '@ringwire/guest-memory';
import { type AsidSpace, isRange, MAPPINGS_MAX, mappingProblem } from './asid-space.js';
import { MappingList } from './mapping-list.js';
import type { VdpaMapping } from './vdpa-device.js';
import { VDPA, type VdpaOutcome } from './vdpa-outcome.js';

/**
 * An address space that a device translates by itself, in a table of ranges: a software device, or one with an IOMMU on the
 * chip. For one thread: mappings change between its bursts.
 */
export class TableSpace implements AsidSpace {
  readonly memory: HostMemory;
  readonly granule: number;
  private readonly list = new MappingList();
  private depth = 0;
  /** Goes on whenever something was taken away. */
  private epoch = 0;
  private isStale = false;
  /** All mappings that can be read. */
  private readable: GuestMemory;
  /** All that can be written, where some of them cannot be read; else `readable` knows all. */
  private writable: GuestMemory | undefined = undefined;

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

  windowFor(access: number): AddressWindow {
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
    return this.spaceOf(access).resolve(address, length, access);
  }

  resolveRanges(address: number, length: number, access: number, ranges: RangeList): boolean {
    return this.spaceOf(access).resolveRanges(address, length, access, ranges);
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
