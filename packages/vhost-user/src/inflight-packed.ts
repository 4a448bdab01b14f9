import { ACCESS } from '@ringwire/guest-memory';
import { PVIRTQ_DESC, pvirtqDescBytes, VIRTQ_DESC_F } from '@ringwire/virtio-spec';
import type { DevicePackedQueue, QueueConfig } from '@ringwire/virtqueue';
import { PACKED_REGION, PACKED_STATE } from './inflight-layout.js';
import { type PackedLegacy, type PackedPosition, recoverPacked } from './inflight-packed-recovery.js';
import { PackedView } from './inflight-packed-view.js';
import type { InflightRecord, InflightRegion } from './inflight-record.js';

const DESC_SHIFT = 2;
const FLAGS32 = PVIRTQ_DESC.id >> 2;
const { NEXT } = VIRTQ_DESC_F;

/**
 * Chains in flight of a packed ring: a copy of each of their descriptors, because used ones are written over them. The
 * entries of a chain are linked, and so are the free ones. @see vhost-user, Inflight I/O tracking
 */
export class PackedRecord implements InflightRecord {
  private readonly view: PackedView;
  private readonly config: QueueConfig;
  private readonly u32: Uint32Array;
  private ring32 = 0;
  private readonly legacy: PackedLegacy;
  private queue: DevicePackedQueue | undefined;
  /** Chains taken and not given back, all in all: the first ones are those of the earlier life. */
  private taken = 0;
  private counter: number;
  /** Slot of the next chain. */
  private slot: number;
  private freeHead: number;
  /** First entry of a chain in flight, by token. */
  private readonly entry: Uint16Array;
  /** First entries of chains that were put since the last publication. */
  private readonly batch: Uint16Array;
  private batchSize = 0;
  private usedIdx: number;
  private usedWrap: number;
  /** A chain of the earlier life has other descriptors now, which only a driver that breaks the rules can bring about. */
  private isLost = false;

  private constructor(view: PackedView, config: QueueConfig, legacy: PackedLegacy) {
    this.view = view;
    this.config = config;
    this.u32 = config.space.memory.u32;
    this.legacy = legacy;
    this.counter = legacy.counter;
    this.freeHead = legacy.freeHead;
    this.slot = legacy.position.usedIdx;
    this.usedIdx = legacy.position.usedIdx;
    this.usedWrap = legacy.position.usedWrapCounter;
    this.entry = new Uint16Array(config.size);
    this.batch = new Uint16Array(config.size);
    this.relocate();
  }

  /**
   * Begin, or go on where an earlier life stopped: its chains are back in their slots then.
   * @param config of a queue that can be opened
   * @param state  where it begins when the region is a new one
   * @returns the record, or why the region can't be one
   */
  static open(region: InflightRegion, config: QueueConfig, state: PackedPosition): PackedRecord | string {
    const view = new PackedView(region);
    const legacy = recoverPacked(view, config, state);
    return typeof legacy === 'string' ? legacy : new PackedRecord(view, config, legacy);
  }

  get state(): PackedPosition {
    return this.legacy.position;
  }

  /** The queue that the record is of tells how many slots a chain has. */
  attach(queue: DevicePackedQueue): void {
    this.queue = queue;
  }

  nextAgain(): number {
    return -1;
  }

  took(token: number): void {
    const slots = this.queue!.slotsOf(token);
    const again = this.legacy.again[this.taken++];
    if (again !== undefined && this.legacy.num[again] !== slots) this.isLost = true;
    if (this.isLost) return;
    this.entry[token] = again ?? this.write(slots);
    this.slot = (this.slot + slots) % this.config.size;
  }

  gaveBack(token: number): void {
    if (this.isLost) return;
    const head = this.entry[token]!;
    const { size } = this.config;
    this.slot = (this.slot + size - this.legacy.num[head]!) % size;
    if (this.taken-- <= this.legacy.again.length) return;
    this.view.setInFlight(head, 0);
    this.free(head);
    this.view.set(PACKED_REGION.free_head, this.freeHead);
    this.view.set(PACKED_REGION.old_free_head, this.freeHead);
  }

  put(token: number): void {
    if (!this.isLost) this.batch[this.batchSize++] = this.entry[token]!;
  }

  beforePublish(): void {
    const { size } = this.config;
    for (let i = 0; i < this.batchSize; i++) {
      const head = this.batch[i]!;
      this.free(head);
      this.usedIdx += this.legacy.num[head]!;
      if (this.usedIdx < size) continue;
      this.usedIdx -= size;
      this.usedWrap ^= 1;
    }
    this.view.set(PACKED_REGION.free_head, this.freeHead);
    this.view.set(PACKED_REGION.used_idx, this.usedIdx);
    this.view.setWrap(PACKED_REGION.used_wrap_counter, this.usedWrap);
  }

  published(): void {
    for (let i = 0; i < this.batchSize; i++) this.view.setInFlight(this.batch[i]!, 0);
    this.batchSize = 0;
    this.view.set(PACKED_REGION.old_free_head, this.freeHead);
    // Index before wrap counter: between the two the pair differs from the other one, and the slot that it names was used
    // a lap ago, which tells that the batch was published.
    this.view.set(PACKED_REGION.old_used_idx, this.usedIdx);
    this.view.setWrap(PACKED_REGION.old_used_wrap_counter, this.usedWrap);
  }

  /** Nothing in memory tells where a packed ring is: the front-end, which knows it now, is to be believed. */
  finish(): void {
    const isAllTaken = this.taken >= this.legacy.again.length;
    if (isAllTaken && this.batchSize === 0 && this.queue!.inFlight === 0) this.view.set(PACKED_REGION.version, 0);
  }

  relocate(): void {
    const { space, desc, size } = this.config;
    this.ring32 = space.resolve(desc, pvirtqDescBytes(size), ACCESS.READ) >>> 2;
  }

  /** Put the chain at {@link slot} on record, as the queue saw it. @returns its first entry */
  private write(slots: number): number {
    const { view } = this;
    const { next, last, num } = this.legacy;
    const head = this.freeHead;
    let { slot } = this;
    let entry = head;
    for (let n = 0; n < slots; n++) {
      entry = this.freeHead;
      const desc32 = this.ring32 + (slot << DESC_SHIFT);
      const flags = this.u32[desc32 + FLAGS32]! >>> 16;
      view.keep(entry, desc32, n < slots - 1 ? flags | NEXT : flags & ~NEXT);
      this.freeHead = next[entry]!;
      if (++slot === this.config.size) slot = 0;
    }
    last[head] = entry;
    num[head] = slots;
    view.setEntry(head, PACKED_STATE.last, entry);
    view.setEntry(head, PACKED_STATE.num, slots);
    view.setCounter(head, this.counter++);
    view.setInFlight(head, 1);
    view.set(PACKED_REGION.free_head, this.freeHead);
    // From here on the entries are not among the free ones, whose flags count for nothing.
    view.set(PACKED_REGION.old_free_head, this.freeHead);
    return head;
  }

  /** Link a chain's entries before the free ones, in the region and here. */
  private free(head: number): void {
    const { next, last } = this.legacy;
    next[last[head]!] = this.freeHead;
    this.view.setEntry(last[head]!, PACKED_STATE.next, this.freeHead);
    this.freeHead = head;
  }
}
