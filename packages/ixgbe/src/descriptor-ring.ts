import { ACCESS, RESOLVE } from '@ringwire/guest-memory';
import { RING } from '@ringwire/nic-spec/ixgbe';
import { addressFrom, type DmaBurst } from './dma-burst.js';

const { READ, WRITE } = ACCESS;
const { DESC_SIZE, ALIGN, LEN_MASK, INDEX_MASK } = RING;

/** A ring of descriptors in the driver's memory, as its registers say it. Nothing here is trusted. */
export class DescriptorRing {
  /** Descriptors; 0 while there is no ring. */
  count = 0;
  /** The next descriptor that is the card's. */
  head = 0;
  /** The first one that is not. */
  tail = 0;
  private low = 0;
  private high = 0;
  private readonly dma: DmaBurst;
  /** Host offset of the ring; RESOLVE.SPLIT where it is several ranges. Good for one generation. */
  private at: number = RESOLVE.FAULT;
  private generation = -1;

  constructor(dma: DmaBurst) {
    this.dma = dma;
  }

  get baseLow(): number {
    return this.low;
  }

  set baseLow(value: number) {
    // Bits below the alignment are 0. 82599 datasheet §8.2.3.8
    this.low = (value & ~(ALIGN - 1)) >>> 0;
    this.generation = -1;
  }

  get baseHigh(): number {
    return this.high;
  }

  set baseHigh(value: number) {
    this.high = value >>> 0;
    this.generation = -1;
  }

  get bytes(): number {
    return this.count * DESC_SIZE;
  }

  set bytes(value: number) {
    this.count = (value & LEN_MASK) / DESC_SIZE;
    this.generation = -1;
  }

  setTail(value: number): void {
    this.tail = value & INDEX_MASK;
  }

  /** Head and tail are in the ring. */
  get isSound(): boolean {
    return this.head < this.count && this.tail < this.count;
  }

  /** Descriptors that are the card's. Only of a sound ring. */
  get filled(): number {
    const filled = this.tail - this.head;
    return filled < 0 ? filled + this.count : filled;
  }

  /** The index so many behind another one. @param steps at most the ring's count */
  behind(index: number, steps: number): number {
    const next = index + steps;
    return next >= this.count ? next - this.count : next;
  }

  /** Host offset of a descriptor, a multiple of 4; negative where none can be reached. In a burst. @param index below count */
  locate(index: number): number {
    const { dma } = this;
    if (this.generation !== dma.generation) this.resolve();
    if (this.at >= 0) return this.at + index * DESC_SIZE;
    if (this.at !== RESOLVE.SPLIT) return RESOLVE.FAULT;
    // A descriptor is aligned to its size, and so in one page.
    return aligned(dma.space.resolve(addressFrom(this.low, this.high) + index * DESC_SIZE, DESC_SIZE, READ | WRITE));
  }

  reset(): void {
    this.count = 0;
    this.head = 0;
    this.tail = 0;
    this.low = 0;
    this.high = 0;
    this.generation = -1;
  }

  private resolve(): void {
    const { dma } = this;
    this.generation = dma.generation;
    const address = addressFrom(this.low, this.high);
    this.at = address < 0 ? RESOLVE.FAULT : aligned(dma.space.resolve(address, this.bytes, READ | WRITE));
  }
}

/** Foreign memory may lie anywhere; descriptors are read as words. */
const aligned = (at: number): number => (at >= 0 && (at & 3) !== 0 ? RESOLVE.FAULT : at);
