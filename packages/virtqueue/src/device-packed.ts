import { ACCESS, type ArrayMaker, type CopyEngine, NO_WINDOW, PLAIN_ARRAYS } from '@ringwire/guest-memory';
import { PVIRTQ_DESC, VIRTQ_DESC_F, VirtioError } from '@ringwire/virtio-spec';
import type { ChainBurst } from './chain-burst.js';
import { CHAIN_BYTES_MAX, DeviceChain, MOST_BYTES } from './device-chain.js';
import { DevicePackedEvents } from './device-packed-events.js';
import type { DeviceQueue } from './device-queue.js';
import { DeviceQueueBase } from './device-queue-base.js';
import { CHAIN_FAULT, RING_FAULT } from './queue-fault.js';
import { isRefusal, layOutQueue, type QueueLayout } from './queue-layout.js';
import type { QueueState } from './queue-state.js';

const DESC_WORDS = PVIRTQ_DESC.SIZE >> 2;
/** In hot loops elements are counted by shifts and `| 0`: V8 then leaves the overflow checks out. */
const DESC_SHIFT = 2;
const DESC_HALVES = PVIRTQ_DESC.SIZE >> 1;
const LEN32 = PVIRTQ_DESC.len >> 2;
const ID_AND_FLAGS32 = PVIRTQ_DESC.id >> 2;
const ID16 = PVIRTQ_DESC.id >> 1;
const FLAGS16 = PVIRTQ_DESC.flags >> 1;
const { NEXT, WRITE, INDIRECT, AVAIL, USED } = VIRTQ_DESC_F;
const MARKS = AVAIL | USED;
/** The flags that tell chains apart: of one descriptor, readable or writable, and all others. */
const KIND = NEXT | INDIRECT | WRITE;
/** Most slots that are looked at for what is available, at a time. */
const LOOK_AHEAD = 256;
const CHAIN_WORDS = 2;
const CHAIN_SHIFT = 1;
const NOT_IN_FLIGHT = 0;
const { READ: DMA_READ, WRITE: DMA_WRITE } = ACCESS;

/**
 * Device side of a packed virtqueue, virtio 1.4 §2.8. A buffer id is the driver's own: it is echoed, never an index.
 * A chain's token is its first slot; where a chain from an earlier lap that began there is still in flight, another that
 * is free.
 */
export class DevicePackedQueue extends DeviceQueueBase implements DeviceQueue {
  readonly layout = 'packed';
  readonly size: number;

  protected override ring: QueueLayout;
  private engine: CopyEngine;
  private u16: Uint16Array;
  private u32: Uint32Array;
  // Element indexes into u16 and u32.
  private desc32 = 0;
  private desc16 = 0;

  private events: DevicePackedEvents;
  private readonly chain: DeviceChain;
  /** Two words per token: buffer id | ring slots << 16, and device-writable bytes + 1 of a chain in flight, 0 of none. */
  protected chains: Uint32Array;
  /** Per token: the `CHAIN_FAULT` for which the chain is to be given up, or 0. */
  private readonly givenUp: Uint8Array;
  /** First slots of the chains whose token is another one. */
  private readonly displaced = new Map<number, number>();
  /** Slots of chains that the driver has not got back yet: in flight, or put and not published. */
  protected slotsOut = 0;
  protected slotsPut = 0;
  /** Next slot to look at, and the wrap counter there. */
  protected avail = 0;
  private availWrap = 0;
  /** Slots from there on that are known to be available. */
  private run = 0;
  /** Next slot to write a used descriptor to. */
  protected used = 0;
  protected usedWrap = 0;
  /** Where used descriptors have been published up to. */
  private published = 0;
  private publishedWrap = 0;
  /** Flags of the first used descriptor since the last publication: stored last, they make the whole batch visible. */
  protected firstFlags = 0;
  // IN_ORDER: the used descriptor that may yet be absorbed by a later one (virtio 1.4 §2.8.9).
  protected batchId = -1;
  private batchSlot = 0;
  private batchWrap = 0;
  protected batchLength = 0;
  protected batchComplete = false;

  /** @param arrays for tables */
  constructor(ring: QueueLayout, state?: QueueState & { layout: 'packed' }, arrays: ArrayMaker = PLAIN_ARRAYS) {
    super();
    this.ring = ring;
    this.size = ring.size;
    this.engine = ring.memory.engine;
    this.u16 = ring.memory.u16;
    this.u32 = ring.memory.u32;
    this.#locate(ring);
    this.events = new DevicePackedEvents(ring);
    this.chain = new DeviceChain(ring);
    this.chains = arrays.u32(ring.size * CHAIN_WORDS);
    this.givenUp = arrays.u8(ring.size);
    this.avail = state?.lastAvailIdx ?? 0;
    this.availWrap = state?.lastAvailWrapCounter ?? 1;
    this.used = state?.usedIdx ?? 0;
    this.usedWrap = state?.usedWrapCounter ?? 1;
    this.published = this.used;
    this.publishedWrap = this.usedWrap;
  }

  takeBurst(burst: ChainBurst, max: number): number {
    if (this.halted()) return 0;
    const wanted = Math.min(max, burst.capacity - burst.count);
    let done = 0;
    while (done < wanted) {
      if (this.run < wanted - done) this.#lookAhead();
      const run = Math.min(this.run, wanted - done);
      if (run === 0) break;
      // Each time: a chain of many segments takes the room that was meant for later ones.
      burst.segments.reserve(run);
      const plain = this.takePlain(burst, run);
      done += plain;
      if (plain === run) continue;
      if (!this.#takeOther(burst)) break;
      done++;
    }
    this.counters.taken += done;
    return done;
  }

  /** Ring slots of a chain that is in flight. */
  slotsOf(token: number): number {
    return this.chains[token * CHAIN_WORDS]! >>> 16;
  }

  putUsed(token: number, written: number): void {
    const word = token * CHAIN_WORDS;
    const writable = (this.chains[word + 1] ?? NOT_IN_FLIGHT) - 1;
    if (writable < 0) throw new VirtioError('token', token, 'a chain in flight', 'virtio 1.4 §2.8.9');
    const most = writable + 1 === MOST_BYTES ? CHAIN_BYTES_MAX : writable;
    if (!(written >= 0 && written <= most))
      throw new VirtioError('written', written, `0 to ${most} bytes`, 'virtio 1.4 §2.8.5');
    const idAndSlots = this.chains[word]!;
    const slots = idAndSlots >>> 16;
    if (this.ring.inOrder) {
      if (token !== this.used)
        throw new VirtioError('token', token, `${this.used}, the oldest one`, 'virtio 1.4 §2.8.9');
      if (this.batchId >= 0 && !this.batchComplete) this.#writeBatch();
      if (this.batchId < 0) this.beginBatch();
      this.batchId = idAndSlots & 0xffff;
      this.batchLength = written;
      this.batchComplete = written === writable && this.givenUp[token] === 0;
    } else this.#writeUsed(this.used, this.usedWrap, idAndSlots & 0xffff, written);
    this.#forget(token);
    this.advanceUsed(slots);
    this.inFlight--;
    this.counters.used++;
  }

  protected override putPlain(burst: ChainBurst, from: number, count: number): number {
    const u32 = this.u32;
    const { token, written } = burst;
    const chains = this.chains;
    const desc32 = this.desc32;
    const { size } = this;
    const { inOrder } = this.ring;
    let used = this.used;
    let marks = this.usedWrap === 0 ? 0 : MARKS;
    let slotsPut = this.slotsPut;
    let i = from;
    for (const end = from + count; i < end; i++) {
      const chain = token[i]! << CHAIN_SHIFT;
      const length = written[i]!;
      if (!(length < chains[chain | 1]!)) break;
      if (inOrder && (token[i] !== used || length + 1 === chains[chain | 1])) break;
      const idAndSlots = chains[chain]!;
      chains[chain | 1] = NOT_IN_FLIGHT;
      const word = (desc32 + (used << DESC_SHIFT)) | 0;
      u32[word + LEN32] = length;
      let flags = marks;
      if (length !== 0) {
        written[i] = 0;
        flags |= WRITE;
      }
      const slots = idAndSlots >>> 16;
      if (slotsPut === 0) {
        // The first one since the last publication keeps its flags back.
        this.u16[(word << 1) + ID16] = idAndSlots & 0xffff;
        this.firstFlags = flags;
      } else u32[word + ID_AND_FLAGS32] = (idAndSlots & 0xffff) | (flags << 16);
      slotsPut = (slotsPut + slots) | 0;
      used = (used + slots) | 0;
      if (used >= size) {
        used = (used - size) | 0;
        marks ^= MARKS;
      }
    }
    const done = i - from;
    this.used = used;
    this.usedWrap = marks === 0 ? 0 : 1;
    this.slotsPut = slotsPut;
    this.inFlight -= done;
    this.counters.used += done;
    return done;
  }

  protected override putComplete(burst: ChainBurst, from: number, count: number): number {
    if (this.batchId >= 0 && !this.batchComplete) return 0;
    const { token, written } = burst;
    const chains = this.chains;
    const { size } = this;
    let used = this.used;
    let last = 0;
    let i = from;
    for (const end = from + count; i < end; i++) {
      const chain = token[i]!;
      const length = written[i]!;
      if (chain !== used || length + 1 !== chains[chain * CHAIN_WORDS + 1]) break;
      last = chains[chain * CHAIN_WORDS]!;
      chains[chain * CHAIN_WORDS + 1] = NOT_IN_FLIGHT;
      written[i] = 0;
      this.batchLength = length;
      used += last >>> 16;
      if (used >= size) used -= size;
    }
    const done = i - from;
    if (done === 0) return 0;
    if (this.batchId < 0) this.beginBatch();
    this.batchId = last & 0xffff;
    this.batchComplete = true;
    // As many slots as it takes to get there; all of them when it is a whole lap.
    this.advanceUsed((used - this.used + size) % size || size);
    this.inFlight -= done;
    this.counters.used += done;
    return done;
  }

  publishUsed(): boolean {
    if (this.slotsPut === 0 || this.halted()) return false;
    if (this.batchId >= 0) this.#writeBatch();
    // The first descriptor's flags last: the driver polls them, and behind them finds the whole batch.
    Atomics.store(this.u16, this.desc16 + this.published * DESC_HALVES + FLAGS16, this.firstFlags);
    const notify = this.events.wantsUsed(this.published, this.publishedWrap, this.used, this.usedWrap);
    this.published = this.used;
    this.publishedWrap = this.usedWrap;
    this.slotsOut -= this.slotsPut;
    this.slotsPut = 0;
    if (notify) this.counters.notifications++;
    return notify;
  }

  protected beginBatch(): void {
    this.batchSlot = this.used;
    this.batchWrap = this.usedWrap;
  }

  protected advanceUsed(slots: number): void {
    this.slotsPut += slots;
    this.used += slots;
    if (this.used >= this.size) {
      this.used -= this.size;
      this.usedWrap ^= 1;
    }
  }

  #isInFlight(token: number): boolean {
    return (this.chains[token * CHAIN_WORDS + 1] ?? NOT_IN_FLIGHT) !== NOT_IN_FLIGHT;
  }

  #forget(token: number): void {
    this.chains[token * CHAIN_WORDS + 1] = NOT_IN_FLIGHT;
    if (this.givenUp[token] !== CHAIN_FAULT.NONE) {
      this.givenUp[token] = CHAIN_FAULT.NONE;
      this.oddInFlight--;
    }
    if (this.displaced.delete(token)) this.oddInFlight--;
  }

  untake(token: number): void {
    const slots = (this.chains[token * CHAIN_WORDS] ?? 0) >>> 16;
    const first = this.displaced.get(token) ?? token;
    if (!this.#isInFlight(token) || (first + slots) % this.size !== this.avail)
      throw new VirtioError('token', token, 'the chain taken last, still in flight', 'virtio 1.4 §2.8.21');
    this.uncountFault(this.givenUp[token]!);
    this.#forget(token);
    this.slotsOut -= slots;
    this.inFlight--;
    this.counters.taken--;
    this.run = 0;
    this.avail -= slots;
    if (this.avail < 0) {
      this.avail += this.size;
      this.availWrap ^= 1;
    }
  }

  hasAvailable(): boolean {
    return !this.halted() && this.#lookAhead() > 0;
  }

  disableNotifications(): void {
    if (!this.halted()) this.events.disable();
  }

  enableNotifications(): boolean {
    if (this.halted()) return false;
    this.events.enable(this.avail, this.availWrap);
    return this.#lookAhead() > 0;
  }

  refresh(): boolean {
    if (this.halted()) return false;
    const ring = layOutQueue(this.ring.config, 'device');
    if (isRefusal(ring)) return this.stopRing(RING_FAULT.UNREACHABLE);
    this.ring = ring;
    this.#locate(ring);
    this.events = new DevicePackedEvents(ring);
    return true;
  }

  save(): QueueState {
    if (this.inFlight !== 0) throw new VirtioError('inFlight', this.inFlight, '0 before saving', 'virtio 1.4 §2.8');
    if (this.slotsPut !== 0)
      throw new VirtioError('usedIdx', this.used, 'put elements published before saving', 'virtio 1.4 §2.8.9');
    return {
      layout: 'packed',
      lastAvailIdx: this.avail,
      lastAvailWrapCounter: this.availWrap as 0 | 1,
      usedIdx: this.used,
      usedWrapCounter: this.usedWrap as 0 | 1,
    };
  }

  #locate(ring: QueueLayout): void {
    this.engine = ring.memory.engine;
    this.u16 = ring.memory.u16;
    this.u32 = ring.memory.u32;
    this.desc32 = ring.desc >>> 2;
    this.desc16 = ring.desc >>> 1;
  }

  /**
   * Count the slots marked available from avail on, up to the end of the ring: many at a time, because their cache lines
   * come from the driver's core together almost as fast as one.
   * @returns the count, 0 to LOOK_AHEAD
   */
  #lookAhead(): number {
    const flags = this.ring.desc + this.avail * PVIRTQ_DESC.SIZE + PVIRTQ_DESC.flags;
    const most = Math.min(LOOK_AHEAD, this.size - this.avail);
    this.run = this.engine.countRun16(flags, PVIRTQ_DESC.SIZE, most, MARKS, this.availWrap === 0 ? USED : AVAIL);
    return this.run;
  }

  /**
   * Take chains of one descriptor and one host range each, which is what nearly every chain is, up to the first other one.
   * Everything else is left to `takeOther`, so that this loop stays free of calls.
   * @param run slots known to be available, up to the end of the ring
   * @returns chains taken
   */
  protected takePlain(burst: ChainBurst, run: number): number {
    const u32 = this.u32;
    const { token } = burst;
    const { offset: segmentOffset, length: segmentLength } = burst.segments;
    const { space } = this.ring;
    const { chains, desc32 } = this;
    const start = this.avail;
    let slot = start;
    // As long as this many are free, no slot can have been made available a second time.
    const end = start + Math.min(run, this.size - this.slotsOut);
    const kind = (u32[desc32 + slot * DESC_WORDS + ID_AND_FLAGS32]! >>> 16) & KIND;
    if ((kind & ~WRITE) !== 0) return 0;
    const access = kind === 0 ? DMA_READ : DMA_WRITE;
    // Most buffers lie where the last one did: compares instead of a call.
    const window = space.windowFor?.(access) ?? NO_WINDOW;
    const windowHi = window.hi | 0;
    const windowLo = window.lo32 | 0;
    const windowHost = window.host32 | 0;
    const usable = (access & window.refused) === 0 ? window.bytes | 0 : 0;
    let segment = burst.segments.count;
    let i = burst.count;
    for (; slot < end; slot++) {
      const word = (desc32 + (slot << DESC_SHIFT)) | 0;
      const idAndFlags = u32[word + ID_AND_FLAGS32]!;
      const length = u32[word + LEN32]!;
      const chain = slot << CHAIN_SHIFT;
      if (((idAndFlags >>> 16) & KIND) !== kind || (length + 1) >>> 0 <= 1 || chains[chain | 1] !== NOT_IN_FLIGHT)
        break;
      const lo = u32[word]!;
      const hi = u32[word + 1]!;
      const into = (lo - windowLo) >>> 0;
      let offset = (windowHost + into) | 0;
      if (hi !== windowHi || into >= usable || length > usable - into) {
        if (hi >= 0x20_0000) break;
        offset = space.resolve(hi * 0x1_0000_0000 + lo, length, access);
        if (offset < 0) break;
      }
      segmentOffset[segment] = offset;
      segmentLength[segment] = length;
      chains[chain] = (idAndFlags & 0xffff) | (1 << 16);
      chains[chain | 1] = kind === 0 ? 1 : length + 1;
      token[i] = slot;
      segment = (segment + 1) | 0;
      i = (i + 1) | 0;
    }
    const done = slot - start;
    burst.closePlain(done, kind !== 0);
    this.inFlight += done;
    this.advance(done);
    return done;
  }

  /** Take any chain that is available, or find the ring broken. @returns whether one was taken */
  #takeOther(burst: ChainBurst): boolean {
    if (this.slotsOut === this.size) return this.stopRing(RING_FAULT.SLOTS_REUSED);
    // Fewer chains than slots are in flight: one of the tokens is free.
    let token = this.avail;
    while (this.#isInFlight(token)) token = token + 1 === this.size ? 0 : token + 1;
    const slots = this.#walk(burst, token);
    if (slots === 0) return this.stopRing(RING_FAULT.ENDLESS_CHAIN);
    if (this.slotsOut + slots > this.size) {
      burst.dropLast();
      return this.stopRing(RING_FAULT.SLOTS_REUSED);
    }
    const { fault } = this.chain;
    if (fault !== CHAIN_FAULT.NONE) {
      this.counters.chainFaults[fault]!++;
      this.givenUp[token] = fault;
      this.oddInFlight++;
    }
    this.chains[token * CHAIN_WORDS + 1] = Math.min(this.chain.writable + 1, MOST_BYTES);
    if (token !== this.avail) {
      this.displaced.set(token, this.avail);
      this.oddInFlight++;
    }
    this.inFlight++;
    this.advance(slots);
    return true;
  }

  /** Move on by slots that a chain, or several of them, had. */
  protected advance(slots: number): void {
    this.slotsOut += slots;
    this.avail += slots;
    this.run = Math.max(this.run - slots, 0);
    if (this.avail >= this.size) {
      this.avail -= this.size;
      this.availWrap ^= 1;
      this.run = 0;
    }
  }

  /**
   * Follow a chain slot by slot.
   * @returns the ring slots that it has, or 0 when its end cannot be told
   */
  #walk(burst: ChainBurst, token: number): number {
    const chain = this.chain;
    const u32 = this.u32;
    chain.begin(burst);
    let slot = this.avail;
    for (let slots = 1; slots <= this.size; slots++) {
      const word = this.desc32 + slot * DESC_WORDS;
      const idAndFlags = u32[word + ID_AND_FLAGS32]!;
      const flags = idAndFlags >>> 16;
      // A chain that is given up is still followed to its end: the used descriptor skips all of its slots.
      if (chain.fault === CHAIN_FAULT.NONE) {
        const length = u32[word + LEN32]!;
        if ((flags & INDIRECT) === 0) chain.addElement(u32[word]!, u32[word + 1]!, length, (flags & WRITE) !== 0);
        else if (!this.ring.indirect) chain.fail(CHAIN_FAULT.INDIRECT_NOT_NEGOTIATED);
        else if (slots > 1 || (flags & NEXT) !== 0) chain.fail(CHAIN_FAULT.INDIRECT_WITH_NEXT);
        else chain.addIndirect(u32[word]!, u32[word + 1]!, length, true);
      }
      if ((flags & NEXT) === 0) {
        this.chains[token * CHAIN_WORDS] = (idAndFlags & 0xffff) | (slots << 16);
        chain.finish(burst, token);
        return slots;
      }
      if (++slot === this.size) slot = 0;
    }
    chain.abandon(burst);
    return 0;
  }

  protected override settleBatch(): boolean {
    if (this.batchId >= 0 && !this.batchComplete) this.#writeBatch();
    return this.batchId < 0;
  }

  #writeBatch(): void {
    this.#writeUsed(this.batchSlot, this.batchWrap, this.batchId, this.batchLength);
    this.batchId = -1;
  }

  #writeUsed(slot: number, wrap: number, id: number, written: number): void {
    if (this.halted()) return;
    const flags = (wrap === 0 ? 0 : MARKS) | (written === 0 ? 0 : WRITE);
    // A buffer may have 2^32 bytes; its length may be reported as less, not as more than fits.
    this.u32[this.desc32 + slot * DESC_WORDS + LEN32] = Math.min(written, 0xffff_ffff);
    const half = this.desc16 + slot * DESC_HALVES;
    this.u16[half + ID16] = id;
    if (slot === this.published && wrap === this.publishedWrap) this.firstFlags = flags;
    else this.u16[half + FLAGS16] = flags;
  }
}
