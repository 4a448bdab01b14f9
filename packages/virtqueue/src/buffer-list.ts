import { VirtioError } from '@ringwire/virtio-spec';
import { checkedCapacity } from './capacity.js';

/** Low and high word of an address below 2^53. */
export const lowWord = (address: number): number => address >>> 0;
export const highWord = (address: number): number => (address < 0x1_0000_0000 ? 0 : (address / 0x1_0000_0000) >>> 0);

/**
 * The elements of one buffer that a driver makes available: caller-owned, reused. Device-readable elements come first
 * (virtio 1.4 §2.7.4.2, §2.8.17), so `addReadable` after `addWritable` is refused.
 */
export class BufferList {
  // Each element's address as the two words that a descriptor has, and its length in bytes.
  readonly addressLo: Uint32Array;
  readonly addressHi: Uint32Array;
  readonly length: Uint32Array;
  count = 0;
  /** Leading elements that the device reads; the others it writes. */
  readable = 0;

  /** @param capacity elements, at most the Queue Size they are for */
  constructor(capacity: number) {
    this.addressLo = new Uint32Array(checkedCapacity(capacity));
    this.addressHi = new Uint32Array(capacity);
    this.length = new Uint32Array(capacity);
  }

  clear(): this {
    this.count = 0;
    this.readable = 0;
    return this;
  }

  addReadable(address: number, length: number): this {
    if (this.readable !== this.count)
      throw new VirtioError('readable', this.count, 'device-readable elements first', 'virtio 1.4 §2.7.4.2');
    this.push(address, length);
    this.readable++;
    return this;
  }

  addWritable(address: number, length: number): this {
    this.push(address, length);
    return this;
  }

  private push(address: number, length: number): void {
    const at = this.count;
    const lo = address >>> 0;
    const hi = (address / 0x1_0000_0000) >>> 0;
    // Put together again, the words are the address only if it was an integer that has two of them.
    if (hi * 0x1_0000_0000 + lo !== address || hi >= 0x20_0000)
      throw new VirtioError('address', address, 'an integer below 2^53', 'virtio 1.4 §2.7.5');
    if (length >>> 0 !== length || length === 0)
      throw new VirtioError('length', length, '1 to 2^32-1 bytes', 'virtio 1.4 §2.7.5');
    if (at === this.length.length)
      throw new VirtioError('count', at + 1, `at most ${this.length.length} elements`, 'virtio 1.4 §2.7.5');
    this.addressLo[at] = lo;
    this.addressHi[at] = hi;
    this.length[at] = length;
    this.count = at + 1;
  }
}
