import { type Address, NativeBytes } from './libc.js';

/** struct iovec of 64-bit Linux, in 32-bit words: address, length. */
const WORDS = 4;
/** IOV_MAX: a call takes no more. */
export const PARTS_MAX = 1024;

/** Where the parts of one message lie: an array of struct iovec, made once and reused. */
export class IoVector {
  /** Parts so far. */
  count = 0;
  readonly address: Address;
  readonly capacity: number;
  private readonly words: Uint32Array;

  /** @param capacity most parts, 1 to {@link PARTS_MAX} */
  constructor(capacity: number) {
    if (!Number.isInteger(capacity) || capacity < 1 || capacity > PARTS_MAX)
      throw new RangeError(`an IoVector of ${capacity} parts: want 1 to ${PARTS_MAX}`);
    const native = new NativeBytes(capacity * WORDS * 4);
    this.capacity = capacity;
    this.address = native.address;
    this.words = new Uint32Array(native.u8.buffer);
  }

  /** Keep the first `count` parts. */
  truncate(count: number): void {
    this.count = Math.min(this.count, count);
  }

  /** @param address below 2^53, @param bytes below 2^32; @returns false when the vector is full */
  add(address: Address, bytes: number): boolean {
    if (this.count === this.capacity) return false;
    const at = WORDS * this.count++;
    const high = Math.floor(address / 0x1_0000_0000);
    this.words[at] = address - high * 0x1_0000_0000;
    this.words[at + 1] = high;
    this.words[at + 2] = bytes;
    this.words[at + 3] = 0;
    return true;
  }
}
