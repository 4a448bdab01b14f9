import type { GuestMachine } from '@ringwire/certify';

/** virtio 1.4 §2.7.5: flags of a descriptor. */
const NEXT = 1;
const WRITE = 2;
const DESC_BYTES = 16;
const PAGE = 4096;
const TO_READ_AND_WRITE = 3;

/** A piece of a buffer: an address for the device. */
export interface Piece {
  readonly address: number;
  readonly length: number;
}

/** A buffer that the device has used, and how many bytes it wrote. */
export interface UsedBuffer {
  readonly head: number;
  readonly length: number;
}

/** A split virtqueue, virtio 1.4 §2.7: descriptors and available ring in one page, the used ring in the next. */
export class SplitQueue {
  readonly size: number;
  readonly desc: number;
  readonly driver: number;
  readonly device: number;
  private readonly view: DataView;
  // Where the driver finds the parts.
  private readonly descAt: number;
  private readonly availAt: number;
  private readonly usedAt: number;
  private readonly hasEvents: boolean;
  private readonly free: number[];
  private readonly chains: Map<number, readonly number[]> = new Map();
  private avail = 0;
  private told = 0;
  private used = 0;

  /** @param size a power of two up to 128 */
  constructor({ dma }: GuestMachine, size: number, hasEvents: boolean) {
    this.size = size;
    this.hasEvents = hasEvents;
    this.desc = dma.allocate(2 * PAGE);
    this.driver = this.desc + size * DESC_BYTES;
    this.device = this.desc + PAGE;
    const { memory } = dma.space;
    this.descAt = dma.space.resolve(this.desc, 2 * PAGE, TO_READ_AND_WRITE);
    this.availAt = this.descAt + size * DESC_BYTES;
    this.usedAt = this.descAt + PAGE;
    this.view = memory.view;
    memory.u8.fill(0, this.descAt, this.descAt + 2 * PAGE);
    this.free = Array.from({ length: size }, (_, index) => size - 1 - index);
  }

  /** Descriptors that are in no buffer. */
  get room(): number {
    return this.free.length;
  }

  /** Make a buffer available. @param isWritable the device writes it @returns its head */
  add(pieces: readonly Piece[], isWritable: boolean): number {
    const { view } = this;
    const slots = pieces.map(() => this.free.pop()!);
    for (const [at, { address, length }] of pieces.entries()) {
      const desc = this.descAt + slots[at]! * DESC_BYTES;
      const next = slots[at + 1];
      view.setUint32(desc, address >>> 0, true);
      view.setUint32(desc + 4, Math.floor(address / 2 ** 32), true);
      view.setUint32(desc + 8, length, true);
      view.setUint16(desc + 12, (isWritable ? WRITE : 0) | (next === undefined ? 0 : NEXT), true);
      view.setUint16(desc + 14, next ?? 0, true);
    }
    const head = slots[0]!;
    this.chains.set(head, slots);
    view.setUint16(this.availAt + 4 + (this.avail % this.size) * 2, head, true);
    this.avail = (this.avail + 1) & 0xffff;
    // An atomic store is a barrier, too: the device sees the index when it can see the entry. virtio 1.4 §2.7.13.3.1
    Atomics.store(this.halfwords, (this.availAt + 2) >> 1, this.avail);
    return head;
  }

  /** Whether the device is to be notified of what was added since this was asked last. virtio 1.4 §2.7.10 */
  isAwaited(): boolean {
    const before = this.told;
    this.told = this.avail;
    if (!this.hasEvents) return before !== this.avail && (Atomics.load(this.halfwords, this.usedAt >> 1) & 1) === 0;
    const event = Atomics.load(this.halfwords, (this.usedAt + 4 + this.size * 8) >> 1);
    return ((this.avail - event - 1) & 0xffff) < ((this.avail - before) & 0xffff);
  }

  /** @returns the next used buffer; undefined when there is none, or its head is that of no buffer */
  take(): UsedBuffer | undefined {
    const { view } = this;
    if (Atomics.load(this.halfwords, (this.usedAt + 2) >> 1) === this.used) return undefined;
    const entry = this.usedAt + 4 + (this.used % this.size) * 8;
    const head = view.getUint32(entry, true);
    const slots = this.chains.get(head);
    if (slots === undefined) return undefined;
    this.used = (this.used + 1) & 0xffff;
    // The next one is to be told, too: used_event.
    view.setUint16(this.availAt + 4 + this.size * 2, this.used, true);
    this.chains.delete(head);
    this.free.push(...slots);
    return { head, length: view.getUint32(entry + 4, true) };
  }

  private get halfwords(): Uint16Array {
    return new Uint16Array(this.view.buffer);
  }
}
