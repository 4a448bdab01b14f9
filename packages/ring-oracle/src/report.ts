/**
 * What `inspectRing` says. Everything survives JSON: addresses and 64-bit values are hex strings, counts and
 * indexes are numbers. Byte totals are exact up to 2^53.
 */

export type RingLayout = 'split' | 'packed';

/** One of the three areas of a virtqueue, by the spec's name for this layout. */
export interface RingPart {
  readonly name: PartName;
  /** Which of the transport's three addresses it is. */
  readonly area: 'desc' | 'driver' | 'device';
  readonly address: string;
  readonly bytes: number;
  /** `unsaved`: bytes are missing from the dump. `unmapped`: not all of it is RAM. */
  readonly state: 'saved' | 'unsaved' | 'unmapped';
}

/** A part of a virtqueue, as reports name it. */
export type PartName =
  | 'descriptor table'
  | 'available ring'
  | 'used ring'
  | 'descriptor ring'
  | 'driver event suppression'
  | 'device event suppression';

/** virtio 1.4 §2.7.6, §2.7.8. null where the bytes are not known. Event words count with EVENT_IDX only. */
export interface SplitHeader {
  readonly layout: 'split';
  readonly avail: { readonly flags: number | null; readonly idx: number | null; readonly used_event: number | null };
  readonly used: { readonly flags: number | null; readonly idx: number | null; readonly avail_event: number | null };
}

/** virtio 1.4 §2.8.14: one event suppression structure. */
export interface EventSuppress {
  readonly desc_event_off: number;
  readonly desc_event_wrap: 0 | 1;
  readonly desc_event_flags: number;
}

/** null where the bytes are not known. */
export interface PackedHeader {
  readonly layout: 'packed';
  readonly driver: EventSuppress | null;
  readonly device: EventSuppress | null;
}

/**
 * A place in the ring. Split: a free-running 16-bit index, `wrap` is null. Packed: a slot and the wrap counter
 * that goes with it.
 */
export interface Position {
  readonly index: number;
  readonly wrap: 0 | 1 | null;
  /**
   * `given` by the caller; `certain`: no honest driver and device could have left these bytes otherwise;
   * `likely`: the best reading of the bytes.
   */
  readonly known: 'given' | 'certain' | 'likely';
  /** How it was found. */
  readonly how: string;
}

/** Where each side stands in the ring; null where the bytes do not say. */
export interface Positions {
  /** Next element that the device will take. */
  readonly lastAvail: Position | null;
  /** Next element that the device will return. */
  readonly used: Position | null;
  /** Next element that the driver will make available. */
  readonly driver: Position | null;
}

/** Where a descriptor stands: `index` in the ring, or in the indirect table at `table`. */
export interface DescriptorPlace {
  readonly table: string | null;
  readonly index: number;
}

/** One buffer element: a descriptor that is not a reference to an indirect table. */
export interface BufferDescriptor {
  readonly place: DescriptorPlace;
  readonly address: string;
  readonly length: number;
  /** As stored, all 16 bits. */
  readonly flags: number;
  readonly access: 'readable' | 'writable';
}

/** The descriptor that refers to an indirect table. `index` is its place in the ring. */
export interface IndirectReference {
  readonly index: number;
  readonly table: string;
  readonly length: number;
  readonly flags: number;
}

/** An element that is available and not yet used. */
export interface PendingElement {
  /** Split: the available index it was published at. Packed: its first slot. */
  readonly position: number;
  readonly wrap: 0 | 1 | null;
  /** Split: head index. Packed: buffer id. */
  readonly id: number;
  /** Ring descriptors that it takes up. */
  readonly slots: number;
  readonly indirect: IndirectReference | null;
  /** Buffers in order, indirect tables followed. */
  readonly descriptors: readonly BufferDescriptor[];
  readonly readableBytes: number;
  readonly writableBytes: number;
  /** False when the walk ended early: a violation or bytes that were not saved. */
  readonly complete: boolean;
}

/** An element that the device has returned. */
export interface UsedElement {
  /** Split: the used index it was written at. Packed: its slot. */
  readonly position: number;
  /** Packed: the wrap counter that sees it as used. */
  readonly wrap: 0 | 1 | null;
  readonly id: number;
  readonly length: number;
}

/** Neighbouring ring descriptors in one state. */
export interface SlotRun {
  readonly from: number;
  readonly count: number;
  /**
   * `pending`: made available, not taken. `in flight`: taken, not returned. `used`: returned. `stale`: looks
   * available but is what is left of a list that was returned. `idle`: in no chain that is known to be live.
   */
  readonly state: 'pending' | 'in flight' | 'used' | 'stale' | 'idle' | 'unsaved';
}

/** A rule that is broken, and by which bytes. */
export interface Finding {
  /** Statement id, or the oracle's own id beginning with `ring.`. */
  readonly id: string;
  readonly by: 'driver' | 'device';
  /** Section of virtio 1.4. */
  readonly spec: string;
  /** Guest address of the field at fault; null when it is no memory. */
  readonly at: string | null;
  readonly part: PartName | 'indirect table' | 'queue';
  /** A sentence that names the field, its value and what was wanted. */
  readonly message: string;
}

/** Of all that is available. */
export interface RingTotals {
  readonly elements: number;
  readonly descriptors: number;
  readonly readableBytes: number;
  readonly writableBytes: number;
}

/** What a ring's bytes say. */
export interface RingReport {
  readonly layout: RingLayout;
  readonly size: number;
  /** Negotiated feature bits in hex; null when not given. */
  readonly features: string | null;
  readonly parts: readonly RingPart[];
  readonly header: SplitHeader | PackedHeader;
  readonly positions: Positions;
  /** Elements taken and not returned, in ring descriptors for a packed queue; null when that is not known. */
  readonly inFlight: number | null;
  /** Oldest first. */
  readonly pending: readonly PendingElement[];
  readonly totals: RingTotals;
  /** Used elements that stand in the ring, oldest first; the driver may have seen them long ago. */
  readonly returned: readonly UsedElement[];
  readonly slots: readonly SlotRun[];
  readonly violations: readonly Finding[];
  readonly remarks: readonly Finding[];
  /** Further findings that were counted and not listed. */
  readonly findingsOmitted: number;
  /** True when the pending elements hold more descriptors than the limit: the rest was not walked. */
  readonly truncated: boolean;
  /** Sentences on why nothing is happening, the most telling first. */
  readonly why: readonly string[];
}
