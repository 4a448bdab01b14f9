import { checkRange } from './copy-bounds.js';
import type { CopyEngine } from './copy-engine.js';

/** Words that are summed before the sum is folded: 8192 words are at most 2 * 8192 * 65535, a small integer to V8. */
const BLOCK_BYTES = 4 * 8192;

/** The same work in plain JavaScript, for wrapped memory that no WebAssembly module can import. */
export class JsCopyEngine implements CopyEngine {
  readonly #u8: Uint8Array;
  readonly #u16: Uint16Array;
  readonly #view: DataView;

  /** Both views span the same bytes. */
  constructor(u8: Uint8Array, view: DataView) {
    this.#u8 = u8;
    this.#u16 = new Uint16Array(u8.buffer, u8.byteOffset, u8.length >>> 1);
    this.#view = view;
  }

  copy(to: number, from: number, length: number): void {
    checkRange('to', to, length, this.#u8.length);
    checkRange('from', from, length, this.#u8.length);
    this.#u8.copyWithin(to, from, from + length);
  }

  fill(to: number, value: number, length: number): void {
    checkRange('to', to, length, this.#u8.length);
    this.#u8.fill(value, to, to + length);
  }

  checksum(from: number, length: number): number {
    checkRange('from', from, length, this.#u8.length);
    let sum = 0;
    for (let done = 0; done < length; done += BLOCK_BYTES) {
      sum = fold(sum + this.#sumBlock(from + done, Math.min(BLOCK_BYTES, length - done)));
    }
    return sum;
  }

  copyChecksum(to: number, from: number, length: number): number {
    checkRange('to', to, length, this.#u8.length);
    checkRange('from', from, length, this.#u8.length);
    if (to < from + length && from < to + length) {
      this.copy(to, from, length);
      return this.checksum(to, length);
    }
    let sum = 0;
    for (let done = 0; done < length; done += BLOCK_BYTES) {
      sum = fold(sum + this.#copySumBlock(to + done, from + done, Math.min(BLOCK_BYTES, length - done)));
    }
    return sum;
  }

  countRun16(from: number, stride: number, most: number, mask: number, wanted: number): number {
    if (most === 0) return 0;
    checkRange('from', from, (most - 1) * stride + 2, this.#u8.length);
    let count = 0;
    let index = from >>> 1;
    while (count < most && (Atomics.load(this.#u16, index) & mask) === wanted) {
      index += stride >>> 1;
      count++;
    }
    return count;
  }

  #sumBlock(from: number, length: number): number {
    const view = this.#view;
    const words = length & ~3;
    let sum = 0;
    for (let at = 0; at < words; at += 4) {
      const word = view.getUint32(from + at, true);
      sum += (word & 0xffff) + (word >>> 16);
    }
    for (let at = words; at < length; at++) sum += this.#u8[from + at]! << ((at & 1) * 8);
    return sum;
  }

  #copySumBlock(to: number, from: number, length: number): number {
    const view = this.#view;
    const u8 = this.#u8;
    const words = length & ~3;
    let sum = 0;
    for (let at = 0; at < words; at += 4) {
      const word = view.getUint32(from + at, true);
      view.setUint32(to + at, word, true);
      sum += (word & 0xffff) + (word >>> 16);
    }
    for (let at = words; at < length; at++) {
      const byte = u8[from + at]!;
      u8[to + at] = byte;
      sum += byte << ((at & 1) * 8);
    }
    return sum;
  }
}

/** Below 2^32 goes in, 0 … 0xffff comes out. */
function fold(sum: number): number {
  const once = (sum & 0xffff) + (sum >>> 16);
  return (once & 0xffff) + (once >>> 16);
}
