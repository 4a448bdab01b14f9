import { ACCESS, type AddressSpace, type PageAllocator } from '@ringwire/guest-memory';
import { VirtioError } from '@ringwire/virtio-spec';
import type { IommuDomain } from './domain.js';
import { checkFree, type Requesters, type RequesterTableConfig } from './requester-table.js';
import type { InvalidationSink } from './translation.js';
import { VTD_PASID_ENTRY, VTD_PGTT, VTD_ROOT_ENTRY, VTD_SM_CONTEXT_ENTRY } from './vtd-tables.js';

const TABLE_BYTES = 4096;
const WORD = 0x1_0000_0000;
const PRESENT = 1;
/** PASIDs of one table, and of the 128 that PDTS 0 gives a directory. */
const TABLE_PASIDS = 64;
const PASIDS = 128 * TABLE_PASIDS;
const HERE = 'VT-d §9.2, §9.4 to §9.6';
const PE = VTD_PASID_ENTRY.word0;

/** A guest's own tables, for {@link ScalableRequesterTable.attachNested}. */
export interface GuestTables {
  /** Address of the top table: one that the outer domain maps. */
  readonly root: number;
  readonly levels: 4 | 5;
}

/** What a requester has while it is attached. */
interface Attachment {
  readonly domain: IommuDomain;
  readonly directory: number;
  /** PASID tables, by place in the directory; the first is there from the start. */
  readonly tables: Map<number, number>;
  /** Domains of requests with PASID. */
  readonly domains: Map<number, IommuDomain>;
}

/**
 * Which requester uses which domain in VT-d's scalable mode: root table, context tables, and for each requester a PASID
 * directory and table of which requests without PASID use entry 0. Second stages mark the pages that they are accessed
 * and written through; a guest's tables can be nested over one.
 */
export class ScalableRequesterTable implements Requesters {
  /** Physical address of the root table. */
  readonly root: number;
  readonly tracksDirty = true;

  private readonly physical: AddressSpace;
  private readonly allocator: PageAllocator;
  private readonly sink: InvalidationSink;
  private readonly attached = new Map<number, Attachment>();
  /** By half bus: bus << 1, plus 1 for devices 16 to 31. */
  private readonly contexts = new Map<number, number>();

  constructor(config: RequesterTableConfig) {
    this.physical = config.physical;
    this.allocator = config.allocator;
    this.sink = config.sink;
    this.root = this.newTable();
  }

  /** What goes into RTADDR: the table's address with TTM 1, scalable mode. */
  get rtaddr(): bigint {
    return BigInt(this.root) | 0x400n;
  }

  domainOf(sourceId: number): IommuDomain | undefined {
    return this.attached.get(sourceId)?.domain;
  }

  /**
   * @param sourceId bus << 8 | device << 3 | function
   * @throws VirtioError when the requester is attached already: detach it first
   */
  attach(sourceId: number, domain: IommuDomain): void {
    this.install(sourceId, domain, undefined);
  }

  /**
   * Let a guest's first-stage tables translate first, and a domain then, the tables' own addresses included.
   * @param outer  guest-physical to physical, made with `isOuter`; its id is what caches know the whole translation by
   * @param tables the guest's word for them: whatever they say reaches what `outer` maps and nothing else
   */
  attachNested(sourceId: number, outer: IommuDomain, tables: GuestTables): void {
    if (!Number.isSafeInteger(tables.root) || tables.root < 0 || tables.root % TABLE_BYTES !== 0)
      throw new VirtioError('root', tables.root, 'a multiple of 4096 below 2^53', HERE);
    this.install(sourceId, outer, tables);
  }

  /** The domain of a requester's DMA that is tagged with a PASID. */
  pasidDomain(sourceId: number, pasid: number): IommuDomain | undefined {
    return this.attached.get(sourceId)?.domains.get(pasid);
  }

  /**
   * Let a requester's DMA that is tagged with a PASID use a domain of its own: what shares a function, as its queue pairs do
   * with Scalable IOV, can be kept apart so.
   * @param pasid 1 to 8191; 0 is what requests without PASID use
   * @throws VirtioError for a requester without a domain, or a PASID that has one
   */
  attachPasid(sourceId: number, pasid: number, domain: IommuDomain): void {
    const attachment = this.attachmentOf(sourceId);
    if (!Number.isInteger(pasid) || pasid < 1 || pasid >= PASIDS || attachment.domains.has(pasid))
      throw new VirtioError('pasid', pasid, `1 to ${PASIDS - 1} without a domain`, HERE);
    const place = Math.floor(pasid / TABLE_PASIDS);
    let table = attachment.tables.get(place);
    if (table === undefined) {
      table = this.newTable();
      attachment.tables.set(place, table);
      this.link(this.wordOf(attachment.directory) + place * 2, table);
    }
    attachment.domains.set(pasid, domain);
    this.writeEntry(this.entryOf(table, pasid), domain, undefined);
    this.physical.memory.u32[this.contextWord(sourceId)]! |= VTD_SM_CONTEXT_ENTRY.word0.PASIDE;
    this.sink.requester(sourceId);
  }

  /** Take a PASID's domain away; when it returns, no DMA with that tag reaches anything. */
  detachPasid(sourceId: number, pasid: number): void {
    const attachment = this.attachmentOf(sourceId);
    if (!attachment.domains.delete(pasid)) throw new VirtioError('pasid', pasid, 'a PASID with a domain', HERE);
    const table = attachment.tables.get(Math.floor(pasid / TABLE_PASIDS))!;
    Atomics.store(this.physical.memory.u32, this.entryOf(table, pasid), 0);
    this.sink.requester(sourceId);
  }

  /** Take a requester's domain away; when it returns, none of its DMA reaches anything. */
  detach(sourceId: number): void {
    const { tables, directory } = this.attachmentOf(sourceId);
    this.attached.delete(sourceId);
    Atomics.store(this.physical.memory.u32, this.contextWord(sourceId), 0);
    this.sink.requester(sourceId);
    for (const table of tables.values()) this.allocator.free(table);
    this.allocator.free(directory);
  }

  /** Free the tables. No unit may use them any more. */
  destroy(): void {
    for (const sourceId of [...this.attached.keys()]) this.detach(sourceId);
    for (const table of this.contexts.values()) this.allocator.free(table);
    this.allocator.free(this.root);
  }

  private install(sourceId: number, domain: IommuDomain, guest: GuestTables | undefined): void {
    checkFree(sourceId, this.domainOf(sourceId));
    const table = this.newTable();
    const directory = this.newTable();
    this.writeEntry(this.entryOf(table, 0), domain, guest);
    this.link(this.wordOf(directory), table);
    this.attached.set(sourceId, { domain, directory, tables: new Map([[0, table]]), domains: new Map() });
    // PDTS 0: a directory of 128 entries. RID_PASID 0: entry 0 is for requests without PASID.
    this.link(this.contextWord(sourceId), directory);
    this.sink.requester(sourceId);
  }

  private attachmentOf(sourceId: number): Attachment {
    const attachment = this.attached.get(sourceId);
    if (attachment === undefined) throw new VirtioError('sourceId', sourceId, 'a requester with a domain', HERE);
    return attachment;
  }

  /** Index into u32 of a PASID's entry in its table. */
  private entryOf(table: number, pasid: number): number {
    return this.wordOf(table) + ((pasid % TABLE_PASIDS) * VTD_PASID_ENTRY.SIZE) / 4;
  }

  private writeEntry(entry: number, domain: IommuDomain, guest: GuestTables | undefined): void {
    const { u32 } = this.physical.memory;
    const { root, levels } = domain.tables;
    const type = guest === undefined ? VTD_PGTT.SECOND_STAGE : VTD_PGTT.NESTED;
    u32[entry + 1] = Math.floor(root / WORD);
    u32[entry + 2] = domain.id;
    if (guest !== undefined) {
      u32[entry + 4] = (guest.root | ((guest.levels - 4) << VTD_PASID_ENTRY.word4.FSPM_SHIFT)) >>> 0;
      u32[entry + 5] = Math.floor(guest.root / WORD);
    }
    const word0 = root | ((levels - 2) << PE.AW_SHIFT) | (type << PE.PGTT_SHIFT) | PE.SSADE | PRESENT;
    Atomics.store(u32, entry, word0 >>> 0);
  }

  /** Index into u32 of a requester's context entry. */
  private contextWord(sourceId: number): number {
    const half = sourceId >>> 7;
    let table = this.contexts.get(half);
    if (table === undefined) {
      table = this.newTable();
      this.contexts.set(half, table);
      this.link(this.wordOf(this.root) + ((half >>> 1) * VTD_ROOT_ENTRY.SIZE + (half & 1) * 8) / 4, table);
    }
    return this.wordOf(table) + ((sourceId & 0x7f) * VTD_SM_CONTEXT_ENTRY.SIZE) / 4;
  }

  /** Make an entry of 64 bits present that leads to a table. */
  private link(entry: number, table: number): void {
    const { u32 } = this.physical.memory;
    u32[entry + 1] = Math.floor(table / WORD);
    Atomics.store(u32, entry, (table | PRESENT) >>> 0);
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
