import { type ArrayMaker, type CopyEngine, PLAIN_ARRAYS } from '@ringwire/guest-memory';
import {
  PVIRTQ_DESC,
  PVIRTQ_EVENT_SUPPRESS,
  packedNotificationData,
  pvirtqDescBytes,
  VIRTQ_DESC_F,
  VirtioError,
} from '@ringwire/virtio-spec';
import { type BufferList, ELEMENT_SHIFT, highWord, lowWord } from './buffer-list.js';
import { DriverIndirect, directElements, type IndirectTables, writableBytes } from './driver-indirect.js';
import { DriverPackedEvents } from './driver-packed-events.js';
import { type PackedProgress, packedProgress } from './driver-packed-progress.js';
import { BROKEN, type DriverQueue, NO_ROOM } from './driver-queue.js';
import { DriverQueueBase } from './driver-queue-base.js';
import type { QueueLayout } from './queue-layout.js';
import { USED, type UsedBurst } from './used-burst.js';

const DESC_WORDS = PVIRTQ_DESC.SIZE >> 2;
/** In hot loops elements are counted by shifts and `| 0`: V8 then leaves the overflow checks out. */
const DESC_SHIFT = 2;
const DESC_HALVES = PVIRTQ_DESC.SIZE >> 1;
const LEN32 = PVIRTQ_DESC.len >> 2;
const ID_AND_FLAGS32 = PVIRTQ_DESC.id >> 2;
const ID16 = PVIRTQ_DESC.id >> 1;
const FLAGS16 = PVIRTQ_DESC.flags >> 1;
const { NEXT, WRITE, INDIRECT, AVAIL, USED: USED_FLAG } = VIRTQ_DESC_F;
const { GOOD } = USED;
const MARKS = AVAIL | USED_FLAG;
/** Words of {@link DriverPackedQueue.buffers} per id, as a shift, and what they are. */
const BUFFER_SHIFT = 2;
/** Ring slots of the outstanding buffer; 0: none is. */
const SLOTS = 0;
/** Device-writable bytes of the outstanding buffer. */
const WRITABLE = 1;
/** What the caller knows it by. */
const TOKEN = 2;

/** Driver side of a packed virtqueue, virtio 1.4 §2.8. A buffer's id is a number below Queue Size that is not in use. */
export class DriverPackedQueue extends DriverQueueBase implements DriverQueue {
  readonly layout = 'packed';
  readonly size: number;
  /** Ring slots that hold no descriptor of an outstanding buffer. */
  free: number;

  protected readonly ring: QueueLayout;
  private readonly tables: DriverIndirect | undefined;
  private readonly engine: CopyEngine;
  private readonly u16: Uint16Array;
  private readonly u32: Uint32Array;
  // Element indexes into u16 and u32.
  private desc32 = 0;
  private desc16 = 0;

  private readonly events: DriverPackedEvents;
  /** What the driver knows of each id, in one array: a hot loop pays for every array that it touches. */
  protected readonly buffers: Uint32Array;
  /**
   * A ring of all ids. From head on: those outstanding, oldest first (exact while the device uses buffers in order),
   * and from tail on the free ones.
   */
  protected readonly ids: Uint16Array;
  protected readonly idMask: number;
  protected head = 0;
  protected tail = 0;
  /** Buffers added and not published: the device cannot have used them. */
  protected unpublished = 0;
  /** Next slot to fill, and the wrap counter there. */
  protected avail = 0;
  protected availWrap = 1;
  /** Slot from which on nothing is published; the flags stored last, for that slot. */
  private published = 0;
  private publishedWrap = 1;
  private firstFlags = 0;
  /** Next slot where a used descriptor is expected. */
  protected used = 0;
  private usedWrap = 1;
  // IN_ORDER: buffers left of the batch that one used descriptor stands for, and the length it gives for the last.
  protected batchLeft = 0;
  private batchLength = 0;
  /** How many buffers the batch before had: the next one is mostly as large. */
  private batchSize = 1;

  /** Zeroes the ring: it is the driver's to initialize (virtio 1.4 §2.8.13). @param arrays for tables */
  constructor(ring: QueueLayout, tables?: IndirectTables, arrays: ArrayMaker = PLAIN_ARRAYS) {
    super();
    const { size, memory } = ring;
    this.ring = ring;
    this.size = size;
    this.free = size;
    this.tables = tables !== undefined && ring.indirect ? new DriverIndirect(ring, tables) : undefined;
    this.engine = memory.engine;
    this.u16 = memory.u16;
    this.u32 = memory.u32;
    this.desc32 = ring.desc >>> 2;
    this.desc16 = ring.desc >>> 1;
    this.events = new DriverPackedEvents(ring);
    this.buffers = arrays.u32(size << BUFFER_SHIFT);
    let ids = 1;
    while (ids < size) ids *= 2;
    this.idMask = ids - 1;
    this.ids = arrays.u16(ids);
    for (let id = 0; id < size; id++) this.ids[id] = id;
    memory.engine.fill(ring.desc, 0, pvirtqDescBytes(size));
    memory.engine.fill(ring.driver, 0, PVIRTQ_EVENT_SUPPRESS.SIZE);
    memory.engine.fill(ring.device, 0, PVIRTQ_EVENT_SUPPRESS.SIZE);
  }

  addBurst(buffers: BufferList): number {
    if (this.broken !== BROKEN.NONE) return 0;
    const count = Math.min(buffers.checkedCount, this.free);
    let added = 0;
    if (count > 0 && this.unpublished === 0) {
      // The first descriptor since the last publication keeps its flags back.
      const flags = buffers.readable > 0 ? 0 : WRITE;
      const first = this.addOne(buffers.lo(0), buffers.hi(0), buffers.bytes(0), flags);
      this.buffers[(first << BUFFER_SHIFT) + TOKEN] = buffers.words[3]!;
      added = 1;
    }
    if (added < count) this.addPlain(buffers, added, count);
    return count;
  }

  /** Put buffers `from` ≤ i < `end` into the ring, where there is room for them, behind one that is not published. */
  protected addPlain(buffers: BufferList, from: number, end: number): void {
    const u32 = this.u32;
    const { words, readable } = buffers;
    const ids = this.ids;
    const idMask = this.idMask;
    const own = this.buffers;
    const { size } = this;
    const firstWord = this.desc32;
    const lastWord = (firstWord + (size << DESC_SHIFT)) | 0;
    let tail = this.tail;
    let word = (firstWord + (this.avail << DESC_SHIFT)) | 0;
    let marks = this.availWrap === 0 ? USED_FLAG : AVAIL;
    for (let i = from; i < end; i = (i + 1) | 0) {
      const buffer = ids[tail & idMask]!;
      const element = i << ELEMENT_SHIFT;
      const length = words[element + 2]!;
      const isReadable = i < readable;
      u32[word] = words[element]!;
      u32[word + 1] = words[element + 1]!;
      u32[word + LEN32] = length;
      u32[word + ID_AND_FLAGS32] = buffer | ((isReadable ? marks : marks | WRITE) << 16);
      const at = buffer << BUFFER_SHIFT;
      own[at] = 1;
      own[at + WRITABLE] = isReadable ? 0 : length;
      own[at + TOKEN] = words[element + 3]!;
      tail = (tail + 1) & 0xffff;
      word = (word + DESC_WORDS) | 0;
      if (word === lastWord) {
        word = firstWord;
        marks ^= MARKS;
      }
    }
    this.avail = (word - firstWord) >> DESC_SHIFT;
    this.availWrap = marks === AVAIL ? 1 : 0;
    this.tail = tail;
    this.countAdded(end - from);
  }

  protected countAdded(added: number): void {
    this.unpublished += added;
    this.free -= added;
    this.outstanding += added;
    this.counters.added += added;
  }

  add(buffer: BufferList, direct?: number, token?: number): number {
    const tables = this.tables;
    const chained = directElements(buffer, direct, this.size, tables);
    const inTable = chained < buffer.count;
    if (inTable && chained > 0)
      throw new VirtioError('direct', chained, `0 or ${buffer.count}: a list is of one kind`, 'virtio 1.4 §2.8.19');
    const needed = inTable ? 1 : chained;
    if (needed > this.free || this.broken !== BROKEN.NONE) return NO_ROOM;
    const id = this.ids[this.tail & this.idMask]!;
    if (inTable) {
      tables!.write(id, buffer, 0, false);
      const address = tables!.addressOf(id);
      this.#fillSlot(lowWord(address), highWord(address), buffer.count * PVIRTQ_DESC.SIZE, id, INDIRECT);
    } else {
      for (let i = 0; i < needed; i++) {
        const kind = i < buffer.readable ? 0 : WRITE;
        // The id counts in the last descriptor of a list; giving it in all of them costs nothing.
        const flags = i + 1 < needed ? kind | NEXT : kind;
        this.#fillSlot(buffer.lo(i), buffer.hi(i), buffer.bytes(i), id, flags);
      }
    }
    this.#enqueue(id, needed, writableBytes(buffer), token);
    return id;
  }

  publish(): boolean {
    if (this.unpublished === 0 || this.broken !== BROKEN.NONE) return false;
    this.unpublished = 0;
    // The first descriptor's flags last: the device polls them, and behind them finds the whole batch.
    Atomics.store(this.u16, this.desc16 + this.published * DESC_HALVES + FLAGS16, this.firstFlags);
    const notify = this.events.wantsAvailable(this.published, this.publishedWrap, this.avail);
    this.published = this.avail;
    this.publishedWrap = this.availWrap;
    if (notify) this.counters.notifications++;
    return notify;
  }

  notificationData(vqIndex: number): number {
    return packedNotificationData(vqIndex, this.published, this.publishedWrap);
  }

  takeUsed(burst: UsedBurst, max: number): number {
    if (this.deaf()) return 0;
    const wanted = Math.min(max, burst.capacity - burst.count);
    let done = 0;
    while (done < wanted) {
      if (this.ring.inOrder) {
        if (this.batchLeft === 0 && !this.#readBatch()) break;
        done += this.#takeBatch(burst, wanted - done);
        continue;
      }
      const run = this.#countUsed(wanted - done);
      if (run === 0) break;
      const plain = this.takePlain(burst, run);
      done += plain;
      if (plain === run) continue;
      if (!this.#takeOther(burst)) break;
      done++;
    }
    this.counters.used += done;
    return done;
  }

  hasUsed(): boolean {
    return !this.deaf() && (this.batchLeft > 0 || this.#countUsed(1) > 0);
  }

  /**
   * Where the device is, what it used and was not taken yet included: for whoever is to take its place. Nothing changes,
   * and the device had better be gone.
   */
  progress(): PackedProgress {
    const { ring, used, usedWrap, batchLeft, ids, idMask, head } = this;
    return packedProgress({
      ring,
      slot: used,
      wrap: usedWrap,
      count: this.outstanding - this.unpublished,
      batchLeft,
      slotsOf: (id) => (this.#isPublished(id) ? this.#slotsOf(id) : 0),
      oldest: (n) => ids[(head + n) & idMask]!,
    });
  }

  disableNotifications(): void {
    this.events.disable();
  }

  enableNotifications(after = 0): boolean {
    if (!this.ring.eventIdx) {
      this.events.enable();
      return this.hasUsed();
    }
    // Buffers may be lists of several slots, used in any order: the slot that far ahead is used no earlier.
    const inRing = this.published - this.used + (this.publishedWrap === this.usedWrap ? 0 : this.size);
    const skip = Math.min(after, Math.max(inRing - 1, 0));
    let slot = this.used + skip;
    let wrap = this.usedWrap;
    if (slot >= this.size) {
      slot -= this.size;
      wrap ^= 1;
    }
    this.events.enableAt(slot, wrap);
    // Not whether that slot is used: the device may have gone past it already, inside a list or a batch.
    return this.hasUsed();
  }

  protected override addOne(lo: number, hi: number, length: number, flags: number): number {
    if (this.free === 0 || this.broken !== BROKEN.NONE) return NO_ROOM;
    const id = this.ids[this.tail & this.idMask]!;
    this.#fillSlot(lo, hi, length, id, flags);
    this.#enqueue(id, 1, flags === 0 ? 0 : length);
    return id;
  }

  #fillSlot(lo: number, hi: number, length: number, id: number, flags: number): void {
    const u32 = this.u32;
    const slot = this.avail;
    const word = this.desc32 + slot * DESC_WORDS;
    const marked = flags | (this.availWrap === 0 ? USED_FLAG : AVAIL);
    u32[word] = lo;
    u32[word + 1] = hi;
    u32[word + LEN32] = length;
    if (slot === this.published && this.availWrap === this.publishedWrap) {
      this.u16[this.desc16 + slot * DESC_HALVES + ID16] = id;
      this.firstFlags = marked;
    } else u32[word + ID_AND_FLAGS32] = id | (marked << 16);
    if (slot + 1 === this.size) {
      this.avail = 0;
      this.availWrap ^= 1;
    } else this.avail = slot + 1;
  }

  #enqueue(id: number, slots: number, writable: number, token = id): void {
    const at = id << BUFFER_SHIFT;
    this.buffers[at + SLOTS] = slots;
    this.buffers[at + WRITABLE] = writable;
    this.buffers[at + TOKEN] = token;
    this.tail = (this.tail + 1) & 0xffff;
    this.unpublished++;
    this.free -= slots;
    this.outstanding++;
    this.counters.added++;
  }

  /**
   * Take buffers of one slot that were used as they should be, up to the first other one, which is left to
   * `takeOther`: this loop stays free of calls.
   * @param run slots known to hold used descriptors, up to the end of the ring
   * @returns buffers taken
   */
  protected takePlain(burst: UsedBurst, run: number): number {
    if (this.unpublished !== 0) return 0;
    const u32 = this.u32;
    const { token, written, outcome } = burst;
    const ids = this.ids;
    const idMask = this.idMask;
    const own = this.buffers;
    const { size } = this;
    let head = this.head;
    let word = (this.desc32 + (this.used << DESC_SHIFT)) | 0;
    let i = burst.count;
    for (const end = i + run; i < end; i = (i + 1) | 0) {
      const id = u32[word + ID_AND_FLAGS32]! & 0xffff;
      const length = u32[word + LEN32]!;
      if (id >= size) break;
      const at = id << BUFFER_SHIFT;
      const most = own[at + WRITABLE]!;
      if (own[at] !== 1 || (length > most && most !== 0)) break;
      token[i] = own[at + TOKEN]!;
      written[i] = most === 0 ? 0 : length;
      outcome[i] = GOOD;
      own[at] = 0;
      ids[(head + size) & idMask] = id;
      head = (head + 1) & 0xffff;
      word = (word + DESC_WORDS) | 0;
    }
    const done = i - burst.count;
    burst.count = i;
    this.head = head;
    this.free += done;
    this.outstanding -= done;
    this.advance(done);
    return done;
  }

  /** Take whatever the next used descriptor names, or find the device out. @returns whether a buffer was taken */
  #takeOther(burst: UsedBurst): boolean {
    const word = this.desc32 + this.used * DESC_WORDS;
    const id = this.u32[word + ID_AND_FLAGS32]! & 0xffff;
    if (id >= this.size) return this.distrust(BROKEN.USED_ID_OUT_OF_RANGE);
    if (this.#slotsOf(id) === 0 || !this.#isPublished(id)) return this.distrust(BROKEN.USED_ID_NOT_OUTSTANDING);
    this.#finish(burst, id, this.u32[word + LEN32]!);
    return true;
  }

  /** IN_ORDER: take buffers of the batch at hand. @returns buffers taken, at least one */
  #takeBatch(burst: UsedBurst, wanted: number): number {
    const count = Math.min(wanted, this.batchLeft);
    // Skipped buffers were used completely; the length is the last one's.
    let done = this.takeSkipped(burst, Math.min(count, this.batchLeft - 1));
    for (; done < count; done++) {
      const id = this.ids[this.head & this.idMask]!;
      const length = --this.batchLeft === 0 ? this.batchLength : this.#writableOf(id);
      this.#finish(burst, id, length);
    }
    return count;
  }

  /** Take skipped buffers up to the first that has more slots than one. @returns buffers taken */
  protected takeSkipped(burst: UsedBurst, wanted: number): number {
    const { token, written, outcome } = burst;
    const own = this.buffers;
    const ids = this.ids;
    const idMask = this.idMask;
    const { size } = this;
    let head = this.head;
    let i = burst.count;
    for (const end = i + wanted; i < end; i = (i + 1) | 0) {
      const id = ids[head & idMask]!;
      const at = id << BUFFER_SHIFT;
      if (own[at] !== 1) break;
      token[i] = own[at + TOKEN]!;
      written[i] = own[at + WRITABLE]!;
      outcome[i] = GOOD;
      own[at] = 0;
      ids[(head + size) & idMask] = id;
      head = (head + 1) & 0xffff;
    }
    const done = i - burst.count;
    burst.count = i;
    this.head = head;
    this.free += done;
    this.outstanding -= done;
    this.batchLeft -= done;
    this.advance(done);
    return done;
  }

  #finish(burst: UsedBurst, id: number, length: number): void {
    this.report(burst, id, length, this.#writableOf(id));
    const slots = this.#slotsOf(id);
    this.release(id);
    this.advance(slots);
  }

  protected override isOut(id: number): boolean {
    return this.#slotsOf(id) !== 0;
  }

  protected override release(id: number): void {
    this.free += this.#slotsOf(id);
    this.buffers[(id << BUFFER_SHIFT) + SLOTS] = 0;
    this.ids[(this.head + this.size) & this.idMask] = id;
    this.head = (this.head + 1) & 0xffff;
    this.outstanding--;
  }

  protected override tokenOf(id: number): number {
    return this.buffers[(id << BUFFER_SHIFT) + TOKEN]!;
  }

  #slotsOf(id: number): number {
    return this.buffers[(id << BUFFER_SHIFT) + SLOTS]!;
  }

  #writableOf(id: number): number {
    return this.buffers[(id << BUFFER_SHIFT) + WRITABLE]!;
  }

  protected advance(slots: number): void {
    this.used += slots;
    if (this.used >= this.size) {
      this.used -= this.size;
      this.usedWrap ^= 1;
    }
  }

  /** @returns slots from used on that hold used descriptors, at most `max`, up to the end of the ring */
  #countUsed(max: number): number {
    if (this.outstanding === this.unpublished) return 0;
    const flags = this.ring.desc + this.used * PVIRTQ_DESC.SIZE + PVIRTQ_DESC.flags;
    // No more than are outstanding: a slot that is free keeps the marks of its last use.
    const most = Math.min(max, this.size - this.used, this.outstanding - this.unpublished);
    return this.engine.countRun16(flags, PVIRTQ_DESC.SIZE, most, MARKS, this.usedWrap === 0 ? 0 : MARKS);
  }

  /** IN_ORDER: learn how many buffers the next used descriptor, if there is one, stands for (virtio 1.4 §2.8.9). */
  #readBatch(): boolean {
    if (this.#countUsed(1) === 0) return false;
    const word = this.desc32 + this.used * DESC_WORDS;
    const id = this.u32[word + ID_AND_FLAGS32]! & 0xffff;
    if (id >= this.size) return this.distrust(BROKEN.USED_ID_OUT_OF_RANGE);
    const inRing = this.outstanding - this.unpublished;
    const { ids, idMask, head } = this;
    let last = this.batchSize - 1;
    if (last >= inRing || ids[(head + last) & idMask] !== id) {
      last = 0;
      while (last < inRing && ids[(head + last) & idMask] !== id) last++;
    }
    if (last < inRing) {
      this.batchSize = last + 1;
      this.batchLeft = last + 1;
      this.batchLength = this.u32[word + LEN32]!;
      return true;
    }
    return this.distrust(BROKEN.USED_ID_NOT_OUTSTANDING);
  }

  /** A buffer that was added but not published cannot have been used. */
  #isPublished(id: number): boolean {
    for (let i = 1; i <= this.unpublished; i++) {
      if (this.ids[(this.tail - i) & this.idMask] === id) return false;
    }
    return true;
  }
}
