import { ACCESS } from '@ringwire/guest-memory';
import { VirtioError } from '@ringwire/virtio-spec';
import { type DmaDirection, wayOf } from './dma-direction.js';
import { DMA_MISTAKE, type DmaMistake, type DmaRecord, type DmaReport, describe, hex } from './dma-report.js';
import { EventCounter } from './event-counter.js';

const PAGE_BYTES = 4096;
const DEVICE = 'the device';

/** How much a {@link DmaDebug} keeps. */
export interface DmaDebugOptions {
  /** Numbers the events; shared with whoever else's events are to be compared. */
  readonly events?: EventCounter;
  /** Whether to keep the call stack of every map and unmap, which costs some microseconds each. */
  readonly stacks?: boolean;
  /** Reports kept; later ones are only counted; 1000. */
  readonly maxReports?: number;
  /** Mappings remembered after their unmap; 4096. */
  readonly history?: number;
}

/**
 * Remembers who mapped and unmapped what for DMA, and says what is wrong about it: what Linux calls dma-debug, and a
 * detector of DMA in the window that a lazy IOMMU leaves open. `DmaApi` tells it of the calls, `DebugSpace` of the
 * device's requests; where neither has one, nothing is spent on it.
 */
export class DmaDebug {
  readonly reports: DmaReport[] = [];
  /** Reports that were not kept for want of room. */
  dropped = 0;
  readonly events: EventCounter;

  private readonly stacks: boolean;
  private readonly maxReports: number;
  private readonly historyMax: number;
  /** Mappings that live, by their first page. */
  private readonly live = new Map<number, DmaRecord>();
  /** Ended ones, by first page; the oldest is the map's first. */
  private readonly ended = new Map<number, DmaRecord>();
  /** Pages within reach although unmapped, with the mapping that each was part of. */
  private readonly stale = new Map<number, DmaRecord>();

  constructor(options: DmaDebugOptions = {}) {
    this.events = options.events ?? new EventCounter();
    this.stacks = options.stacks ?? false;
    this.maxReports = options.maxReports ?? 1000;
    this.historyMax = options.history ?? 4096;
    if (!(this.historyMax >= 1)) throw new VirtioError('history', this.historyMax, '1 or more', 'DmaDebug');
  }

  /** Mappings that live, oldest first. */
  get mappings(): readonly Readonly<DmaRecord>[] {
    return [...this.live.values()];
  }

  /** A buffer was mapped. */
  mapped(iova: number, bytes: number, direction: DmaDirection, owner: string): void {
    const page = pageOf(iova);
    // The address is somebody else's now: a DMA to it is no use after unmap.
    this.ended.delete(page);
    const mappedAt = this.events.next();
    const mapStack = this.stack();
    this.live.set(page, {
      iova,
      bytes,
      direction,
      owner,
      mappedAt,
      mapStack,
      unmappedAt: 0,
      unmappedBy: '',
      unmapStack: '',
    });
  }

  /**
   * A buffer is to be unmapped.
   * @param isLazy whether it stays within reach until {@link flushed}
   * @returns whether there is a mapping to end
   */
  unmapped(iova: number, bytes: number, direction: DmaDirection, owner: string, isLazy: boolean): boolean {
    const page = pageOf(iova);
    const record = this.live.get(page);
    this.events.next();
    if (record === undefined) {
      this.reportNoMapping(iova, bytes, owner);
      return false;
    }
    if (record.iova !== iova || record.bytes !== bytes) {
      const asked = `${bytes} bytes at ${hex(iova)}`;
      this.report(
        DMA_MISTAKE.WRONG_SIZE,
        iova,
        bytes,
        owner,
        record,
        `${owner} unmaps ${asked} of ${describe(record)}.`,
      );
    }
    if (record.direction !== direction) {
      const asked = `as mapped ${wayOf(direction)}`;
      const sentence = `${owner} unmaps ${describe(record)} ${asked}.`;
      this.report(DMA_MISTAKE.WRONG_DIRECTION, iova, bytes, owner, record, sentence);
    }
    record.unmappedAt = this.events.now;
    record.unmappedBy = owner;
    record.unmapStack = this.stack();
    this.live.delete(page);
    this.remember(page, record);
    if (isLazy) for (const each of pagesOf(record)) this.stale.set(each, record);
    return true;
  }

  /** What was unmapped is out of reach. */
  flushed(): void {
    this.stale.clear();
  }

  /** The device's request found no place: was there one before, or one for less? */
  faulted(address: number, length: number, access: number): void {
    this.events.next();
    const live = this.find(this.live, address);
    if (live !== undefined) {
      const asked = `${asks(access)} ${length} bytes at ${hex(address)}`;
      const sentence = `The device ${asked}, which ${describe(live)} does not allow.`;
      this.report(DMA_MISTAKE.BEYOND_RIGHTS, address, length, DEVICE, live, sentence);
      return;
    }
    const ended = this.find(this.ended, address);
    if (ended === undefined) return;
    const sentence = `The device ${asks(access)} ${length} bytes at ${hex(address)}: ${describe(ended)} was unmapped ${this.since(ended)}.`;
    this.report(DMA_MISTAKE.USE_AFTER_UNMAP, address, length, DEVICE, ended, sentence);
  }

  /** The device's request found a place. Reported when that was unmapped and is not flushed. */
  reached(address: number, length: number, access: number): void {
    this.events.next();
    if (this.stale.size === 0) return;
    for (let page = pageOf(address); page < address + Math.max(length, 1); page += PAGE_BYTES) {
      const record = this.stale.get(page);
      if (record === undefined) continue;
      const hit = `still reached ${describe(record)}, unmapped ${this.since(record)}`;
      const sentence = `The device ${asks(access)} ${length} bytes at ${hex(address)} and ${hit}, before the flush.`;
      this.report(DMA_MISTAKE.STALE_HIT, address, length, DEVICE, record, sentence);
      return;
    }
  }

  /** The driver goes: whatever lives is a leak. */
  closed(): void {
    this.events.next();
    for (const record of this.live.values()) {
      const sentence = `${record.owner} goes and leaves ${describe(record)} mapped.`;
      this.report(DMA_MISTAKE.LEAK, record.iova, record.bytes, record.owner, record, sentence);
    }
    this.live.clear();
  }

  private reportNoMapping(iova: number, bytes: number, owner: string): void {
    const ended = this.find(this.ended, iova);
    if (ended === undefined) {
      const sentence = `${owner} unmaps ${bytes} bytes at ${hex(iova)}, where nothing was mapped.`;
      this.report(DMA_MISTAKE.UNKNOWN_UNMAP, iova, bytes, owner, undefined, sentence);
      return;
    }
    const sentence = `${owner} unmaps ${describe(ended)} again: it was unmapped ${this.since(ended)}.`;
    this.report(DMA_MISTAKE.DOUBLE_UNMAP, iova, bytes, owner, ended, sentence);
  }

  private report(
    mistake: DmaMistake,
    iova: number,
    bytes: number,
    by: string,
    mapping: DmaRecord | undefined,
    sentence: string,
  ): void {
    if (this.reports.length >= this.maxReports) {
      this.dropped++;
      return;
    }
    const copy = mapping === undefined ? undefined : { ...mapping };
    this.reports.push({ mistake, sentence, at: this.events.now, iova, bytes, by, mapping: copy });
  }

  private remember(page: number, record: DmaRecord): void {
    this.ended.delete(page);
    this.ended.set(page, record);
    if (this.ended.size <= this.historyMax) return;
    for (const oldest of this.ended.keys()) {
      this.ended.delete(oldest);
      return;
    }
  }

  /** The mapping whose pages hold an address; of several that had it, the latest. */
  private find(records: ReadonlyMap<number, DmaRecord>, address: number): DmaRecord | undefined {
    let found: DmaRecord | undefined;
    for (const record of records.values()) {
      const end = record.iova + record.bytes;
      if (address < pageOf(record.iova) || address >= Math.ceil(end / PAGE_BYTES) * PAGE_BYTES) continue;
      if (found === undefined || record.unmappedAt >= found.unmappedAt) found = record;
    }
    return found;
  }

  private since({ unmappedAt, unmappedBy }: DmaRecord): string {
    const ago = this.events.now - unmappedAt;
    return `by ${unmappedBy} ${ago} event${ago === 1 ? '' : 's'} ago`;
  }

  /** The calls that led here, without our own three. */
  private stack(): string {
    if (!this.stacks) return '';
    const lines = (new Error().stack ?? '').split('\n');
    // V8 puts the error itself on top, other engines don't.
    return lines.slice(lines[0]!.startsWith('Error') ? 4 : 3).join('\n');
  }
}

const pageOf = (address: number): number => address - (address % PAGE_BYTES);

function pagesOf({ iova, bytes }: DmaRecord): number[] {
  const pages: number[] = [];
  for (let page = pageOf(iova); page < iova + bytes; page += PAGE_BYTES) pages.push(page);
  return pages;
}

const asks = (access: number): string => ((access & ACCESS.WRITE) !== 0 ? 'writes' : 'reads');
