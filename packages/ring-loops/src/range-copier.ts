import { type HostMemory, MemoryModule, type RangeList } from '@ringwire/guest-memory';
import { VirtioError } from '@ringwire/virtio-spec';
import { privateArrays } from './private-arrays.js';
import { RANGE_LOOPS_WASM } from './range-loops-wasm.js';

/** What range-loops.wat exports, which says what the parameters are. */
interface RangeLoops {
  copyEach(to: number, offset: number, length: number, count: number, skip: number): void;
}

const rangeLoops: MemoryModule<RangeLoops> = new MemoryModule(RANGE_LOOPS_WASM);
const HERE = 'RangeCopier';

/** Copies ranges of a memory, such as the frames of a run, each into the next of some places that are as long as any of them. */
export class RangeCopier {
  private readonly memory: HostMemory;
  private readonly bytes: number;
  /** Twice over: no burst of as many as there are has to be cut where the places begin anew. */
  private readonly places: Uint32Array;
  private readonly count: number;
  private readonly loops: RangeLoops | undefined;
  private next = 0;

  /**
   * @param start host offset of the first place
   * @param pitch bytes from one place to the next, and most bytes of a range
   * @param count places
   * @throws VirtioError for places that are not in the memory
   */
  constructor(memory: HostMemory, start: number, pitch: number, count: number) {
    if (!Number.isInteger(count) || count < 1) throw new VirtioError('count', count, '1 or more', HERE);
    if (!(start >= 0 && pitch > 0 && start + pitch * count <= memory.size))
      throw new VirtioError('start', start, `${count} places of ${pitch} bytes in the memory`, HERE);
    this.memory = memory;
    this.bytes = pitch;
    this.count = count;
    const arrays = privateArrays(memory);
    this.places = arrays.u32(2 * count);
    for (let at = 0; at < 2 * count; at++) this.places[at] = start + (at % count) * pitch;
    this.loops = arrays.holds(this.places) ? rangeLoops.on(memory.wasm!) : undefined;
  }

  /**
   * Copy ranges `first` ≤ r < `first` + `count`, without the first `skip` bytes of each.
   * @returns how many were copied: up to the first that is longer than a place
   */
  copy(ranges: RangeList, first: number, count: number, skip: number): number {
    const { bytes, places, memory, loops } = this;
    const { offset, length, home } = ranges;
    const most = bytes + skip;
    let end = first;
    for (; end < first + count && length[end]! >= skip && length[end]! <= most; ) end = (end + 1) | 0;
    for (let at = first; at < end; ) {
      const part = Math.min(end - at, this.count);
      if (loops !== undefined && home !== undefined) {
        const behind = at << 2;
        loops.copyEach(
          places.byteOffset + (this.next << 2),
          offset.byteOffset + behind,
          length.byteOffset + behind,
          part,
          skip,
        );
      } else
        for (let i = 0; i < part; i++)
          memory.engine.copy(places[this.next + i]!, offset[at + i]! + skip, length[at + i]! - skip);
      this.next = (this.next + part) % this.count;
      at += part;
    }
    return end - first;
  }
}
