import { VirtioError } from '@ringwire/virtio-spec';

/** Most pieces of a frame: 64 KiB in pages, and one that does not begin at a page. */
export const PIECES_MAX = 18;

/** A frame that is to be sent, as the memory ranges that it lies in: caller-owned, reused. */
export class FramePieces {
  /** As the device uses them. */
  readonly address: Float64Array = new Float64Array(PIECES_MAX);
  readonly length: Uint32Array = new Uint32Array(PIECES_MAX);
  count = 0;
  /** Of all pieces. */
  bytes = 0;

  clear(): this {
    this.count = 0;
    this.bytes = 0;
    return this;
  }

  /** @param length 1 or more bytes */
  add(address: number, length: number): this {
    if (!Number.isInteger(length) || length < 1)
      throw new VirtioError('length', length, '1 or more bytes', 'FramePieces');
    if (this.count === PIECES_MAX)
      throw new VirtioError('count', this.count + 1, `at most ${PIECES_MAX} pieces`, 'FramePieces');
    this.address[this.count] = address;
    this.length[this.count++] = length;
    this.bytes += length;
    return this;
  }
}
