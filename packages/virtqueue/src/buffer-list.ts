import { type ArrayMaker, homeOf, PLAIN_ARRAYS } from '@ringwire/guest-memory';
import { VirtioError } from '@ringwire/virtio-spec';
import { checkedCapacity } from './capacity.js';

const ELEMENT_WORDS = 4;
/** Words of one element of a {@link BufferList}, as a shift. */
export const ELEMENT_SHIFT = 2;

/** Low and high word of an address below 2^53. */
export const lowWord = (address: number): number => address >>> 0;
export const highWord = (address: number): number => (address < 0x1_0000_0000 ? 0 : (address / 0x1_0000_0000) >>> 0);

/**
 * The elements of one buffer that a driver makes available: caller-owned, reused. Device-readable elements come first
 * (virtio 1.4 §2.7.4.2, §2.8.17), so `addReadable` after `addWritable` is refused.
 */
export class BufferList {
  /**
   * Four per element: low and high word of its address, its length in bytes, as in a descriptor, and the caller's token for
   * {@link DriverQueue.addBurst}.
   */
  readonly words: Uint32Array;
  readonly capacity: number;
  count = 0;
  /** Leading elements that the device reads; the others it writes. */
  readable = 0;

  /** Whose memory {@link words} lie in; undefined: they are JavaScript's own. */
  readonly home: ArrayMaker | undefined;

  /**
   * @param capacity elements, at most the Queue Size they are for
   * @param arrays   of the memory that its queues lie in, for those that have WebAssembly read it
   */
  constructor(capacity: number, arrays: ArrayMaker = PLAIN_ARRAYS) {
    this.capacity = checkedCapacity(capacity);
    this.words = arrays.u32(capacity * ELEMENT_WORDS);
    this.home = homeOf(arrays, this.words);
  }

  clear(): this {
    this.count = 0;
    this.readable = 0;
    return this;
  }

  /** @param token what says of a buffer of this element alone that it was used, 32 bits */
  addReadable(address: number, length: number, token: number = this.count): this {
    if (this.readable !== this.count)
      throw new VirtioError('readable', this.count, 'device-readable elements first', 'virtio 1.4 §2.7.4.2');
    this.push(address, length, token);
    this.readable++;
    return this;
  }

  addWritable(address: number, length: number, token: number = this.count): this {
    this.push(address, length, token);
    return this;
  }

  /** Elements, of which there are no more than fit. @throws VirtioError when {@link count} says so */
  get checkedCount(): number {
    const { count, capacity } = this;
    if (count > capacity) throw new VirtioError('count', count, `at most ${capacity} elements`, 'virtio 1.4 §2.7.5');
    return count;
  }

  /** Low word of an element's address. */
  lo(element: number): number {
    return this.words[element << ELEMENT_SHIFT]!;
  }

  /** High word of an element's address. */
  hi(element: number): number {
    return this.words[(element << ELEMENT_SHIFT) + 1]!;
  }

  /** Bytes of an element. */
  bytes(element: number): number {
    return this.words[(element << ELEMENT_SHIFT) + 2]!;
  }

  private push(address: number, length: number, token: number): void {
    const at = this.count;
    const lo = address >>> 0;
    const hi = (address / 0x1_0000_0000) >>> 0;
    // Put together again, the words are the address only if it was an integer that has two of them.
    if (hi * 0x1_0000_0000 + lo !== address || hi >= 0x20_0000)
      throw new VirtioError('address', address, 'an integer below 2^53', 'virtio 1.4 §2.7.5');
    if (length >>> 0 !== length || length === 0)
      throw new VirtioError('length', length, '1 to 2^32-1 bytes', 'virtio 1.4 §2.7.5');
    if (at === this.capacity)
      throw new VirtioError('count', at + 1, `at most ${this.capacity} elements`, 'virtio 1.4 §2.7.5');
    const word = at << ELEMENT_SHIFT;
    this.words[word] = lo;
    this.words[word + 1] = hi;
    this.words[word + 2] = length;
    this.words[word + 3] = token;
    this.count = at + 1;
  }
}
