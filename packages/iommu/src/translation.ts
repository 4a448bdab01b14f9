/** What became of one DMA request, see {@link Iommu.translate}. */
export const TRANSLATED = {
  /** `out` has the physical address. */
  OK: 0,
  /** The requester's addresses are physical addresses: `out` has the address itself. */
  PASS_THROUGH: 1,
  /** Blocked; a fault was recorded. */
  FAULT: 2,
  /** Blocked; tables or registers say that its faults are not recorded. */
  BLOCKED: 3,
  /** A write to the interrupt address range: an interrupt request, never a memory access. */
  INTERRUPT: 4,
} as const;
/** One of {@link TRANSLATED}. */
export type Translated = (typeof TRANSLATED)[keyof typeof TRANSLATED];

/** No PASID: a request without one. */
export const NO_PASID = -1;

/** Caller-owned result of a translation, reused. */
export interface Translation {
  /** Physical address of the byte asked for. */
  physical: number;
  /** Bytes of the naturally aligned page that it lies in, less one: 0xfff, 0x1fffff, 0x3fffffff, … */
  pageMask: number;
  /** `ACCESS` bits that the page allows this requester. */
  allowed: number;
  /** The domain that caches tag the translation with: what invalidations name. */
  domain: number;
  /** Table entries that the walk read. */
  entriesRead: number;
}

/** An empty result, for its caller to keep and reuse. */
export const newTranslation = (): Translation => ({ physical: 0, pageMask: 0, allowed: 0, domain: 0, entriesRead: 0 });

/** One IOMMU, as its bus sees it: a walk of the tables, as they are now unless it has caches. */
export interface Iommu {
  /** What it keeps in this thread of tables and registers follows invalidations: its users have it told of them. */
  readonly follower?: InvalidationSink;

  /**
   * Translate one byte's address and record the fault if it has none.
   * @param sourceId requester: bus << 8 | device << 3 | function, or an endpoint id
   * @param pasid    0 … 2^20-1, or NO_PASID
   * @param address  below 2^53
   * @param access   `ACCESS` bits; every one has to be allowed
   */
  translate(sourceId: number, pasid: number, address: number, access: number, out: Translation): Translated;
}

/** An IOMMU that devices ask for translations to keep (PCIe address translation services). */
export interface AtsIommu extends Iommu {
  /**
   * A device's translation request for one byte's address.
   * @returns OK, and the device may use `out` until it is told otherwise; PASS_THROUGH when it is to send its address as
   *          it is, each time; BLOCKED when the page does not allow the access, which is recorded nowhere; FAULT when the
   *          requester may not ask, or its tables are wrong
   */
  requestTranslation(sourceId: number, pasid: number, address: number, access: number, out: Translation): Translated;
}

/** What an invalidation leaves alone, bits of the last argument of an {@link InvalidationSink}'s calls. */
export const KEEP = {
  /** Which tables lead to a page: only the translation of the page itself changed. */
  TABLES: 1,
  /** Devices' own caches: an invalidation of theirs comes besides. */
  DEVICES: 2,
} as const;

/**
 * Where a unit announces that translations are void, and what a cache is told by. When a call of the former returns, no
 * later DMA uses one of them. Every call names all caches, less what `keep`, bits of {@link KEEP}, says; a cache may
 * always forget more.
 */
export interface InvalidationSink {
  /** The caller is in a burst itself: a call would wait for that to end, and throws. */
  readonly inBurst?: boolean;
  /** Everything. */
  all(keep?: number): void;
  /** All pages of a domain. */
  domain(domain: number, keep?: number): void;
  /** A naturally aligned stretch of a domain: `address` to `address + mask`. */
  pages(domain: number, address: number, mask: number, keep?: number): void;
  /** All that was cached for a requester, whatever its domain: its context changed. */
  requester(sourceId: number): void;
}
