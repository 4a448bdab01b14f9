import { ACCESS, type HostMemory, RangeList, RESOLVE } from '@ringwire/guest-memory';
import { copyFrame, type Frame } from '@ringwire/net-backend';
import type { DescriptorRing } from './descriptor-ring.js';
import { addressFrom, type DmaBurst } from './dma-burst.js';

const { WRITE } = ACCESS;
const ADDRESSES_BYTES = 12;
/** Most buffers that a frame is spread over: 15.5 KiB in the smallest ones are 16. */
export const BUFFERS_MOST = 64;

/** Where one frame goes: its descriptors, and the host ranges of their buffers. */
export class RxTargets {
  /** Words where the descriptors are, in their order. */
  readonly spots: Uint32Array = new Uint32Array(BUFFERS_MOST);
  private readonly ranges: RangeList = new RangeList(32);
  private readonly memory: HostMemory;
  private readonly dma: DmaBurst;

  constructor(dma: DmaBurst) {
    this.dma = dma;
    this.memory = dma.space.memory;
  }

  /**
   * Resolve buffers from the ring's head on, each descriptor read once, before anything is written.
   * @param buffers descriptors, at most BUFFERS_MOST and as many as are filled
   * @param header bytes that go to the first one's header buffer
   * @param total bytes of the frame, those of the header included
   * @returns false for a buffer that is not all there
   */
  find(ring: DescriptorRing, buffers: number, bufferBytes: number, header: number, total: number): boolean {
    const { u32 } = this.memory;
    this.ranges.clear();
    let left = total - header;
    let index = ring.head;
    for (let i = 0; i < buffers; i++) {
      const at = ring.locate(index);
      if (at < 0) return false;
      const word = at >>> 2;
      this.spots[i] = word;
      // Bit 0 of the header's address is DD.
      if (i === 0 && header > 0 && !this.add(u32[word + 2]! & ~1, u32[word + 3]! | 0, header)) return false;
      const bytes = Math.min(left, bufferBytes);
      if (bytes > 0 && !this.add(u32[word]! | 0, u32[word + 1]! | 0, bytes)) return false;
      left -= bytes;
      index = ring.behind(index, 1);
    }
    return true;
  }

  /** Copy a frame to where {@link find} found room for it. @param cut bytes of a tag that are left out behind the addresses */
  fill(frame: Frame, cut: number): void {
    const { ranges, memory } = this;
    const { offset, length } = ranges;
    if (cut === 0 && ranges.count === 1 && frame.end === frame.first + 1) {
      memory.engine.copy(offset[0]!, frame.ranges.offset[frame.first]! + frame.skip, frame.length);
      return;
    }
    let done = 0;
    for (let range = 0; range < ranges.count; range++) {
      let to = offset[range]!;
      let left = length[range]!;
      while (left > 0) {
        const isFront = cut > 0 && done < ADDRESSES_BYTES;
        const take = isFront ? Math.min(left, ADDRESSES_BYTES - done) : left;
        copyFrame(frame, isFront ? done : done + cut, memory, to, take);
        to += take;
        done += take;
        left -= take;
      }
    }
  }

  private add(low: number, high: number, bytes: number): boolean {
    const { dma, ranges } = this;
    const host = dma.reach(low, high, bytes, WRITE);
    if (host < 0)
      return host === RESOLVE.SPLIT && dma.space.resolveRanges(addressFrom(low, high), bytes, WRITE, ranges);
    ranges.push(host, bytes);
    return true;
  }
}
