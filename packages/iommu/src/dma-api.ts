import type { PageAllocator } from '@ringwire/guest-memory';
import { VirtioError } from '@ringwire/virtio-spec';
import type { DmaDebug } from './dma-debug.js';
import type { DmaDirection } from './dma-direction.js';
import type { IommuDomain } from './domain.js';

const PAGE_BYTES = 4096;
const HERE = 'DmaApi';

/** What a {@link DmaApi} hands out addresses of. */
export interface DmaApiConfig {
  readonly domain: IommuDomain;
  /** I/O addresses that may be given out. */
  readonly iovas: PageAllocator;
  /** Watches every call; without it mistakes throw. */
  readonly debug?: DmaDebug;
}

/**
 * What a driver asks for before it gives a buffer to its device, and when it has it back: the DMA API of an operating
 * system. A buffer need not be whole pages; the pages that it touches are mapped, each mapping at an address of its own.
 *
 * A driver's mistakes throw a VirtioError and change nothing. With a {@link DmaDebug} they are reported instead, and what
 * was meant is done as far as can be told.
 */
export class DmaApi {
  private readonly domain: IommuDomain;
  private readonly iovas: PageAllocator;
  private readonly debug: DmaDebug | undefined;
  /** Bytes of each mapping's pages, by its first page's I/O address. */
  private readonly live = new Map<number, number>();
  /** Lazy mode: addresses that may not be given out before the next flush. */
  private unflushed: number[] = [];

  constructor(config: DmaApiConfig) {
    this.domain = config.domain;
    this.iovas = config.iovas;
    this.debug = config.debug;
  }

  /** Mappings that were not ended yet. */
  get mappings(): number {
    return this.live.size;
  }

  /**
   * Give a buffer to the device, until {@link unmap}.
   * @param physical first byte, in the domain's physical memory
   * @param owner    stands in reports
   * @returns the address that the device has for it
   * @throws VirtioError when there is no address or no room for tables
   */
  map(physical: number, bytes: number, direction: DmaDirection, owner: string): number {
    if (!Number.isSafeInteger(bytes) || bytes < 1) throw new VirtioError('bytes', bytes, '1 or more', HERE);
    const into = physical % PAGE_BYTES;
    const pages = Math.ceil((into + bytes) / PAGE_BYTES) * PAGE_BYTES;
    const page = this.iovas.allocate(pages);
    try {
      this.domain.map(page, physical - into, pages, direction);
    } catch (error) {
      this.iovas.free(page);
      throw error;
    }
    this.live.set(page, pages);
    this.debug?.mapped(page + into, bytes, direction, owner);
    return page + into;
  }

  /**
   * Take a buffer back: size and direction are those of {@link map}. Unless the domain is lazy, no DMA reaches it when
   * this returns.
   * @param owner stands in reports
   */
  unmap(iova: number, bytes: number, direction: DmaDirection, owner: string): void {
    const page = iova - (iova % PAGE_BYTES);
    const pages = this.live.get(page);
    if (this.debug === undefined) this.checkUnmap(iova, bytes, pages);
    else if (!this.debug.unmapped(iova, bytes, direction, owner, this.domain.lazy)) return;
    if (pages === undefined) return;
    this.live.delete(page);
    this.domain.unmap(page, pages);
    // In lazy mode a cache may still hold the address: given out again, it would lead to the old buffer.
    if (this.domain.lazy) this.unflushed.push(page);
    else this.iovas.free(page);
  }

  /** Lazy mode: put out of reach what was unmapped, and give its addresses out again. */
  flush(): void {
    this.domain.flush();
    this.debug?.flushed();
    for (const page of this.unflushed) this.iovas.free(page);
    this.unflushed = [];
  }

  /** The driver goes: what it did not unmap is a leak, reported and unmapped. @returns mappings that were left */
  close(): number {
    this.debug?.closed();
    const left = this.live.size;
    for (const [page, pages] of this.live) {
      this.domain.unmap(page, pages);
      this.unflushed.push(page);
    }
    this.live.clear();
    this.flush();
    return left;
  }

  private checkUnmap(iova: number, bytes: number, pages: number | undefined): void {
    if (pages === undefined) throw new VirtioError('iova', iova, 'an address of a mapping', HERE);
    const wanted = Math.ceil(((iova % PAGE_BYTES) + bytes) / PAGE_BYTES) * PAGE_BYTES;
    if (wanted !== pages) throw new VirtioError('bytes', bytes, `those of the mapping, in ${pages} of pages`, HERE);
  }
}
