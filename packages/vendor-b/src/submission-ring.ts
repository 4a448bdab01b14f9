import { ACCESS, type AddressSpace, RangeList } from '@ringwire/guest-memory';
import {
  RING_KIND,
  VB_FAULT,
  WORK_CHAIN_MAX,
  WORK_ENTRY,
  WORK_FLAG,
  WORK_OP,
  WORK_STATUS,
} from '@ringwire/nic-spec/vendor-b';
import type { CompletionRing, RingPlace } from './completion-ring.js';
import { RingReach, windowOf, within } from './reach.js';

const { READ, WRITE } = ACCESS;
const { MORE } = WORK_FLAG;
const { OK, BAD_OPCODE, BAD_FIELD, BAD_SEGMENTS, BAD_CHAIN, DMA_FAULT } = WORK_STATUS;
const ENTRY_WORDS = WORK_ENTRY.SIZE / 4;
const SEGMENT_WORD = WORK_ENTRY.segment / 4;
const TWO_32 = 0x1_0000_0000;
/** Ranges of the longest buffer: each segment of 64 KiB may lie in 17 pages. */
const RANGES_MAX: number = WORK_CHAIN_MAX * WORK_ENTRY.SEGMENTS * 17;

/**
 * The device's side of a submission ring: looks at the next buffer, and goes past it. An entry is copied out of memory once and
 * the copy is checked; a wrong one costs its own buffer alone.
 */
export class SubmissionRing {
  readonly place: RingPlace;
  /** `RING_KIND`. */
  readonly kind: number;
  readonly completions: CompletionRing;
  /** Indexes of 16 bits that run free. */
  produced = 0;
  consumed = 0;
  /** `VB_FAULT`: once it is set, nothing is read any more. */
  fault: number = VB_FAULT.NONE;
  // The buffer that was looked at last: good until the burst ends.
  /** Where it lies. */
  readonly ranges: RangeList = new RangeList(RANGES_MAX);
  /** Bytes in all of it. */
  bytes = 0;
  cookie = 0;
  /** `WORK_STATUS`. */
  status: number = OK;

  private readonly space: AddressSpace;
  private readonly reach: RingReach;
  private readonly opcode: number;
  private readonly access: number;
  private readonly entry = new Int32Array(ENTRY_WORDS);
  /** Entries of the buffer. */
  private taken = 0;

  constructor(space: AddressSpace, place: RingPlace, kind: number, completions: CompletionRing) {
    this.space = space;
    this.place = place;
    this.kind = kind;
    this.completions = completions;
    this.reach = new RingReach(space, place.address, place.entries, WORK_ENTRY.SIZE, READ);
    this.opcode = kind === RING_KIND.RECEIVE ? WORK_OP.RECEIVE : WORK_OP.SEND;
    this.access = kind === RING_KIND.RECEIVE ? WRITE : READ;
  }

  /** The driver's doorbell. */
  produce(index: number): void {
    if (this.fault !== VB_FAULT.NONE) return;
    if (((index - this.consumed) & 0xffff) > this.place.entries) this.fault = VB_FAULT.SUBMISSION_INDEX;
    else this.produced = index;
  }

  /** Look at the next buffer, in a burst. @returns whether there is one */
  peek(): boolean {
    const available = (this.produced - this.consumed) & 0xffff;
    if (available === 0 || this.fault !== VB_FAULT.NONE) return false;
    this.ranges.clear();
    this.bytes = 0;
    this.status = OK;
    this.taken = 0;
    do {
      if (this.taken === available || this.taken === WORK_CHAIN_MAX) {
        this.blame(BAD_CHAIN);
        return true;
      }
      if (!this.readEntry()) return false;
      this.taken++;
    } while (this.takeEntry());
    return true;
  }

  /** Go past the buffer that was looked at, and say what became of it. In a burst, with room for a completion. */
  complete(status: number, length: number): void {
    this.consumed = (this.consumed + this.taken) & 0xffff;
    this.completions.put(this.place.id, this.cookie, status, length, this.consumed);
  }

  /** Touch memory no more. */
  stop(): void {
    this.fault = VB_FAULT.RING_ADDRESS;
  }

  /** @returns false when the ring is out of reach */
  private readEntry(): boolean {
    const first = this.reach.wordOf((this.consumed + this.taken) & (this.place.entries - 1));
    if (first < 0) {
      this.fault = VB_FAULT.RING_ADDRESS;
      return false;
    }
    const { i32 } = this.space.memory;
    for (let word = 0; word < ENTRY_WORDS; word++) this.entry[word] = i32[first + word]!;
    return true;
  }

  /** @returns whether the buffer goes on in the next entry */
  private takeEntry(): boolean {
    const head = this.entry[0]!;
    const flags = (head >>> 8) & 0xff;
    const count = this.entry[1]! & 0xff;
    if (this.taken === 1) this.cookie = head >>> 16;
    if ((head & 0xff) !== this.opcode) this.blame(BAD_OPCODE);
    else if ((flags & ~MORE) !== 0 || this.entry[1]! >>> 8 !== 0) this.blame(BAD_FIELD);
    else if (count < 1 || count > WORK_ENTRY.SEGMENTS) this.blame(BAD_SEGMENTS);
    else for (let segment = 0; segment < count; segment++) this.takeSegment(SEGMENT_WORD + 2 * segment);
    return (flags & MORE) !== 0;
  }

  private takeSegment(word: number): void {
    const { space, access, ranges } = this;
    const low = this.entry[word]!;
    const high = this.entry[word + 1]!;
    const length = high >>> 16;
    if (length === 0) this.blame(BAD_SEGMENTS);
    else {
      const host = within(windowOf(space, access), high & 0xffff, low, length, access);
      if (host >= 0) ranges.push(host, length);
      else if (!space.resolveRanges((high & 0xffff) * TWO_32 + (low >>> 0), length, access, ranges))
        this.blame(DMA_FAULT);
    }
    this.bytes += length;
  }

  /** The first mistake counts. */
  private blame(status: number): void {
    if (this.status === OK) this.status = status;
  }
}
