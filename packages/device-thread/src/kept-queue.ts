import { ORIGIN_MASK } from '@ringwire/net-backend';
import { VirtioError } from '@ringwire/virtio-spec';
import {
  CHAIN_FAULT,
  type ChainBurst,
  type DevicePackedQueue,
  type DeviceSplitQueue,
  RING_FAULT,
  TAKE,
  type Take,
  WrappedQueue,
} from '@ringwire/virtqueue';
import { STAND } from './keep-layout.js';
import type { QueueRecord } from './queue-record.js';

/** What goes with a {@link KeptQueue} besides. */
export interface KeptQueueParts {
  readonly record: QueueRecord;
  /** Where the queue begins or goes on: as the record holds it. */
  readonly stand: Int32Array;
  /** Host offset of a packed ring's descriptors, of this burst. */
  readonly ring: () => number;
  /** Called before used elements are published: what they say of the device is to hold from then on. */
  readonly beforePublish: () => void;
}

/**
 * A device's queue whose place in the ring is on record at every moment. Chains are used in the order in which they are taken,
 * in whole turns: the one that is put next is the oldest one.
 */
export class KeptQueue extends WrappedQueue {
  /** Of frames that lie in buffers to be put: the last one's origin, and how many have it. */
  frame: number;
  parts: number;
  private readonly kept: DeviceSplitQueue | DevicePackedQueue;
  private readonly given: KeptQueueParts;
  private readonly stand: Int32Array;
  private readonly end: number;
  /** Tokens in the order in which they were taken. */
  private readonly order: Uint16Array;
  private taken = 0;
  private put = 0;

  constructor(queue: DeviceSplitQueue | DevicePackedQueue, given: KeptQueueParts) {
    super(queue);
    this.kept = queue;
    this.given = given;
    this.stand = given.stand;
    this.frame = given.stand[STAND.FRAME]!;
    this.parts = given.stand[STAND.PARTS]!;
    this.end = queue.layout === 'split' ? 0x1_0000 : queue.size;
    this.order = new Uint16Array(queue.size);
  }

  /** Origin of the chain that is put next. */
  get nextOrigin(): number {
    return (this.stand[STAND.CHAINS]! + this.stand[STAND.PUT_CHAINS]!) & ORIGIN_MASK;
  }

  override takeBurst(burst: ChainBurst, max: number): number {
    const first = burst.count;
    const count = this.queue.takeBurst(burst, max);
    const { order, size } = this;
    for (let i = first; i < first + count; i++) {
      order[this.taken] = burst.token[i]!;
      this.taken = this.taken + 1 === size ? 0 : this.taken + 1;
    }
    return count;
  }

  override takeAvailable(burst: ChainBurst): Take {
    if (this.takeBurst(burst, 1) === 0) return this.ringFault === RING_FAULT.NONE ? TAKE.EMPTY : TAKE.RING_FAULT;
    return burst.fault[burst.count - 1] === CHAIN_FAULT.NONE ? TAKE.CHAIN : TAKE.CHAIN_FAULT;
  }

  override untake(token: number): void {
    this.queue.untake(token);
    this.taken = this.taken === 0 ? this.size - 1 : this.taken - 1;
  }

  /** @throws VirtioError for a chain that is not the oldest one */
  override putUsed(token: number, written: number): void {
    this.checkOldest(token);
    this.note(this.kept.layout === 'split' ? 1 : this.kept.slotsOf(token), 1);
    this.queue.putUsed(token, written);
  }

  /** @throws VirtioError for chains that are not the oldest ones */
  override putUsedBurst(burst: ChainBurst, from: number, count: number): void {
    if (count === 0) return;
    const { kept } = this;
    let slots = count;
    if (kept.layout === 'packed') {
      slots = 0;
      for (let i = from; i < from + count; i++) slots += kept.slotsOf(burst.token[i]!);
    }
    for (let i = from; i < from + count; i++) this.checkOldest(burst.token[i]!);
    this.note(slots, count);
    this.queue.putUsedBurst(burst, from, count);
  }

  override publishUsed(): boolean {
    const { stand, given } = this;
    if (stand[STAND.PUT] === 0 || this.ringFault !== RING_FAULT.NONE) return this.queue.publishUsed();
    stand[STAND.PUT_FRAME] = this.frame;
    stand[STAND.PUT_PARTS] = this.parts;
    given.beforePublish();
    given.record.set(stand);
    const notify = this.queue.publishUsed();
    given.record.count(stand, this.end);
    stand[STAND.PUT] = 0;
    stand[STAND.PUT_CHAINS] = 0;
    given.record.set(stand);
    return notify;
  }

  /** So much is about to be put: in a packed ring used descriptors are written over others at once. */
  private note(positions: number, chains: number): void {
    const { stand, given, kept } = this;
    if (kept.layout === 'packed') {
      const ring = given.ring();
      const at = (stand[STAND.POSITION]! + stand[STAND.PUT]!) % kept.size;
      // Out of reach, it was stopped, and nothing is written.
      if (ring >= 0) given.record.copyDescriptors(ring, at, positions, kept.size);
    }
    stand[STAND.PUT] = stand[STAND.PUT]! + positions;
    stand[STAND.PUT_CHAINS] = (stand[STAND.PUT_CHAINS]! + chains) & ORIGIN_MASK;
    if (kept.layout === 'packed') given.record.set(stand);
  }

  private checkOldest(token: number): void {
    const oldest = this.order[this.put]!;
    if (token !== oldest)
      throw new VirtioError('token', token, `${oldest}, the oldest one: a kept queue is used in order`, 'KeptQueue');
    this.put = this.put + 1 === this.size ? 0 : this.put + 1;
  }
}
