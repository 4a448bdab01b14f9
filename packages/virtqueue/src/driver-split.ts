import { type ArrayMaker, PLAIN_ARRAYS } from '@ringwire/guest-memory';
import {
  splitNotificationData,
  VIRTQ_AVAIL,
  VIRTQ_AVAIL_F,
  VIRTQ_DESC,
  VIRTQ_DESC_F,
  VIRTQ_USED,
  VIRTQ_USED_ELEM,
  VIRTQ_USED_F,
  virtqAvailBytes,
  virtqAvailEventAt,
  virtqDescBytes,
  virtqUsedBytes,
  virtqUsedEventAt,
} from '@ringwire/virtio-spec';
import { type BufferList, ELEMENT_SHIFT, highWord, lowWord } from './buffer-list.js';
import { DriverIndirect, directElements, type IndirectTables, writableBytes } from './driver-indirect.js';
import { BROKEN, type DriverQueue, NO_ROOM } from './driver-queue.js';
import { DriverQueueBase } from './driver-queue-base.js';
import type { QueueLayout } from './queue-layout.js';
import { USED, type UsedBurst } from './used-burst.js';

const DESC_WORDS = VIRTQ_DESC.SIZE >> 2;
/** In hot loops elements are counted by shifts and `| 0`: V8 then leaves the overflow checks out. */
const DESC_SHIFT = 2;
const ELEM_WORDS = VIRTQ_USED_ELEM.SIZE >> 2;
const ELEM_SHIFT = 1;
const { NEXT, WRITE, INDIRECT } = VIRTQ_DESC_F;
const { GOOD } = USED;
/** Words of {@link DriverSplitQueue.buffers} per id, as a shift, and what they are. */
const BUFFER_SHIFT = 2;
/** Descriptors of the outstanding buffer; 0: none is. */
const DESCRIPTORS = 0;
/** Device-writable bytes of the outstanding buffer. */
const WRITABLE = 1;
/** What the caller knows it by. */
const TOKEN = 2;
/** The descriptor behind this one in the list of free ones, or in its buffer. */
const FOLLOWING = 3;

/** Driver side of a split virtqueue, virtio 1.4 §2.7. A buffer's id is its first descriptor. */
export class DriverSplitQueue extends DriverQueueBase implements DriverQueue {
  readonly layout = 'split';
  readonly size: number;
  free: number;

  protected readonly ring: QueueLayout;
  private readonly tables: DriverIndirect | undefined;
  protected readonly mask: number;
  private readonly u16: Uint16Array;
  private readonly u32: Uint32Array;
  // Element indexes into u16 and u32.
  private desc32 = 0;
  private availFlags16 = 0;
  private availIdx16 = 0;
  private availRing16 = 0;
  private usedEvent16 = 0;
  private usedFlags16 = 0;
  private usedIdx16 = 0;
  private usedRing32 = 0;
  private availEvent16 = 0;

  /**
   * What the driver knows of each id and descriptor, in one array: a hot loop pays for every array that it touches. Free
   * descriptors are linked from element `size` on; a buffer's own stay linked as they were taken. Freed ones go to the end
   * of the list, so that with a device that uses buffers in order the list is the ring's order.
   */
  protected readonly buffers: Uint32Array;
  protected freeTail = 0;
  /** Per id: the last descriptor of the outstanding buffer, the id itself unless there are more. */
  private readonly last: Uint16Array;
  /** Ids in the order they were added, at index & mask. */
  protected readonly order: Uint16Array;
  protected avail = 0;
  protected published = 0;
  protected used = 0;
  private usedSeen = 0;
  // IN_ORDER: buffers left of the batch that one used element stands for, and the length it gives for the last.
  protected batchLeft = 0;
  private batchLength = 0;
  /** How many buffers the batch before had: the next one is mostly as large. */
  private batchSize = 1;

  /** Zeroes the ring: it is the driver's to initialize (virtio 1.4 §2.7.10.1). @param arrays for tables */
  constructor(ring: QueueLayout, tables?: IndirectTables, arrays: ArrayMaker = PLAIN_ARRAYS) {
    super();
    const { size, memory } = ring;
    this.ring = ring;
    this.size = size;
    this.free = size;
    this.mask = size - 1;
    this.tables = tables !== undefined && ring.indirect ? new DriverIndirect(ring, tables) : undefined;
    this.u16 = memory.u16;
    this.u32 = memory.u32;
    this.desc32 = ring.desc >>> 2;
    this.availFlags16 = (ring.driver + VIRTQ_AVAIL.flags) >>> 1;
    this.availIdx16 = (ring.driver + VIRTQ_AVAIL.idx) >>> 1;
    this.availRing16 = (ring.driver + VIRTQ_AVAIL.ring) >>> 1;
    this.usedEvent16 = (ring.driver + virtqUsedEventAt(size)) >>> 1;
    this.usedFlags16 = (ring.device + VIRTQ_USED.flags) >>> 1;
    this.usedIdx16 = (ring.device + VIRTQ_USED.idx) >>> 1;
    this.usedRing32 = (ring.device + VIRTQ_USED.ring) >>> 2;
    this.availEvent16 = (ring.device + virtqAvailEventAt(size)) >>> 1;
    this.buffers = arrays.u32((size + 1) << BUFFER_SHIFT);
    for (let i = 0; i < size; i++) this.#setFollowing(i, i + 1);
    this.#setFollowing(size, 0);
    this.freeTail = size - 1;
    this.last = Uint16Array.from({ length: size }, (_, i) => i);
    this.order = arrays.u16(size);
    memory.engine.fill(ring.desc, 0, virtqDescBytes(size));
    memory.engine.fill(ring.driver, 0, virtqAvailBytes(size));
    memory.engine.fill(ring.device, 0, virtqUsedBytes(size));
  }

  addBurst(buffers: BufferList): number {
    if (this.broken !== BROKEN.NONE) return 0;
    const count = Math.min(buffers.checkedCount, this.free);
    this.setFreeHead(this.addPlain(buffers, count, this.following(this.size)), count);
    this.avail = (this.avail + count) & 0xffff;
    this.outstanding += count;
    this.counters.added += count;
    return count;
  }

  /**
   * Put buffers of one descriptor each into the ring, where there is room for them.
   * @param from the descriptor for the first one
   * @returns the descriptor that is free next
   */
  protected addPlain(buffers: BufferList, count: number, from: number): number {
    const u16 = this.u16;
    const u32 = this.u32;
    const own = this.buffers;
    const order = this.order;
    const mask = this.mask;
    const desc32 = this.desc32;
    const ring16 = this.availRing16;
    const { words, readable } = buffers;
    let avail = this.avail;
    let index = from;
    for (let i = 0; i < count; i = (i + 1) | 0) {
      const element = i << ELEMENT_SHIFT;
      const length = words[element + 2]!;
      const word = (desc32 + (index << DESC_SHIFT)) | 0;
      const isReadable = i < readable;
      u32[word] = words[element]!;
      u32[word + 1] = words[element + 1]!;
      u32[word + 2] = length;
      u32[word + 3] = isReadable ? 0 : WRITE;
      const at = index << BUFFER_SHIFT;
      own[at] = 1;
      own[at + WRITABLE] = isReadable ? 0 : length;
      own[at + TOKEN] = words[element + 3]!;
      const slot = avail & mask;
      order[slot] = index;
      u16[ring16 + slot] = index;
      avail = (avail + 1) & 0xffff;
      index = own[at + FOLLOWING]!;
    }
    return index;
  }

  add(buffer: BufferList, direct?: number, token?: number): number {
    const tables = this.tables;
    const chained = directElements(buffer, direct, this.size, tables);
    const inTable = chained < buffer.count;
    const needed = inTable ? chained + 1 : chained;
    if (needed > this.free || this.broken !== BROKEN.NONE) return NO_ROOM;
    const id = this.following(this.size);
    let descriptor = id;
    for (let i = 0; i < chained; i++) {
      const next = this.following(descriptor);
      const flags = i < buffer.readable ? 0 : WRITE;
      const link = i + 1 < needed ? NEXT | (next << 16) : 0;
      this.#writeDescriptor(descriptor, buffer.lo(i), buffer.hi(i), buffer.bytes(i), flags | link);
      this.last[id] = descriptor;
      descriptor = next;
    }
    if (inTable) {
      tables!.write(id, buffer, chained, true);
      const address = tables!.addressOf(id);
      const bytes = (buffer.count - chained) * VIRTQ_DESC.SIZE;
      this.#writeDescriptor(descriptor, lowWord(address), highWord(address), bytes, INDIRECT);
      this.last[id] = descriptor;
      descriptor = this.following(descriptor);
    }
    this.buffers[(id << BUFFER_SHIFT) + DESCRIPTORS] = needed;
    this.setFreeHead(descriptor, needed);
    this.#enqueue(id, writableBytes(buffer), token);
    return id;
  }

  publish(): boolean {
    const before = this.published;
    const now = this.avail;
    if (now === before || this.broken !== BROKEN.NONE) return false;
    this.published = now;
    // Descriptors and ring entries before idx, and idx before the suppression word is read: the device does the reverse.
    Atomics.store(this.u16, this.availIdx16, now);
    const notify = this.ring.eventIdx
      ? ((Atomics.load(this.u16, this.availEvent16) - before) & 0xffff) < ((now - before) & 0xffff)
      : (Atomics.load(this.u16, this.usedFlags16) & VIRTQ_USED_F.NO_NOTIFY) === 0;
    if (notify) this.counters.notifications++;
    return notify;
  }

  notificationData(vqIndex: number): number {
    return splitNotificationData(vqIndex, this.published);
  }

  takeUsed(burst: UsedBurst, max: number): number {
    // An index seen before the device was found out counts no more.
    if (this.deaf()) return 0;
    let wanted = Math.min(max, burst.capacity - burst.count);
    let waiting = (this.usedSeen - this.used) & 0xffff;
    if (waiting < wanted) waiting = this.#lookForUsed();
    if (waiting < wanted) wanted = waiting;
    let done = 0;
    while (done < wanted) {
      if (this.ring.inOrder) {
        if (this.batchLeft === 0 && !this.#readBatch(waiting - done)) break;
        done += this.#takeBatch(burst, wanted - done);
      } else {
        done += this.takePlain(burst, wanted - done);
        if (done === wanted || !this.#takeOther(burst)) break;
        done++;
      }
    }
    this.counters.used += done;
    return done;
  }

  hasUsed(): boolean {
    return this.#lookForUsed() > 0;
  }

  disableNotifications(): void {
    // With EVENT_IDX flags stay 0 (virtio 1.4 §2.7.7.1): an index just behind is 65535 buffers away.
    if (this.ring.eventIdx) Atomics.store(this.u16, this.usedEvent16, (this.used - 1) & 0xffff);
    else Atomics.store(this.u16, this.availFlags16, VIRTQ_AVAIL_F.NO_INTERRUPT);
  }

  enableNotifications(after = 0): boolean {
    let skip = 0;
    if (this.ring.eventIdx) {
      const inRing = (this.published - this.used) & 0xffff;
      skip = Math.min(after, Math.max(inRing - 1, 0));
      Atomics.store(this.u16, this.usedEvent16, (this.used + skip) & 0xffff);
    } else Atomics.store(this.u16, this.availFlags16, 0);
    return this.#lookForUsed() > skip;
  }

  protected override addOne(lo: number, hi: number, length: number, flags: number): number {
    if (this.free === 0 || this.broken !== BROKEN.NONE) return NO_ROOM;
    const id = this.following(this.size);
    this.#writeDescriptor(id, lo, hi, length, flags);
    this.buffers[(id << BUFFER_SHIFT) + DESCRIPTORS] = 1;
    this.setFreeHead(this.following(id), 1);
    this.#enqueue(id, flags === 0 ? 0 : length);
    return id;
  }

  #writeDescriptor(index: number, lo: number, hi: number, length: number, flagsAndNext: number): void {
    const u32 = this.u32;
    const word = this.desc32 + index * DESC_WORDS;
    u32[word] = lo;
    u32[word + 1] = hi;
    u32[word + 2] = length;
    u32[word + 3] = flagsAndNext;
  }

  /** @param taken descriptors that went out of the free list before `head` */
  protected setFreeHead(head: number, taken: number): void {
    this.#setFollowing(this.size, head);
    this.free -= taken;
    if (this.free === 0) this.freeTail = this.size;
  }

  #enqueue(id: number, writable: number, token = id): void {
    const slot = this.avail & this.mask;
    const at = id << BUFFER_SHIFT;
    this.buffers[at + WRITABLE] = writable;
    this.buffers[at + TOKEN] = token;
    this.order[slot] = id;
    this.u16[this.availRing16 + slot] = id;
    this.avail = (this.avail + 1) & 0xffff;
    this.outstanding++;
    this.counters.added++;
  }

  /**
   * Take buffers of one descriptor that were used as they should be, up to the first other one, which is left to
   * `takeOther`: this loop stays free of calls.
   * @returns buffers taken
   */
  protected takePlain(burst: UsedBurst, wanted: number): number {
    const u32 = this.u32;
    const { token, written, outcome } = burst;
    const own = this.buffers;
    const mask = this.mask;
    const ring32 = this.usedRing32;
    // Rarely does a driver look for used buffers between adding and publishing: then ids need a closer look.
    if (this.avail !== this.published) return 0;
    let used = this.used;
    let freeTail = this.freeTail;
    let freed = 0;
    let i = burst.count;
    for (const end = i + wanted; i < end; i = (i + 1) | 0) {
      const word = (ring32 + ((used & mask) << ELEM_SHIFT)) | 0;
      const id = u32[word]!;
      const length = u32[word + 1]!;
      if (id > mask) break;
      const at = id << BUFFER_SHIFT;
      if (own[at] !== 1 || length > own[at + WRITABLE]!) break;
      token[i] = own[at + TOKEN]!;
      written[i] = length;
      outcome[i] = GOOD;
      own[at] = 0;
      own[(freeTail << BUFFER_SHIFT) + FOLLOWING] = id;
      freeTail = id;
      freed = (freed + 1) | 0;
      used = (used + 1) & 0xffff;
    }
    burst.count = i;
    this.used = used;
    this.free += freed;
    this.outstanding -= freed;
    this.freeTail = freeTail;
    return freed;
  }

  /** Take whatever the next used element names, or find the device out. @returns whether a buffer was taken */
  #takeOther(burst: UsedBurst): boolean {
    const word = this.usedRing32 + (this.used & this.mask) * ELEM_WORDS;
    const id = this.u32[word]!;
    if (id >= this.size) return this.distrust(BROKEN.USED_ID_OUT_OF_RANGE);
    if (this.#descriptorsOf(id) === 0 || !this.#isPublished(id)) return this.distrust(BROKEN.USED_ID_NOT_OUTSTANDING);
    this.#finish(burst, id, this.u32[word + 1]!);
    return true;
  }

  /** IN_ORDER: take buffers of the batch at hand. @returns buffers taken, at least one */
  #takeBatch(burst: UsedBurst, wanted: number): number {
    const count = Math.min(wanted, this.batchLeft);
    // Skipped buffers were used completely; the length is the last one's.
    let done = this.takeSkipped(burst, Math.min(count, this.batchLeft - 1));
    for (; done < count; done++) {
      const id = this.order[this.used & this.mask]!;
      const length = --this.batchLeft === 0 ? this.batchLength : this.#writableOf(id);
      this.#finish(burst, id, length);
    }
    return count;
  }

  /** Take skipped buffers up to the first that has more descriptors than one. @returns buffers taken */
  protected takeSkipped(burst: UsedBurst, wanted: number): number {
    const { token, written, outcome } = burst;
    const own = this.buffers;
    const order = this.order;
    const mask = this.mask;
    let used = this.used;
    let freeTail = this.freeTail;
    let i = burst.count;
    for (const end = i + wanted; i < end; i = (i + 1) | 0) {
      const id = order[used & mask]!;
      const at = id << BUFFER_SHIFT;
      if (own[at] !== 1) break;
      token[i] = own[at + TOKEN]!;
      written[i] = own[at + WRITABLE]!;
      outcome[i] = GOOD;
      own[at] = 0;
      own[(freeTail << BUFFER_SHIFT) + FOLLOWING] = id;
      freeTail = id;
      used = (used + 1) & 0xffff;
    }
    const done = i - burst.count;
    burst.count = i;
    this.used = used;
    this.freeTail = freeTail;
    this.free += done;
    this.outstanding -= done;
    this.batchLeft -= done;
    return done;
  }

  #finish(burst: UsedBurst, id: number, length: number): void {
    this.report(burst, id, length, this.#writableOf(id));
    this.release(id);
    this.used = (this.used + 1) & 0xffff;
  }

  protected override isOut(id: number): boolean {
    return this.#descriptorsOf(id) !== 0;
  }

  protected override tokenOf(id: number): number {
    return this.buffers[(id << BUFFER_SHIFT) + TOKEN]!;
  }

  protected override release(id: number): void {
    this.#setFollowing(this.freeTail, id);
    this.freeTail = this.last[id]!;
    this.free += this.#descriptorsOf(id);
    this.buffers[(id << BUFFER_SHIFT) + DESCRIPTORS] = 0;
    this.last[id] = id;
    this.outstanding--;
  }

  #descriptorsOf(id: number): number {
    return this.buffers[(id << BUFFER_SHIFT) + DESCRIPTORS]!;
  }

  #writableOf(id: number): number {
    return this.buffers[(id << BUFFER_SHIFT) + WRITABLE]!;
  }

  protected following(descriptor: number): number {
    return this.buffers[(descriptor << BUFFER_SHIFT) + FOLLOWING]!;
  }

  #setFollowing(descriptor: number, next: number): void {
    this.buffers[(descriptor << BUFFER_SHIFT) + FOLLOWING] = next;
  }

  /** Read the used index. @returns used buffers waiting, 0 when the device is not to be believed */
  #lookForUsed(): number {
    if (this.deaf()) return 0;
    const idx = Atomics.load(this.u16, this.usedIdx16);
    const waiting = (idx - this.used) & 0xffff;
    if (waiting > ((this.published - this.used) & 0xffff)) {
      this.distrust(BROKEN.USED_INDEX);
      return 0;
    }
    this.usedSeen = idx;
    return waiting;
  }

  /** IN_ORDER: learn how many buffers the next used element stands for (virtio 1.4 §2.7.9). */
  #readBatch(waiting: number): boolean {
    const slot = this.used & this.mask;
    const word = this.usedRing32 + slot * ELEM_WORDS;
    const id = this.u32[word]!;
    if (id >= this.size) return this.distrust(BROKEN.USED_ID_OUT_OF_RANGE);
    const { order, mask } = this;
    let last = this.batchSize - 1;
    if (last >= waiting || order[(slot + last) & mask] !== id) {
      last = 0;
      while (last < waiting && order[(slot + last) & mask] !== id) last++;
    }
    if (last < waiting) {
      this.batchSize = last + 1;
      this.batchLeft = last + 1;
      this.batchLength = this.u32[word + 1]!;
      return true;
    }
    return this.distrust(BROKEN.USED_ID_NOT_OUTSTANDING);
  }

  /** A buffer that was added but not published cannot have been used. */
  #isPublished(id: number): boolean {
    for (let idx = this.published; idx !== this.avail; idx = (idx + 1) & 0xffff) {
      if (this.order[idx & this.mask] === id) return false;
    }
    return true;
  }
}
