import { ACCESS, type ArrayMaker, NO_WINDOW, PLAIN_ARRAYS } from '@ringwire/guest-memory';
import {
  VIRTQ_AVAIL,
  VIRTQ_AVAIL_F,
  VIRTQ_DESC,
  VIRTQ_DESC_F,
  VIRTQ_USED,
  VIRTQ_USED_ELEM,
  VIRTQ_USED_F,
  VirtioError,
  virtqAvailEventAt,
  virtqUsedEventAt,
} from '@ringwire/virtio-spec';
import type { ChainBurst } from './chain-burst.js';
import { CHAIN_BYTES_MAX, DeviceChain, MOST_BYTES } from './device-chain.js';
import { type DeviceQueue, TAKE, type Take } from './device-queue.js';
import { DeviceQueueBase } from './device-queue-base.js';
import { CHAIN_FAULT, RING_FAULT } from './queue-fault.js';
import { isRefusal, layOutQueue, type QueueLayout } from './queue-layout.js';
import type { QueueState } from './queue-state.js';

const DESC_WORDS = VIRTQ_DESC.SIZE >> 2;
/** In hot loops elements are counted by shifts and `| 0`: V8 then leaves the overflow checks out. */
const DESC_SHIFT = 2;
const LEN32 = VIRTQ_DESC.len >> 2;
/** The word with flags in its lower half and next in the upper one. */
const FLAGS32 = VIRTQ_DESC.flags >> 2;
const ELEM_WORDS = VIRTQ_USED_ELEM.SIZE >> 2;
const ELEM_LEN = VIRTQ_USED_ELEM.len >> 2;
const NOT_IN_FLIGHT = 0;
// Plain module constants: a hot loop reads an imported object's member from memory, checks and all.
const { WRITE } = VIRTQ_DESC_F;
const { READ: DMA_READ, WRITE: DMA_WRITE } = ACCESS;
/** The flags that tell chains apart: of one descriptor, readable or writable, and all others. */
const KIND = VIRTQ_DESC_F.NEXT | VIRTQ_DESC_F.INDIRECT | WRITE;

/** Device side of a split virtqueue, virtio 1.4 §2.7. A chain's token is its head: an index into the table. */
export class DeviceSplitQueue extends DeviceQueueBase implements DeviceQueue {
  readonly layout = 'split';
  readonly size: number;

  protected override ring: QueueLayout;
  protected readonly mask: number;
  private u16: Uint16Array;
  private u32: Uint32Array;
  // Element indexes into u16 and u32.
  private desc32 = 0;
  private availFlags16 = 0;
  private availIdx16 = 0;
  protected availRing16 = 0;
  private usedEvent16 = 0;
  private usedFlags16 = 0;
  private usedIdx16 = 0;
  protected usedRing32 = 0;
  private availEvent16 = 0;

  private readonly chain: DeviceChain;
  /** Per head: device-writable bytes + 1 of the chain in flight, or NOT_IN_FLIGHT. */
  protected writable: Uint32Array;
  /** Per head: the `CHAIN_FAULT` for which the chain is to be given up, or 0. */
  private readonly givenUp: Uint8Array;
  /** Heads in the order they were taken, at lastAvail & mask. */
  protected taken: Uint16Array;
  protected lastAvail = 0;
  /** The driver's available index as last seen. */
  private availSeen = 0;
  /** Where the next used element goes; runs ahead of the published index by what was put since. */
  protected used = 0;
  private published = 0;
  // IN_ORDER: the used element that may yet be absorbed by a later one (virtio 1.4 §2.7.9).
  protected batchSlot = 0;
  protected batchHead = -1;
  protected batchLength = 0;
  protected batchComplete = false;

  /** @param arrays for tables */
  constructor(ring: QueueLayout, state?: QueueState & { layout: 'split' }, arrays: ArrayMaker = PLAIN_ARRAYS) {
    super();
    this.ring = ring;
    this.size = ring.size;
    this.mask = ring.size - 1;
    this.u16 = ring.memory.u16;
    this.u32 = ring.memory.u32;
    this.#locate(ring);
    this.chain = new DeviceChain(ring);
    this.writable = arrays.u32(ring.size);
    this.givenUp = arrays.u8(ring.size);
    this.taken = arrays.u16(ring.size);
    this.lastAvail = state?.lastAvailIdx ?? 0;
    this.availSeen = this.lastAvail;
    this.used = state?.usedIdx ?? 0;
    this.published = this.used;
  }

  takeBurst(burst: ChainBurst, max: number): number {
    if (this.halted()) return 0;
    let wanted = Math.min(max, burst.capacity - burst.count);
    let waiting = (this.availSeen - this.lastAvail) & 0xffff;
    if (waiting < wanted) waiting = this.#lookForAvailable();
    if (waiting < wanted) wanted = waiting;
    let done = 0;
    while (done < wanted) {
      // Each time: a chain of many segments takes the room that was meant for later ones.
      burst.segments.reserve(wanted - done);
      done += this.takePlain(burst, wanted - done);
      if (done === wanted || !this.#takeOther(burst)) break;
      done++;
    }
    this.inFlight += done;
    this.counters.taken += done;
    return done;
  }

  /**
   * Append a chain to a burst that has room which was in flight when an earlier life of the queue ended without
   * {@link save}, and takes its place among those that are available: its entry of the available ring may be another
   * chain's by now. The queue was opened where used elements went on; such chains come first, in the order that they were
   * taken in then.
   * @param head foreign input, from where it was kept
   */
  takeAgain(burst: ChainBurst, head: number): Take {
    if (this.halted() || !this.#takeHead(burst, head)) return TAKE.RING_FAULT;
    this.availSeen = this.lastAvail;
    this.inFlight++;
    this.counters.taken++;
    return burst.fault[burst.count - 1] === CHAIN_FAULT.NONE ? TAKE.CHAIN : TAKE.CHAIN_FAULT;
  }

  putUsed(token: number, written: number): void {
    const writable = (this.writable[token] ?? NOT_IN_FLIGHT) - 1;
    if (writable < 0) throw new VirtioError('token', token, 'a chain in flight', 'virtio 1.4 §2.7.8');
    const most = writable + 1 === MOST_BYTES ? CHAIN_BYTES_MAX : writable;
    if (!(written >= 0 && written <= most))
      throw new VirtioError('written', written, `0 to ${most} bytes`, 'virtio 1.4 §2.7.8');
    if (this.ring.inOrder) {
      const next = this.taken[this.used & this.mask]!;
      if (next !== token) throw new VirtioError('token', token, `${next}, the oldest one`, 'virtio 1.4 §2.7.9');
      if (this.batchHead >= 0 && !this.batchComplete) this.#writeBatch();
      if (this.batchHead < 0) this.batchSlot = this.used;
      this.batchHead = token;
      this.batchLength = written;
      this.batchComplete = written === writable && this.givenUp[token] === 0;
    } else if (!this.halted()) this.#writeElement(this.used, token, written);
    this.#forget(token);
    this.used = (this.used + 1) & 0xffff;
    this.counters.used++;
  }

  protected override putPlain(burst: ChainBurst, from: number, count: number): number {
    const u32 = this.u32;
    const inFlight = this.writable;
    const { token, written } = burst;
    const mask = this.mask;
    const ring32 = this.usedRing32;
    const order = this.ring.inOrder ? this.taken : undefined;
    let used = this.used;
    let i = from;
    for (const end = from + count; i < end; i++) {
      const head = token[i]!;
      const length = written[i]!;
      if (!(length < inFlight[head]!)) break;
      if (order !== undefined && (order[used & mask] !== head || length + 1 === inFlight[head])) break;
      inFlight[head] = NOT_IN_FLIGHT;
      const word = ring32 + (used & mask) * ELEM_WORDS;
      u32[word] = head;
      u32[word + ELEM_LEN] = length;
      if (length !== 0) written[i] = 0;
      used = (used + 1) & 0xffff;
    }
    const done = i - from;
    this.used = used;
    this.inFlight -= done;
    this.counters.used += done;
    return done;
  }

  protected override putComplete(burst: ChainBurst, from: number, count: number): number {
    if (this.batchHead >= 0 && !this.batchComplete) return 0;
    const inFlight = this.writable;
    const order = this.taken;
    const mask = this.mask;
    const { token, written } = burst;
    const start = this.used;
    let used = start;
    let i = from;
    for (const end = from + count; i < end; i++) {
      const head = token[i]!;
      const length = written[i]!;
      if (order[used & mask] !== head || length + 1 !== inFlight[head]) break;
      inFlight[head] = NOT_IN_FLIGHT;
      written[i] = 0;
      this.batchLength = length;
      used = (used + 1) & 0xffff;
    }
    const done = i - from;
    if (done === 0) return 0;
    if (this.batchHead < 0) this.batchSlot = start;
    this.batchHead = token[i - 1]!;
    this.batchComplete = true;
    this.used = used;
    this.inFlight -= done;
    this.counters.used += done;
    return done;
  }

  #forget(head: number): void {
    this.writable[head] = NOT_IN_FLIGHT;
    if (this.givenUp[head] !== CHAIN_FAULT.NONE) {
      this.givenUp[head] = CHAIN_FAULT.NONE;
      this.oddInFlight--;
    }
    this.inFlight--;
  }

  publishUsed(): boolean {
    const before = this.published;
    const now = this.used;
    if (now === before || this.halted()) return false;
    if (this.batchHead >= 0) this.#writeBatch();
    this.published = now;
    // The elements before idx, and idx before the event word is read: the driver does the reverse.
    Atomics.store(this.u16, this.usedIdx16, now);
    const notify = this.ring.eventIdx
      ? ((now - Atomics.load(this.u16, this.usedEvent16) - 1) & 0xffff) < ((now - before) & 0xffff)
      : (Atomics.load(this.u16, this.availFlags16) & VIRTQ_AVAIL_F.NO_INTERRUPT) === 0;
    if (notify) this.counters.notifications++;
    return notify;
  }

  untake(token: number): void {
    const previous = (this.lastAvail - 1) & 0xffff;
    if ((this.writable[token] ?? NOT_IN_FLIGHT) === NOT_IN_FLIGHT || this.taken[previous & this.mask] !== token)
      throw new VirtioError('token', token, 'the chain taken last, still in flight', 'virtio 1.4 §2.7.13');
    this.uncountFault(this.givenUp[token]!);
    this.#forget(token);
    this.lastAvail = previous;
    this.counters.taken--;
  }

  hasAvailable(): boolean {
    return this.#lookForAvailable() > 0;
  }

  disableNotifications(): void {
    // With EVENT_IDX flags stay 0 (virtio 1.4 §2.7.10.2): an avail_event left behind asks for nothing.
    if (!this.ring.eventIdx && !this.halted()) Atomics.store(this.u16, this.usedFlags16, VIRTQ_USED_F.NO_NOTIFY);
  }

  enableNotifications(): boolean {
    if (this.halted()) return false;
    if (this.ring.eventIdx) Atomics.store(this.u16, this.availEvent16, this.lastAvail);
    else Atomics.store(this.u16, this.usedFlags16, 0);
    return this.#lookForAvailable() > 0;
  }

  refresh(): boolean {
    if (this.halted()) return false;
    const ring = layOutQueue(this.ring.config, 'device');
    if (isRefusal(ring)) return this.stopRing(RING_FAULT.UNREACHABLE);
    this.ring = ring;
    this.#locate(ring);
    return true;
  }

  save(): QueueState {
    if (this.inFlight !== 0) throw new VirtioError('inFlight', this.inFlight, '0 before saving', 'virtio 1.4 §2.7');
    if (this.used !== this.published)
      throw new VirtioError('usedIdx', this.used, 'put elements published before saving', 'virtio 1.4 §2.7.8');
    return { layout: 'split', lastAvailIdx: this.lastAvail, usedIdx: this.used };
  }

  #locate(ring: QueueLayout): void {
    this.u16 = ring.memory.u16;
    this.u32 = ring.memory.u32;
    this.desc32 = ring.desc >>> 2;
    this.availFlags16 = (ring.driver + VIRTQ_AVAIL.flags) >>> 1;
    this.availIdx16 = (ring.driver + VIRTQ_AVAIL.idx) >>> 1;
    this.availRing16 = (ring.driver + VIRTQ_AVAIL.ring) >>> 1;
    this.usedEvent16 = (ring.driver + virtqUsedEventAt(ring.size)) >>> 1;
    this.usedFlags16 = (ring.device + VIRTQ_USED.flags) >>> 1;
    this.usedIdx16 = (ring.device + VIRTQ_USED.idx) >>> 1;
    this.usedRing32 = (ring.device + VIRTQ_USED.ring) >>> 2;
    this.availEvent16 = (ring.device + virtqAvailEventAt(ring.size)) >>> 1;
  }

  /** Read the available index. @returns chains waiting, 0 when the ring is halted or turns out to be broken */
  #lookForAvailable(): number {
    if (this.halted()) return 0;
    const idx = Atomics.load(this.u16, this.availIdx16);
    const waiting = (idx - this.lastAvail) & 0xffff;
    if (waiting > this.size) {
      this.stopRing(RING_FAULT.AVAIL_INDEX);
      return 0;
    }
    this.availSeen = idx;
    return waiting;
  }

  /**
   * Take chains of one descriptor and one host range each, which is what nearly every chain is, up to the first other one.
   * Everything else is left to `takeOther`, so that this loop stays free of calls.
   * @returns chains taken
   */
  protected takePlain(burst: ChainBurst, max: number): number {
    const u16 = this.u16;
    const u32 = this.u32;
    const inFlight = this.writable;
    const { token } = burst;
    const { offset: segmentOffset, length: segmentLength } = burst.segments;
    const { space } = this.ring;
    const mask = this.mask;
    const ring16 = this.availRing16;
    const desc32 = this.desc32;
    const order = this.taken;
    let idx = this.lastAvail;
    const next = u16[ring16 + (idx & mask)]!;
    if (next > mask) return 0;
    const kind = u32[desc32 + next * DESC_WORDS + FLAGS32]! & KIND;
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
    let taken = 0;
    for (; taken < max; taken++) {
      const slot = idx & mask;
      const head = u16[ring16 + slot]!;
      if (head > mask || inFlight[head] !== NOT_IN_FLIGHT) break;
      const word = (desc32 + (head << DESC_SHIFT)) | 0;
      const lo = u32[word]!;
      const hi = u32[word + 1]!;
      const length = u32[word + LEN32]!;
      if ((u32[word + FLAGS32]! & KIND) !== kind || (length + 1) >>> 0 <= 1) break;
      const into = (lo - windowLo) >>> 0;
      let offset = (windowHost + into) | 0;
      if (hi !== windowHi || into >= usable || length > usable - into) {
        if (hi >= 0x20_0000) break;
        offset = space.resolve(hi * 0x1_0000_0000 + lo, length, access);
        if (offset < 0) break;
      }
      segmentOffset[segment] = offset;
      segmentLength[segment] = length;
      token[i] = head;
      inFlight[head] = kind === 0 ? 1 : length + 1;
      order[slot] = head;
      segment = (segment + 1) | 0;
      i = (i + 1) | 0;
      idx = (idx + 1) & 0xffff;
    }
    burst.closePlain(taken, kind !== 0);
    this.lastAvail = idx;
    return taken;
  }

  /** Take any chain, or find the ring broken. @returns whether one was taken */
  #takeOther(burst: ChainBurst): boolean {
    return this.#takeHead(burst, this.u16[this.availRing16 + (this.lastAvail & this.mask)]!);
  }

  #takeHead(burst: ChainBurst, head: number): boolean {
    if (head >= this.size) return this.stopRing(RING_FAULT.HEAD_OUT_OF_RANGE);
    if (this.writable[head] !== NOT_IN_FLIGHT) return this.stopRing(RING_FAULT.HEAD_IN_FLIGHT);
    this.writable[head] = Math.min(this.#walk(burst, head) + 1, MOST_BYTES);
    this.taken[this.lastAvail & this.mask] = head;
    this.lastAvail = (this.lastAvail + 1) & 0xffff;
    return true;
  }

  /** Follow a chain descriptor by descriptor. @returns its device-writable bytes */
  #walk(burst: ChainBurst, head: number): number {
    const chain = this.chain;
    const u32 = this.u32;
    chain.begin(burst);
    let index = head;
    for (;;) {
      const word = this.desc32 + index * DESC_WORDS;
      const lo = u32[word]!;
      const hi = u32[word + 1]!;
      const length = u32[word + 2]!;
      const flagsAndNext = u32[word + 3]!;
      if ((flagsAndNext & VIRTQ_DESC_F.INDIRECT) !== 0) {
        // Plain descriptors may come before an indirect one, nothing behind it (virtio 1.4 §2.7.5.3.2).
        if (!this.ring.indirect) chain.fail(CHAIN_FAULT.INDIRECT_NOT_NEGOTIATED);
        else if ((flagsAndNext & VIRTQ_DESC_F.NEXT) !== 0) chain.fail(CHAIN_FAULT.INDIRECT_WITH_NEXT);
        else chain.addIndirect(lo, hi, length, false);
        break;
      }
      if (!chain.addElement(lo, hi, length, (flagsAndNext & WRITE) !== 0)) break;
      if ((flagsAndNext & VIRTQ_DESC_F.NEXT) === 0) break;
      index = flagsAndNext >>> 16;
      if (index >= this.size) {
        chain.fail(CHAIN_FAULT.NEXT_OUT_OF_RANGE);
        break;
      }
    }
    const fault = chain.finish(burst, head);
    if (fault !== CHAIN_FAULT.NONE) {
      this.counters.chainFaults[fault]!++;
      this.givenUp[head] = fault;
      this.oddInFlight++;
    }
    return chain.writable;
  }

  protected override settleBatch(): boolean {
    if (this.batchHead >= 0 && !this.batchComplete) this.#writeBatch();
    return this.batchHead < 0;
  }

  #writeBatch(): void {
    if (!this.halted()) this.#writeElement(this.batchSlot, this.batchHead, this.batchLength);
    this.batchHead = -1;
  }

  #writeElement(idx: number, head: number, written: number): void {
    const word = this.usedRing32 + (idx & this.mask) * ELEM_WORDS;
    this.u32[word] = head;
    // A chain may have 2^32 bytes; its length may be reported as less, not as more than fits.
    this.u32[word + ELEM_LEN] = Math.min(written, 0xffff_ffff);
  }
}
