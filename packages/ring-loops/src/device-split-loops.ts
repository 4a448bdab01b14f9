import { ACCESS, type ArrayMaker, homeOf, NO_WINDOW } from '@ringwire/guest-memory';
import { VIRTQ_DESC, VIRTQ_DESC_F } from '@ringwire/virtio-spec';
import { type ChainBurst, DeviceSplitQueue, type QueueLayout, type QueueState } from '@ringwire/virtqueue';
import { type DeviceLoops, deviceLoops } from './device-loops.js';
import { privateArrays, withdraw } from './private-arrays.js';

const { NEXT, WRITE, INDIRECT } = VIRTQ_DESC_F;
const KIND = NEXT | INDIRECT | WRITE;
const DESC_SHIFT = 4;
const NO_ORDER = 0;
const { READ: DMA_READ, WRITE: DMA_WRITE } = ACCESS;

/** A device's split queue with its loops in WebAssembly, wherever what they work on lies in the rings' memory. */
export class LoopedDeviceSplitQueue extends DeviceSplitQueue {
  private readonly home: ArrayMaker | undefined;
  private loops: DeviceLoops | undefined;
  private readonly view: DataView;
  /** Bytes written into the last chain of a batch. */
  private last: Uint32Array;
  // Byte offsets of the tables.
  private readonly own: number;
  private readonly order: number;

  constructor(ring: QueueLayout, state?: QueueState & { layout: 'split' }) {
    super(ring, state, privateArrays(ring.memory));
    const { memory } = ring;
    const arrays = privateArrays(memory);
    this.view = memory.view;
    this.last = arrays.u32(1);
    this.home = homeOf(arrays, this.writable, this.taken, this.last);
    this.loops = this.home === undefined ? undefined : deviceLoops.on(memory.wasm!);
    this.own = this.writable.byteOffset;
    this.order = this.taken.byteOffset;
  }

  /** The tables make room for those of another queue. */
  override stop(): void {
    super.stop();
    const { memory } = this.ring;
    this.loops = undefined;
    this.writable = withdraw(memory, this.writable);
    this.taken = withdraw(memory, this.taken);
    this.last = withdraw(memory, this.last);
  }

  protected override takePlain(burst: ChainBurst, max: number): number {
    const { loops, home, ring, mask, view } = this;
    const { segments } = burst;
    if (loops === undefined || burst.home !== home || segments.home !== home) return super.takePlain(burst, max);
    const idx = this.lastAvail;
    const entries = (this.availRing16 << 1) | 0;
    const head = view.getUint16((entries >>> 0) + ((idx & mask) << 1), true);
    if (head > mask) return 0;
    const kind = view.getUint16(ring.desc + (head << DESC_SHIFT) + VIRTQ_DESC.flags, true) & KIND;
    if ((kind & ~WRITE) !== 0) return 0;
    const access = kind === 0 ? DMA_READ : DMA_WRITE;
    const window = ring.space.windowFor?.(access) ?? NO_WINDOW;
    if ((access & window.refused) !== 0) return super.takePlain(burst, max);
    const { count } = burst;
    const at = segments.count << 2;
    const taken = loops.takeSplit(
      ring.desc,
      entries,
      mask,
      idx,
      max,
      kind,
      window.lo32,
      window.hi,
      window.host32,
      window.bytes,
      this.own,
      this.order,
      burst.token.byteOffset + (count << 1),
      segments.offset.byteOffset + at,
      segments.length.byteOffset + at,
    );
    burst.closePlain(taken, kind !== 0);
    this.lastAvail = (idx + taken) & 0xffff;
    // What lies elsewhere than the buffer before may be plain all the same.
    return taken === max ? taken : taken + super.takePlain(burst, max - taken);
  }

  protected override putPlain(burst: ChainBurst, from: number, count: number): number {
    const { loops } = this;
    if (loops === undefined || !this.reaches(burst, from, count)) return super.putPlain(burst, from, count);
    const done = loops.putSplit(
      this.usedRing32 << 2,
      this.mask,
      this.used,
      burst.token.byteOffset + (from << 1),
      burst.written.byteOffset + (from << 2),
      count,
      this.own,
      this.ring.inOrder ? this.order : NO_ORDER,
    );
    this.used = (this.used + done) & 0xffff;
    this.inFlight -= done;
    this.counters.used += done;
    return done;
  }

  protected override putComplete(burst: ChainBurst, from: number, count: number): number {
    const { loops } = this;
    if (loops === undefined || !this.reaches(burst, from, count)) return super.putComplete(burst, from, count);
    if (this.batchHead >= 0 && !this.batchComplete) return 0;
    const start = this.used;
    const done = loops.putSplitInOrder(
      this.order,
      this.mask,
      start,
      burst.token.byteOffset + (from << 1),
      burst.written.byteOffset + (from << 2),
      count,
      this.own,
      this.last.byteOffset,
    );
    if (done === 0) return 0;
    if (this.batchHead < 0) this.batchSlot = start;
    this.batchHead = burst.token[from + done - 1]!;
    this.batchLength = this.last[0]!;
    this.batchComplete = true;
    this.used = (start + done) & 0xffff;
    this.inFlight -= done;
    this.counters.used += done;
    return done;
  }

  /** Whether such chains of a burst lie in the memory: behind them is what belongs to others. */
  private reaches(burst: ChainBurst, from: number, count: number): boolean {
    return burst.home === this.home && from >= 0 && from + count <= burst.capacity;
  }
}
