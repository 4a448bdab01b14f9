import { type HostMemory, RangeList } from '@ringwire/guest-memory';
import { VirtioError } from '@ringwire/virtio-spec';
import { copyFrame } from './copy-frame.js';
import { Frame, ORIGIN_MASK } from './frame.js';
import { FIELDS16, restoreFields, saveFields } from './frame-fields.js';
import { DELIVERED, type Delivered } from './net-backend.js';

/** Where a {@link FrameQueueWriter} and a {@link FrameQueueReader} meet: zeros of host memory at first. */
export interface SharedQueuePlace {
  /** Host offset, a multiple of 64. */
  readonly at: number;
  /** Of the whole, which nobody else writes: 64 for each frame, {@link SHARED_QUEUE_HEAD_BYTES}, and the frames' bytes. */
  readonly bytes: number;
  /** Most frames that wait, a power of two from 1 to 65536. */
  readonly frames: number;
}

/** What comes before the slots: a cache line for each side's index. */
export const SHARED_QUEUE_HEAD_BYTES = 128;

/** A frame's slot takes a line, and lies before the frames' bytes. */
const SLOT_BYTES = 64;
const SLOT_WORDS = SLOT_BYTES / 4;
// Words of a slot: where in the area the copy is, its length, pair and offload fields, and what the writer says with it.
const OFFSET = 0;
const LENGTH = 1;
const FIELDS = 2;
const NOTE = FIELDS + Math.ceil(FIELDS16 / 2);
const VALUE = NOTE + 1;
const STAMP = NOTE + 2;
/** Indexes are published after so many frames at the latest, so that the other thread can go on. */
export const PUBLISH_FRAMES = 32;
const HERE = 'SharedFrameQueue';

/** What both sides have of a queue: plain words, and two indexes that are accessed with `Atomics`. */
class Sides {
  readonly memory: HostMemory;
  readonly words: Int32Array;
  readonly fields: Uint16Array;
  /** Frames that were put and that were taken, each counted up by one side alone; element indexes. */
  readonly put: number;
  readonly taken: number;
  readonly slots: number;
  readonly mask: number;
  /** Host offset and bytes of the copies' area. */
  readonly area: number;
  readonly areaBytes: number;

  constructor(memory: HostMemory, { at, bytes, frames }: SharedQueuePlace) {
    if (!Number.isInteger(frames) || frames < 1 || frames > 0x1_0000 || (frames & (frames - 1)) !== 0)
      throw new VirtioError('frames', frames, 'a power of two from 1 to 65536', HERE);
    const least = SHARED_QUEUE_HEAD_BYTES + frames * SLOT_BYTES;
    if (!Number.isInteger(at) || at < 0 || at % SLOT_BYTES !== 0)
      throw new VirtioError('at', at, 'a multiple of 64', HERE);
    if (!Number.isInteger(bytes) || bytes <= least || at + bytes > memory.size) {
      const want = `more than ${least}, from ${at} on inside the memory's ${memory.size} bytes`;
      throw new VirtioError('bytes', bytes, want, HERE);
    }
    this.memory = memory;
    this.words = memory.i32;
    this.fields = memory.u16;
    this.put = at >> 2;
    this.taken = (at + 64) >> 2;
    this.slots = (at + SHARED_QUEUE_HEAD_BYTES) >> 2;
    this.mask = frames - 1;
    this.area = at + least;
    this.areaBytes = bytes - least;
  }

  /** First word of a frame's slot. @param index of the frame, of any turn */
  slot(index: number): number {
    return this.slots + (index & this.mask) * SLOT_WORDS;
  }
}

/**
 * The end of a queue of frames that one thread writes while another one reads: copies, first in, first out, bounded in
 * bytes and in frames, without a lock. Nothing is allocated once it is made. A writer that takes over from one that died
 * finds the queue as that one published it.
 */
export class FrameQueueWriter {
  private readonly sides: Sides;
  private put: number;
  /** As it was last looked at: what was taken since is found out when there is no room. */
  private taken: number;
  private published: number;
  /** Where in the area the next frame goes, if there is room. */
  private end = 0;

  /** @throws VirtioError for a place that is none */
  constructor(memory: HostMemory, place: SharedQueuePlace) {
    const sides = new Sides(memory, place);
    this.sides = sides;
    this.put = Atomics.load(sides.words, sides.put);
    this.taken = Atomics.load(sides.words, sides.taken);
    this.published = this.put;
    if (this.put === this.taken) return;
    const last = sides.slot(this.put - 1);
    this.end = sides.words[last + OFFSET]! + sides.words[last + LENGTH]!;
  }

  /** Whether frames were put that the reader may not see yet. */
  get isDue(): boolean {
    return this.put !== this.published;
  }

  /**
   * Append a copy of a frame.
   * @param note, value, stamp 32 bits each, for the reader
   * @returns FULL without room for it now, DROPPED when it is longer than the whole area
   */
  push(frame: Frame, note = 0, value = 0, stamp = 0): Delivered {
    const { sides } = this;
    const { words, memory } = sides;
    const { length } = frame;
    if (length > sides.areaBytes) return DELIVERED.DROPPED;
    let offset = this.room(length);
    if (offset < 0) {
      this.taken = Atomics.load(words, sides.taken);
      offset = this.room(length);
    }
    if (offset < 0) {
      this.publish();
      return DELIVERED.FULL;
    }
    const slot = sides.slot(this.put);
    copyFrame(frame, 0, memory, sides.area + offset, length);
    words[slot + OFFSET] = offset;
    words[slot + LENGTH] = length;
    words[slot + NOTE] = note;
    words[slot + VALUE] = value;
    words[slot + STAMP] = stamp;
    saveFields(frame, sides.fields, (slot + FIELDS) << 1);
    this.end = offset + length;
    this.put = (this.put + 1) | 0;
    if (((this.put - this.published) | 0) >= PUBLISH_FRAMES) this.publish();
    return DELIVERED.ACCEPTED;
  }

  /** Let the reader see what was put. Waking it is the caller's. */
  publish(): void {
    if (this.put === this.published) return;
    this.published = this.put;
    Atomics.store(this.sides.words, this.sides.put, this.put);
  }

  /**
   * Notes of the newest frame that the reader could see and whose note has a bit, for a writer that takes over.
   * @returns note, value and stamp; undefined when none of the slots that were not used again since has the bit
   */
  newestWith(bit: number): { readonly note: number; readonly value: number; readonly stamp: number } | undefined {
    const { sides } = this;
    const { words } = sides;
    // Slots behind may be those of frames that were never published.
    for (let back = 1; back <= sides.mask + 1 - PUBLISH_FRAMES; back++) {
      const slot = sides.slot(this.put - back);
      const note = words[slot + NOTE]!;
      if ((note & bit) !== 0) return { note, value: words[slot + VALUE]!, stamp: words[slot + STAMP]! };
    }
    return undefined;
  }

  /** @returns where `length` bytes fit in one piece, -1 when they don't */
  private room(length: number): number {
    const { sides, end } = this;
    const count = (this.put - this.taken) | 0;
    if (count === 0) return 0;
    if (count > sides.mask) return -1;
    const oldest = sides.words[sides.slot(this.taken) + OFFSET]!;
    // An end that meets `oldest` would look like an empty area: a byte stays free.
    if (end < oldest) return end + length < oldest ? end : -1;
    if (end + length <= sides.areaBytes) return end;
    return length < oldest ? 0 : -1;
  }
}

/** The other end: see {@link FrameQueueWriter}. */
export class FrameQueueReader {
  /** What the writer said with the frame that was last seen. */
  note = 0;
  value = 0;
  stamp = 0;
  private readonly sides: Sides;
  private taken: number;
  private released: number;
  /** As it was last looked at. */
  private put: number;
  private readonly frame: Frame;
  private readonly releaseAfter: number;

  /**
   * @param holds what was taken stays until {@link release}, however much it is
   * @throws VirtioError for a place that is none
   */
  constructor(memory: HostMemory, place: SharedQueuePlace, holds = false) {
    const sides = new Sides(memory, place);
    this.sides = sides;
    this.releaseAfter = holds ? Number.POSITIVE_INFINITY : PUBLISH_FRAMES;
    this.taken = Atomics.load(sides.words, sides.taken);
    this.released = this.taken;
    this.put = this.taken;
    this.frame = new Frame(memory);
    this.frame.ranges = new RangeList(1);
    this.frame.ranges.push(0, 0);
    this.frame.end = 1;
  }

  /** The oldest frame, in an object that is reused, or undefined. It stays until {@link drop}. */
  peek(): Frame | undefined {
    const { sides, frame } = this;
    const { words } = sides;
    if (this.put === this.taken) {
      this.put = Atomics.load(words, sides.put);
      if (this.put === this.taken) return undefined;
    }
    const slot = sides.slot(this.taken);
    const length = words[slot + LENGTH]!;
    frame.ranges.offset[0] = sides.area + words[slot + OFFSET]!;
    frame.ranges.length[0] = length;
    frame.length = length;
    frame.origin = this.taken & ORIGIN_MASK;
    restoreFields(frame, sides.fields, (slot + FIELDS) << 1);
    this.note = words[slot + NOTE]!;
    this.value = words[slot + VALUE]!;
    this.stamp = words[slot + STAMP]!;
    return frame;
  }

  /** Take the frame that {@link peek} showed away. */
  drop(): void {
    this.taken = (this.taken + 1) | 0;
    if (((this.taken - this.released) | 0) >= this.releaseAfter) this.release();
  }

  /** Give the room of what was taken back to the writer. */
  release(): void {
    if (this.taken === this.released) return;
    this.released = this.taken;
    Atomics.store(this.sides.words, this.sides.taken, this.taken);
  }

  /** Take away all that the writer has published. */
  clear(): void {
    this.put = Atomics.load(this.sides.words, this.sides.put);
    this.taken = this.put;
    this.release();
  }
}
