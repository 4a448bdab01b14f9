import { type ArrayMaker, homeOf } from '@ringwire/guest-memory';
import { VIRTQ_DESC_F } from '@ringwire/virtio-spec';
import {
  type BufferList,
  DriverPackedQueue,
  type IndirectTables,
  type QueueLayout,
  type UsedBurst,
} from '@ringwire/virtqueue';
import { type DriverLoops, driverLoops } from './driver-loops.js';
import { privateArrays } from './private-arrays.js';

const { AVAIL, USED } = VIRTQ_DESC_F;

/** A driver's packed queue with its loops in WebAssembly, wherever what they work on lies in the ring's memory. */
export class LoopedDriverPackedQueue extends DriverPackedQueue {
  private readonly home: ArrayMaker | undefined;
  private readonly loops: DriverLoops | undefined;
  // Byte offsets of the tables.
  private readonly own: number;
  private readonly idRing: number;

  constructor(ring: QueueLayout, tables?: IndirectTables) {
    super(ring, tables, privateArrays(ring.memory));
    const { memory } = ring;
    const arrays = privateArrays(memory);
    this.home = homeOf(arrays, this.buffers, this.ids);
    this.loops = this.home === undefined ? undefined : driverLoops.on(memory.wasm!);
    this.own = this.buffers.byteOffset;
    this.idRing = this.ids.byteOffset;
  }

  protected override addPlain(buffers: BufferList, from: number, end: number): void {
    const { loops, size } = this;
    if (loops === undefined || buffers.home !== this.home) {
      super.addPlain(buffers, from, end);
      return;
    }
    const added = end - from;
    const marks = this.availWrap === 0 ? USED : AVAIL;
    const words = buffers.words.byteOffset;
    const { readable } = buffers;
    const { desc } = this.ring;
    loops.addPacked(
      desc,
      size,
      this.avail,
      marks,
      from,
      end,
      readable,
      words,
      this.own,
      this.idRing,
      this.idMask,
      this.tail,
    );
    this.tail = (this.tail + added) & 0xffff;
    this.avail += added;
    if (this.avail >= size) {
      this.avail -= size;
      this.availWrap ^= 1;
    }
    this.countAdded(added);
  }

  protected override takePlain(burst: UsedBurst, run: number): number {
    const { loops } = this;
    if (loops === undefined || burst.home !== this.home) return super.takePlain(burst, run);
    if (this.unpublished !== 0) return 0;
    const { count } = burst;
    const done = loops.takeUsedPacked(
      this.ring.desc,
      this.used,
      run,
      this.size,
      this.own,
      this.idRing,
      this.idMask,
      this.head,
      burst.token.byteOffset + (count << 2),
      burst.written.byteOffset + (count << 2),
      burst.outcome.byteOffset + count,
    );
    this.took(burst, done);
    return done;
  }

  protected override takeSkipped(burst: UsedBurst, wanted: number): number {
    const { loops } = this;
    if (loops === undefined || burst.home !== this.home) return super.takeSkipped(burst, wanted);
    const { count } = burst;
    const done = loops.takeSkippedPacked(
      wanted,
      this.size,
      this.own,
      this.idRing,
      this.idMask,
      this.head,
      burst.token.byteOffset + (count << 2),
      burst.written.byteOffset + (count << 2),
      burst.outcome.byteOffset + count,
    );
    this.batchLeft -= done;
    this.took(burst, done);
    return done;
  }

  private took(burst: UsedBurst, done: number): void {
    burst.count += done;
    this.head = (this.head + done) & 0xffff;
    this.free += done;
    this.outstanding -= done;
    this.advance(done);
  }
}
