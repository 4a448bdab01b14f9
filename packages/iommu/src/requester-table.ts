import { ACCESS, type AddressSpace, type PageAllocator } from '@ringwire/guest-memory';
import { VirtioError } from '@ringwire/virtio-spec';
import type { IommuDomain } from './domain.js';
import type { InvalidationSink } from './translation.js';

const TABLE_BYTES = 4096;
const ENTRY_BYTES = 16;
const WORD = 0x1_0000_0000;
const PRESENT = 1;
/** Translation type 01 of a context entry. */
const DEVICE_TLB = 4;
const HERE = 'VT-d §9.1, §9.3';

/** What a {@link RequesterTable} writes its tables with. */
export interface RequesterTableConfig {
  /** The machine's memory, in which the tables are written. */
  readonly physical: AddressSpace;
  readonly allocator: PageAllocator;
  /** Told when a requester's domain ends or changes. */
  readonly sink: InvalidationSink;
}

/** Who gives requesters their domains. */
export interface Requesters {
  /** Whether translations of these requesters mark the pages that they write as dirty. */
  readonly tracksDirty: boolean;
  domainOf(sourceId: number): IommuDomain | undefined;
  attach(sourceId: number, domain: IommuDomain): void;
  detach(sourceId: number): void;
}

/**
 * Which requester uses which domain: the root table and context tables of VT-d's legacy mode. A requester without a
 * domain has no access at all.
 */
export class RequesterTable implements Requesters {
  /** Physical address of the root table: what goes into RTADDR. */
  readonly root: number;
  /** Legacy mode has no accessed and dirty flags. */
  readonly tracksDirty = false;

  private readonly physical: AddressSpace;
  private readonly allocator: PageAllocator;
  private readonly sink: InvalidationSink;
  private readonly domains = new Map<number, IommuDomain>();
  /** Context table of each bus that has one. */
  private readonly contexts = new Map<number, number>();

  constructor(config: RequesterTableConfig) {
    this.physical = config.physical;
    this.allocator = config.allocator;
    this.sink = config.sink;
    this.root = this.newTable();
  }

  /** The domain that a requester is attached to. */
  domainOf(sourceId: number): IommuDomain | undefined {
    return this.domains.get(sourceId);
  }

  /**
   * @param sourceId bus << 8 | device << 3 | function
   * @param deviceTlb whether the requester may ask for translations and keep them
   * @throws VirtioError when the requester is attached already: detach it first
   */
  attach(sourceId: number, domain: IommuDomain, deviceTlb = false): void {
    checkFree(sourceId, this.domains.get(sourceId));
    const entry = this.contextWord(sourceId);
    const { u32 } = this.physical.memory;
    // Address width in bits 66:64 (levels less 2), domain id in 87:72; the word with P last.
    u32[entry + 3] = 0;
    u32[entry + 2] = (domain.tables.levels - 2) | (domain.id << 8);
    u32[entry + 1] = Math.floor(domain.tables.root / WORD);
    Atomics.store(u32, entry, (domain.tables.root | PRESENT | (deviceTlb ? DEVICE_TLB : 0)) >>> 0);
    this.domains.set(sourceId, domain);
    this.sink.requester(sourceId);
  }

  /** Take a requester's domain away; when it returns, none of its DMA reaches anything. */
  detach(sourceId: number): void {
    if (!this.domains.delete(sourceId)) throw new VirtioError('sourceId', sourceId, 'a requester with a domain', HERE);
    Atomics.store(this.physical.memory.u32, this.contextWord(sourceId), 0);
    this.sink.requester(sourceId);
  }

  /** Free the tables. No unit may use them any more. */
  destroy(): void {
    for (const sourceId of [...this.domains.keys()]) this.detach(sourceId);
    for (const table of this.contexts.values()) this.allocator.free(table);
    this.allocator.free(this.root);
  }

  /** Index into u32 of a requester's context entry. */
  private contextWord(sourceId: number): number {
    const bus = sourceId >>> 8;
    let table = this.contexts.get(bus);
    if (table === undefined) {
      table = this.newTable();
      this.contexts.set(bus, table);
      const entry = this.wordOf(this.root) + (bus * ENTRY_BYTES) / 4;
      this.physical.memory.u32[entry + 1] = Math.floor(table / WORD);
      Atomics.store(this.physical.memory.u32, entry, (table | PRESENT) >>> 0);
    }
    return this.wordOf(table) + ((sourceId & 0xff) * ENTRY_BYTES) / 4;
  }

  private newTable(): number {
    const table = this.allocator.allocate(TABLE_BYTES);
    this.physical.memory.u32.fill(0, this.wordOf(table), this.wordOf(table) + TABLE_BYTES / 4);
    return table;
  }

  private wordOf(table: number): number {
    const offset = this.physical.resolve(table, TABLE_BYTES, ACCESS.READ | ACCESS.WRITE);
    if (offset < 0) throw new VirtioError('table', table, 'a page of physical memory', HERE);
    return offset >>> 2;
  }
}

/** @throws VirtioError unless it is a requester id, and one without a domain */
export function checkFree(sourceId: number, present: IommuDomain | undefined): void {
  if (!Number.isInteger(sourceId) || sourceId < 0 || sourceId > 0xffff)
    throw new VirtioError('sourceId', sourceId, '0 to 65535', HERE);
  if (present !== undefined)
    throw new VirtioError('sourceId', sourceId, `one without a domain, not ${present.id}`, HERE);
}
