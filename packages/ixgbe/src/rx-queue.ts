import { ACCESS, type HostMemory } from '@ringwire/guest-memory';
import { DELIVERED, type Delivered, type Frame, type FrameRun } from '@ringwire/net-backend';
import {
  MISBEHAVIOR,
  RSCCTL,
  RX_ADV_WB,
  RX_LEGACY,
  RX_QUEUE,
  RX_STATUS,
  RX_TYPES,
  RXDCTL,
  SRRCTL,
} from '@ringwire/nic-spec/ixgbe';
import { DescriptorRing } from './descriptor-ring.js';
import type { FrameFacts } from './frame-facts.js';
import { HeaderSplit } from './header-split.js';
import { writeLegacy } from './legacy-writeback.js';
import type { QueueOwner } from './queue-owner.js';
import { BUFFERS_MOST, RxTargets } from './rx-targets.js';

const { ACCEPTED, FULL, DROPPED } = DELIVERED;
const { ENABLE, VME } = RXDCTL;
const { WRITE } = ACCESS;
const { DESCTYPE_MASK, DESCTYPE_ADV_ONE_BUFFER } = SRRCTL;
const { DD, EOP } = RX_STATUS;
const { RSS_MASK, PACKET_MASK } = RX_TYPES;
/** 82599 datasheet §8.2.3.8: packet buffers of 2 KiB, headers of 256 bytes. */
const SRRCTL_RESET = 0x0402;
const TAG_BYTES = 4;
/** Of the EtherType, in an Ethernet header. */
const TYPE_HALFWORD = 6;
/** Words from a descriptor's start to the one with its status. */
const STATUS_WORD = { ADVANCED: RX_ADV_WB.status_error >> 2, LEGACY: RX_LEGACY.status >> 2 } as const;

/** A receive queue: its registers, and frames on their way into its ring. */
export class RxQueue {
  /** Of its function. */
  readonly index: number;
  readonly ring: DescriptorRing;
  isEnabled = false;
  /** It was stopped because of what was in it, until the physical function's driver lets it go on. */
  isStopped = false;
  /** Frames in the ring that the driver was not told of. */
  untold = 0;
  private readonly owner: QueueOwner;
  private readonly memory: HostMemory;
  private srrctl: number = SRRCTL_RESET;
  private rxdctl = 0;
  private rscctl = 0;
  private dca = 0;
  private readonly targets: RxTargets;
  private readonly split: HeaderSplit = new HeaderSplit();
  // The first descriptor that was written since the driver could see any: its status comes last.
  private firstAt = -1;
  private firstStatus = 0;

  constructor(index: number, owner: QueueOwner) {
    this.index = index;
    this.owner = owner;
    this.memory = owner.dma.space.memory;
    this.ring = new DescriptorRing(owner.dma);
    this.targets = new RxTargets(owner.dma);
  }

  /** Tags are taken out. */
  get stripsVlan(): boolean {
    return (this.rxdctl & VME) !== 0;
  }

  get bufferBytes(): number {
    const units = this.srrctl & SRRCTL.BSIZEPACKET_MASK;
    return Math.min(units, SRRCTL.BSIZEPACKET_MOST) * SRRCTL.BSIZEPACKET_UNIT;
  }

  read(register: number): number {
    switch (register) {
      case RX_QUEUE.RDBAL:
        return this.ring.baseLow;
      case RX_QUEUE.RDBAH:
        return this.ring.baseHigh;
      case RX_QUEUE.RDLEN:
        return this.ring.bytes;
      case RX_QUEUE.DCA_RXCTRL:
        return this.dca;
      case RX_QUEUE.RDH:
        return this.ring.head;
      case RX_QUEUE.SRRCTL:
        return this.srrctl;
      case RX_QUEUE.RDT:
        return this.ring.tail;
      case RX_QUEUE.RXDCTL:
        return (this.rxdctl | (this.isEnabled ? ENABLE : 0)) >>> 0;
      case RX_QUEUE.RSCCTL:
        return this.rscctl;
      default:
        return 0;
    }
  }

  write(register: number, value: number): void {
    const { ring } = this;
    switch (register) {
      case RX_QUEUE.RDBAL:
        ring.baseLow = value;
        return;
      case RX_QUEUE.RDBAH:
        ring.baseHigh = value;
        return;
      case RX_QUEUE.RDLEN:
        ring.bytes = value;
        return;
      case RX_QUEUE.DCA_RXCTRL:
        this.dca = value >>> 0;
        return;
      case RX_QUEUE.RDH:
        if (!this.isEnabled) ring.head = value & 0xffff;
        return;
      case RX_QUEUE.SRRCTL:
        this.srrctl = value >>> 0;
        return;
      case RX_QUEUE.RDT:
        ring.setTail(value);
        this.owner.wake();
        return;
      case RX_QUEUE.RXDCTL:
        this.rxdctl = (value & VME) >>> 0;
        this.enable((value & ENABLE) !== 0);
        return;
      case RX_QUEUE.RSCCTL:
        // Frames are not joined: the bit can be set, and has no effect.
        this.rscctl = value & (RSCCTL.RSCEN | 0xc);
        return;
      default:
    }
  }

  /**
   * Put a frame into the next buffers: all of it, or nothing.
   * @param facts what the write-back says of it
   */
  place(frame: Frame, facts: FrameFacts): Delivered {
    const { ring } = this;
    if (!this.isEnabled || this.isStopped) return this.owner.drop(this, facts);
    if (ring.count === 0) return this.refuse(facts);
    if (!ring.isSound) return this.misbehave(MISBEHAVIOR.RING, facts);
    const cut = facts.isTagged && this.stripsVlan ? TAG_BYTES : 0;
    const total = frame.length - cut;
    const { bufferBytes, split, targets } = this;
    if (bufferBytes === 0) return this.misbehave(MISBEHAVIOR.DESCRIPTOR, facts);
    split.decide(facts, this.srrctl, this.owner.splitTypes(this), total, cut);
    const buffers = Math.max(1, Math.ceil((total - split.bytes) / bufferBytes));
    // A frame that no ring of this size holds would stop those behind it for good.
    if (buffers >= ring.count || buffers > BUFFERS_MOST) return this.owner.drop(this, facts);
    if (buffers > ring.filled) return this.refuse(facts);
    if (!targets.find(ring, buffers, bufferBytes, split.bytes, total)) return this.misbehave(MISBEHAVIOR.DMA, facts);
    targets.fill(frame, cut);
    this.writeBack(buffers, bufferBytes, total - split.bytes, facts);
    ring.head = ring.behind(ring.head, buffers);
    this.untold++;
    this.owner.received(this, frame.length, facts);
    return ACCEPTED;
  }

  /**
   * Put frames of a run, one of which is for this queue, into one buffer each, up to one that is not as plain as that.
   * @param run with its header, in the card's memory, without tags
   * @param from how many of it were dealt with
   * @param facts what the write-back says of the next one
   * @param isAlike the same holds for those behind it
   * @param longest bytes of a frame that the card takes
   * @returns how many are in buffers; what becomes of the next one, {@link place} says
   */
  placeRun(run: FrameRun, from: number, facts: FrameFacts, isAlike: boolean, longest: number): number {
    const { ring, memory, owner } = this;
    const isOn = this.isEnabled && !this.isStopped && ring.count > 1 && ring.isSound;
    if (!isOn || (this.srrctl & DESCTYPE_MASK) !== DESCTYPE_ADV_ONE_BUFFER) return 0;
    const { dma } = owner;
    const { u32, u16, engine } = memory;
    const { skip, word0, word1, word2, type16 } = run;
    const { offset, length } = run.ranges;
    const first = run.first + from;
    const room = Math.min(longest, this.bufferBytes);
    const most = Math.min(run.count - from, ring.filled);
    let index = ring.head;
    let count = 0;
    for (; count < most; count = (count + 1) | 0) {
      const bytes = (length[first + count]! - skip) | 0;
      const at = ring.locate(index);
      if (bytes > room || at < 0) break;
      const word = at >>> 2;
      const to = dma.reach(u32[word]! | 0, u32[word + 1]! | 0, bytes, WRITE);
      if (to < 0 || (to & 3) !== 0) break;
      if (!isAlike && count > 0 && owner.lookAt(run, first + count) !== this.index) break;
      engine.copy(to, offset[first + count]! + skip, bytes);
      // What was decided on, whatever the sender made of its memory since.
      const header = to >>> 2;
      u32[header] = word0;
      u32[header + 1] = word1;
      u32[header + 2] = word2;
      u16[2 * header + TYPE_HALFWORD] = type16;
      u32[word] = facts.types & (RSS_MASK | PACKET_MASK);
      u32[word + 1] = facts.hashOrChecksum;
      u32[word + 3] = bytes;
      this.put(word + STATUS_WORD.ADVANCED, facts.status | DD | EOP);
      index = ring.behind(index, 1);
    }
    if (count === 0) return 0;
    ring.head = index;
    this.untold += count;
    owner.receivedRun(this, run, from, count, facts);
    return count;
  }

  /** What was written back becomes visible. */
  publish(): void {
    if (this.firstAt < 0) return;
    // After all that was written before: the driver polls it.
    Atomics.store(this.memory.u32, this.firstAt, this.firstStatus);
    this.firstAt = -1;
  }

  /** As after a reset of the function. @param isWhole also what a virtual function's own reset keeps */
  reset(isWhole: boolean): void {
    this.isEnabled = false;
    this.firstAt = -1;
    this.untold = 0;
    this.rxdctl = 0;
    this.ring.head = 0;
    this.ring.tail = 0;
    if (!isWhole) return;
    this.isStopped = false;
    this.ring.reset();
    this.srrctl = SRRCTL_RESET;
    this.rscctl = 0;
    this.dca = 0;
  }

  private enable(isWanted: boolean): void {
    if (isWanted === this.isEnabled) return;
    this.isEnabled = isWanted;
    this.firstAt = -1;
    if (isWanted) this.ring.head = 0;
    this.owner.queuesChanged();
  }

  /** No room: the sender keeps the frame, unless it is to be dropped. 82599 datasheet §8.2.3.8, SRRCTL.Drop_En */
  private refuse(facts: FrameFacts): Delivered {
    const drops = this.owner.mustDrop(this) || (this.srrctl & SRRCTL.DROP_EN) !== 0;
    return drops ? this.owner.drop(this, facts) : FULL;
  }

  private misbehave(cause: number, facts: FrameFacts): Delivered {
    this.isStopped = true;
    this.owner.misbehaved(this, cause);
    this.owner.drop(this, facts);
    return DROPPED;
  }

  private writeBack(buffers: number, bufferBytes: number, total: number, facts: FrameFacts): void {
    const { memory } = this;
    const { spots } = this.targets;
    const isLegacy = (this.srrctl & SRRCTL.DESCTYPE_MASK) === SRRCTL.DESCTYPE_LEGACY;
    const isStripped = facts.isTagged && this.stripsVlan;
    let left = total;
    for (let i = 0; i < buffers; i++) {
      const bytes = Math.min(left, bufferBytes);
      left -= bytes;
      const word = spots[i]!;
      if (isLegacy)
        this.put(word + STATUS_WORD.LEGACY, writeLegacy(memory, word, bytes, left === 0, isStripped, facts));
      else this.put(word + STATUS_WORD.ADVANCED, this.writeAdvanced(i, bytes, left === 0, isStripped, facts));
    }
  }

  /** @returns the word with the status, which is written last */
  private writeAdvanced(index: number, bytes: number, isLast: boolean, isStripped: boolean, facts: FrameFacts): number {
    const { u32 } = this.memory;
    const word = this.targets.spots[index]!;
    const types = isLast ? facts.types & (RX_TYPES.RSS_MASK | RX_TYPES.PACKET_MASK) : 0;
    u32[word] = types | (index === 0 ? this.split.info : 0);
    u32[word + 1] = isLast ? facts.hashOrChecksum : 0;
    u32[word + 3] = isLast && isStripped ? bytes | (facts.vlan << 16) : bytes;
    if (!isLast) return RX_STATUS.DD;
    return facts.status | this.split.error | RX_STATUS.DD | RX_STATUS.EOP | (isStripped ? RX_STATUS.VP : 0);
  }

  /** The first status that the driver has not seen comes with {@link publish}: it does not look at those behind before. */
  private put(word: number, status: number): void {
    if (this.firstAt < 0) {
      this.firstAt = word;
      this.firstStatus = status;
    } else this.memory.u32[word] = status;
  }
}
