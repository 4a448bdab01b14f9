import { type InvalidationSink, KEEP } from './translation.js';
import { VtdContextCache } from './vtd-context-cache.js';
import { VtdPagingCache } from './vtd-paging-cache.js';

/** What the caches in front of a unit's walk counted since they were made. */
export interface VtdCacheCounters {
  readonly contextHits: number;
  readonly contextMisses: number;
  /** Walks of paging tables that began below the top, and that did not. */
  readonly tableHits: number;
  readonly tableMisses: number;
  /** Contexts and tables that gave way to others. */
  readonly evictions: number;
  /** Contexts and tables that were dropped because they were told to be void. */
  readonly invalidated: number;
  /** Walks that began with something cached, came to a fault, and were done again without. */
  readonly repeated: number;
  /** [n]: requests that read n entries of tables; the last counts those that read more too. */
  readonly depths: readonly number[];
}

/** Entries of each of a unit's caches. */
export interface VtdCacheSizes {
  /** Requesters and PASIDs; a power of two, 64. */
  readonly contexts?: number;
  /** Tables of the lowest level, 2 MiB each; a power of two, 256. */
  readonly tables?: number;
}

const DEPTHS = 32;

/**
 * What a unit remembers of its tables in one thread: contexts of requesters, and where paging tables lie (VT-d 4.0 §6.2).
 * Entries that are not present are never remembered, and what ends in a fault is walked again from the root table on, so
 * that only what was taken away has to be invalidated.
 */
export class VtdCaches implements InvalidationSink {
  readonly contexts: VtdContextCache;
  readonly tables: VtdPagingCache;
  contextHits = 0;
  contextMisses = 0;
  tableHits = 0;
  tableMisses = 0;
  repeated = 0;

  private readonly depths = new Float64Array(DEPTHS);

  constructor({ contexts = 64, tables = 256 }: VtdCacheSizes = {}) {
    this.contexts = new VtdContextCache(contexts);
    this.tables = new VtdPagingCache(tables);
  }

  get counters(): VtdCacheCounters {
    const { contextHits, contextMisses, tableHits, tableMisses, repeated, contexts, tables } = this;
    const evictions = contexts.evictions + tables.evictions;
    const invalidated = contexts.invalidated + tables.invalidated;
    const depths = [...this.depths];
    return { contextHits, contextMisses, tableHits, tableMisses, evictions, invalidated, repeated, depths };
  }

  /** One request read so many entries of tables. */
  countDepth(entriesRead: number): void {
    const index = entriesRead < DEPTHS ? entriesRead : DEPTHS - 1;
    this.depths[index] = this.depths[index]! + 1;
  }

  all(): void {
    this.contexts.all();
    this.tables.all();
  }

  domain(domain: number): void {
    this.contexts.domain(domain);
    this.tables.domain(domain);
  }

  pages(domain: number, address: number, mask: number, keep = 0): void {
    if ((keep & KEEP.TABLES) === 0) this.tables.pages(domain, address, mask);
  }

  requester(sourceId: number): void {
    this.contexts.requester(sourceId);
  }
}

/** The unit's own caches first: they are this thread's. */
export const inTurn = (caches: VtdCaches, sink: InvalidationSink): InvalidationSink => ({
  all: (keep) => {
    caches.all();
    sink.all(keep);
  },
  domain: (domain, keep) => {
    caches.domain(domain);
    sink.domain(domain, keep);
  },
  pages: (domain, address, mask, keep) => {
    caches.pages(domain, address, mask, keep);
    sink.pages(domain, address, mask, keep);
  },
  requester: (sourceId) => {
    caches.requester(sourceId);
    sink.requester(sourceId);
  },
});
