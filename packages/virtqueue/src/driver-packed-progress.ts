import { PVIRTQ_DESC, VIRTQ_DESC_F } from '@ringwire/virtio-spec';
import type { QueueLayout } from './queue-layout.js';

const DESC_WORDS = PVIRTQ_DESC.SIZE >> 2;
const ID_AND_FLAGS32 = PVIRTQ_DESC.id >> 2;
const { NEXT, AVAIL, USED } = VIRTQ_DESC_F;
const MARKS = AVAIL | USED;

/** Where the device is in a packed ring, as its driver can tell. */
export interface PackedProgress {
  /** Slot of the next used descriptor that it writes, with the wrap counter there in bit 15; -1: the ring says what cannot be. */
  readonly position: number;
  /**
   * Whether the ring has all outstanding buffers from there on, as they were made available, so that another device may go
   * on there without knowing more. One that used buffers out of order, or was in the middle of it, wrote over others.
   */
  readonly isWhole: boolean;
}

/** What a driver knows itself. */
export interface PackedKnowledge {
  readonly ring: QueueLayout;
  /** Where the next used descriptor is expected. */
  readonly slot: number;
  readonly wrap: number;
  /** Buffers that the device was shown and the driver did not take back. */
  readonly count: number;
  /** IN_ORDER: how many of them belong to a batch that was begun to be taken back. */
  readonly batchLeft: number;
  /** Slots of such a buffer; 0 for any other id. */
  slotsOf(id: number): number;
  /** Id of the n-th oldest one, where buffers are used in order. */
  oldest(n: number): number;
}

const NOWHERE: PackedProgress = { position: -1, isWhole: false };

/**
 * Follow what the device used, and then what is left. The ring may say anything: each id counts once, each slot is passed
 * once.
 */
export function packedProgress(knowledge: PackedKnowledge): PackedProgress {
  const walk = new RingWalk(knowledge);
  if (!walk.passUsed()) return NOWHERE;
  return { position: walk.slot | (walk.wrap << 15), isWhole: walk.passAvailable() };
}

class RingWalk {
  slot: number;
  wrap: number;
  private readonly knowledge: PackedKnowledge;
  private readonly u32: Uint32Array;
  private readonly passed: Uint8Array;
  private left: number;

  constructor(knowledge: PackedKnowledge) {
    this.knowledge = knowledge;
    this.slot = knowledge.slot;
    this.wrap = knowledge.wrap;
    this.u32 = knowledge.ring.memory.u32;
    this.passed = new Uint8Array(knowledge.ring.size);
    this.left = knowledge.count;
  }

  /** @returns false where an id is none of the outstanding ones */
  passUsed(): boolean {
    const { knowledge } = this;
    const { inOrder } = knowledge.ring;
    let n = 0;
    while (n < knowledge.batchLeft) if (!this.pass(knowledge.oldest(n++))) return false;
    while (this.left > 0 && (this.flags & MARKS) === (this.wrap === 1 ? MARKS : 0)) {
      const { id } = this;
      let one: number;
      // One used descriptor may stand for many buffers (virtio 1.4 §2.8.9).
      do {
        one = inOrder ? knowledge.oldest(n++) : id;
        if (!this.pass(one)) return false;
      } while (one !== id);
    }
    return true;
  }

  /** @returns false where the ring does not have all that is left, and nothing else, in its lap */
  passAvailable(): boolean {
    const { size } = this.knowledge.ring;
    while (this.left > 0) {
      const { slot, wrap } = this;
      let slots = 0;
      let flags: number;
      let id: number;
      do {
        flags = this.flags;
        id = this.id;
        if ((flags & MARKS) !== (this.wrap === 1 ? AVAIL : USED)) return false;
        this.advance(1);
      } while (++slots < size && (flags & NEXT) !== 0);
      this.slot = slot;
      this.wrap = wrap;
      if (this.knowledge.slotsOf(id) !== slots || !this.pass(id)) return false;
    }
    return true;
  }

  private get word(): number {
    return this.u32[(this.knowledge.ring.desc >>> 2) + this.slot * DESC_WORDS + ID_AND_FLAGS32]!;
  }

  private get id(): number {
    return this.word & 0xffff;
  }

  private get flags(): number {
    return this.word >>> 16;
  }

  private pass(id: number): boolean {
    const slots = id < this.passed.length && this.left > 0 ? this.knowledge.slotsOf(id) : 0;
    if (slots === 0 || this.passed[id] !== 0) return false;
    this.passed[id] = 1;
    this.left--;
    this.advance(slots);
    return true;
  }

  private advance(slots: number): void {
    this.slot += slots;
    if (this.slot < this.knowledge.ring.size) return;
    this.slot -= this.knowledge.ring.size;
    this.wrap ^= 1;
  }
}
