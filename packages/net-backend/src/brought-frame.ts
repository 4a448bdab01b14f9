import { type HostMemory, RangeList } from '@ringwire/guest-memory';
import { VirtioError } from '@ringwire/virtio-spec';
import { copyFrame } from './copy-frame.js';
import { Frame } from './frame.js';

/** Room for the longest frame that virtio 1.4 §5.1.9.3 knows, with two VLAN tags more. A multiple of 64. */
export const BROUGHT_FRAME_BYTES = 65_600;

/**
 * Copies frames of other memories, one at a time, into one memory: for who works on frames where they lie, as system calls
 * do, and as what finishes checksums does.
 */
export class BroughtFrame {
  private readonly memory: HostMemory;
  private readonly at: number;
  private readonly bytes: number;
  private readonly frame: Frame;

  /**
   * @param at host offset of the area, which nobody else writes
   * @param bytes of the area: the longest frame that can be brought
   */
  constructor(memory: HostMemory, at: number, bytes: number = BROUGHT_FRAME_BYTES) {
    if (!Number.isInteger(at) || at < 0 || !(bytes > 0) || at + bytes > memory.size)
      throw new VirtioError('at', at, `${bytes} bytes from there in the memory's ${memory.size}`, 'BroughtFrame');
    this.memory = memory;
    this.at = at;
    this.bytes = bytes;
    this.frame = new Frame(memory);
    this.frame.ranges = new RangeList(1);
    this.frame.ranges.push(at, 0);
    this.frame.end = 1;
  }

  /** @returns the frame as it is in this memory, good until the next one; undefined for one that is too long */
  bring(from: Frame): Frame | undefined {
    if (from.memory === this.memory) return from;
    if (from.length > this.bytes) return undefined;
    const { frame } = this;
    copyFrame(from, 0, this.memory, this.at, from.length);
    frame.ranges.length[0] = from.length;
    frame.length = from.length;
    frame.pair = from.pair;
    frame.origin = from.origin;
    frame.flags = from.flags;
    frame.gsoType = from.gsoType;
    frame.hdrLen = from.hdrLen;
    frame.gsoSize = from.gsoSize;
    frame.csumStart = from.csumStart;
    frame.csumOffset = from.csumOffset;
    frame.outerThOffset = from.outerThOffset;
    frame.innerNhOffset = from.innerNhOffset;
    return frame;
  }
}
