import { type ArrayMaker, homeOf } from '@ringwire/guest-memory';
import { VIRTQ_AVAIL, VIRTQ_USED } from '@ringwire/virtio-spec';
import {
  type BufferList,
  DriverSplitQueue,
  type IndirectTables,
  type QueueLayout,
  type UsedBurst,
} from '@ringwire/virtqueue';
import { type DriverLoops, driverLoops } from './driver-loops.js';
import { privateArrays } from './private-arrays.js';

/** A driver's split queue with its loops in WebAssembly, wherever what they work on lies in the ring's memory. */
export class LoopedDriverSplitQueue extends DriverSplitQueue {
  private readonly home: ArrayMaker | undefined;
  private readonly loops: DriverLoops | undefined;
  /** What a loop says besides how far it came: the last free descriptor. */
  private readonly state: Uint32Array;
  // Byte offsets of the ring's entries and of the tables.
  private readonly availEntries: number;
  private readonly usedEntries: number;
  private readonly own: number;
  private readonly added: number;

  constructor(ring: QueueLayout, tables?: IndirectTables) {
    super(ring, tables, privateArrays(ring.memory));
    const { memory } = ring;
    const arrays = privateArrays(memory);
    this.state = arrays.u32(1);
    this.home = homeOf(arrays, this.buffers, this.order, this.state);
    this.loops = this.home === undefined ? undefined : driverLoops.on(memory.wasm!);
    this.availEntries = ring.driver + VIRTQ_AVAIL.ring;
    this.usedEntries = ring.device + VIRTQ_USED.ring;
    this.own = this.buffers.byteOffset;
    this.added = this.order.byteOffset;
  }

  protected override addPlain(buffers: BufferList, count: number, from: number): number {
    const { loops } = this;
    if (loops === undefined || buffers.home !== this.home) return super.addPlain(buffers, count, from);
    const words = buffers.words.byteOffset;
    const { desc } = this.ring;
    const { readable } = buffers;
    return loops.addSplit(
      desc,
      this.availEntries,
      this.mask,
      this.avail,
      count,
      readable,
      words,
      this.own,
      this.added,
      from,
    );
  }

  protected override takePlain(burst: UsedBurst, wanted: number): number {
    const { loops } = this;
    if (loops === undefined || burst.home !== this.home) return super.takePlain(burst, wanted);
    if (this.avail !== this.published) return 0;
    const { count } = burst;
    const done = loops.takeUsedSplit(
      this.usedEntries,
      this.mask,
      this.used,
      wanted,
      this.own,
      this.freeTail,
      burst.token.byteOffset + (count << 2),
      burst.written.byteOffset + (count << 2),
      burst.outcome.byteOffset + count,
      this.state.byteOffset,
    );
    this.took(burst, done);
    return done;
  }

  protected override takeSkipped(burst: UsedBurst, wanted: number): number {
    const { loops } = this;
    if (loops === undefined || burst.home !== this.home) return super.takeSkipped(burst, wanted);
    const { count } = burst;
    const done = loops.takeSkippedSplit(
      this.added,
      this.mask,
      this.used,
      wanted,
      this.own,
      this.freeTail,
      burst.token.byteOffset + (count << 2),
      burst.written.byteOffset + (count << 2),
      burst.outcome.byteOffset + count,
      this.state.byteOffset,
    );
    this.batchLeft -= done;
    this.took(burst, done);
    return done;
  }

  private took(burst: UsedBurst, done: number): void {
    burst.count += done;
    this.used = (this.used + done) & 0xffff;
    this.freeTail = this.state[0]!;
    this.free += done;
    this.outstanding -= done;
  }
}
