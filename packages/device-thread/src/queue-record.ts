import { ACCESS, type HostMemory } from '@ringwire/guest-memory';
import { NO_ORIGIN, ORIGIN_MASK } from '@ringwire/net-backend';
import { hasFeature, PVIRTQ_DESC, pvirtqDescBytes, VIRTIO_F, VIRTQ_DESC_F, VIRTQ_USED } from '@ringwire/virtio-spec';
import type { QueueConfig, QueueState } from '@ringwire/virtqueue';
import { RECORD, STAND } from './keep-layout.js';

const { AVAIL, USED } = VIRTQ_DESC_F;
/** Origins of a queue that begins anew lie so far behind those that it may have had: more than fit in any ring. */
const FRESH = 0x1_0000;

/**
 * Where a device stands in one queue, at any moment. It uses chains in the order in which they come, so a position says it
 * all: what lies behind it in the ring was not used, and is the device's still.
 *
 * Each change is written into the place that does not hold, which then is made to hold by one store. Before used elements
 * are published the record says what will have been put; afterwards, that it is published. Between the two the ring tells.
 */
export class QueueRecord {
  private readonly memory: HostMemory;
  private readonly words: Int32Array;
  private readonly at: number;
  /** Host offset of copies of the descriptors that used ones are written over. */
  private readonly descriptors: number;

  constructor(memory: HostMemory, at: number, descriptors: number) {
    this.memory = memory;
    this.words = memory.i32;
    this.at = at >> 2;
    this.descriptors = descriptors;
  }

  /** A word of `STAND`, as it holds; 0 of a queue that there never was. */
  get(word: number): number {
    const { place } = this;
    return place === 0 ? 0 : this.words[this.wordsOf(place) + word]!;
  }

  /** Make words of `STAND` hold, all in one step. */
  set(stand: Int32Array): void {
    const { words, place } = this;
    const next = place === 1 ? 2 : 1;
    const to = this.wordsOf(next);
    for (let word = 0; word < STAND.WORDS; word++) words[to + word] = stand[word]!;
    Atomics.store(words, this.at + RECORD.PLACE, next);
  }

  /** A queue that begins: at the ring's start, and with origins behind all that it may have had. */
  begin(isPacked: boolean): Int32Array {
    const stand = new Int32Array(STAND.WORDS);
    const before = this.place === 0 ? -FRESH : this.get(STAND.CHAINS) + this.get(STAND.PUT_CHAINS);
    stand[STAND.WRAP] = isPacked ? 1 : 0;
    stand[STAND.CHAINS] = (before + FRESH) & ORIGIN_MASK;
    stand[STAND.FRAME] = this.place === 0 ? NO_ORIGIN : this.get(STAND.PUT_FRAME);
    stand[STAND.PARTS] = this.get(STAND.PUT_PARTS);
    stand[STAND.PUT_FRAME] = stand[STAND.FRAME]!;
    stand[STAND.PUT_PARTS] = stand[STAND.PARTS]!;
    this.set(stand);
    return stand;
  }

  /** The state as it holds. */
  read(): Int32Array {
    return Int32Array.from({ length: STAND.WORDS }, (_, word) => this.get(word));
  }

  /**
   * Find out, in a burst, where the queue goes on: what was put counts if the driver can see it; otherwise the descriptors
   * that it was written over are put back. May be ended at any moment and done again.
   * @returns why it is not known
   */
  recover(config: QueueConfig): QueueState | string {
    if (this.place === 0) return 'where the device stood in the ring is not known';
    const isPacked = hasFeature(config.features, VIRTIO_F.RING_PACKED);
    const stand = this.read();
    if (stand[STAND.PUT] !== 0) {
      const wasSeen = isPacked ? this.settlePacked(config, stand) : this.isSeenSplit(config, stand);
      if (wasSeen === undefined) return 'the ring is out of reach';
      if (wasSeen) this.count(stand, isPacked ? config.size : 0x1_0000);
      stand[STAND.PUT] = 0;
      stand[STAND.PUT_CHAINS] = 0;
      stand[STAND.PUT_FRAME] = stand[STAND.FRAME]!;
      stand[STAND.PUT_PARTS] = stand[STAND.PARTS]!;
      this.set(stand);
    }
    const [position, wrap] = [stand[STAND.POSITION]!, stand[STAND.WRAP]!];
    if (!isPacked) return { layout: 'split', lastAvailIdx: position, usedIdx: position };
    const lap = wrap === 0 ? 0 : 1;
    return {
      layout: 'packed',
      lastAvailIdx: position,
      lastAvailWrapCounter: lap,
      usedIdx: position,
      usedWrapCounter: lap,
    };
  }

  /**
   * Before used descriptors are written: copy those that they may be written over.
   * @param ring host offset of the descriptors
   * @param slot the first one, @param count how many, @param size of the ring
   */
  copyDescriptors(ring: number, slot: number, count: number, size: number): void {
    const first = Math.min(count, size - slot);
    this.copy(this.descriptors, ring, slot, first);
    if (count > first) this.copy(this.descriptors, ring, 0, count - first);
  }

  /** What was put is published: it counts. @param end of positions */
  count(stand: Int32Array, end: number): void {
    const to = stand[STAND.POSITION]! + stand[STAND.PUT]!;
    stand[STAND.POSITION] = to >= end ? to - end : to;
    if (to >= end && end < 0x1_0000) stand[STAND.WRAP] = stand[STAND.WRAP]! ^ 1;
    stand[STAND.CHAINS] = (stand[STAND.CHAINS]! + stand[STAND.PUT_CHAINS]!) & ORIGIN_MASK;
    stand[STAND.FRAME] = stand[STAND.PUT_FRAME]!;
    stand[STAND.PARTS] = stand[STAND.PUT_PARTS]!;
  }

  private isSeenSplit({ space, device }: QueueConfig, stand: Int32Array): boolean | undefined {
    const offset = space.resolve(device + VIRTQ_USED.idx, 2, ACCESS.READ);
    if (offset < 0) return undefined;
    const published = (stand[STAND.POSITION]! + stand[STAND.PUT]!) & 0xffff;
    return Atomics.load(this.memory.u16, offset >>> 1) === published;
  }

  private settlePacked({ space, desc, size }: QueueConfig, stand: Int32Array): boolean | undefined {
    const ring = space.resolve(desc, pvirtqDescBytes(size), ACCESS.READ | ACCESS.WRITE);
    if (ring < 0) return undefined;
    const slot = stand[STAND.POSITION]!;
    const flags = Atomics.load(this.memory.u16, (ring + slot * PVIRTQ_DESC.SIZE + PVIRTQ_DESC.flags) >>> 1);
    // Still available in this lap? Anything else is used, or made available anew since.
    const available = stand[STAND.WRAP] === 0 ? USED : AVAIL;
    if ((flags & (AVAIL | USED)) !== available) return true;
    const count = stand[STAND.PUT]!;
    const first = Math.min(count, size - slot);
    this.copy(ring, this.descriptors, slot, first);
    if (count > first) this.copy(ring, this.descriptors, 0, count - first);
    return false;
  }

  private copy(to: number, from: number, slot: number, count: number): void {
    const at = slot * PVIRTQ_DESC.SIZE;
    this.memory.engine.copy(to + at, from + at, count * PVIRTQ_DESC.SIZE);
  }

  private get place(): number {
    const place = Atomics.load(this.words, this.at + RECORD.PLACE);
    return place === 1 || place === 2 ? place : 0;
  }

  private wordsOf(place: number): number {
    return this.at + (place === 1 ? RECORD.FIRST : RECORD.SECOND);
  }
}
