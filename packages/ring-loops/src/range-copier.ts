import { type HostMemory, MemoryModule, type RangeList } from '@ringwire/guest-memory';
import { VirtioError } from '@ringwire/virtio-spec';
import { privateArrays } from './private-arrays.js';
import { RANGE_LOOPS_WASM } from './range-loops-wasm.js';

/** What range-loops.wat exports, which says what the parameters are. */
interface RangeLoops {
  copyEach(to: number, offset: number, length: number, max: number, skip: number, room: number): number;
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
    const { bytes, places, loops } = this;
    const { offset, length, home } = ranges;
    const isReachable = loops !== undefined && home !== undefined;
    let done = 0;
    while (done < count) {
      const part = Math.min(count - done, this.count);
      const at = first + done;
      const copied = isReachable
        ? loops.copyEach(
            places.byteOffset + (this.next << 2),
            offset.byteOffset + (at << 2),
            length.byteOffset + (at << 2),
            part,
            skip,
            bytes,
          )
        : this.copyEach(ranges, at, part, skip);
      this.next = (this.next + copied) % this.count;
      done += copied;
      if (copied < part) break;
    }
    return done;
  }

  private copyEach({ offset, length }: RangeList, first: number, most: number, skip: number): number {
    const { memory, places, next, bytes } = this;
    for (let i = 0; i < most; i++) {
      const its = length[first + i]! - skip;
      if (its < 0 || its > bytes) return i;
      memory.engine.copy(places[next + i]!, offset[first + i]! + skip, its);
    }
    return most;
  }
}
