import { ACCESS, type HostMemory, IdentitySpace, RangeList } from '@ringwire/guest-memory';
import { DirtyLog } from '../dirty-log.js';
import type { InvalidationBus } from '../invalidation-bus.js';
import { IommuSpace } from '../iommu-space.js';
import { Iotlb } from '../iotlb.js';
import { LoggedSpace } from '../logged-space.js';
import { scalableUnit } from './scalable-stage.js';

export const PAGE = 4096;
export const SOURCE = 0x18;
/** 64 pages of guest memory, of whose IOVAs the last quarter is unmapped; the log lies behind it. */
export const RAM = { gpa: 0x40_0000, host: 0x10_0000, pages: 64 } as const;
export const MAPPED = 48;
const LOG = { base: 0x1f_0000, bytes: 0x100 } as const;

/** IOVA page n leads to another page of the guest, so that none is mistaken for its own number. */
export const pageOf = (n: number): number => (n * 29 + 5) % RAM.pages;
export const gpaOf = (iova: number): number => RAM.gpa + pageOf(iova / PAGE) * PAGE;

export function newLog(memory: HostMemory): DirtyLog {
  const regions = [{ gpa: RAM.gpa, size: RAM.pages * PAGE, host: RAM.host }];
  return new DirtyLog({ memory, ...LOG, regions });
}

/** A device whose DMA is seen by both: it marks pages through the IOMMU's tables and in the log. */
export class LoggingDevice {
  readonly space: LoggedSpace;
  /** IOVA pages that it wrote. */
  readonly wrote = new Set<number>();
  private readonly memory: HostMemory;
  private readonly ranges = new RangeList();

  constructor(memory: HostMemory, bus: InvalidationBus, rtaddr: bigint) {
    const physical = new IdentitySpace(memory);
    const unit = scalableUnit(physical, bus, rtaddr);
    const inner = new IommuSpace({ unit, sourceId: SOURCE, physical, iotlb: new Iotlb(16), bus });
    this.memory = memory;
    this.space = new LoggedSpace(inner, newLog(memory));
  }

  /** One request, inside a burst. Reads leave everything as it is. */
  dma(iova: number, length: number, access: number, value: number): void {
    const { space, ranges, memory } = this;
    ranges.clear();
    const offset = space.resolve(iova, length, access);
    if (offset >= 0) ranges.push(offset, length);
    else if (!space.resolveRanges(iova, length, access, ranges)) return;
    if ((access & ACCESS.WRITE) === 0) return;
    for (let i = 0; i < ranges.count; i++) memory.engine.fill(ranges.offset[i]!, value, ranges.length[i]!);
    for (let page = Math.floor(iova / PAGE); page * PAGE < iova + length; page++) this.wrote.add(page * PAGE);
  }
}
