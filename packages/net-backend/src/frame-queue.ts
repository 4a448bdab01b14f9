import { type HostMemory, RangeList } from '@ringwire/guest-memory';
import { VirtioError } from '@ringwire/virtio-spec';
import { copyFrame } from './copy-frame.js';
import { Frame } from './frame.js';
import { FIELDS16, restoreFields, saveFields } from './frame-fields.js';
import { DELIVERED, type Delivered } from './net-backend.js';

const HERE = 'FrameQueue';

/**
 * Copies of frames, first in, first out, in a range of host memory that they share: bounded in bytes and in frames. Each
 * copy is contiguous. Nothing is allocated once the queue is made.
 */
export class FrameQueue {
  /** Frames that wait. */
  count = 0;
  readonly #memory: HostMemory;
  readonly #at: number;
  readonly #bytes: number;
  readonly #capacity: number;
  /** Where in the area each waiting frame begins and how long it is; `#first` is the oldest one's index. */
  readonly #offset: Uint32Array;
  readonly #length: Uint32Array;
  readonly #fields: Uint16Array;
  #first = 0;
  /** Where in the area the next frame goes, if there is room. */
  #end = 0;
  readonly #frame: Frame;

  /**
   * @param memory of the copies; the device's own makes them cheap
   * @param at     host offset of the area
   * @param bytes  of the area, which nobody else writes
   * @param frames most frames that wait, 1 … 65536
   */
  constructor(memory: HostMemory, at: number, bytes: number, frames: number) {
    if (!Number.isInteger(at) || !Number.isInteger(bytes) || at < 0 || bytes < 1 || at + bytes > memory.size) {
      throw new VirtioError('bytes', bytes, `an area from ${at} on inside the memory's ${memory.size} bytes`, HERE);
    }
    if (!Number.isInteger(frames) || frames < 1 || frames > 0x1_0000) {
      throw new VirtioError('frames', frames, 'an integer from 1 to 65536', HERE);
    }
    this.#memory = memory;
    this.#at = at;
    this.#bytes = bytes;
    this.#capacity = frames;
    this.#offset = new Uint32Array(frames);
    this.#length = new Uint32Array(frames);
    this.#fields = new Uint16Array(frames * FIELDS16);
    this.#frame = new Frame(memory);
    this.#frame.ranges = new RangeList(1);
    this.#frame.ranges.push(at, 0);
    this.#frame.end = 1;
  }

  /** Append a copy of a frame. @returns FULL without room for it now, DROPPED when it is longer than the whole area */
  push(frame: Frame): Delivered {
    if (frame.length > this.#bytes) return DELIVERED.DROPPED;
    const offset = this.#room(frame.length);
    if (offset < 0) return DELIVERED.FULL;
    const index = (this.#first + this.count) % this.#capacity;
    copyFrame(frame, 0, this.#memory, this.#at + offset, frame.length);
    this.#offset[index] = offset;
    this.#length[index] = frame.length;
    saveFields(frame, this.#fields, index * FIELDS16);
    this.#end = offset + frame.length;
    this.count++;
    return DELIVERED.ACCEPTED;
  }

  /** The oldest frame, in an object that is reused, or undefined. It stays until {@link drop}. */
  peek(): Frame | undefined {
    if (this.count === 0) return undefined;
    const frame = this.#frame;
    const index = this.#first;
    frame.ranges.offset[0] = this.#at + this.#offset[index]!;
    frame.ranges.length[0] = this.#length[index]!;
    frame.length = this.#length[index]!;
    restoreFields(frame, this.#fields, index * FIELDS16);
    return frame;
  }

  /** Take the oldest frame away. */
  drop(): void {
    if (this.count === 0) return;
    this.#first = (this.#first + 1) % this.#capacity;
    this.count--;
    if (this.count === 0) this.#end = 0;
  }

  clear(): void {
    this.count = 0;
    this.#end = 0;
  }

  /** All but the oldest frame go: for whoever has that one in hand. */
  keepOldest(): void {
    if (this.count === 0) return;
    this.count = 1;
    this.#end = this.#offset[this.#first]! + this.#length[this.#first]!;
  }

  /** @returns where `length` bytes fit in one piece, -1 when they don't */
  #room(length: number): number {
    if (this.count === this.#capacity) return -1;
    if (this.count === 0) return 0;
    const oldest = this.#offset[this.#first]!;
    // Waiting frames lie from `oldest` to `#end`, or from `oldest` to the area's end and from its start to `#end`. An
    // end that meets `oldest` would look like the other case: a byte stays free.
    if (this.#end < oldest) return this.#end + length < oldest ? this.#end : -1;
    if (this.#end + length <= this.#bytes) return this.#end;
    return length < oldest ? 0 : -1;
  }
}
