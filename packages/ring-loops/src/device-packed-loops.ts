import { ACCESS, type ArrayMaker, homeOf, NO_WINDOW } from '@ringwire/guest-memory';
import { PVIRTQ_DESC, VIRTQ_DESC_F } from '@ringwire/virtio-spec';
import { type ChainBurst, DevicePackedQueue, type QueueLayout, type QueueState } from '@ringwire/virtqueue';
import { type DeviceLoops, deviceLoops } from './device-loops.js';
import { privateArrays, withdraw } from './private-arrays.js';

const { NEXT, WRITE, INDIRECT, AVAIL, USED } = VIRTQ_DESC_F;
const KIND = NEXT | INDIRECT | WRITE;
const MARKS = AVAIL | USED;
const DESC_SHIFT = 4;
const STATE_WORDS = 4;
const { READ: DMA_READ, WRITE: DMA_WRITE } = ACCESS;

/** A device's packed queue with its loops in WebAssembly, wherever what they work on lies in the ring's memory. */
export class LoopedDevicePackedQueue extends DevicePackedQueue {
  private readonly home: ArrayMaker | undefined;
  private loops: DeviceLoops | undefined;
  private readonly view: DataView;
  /** What a loop says besides how far it came. */
  private state: Uint32Array;
  // Byte offsets of the tables.
  private readonly own: number;

  constructor(ring: QueueLayout, state?: QueueState & { layout: 'packed' }) {
    super(ring, state, privateArrays(ring.memory));
    const { memory } = ring;
    const arrays = privateArrays(memory);
    this.view = memory.view;
    this.state = arrays.u32(STATE_WORDS);
    this.home = homeOf(arrays, this.chains, this.state);
    this.loops = this.home === undefined ? undefined : deviceLoops.on(memory.wasm!);
    this.own = this.chains.byteOffset;
  }

  /** The tables make room for those of another queue. */
  override stop(): void {
    super.stop();
    const { memory } = this.ring;
    this.loops = undefined;
    this.chains = withdraw(memory, this.chains);
    this.state = withdraw(memory, this.state);
  }

  protected override takePlain(burst: ChainBurst, run: number): number {
    const { loops, home, ring } = this;
    const { segments } = burst;
    if (loops === undefined || burst.home !== home || segments.home !== home) return super.takePlain(burst, run);
    const slot = this.avail;
    const kind = this.view.getUint16(ring.desc + (slot << DESC_SHIFT) + PVIRTQ_DESC.flags, true) & KIND;
    if ((kind & ~WRITE) !== 0) return 0;
    const access = kind === 0 ? DMA_READ : DMA_WRITE;
    const window = ring.space.windowFor?.(access) ?? NO_WINDOW;
    if ((access & window.refused) !== 0) return super.takePlain(burst, run);
    const { count } = burst;
    const at = segments.count << 2;
    const taken = loops.takePacked(
      ring.desc,
      slot,
      // As long as this many are free, no slot can have been made available a second time.
      slot + Math.min(run, this.size - this.slotsOut),
      kind,
      window.lo32,
      window.hi,
      window.host32,
      window.bytes,
      this.own,
      burst.token.byteOffset + (count << 1),
      segments.offset.byteOffset + at,
      segments.length.byteOffset + at,
    );
    burst.closePlain(taken, kind !== 0);
    this.inFlight += taken;
    this.advance(taken);
    // What lies elsewhere than the buffer before may be plain all the same; a run ends where the ring does.
    return taken === run || this.avail === 0 ? taken : taken + super.takePlain(burst, run - taken);
  }

  protected override putPlain(burst: ChainBurst, from: number, count: number): number {
    const { loops, state } = this;
    if (loops === undefined || !this.reaches(burst, from, count)) return super.putPlain(burst, from, count);
    state[3] = this.firstFlags;
    const done = loops.putPacked(
      this.ring.desc,
      this.size,
      this.used,
      this.usedWrap === 0 ? 0 : MARKS,
      this.slotsPut,
      this.ring.inOrder ? 1 : 0,
      burst.token.byteOffset + (from << 1),
      burst.written.byteOffset + (from << 2),
      count,
      this.own,
      state.byteOffset,
    );
    this.used = state[0]!;
    this.usedWrap = state[1] === 0 ? 0 : 1;
    this.slotsPut = state[2]!;
    this.firstFlags = state[3]!;
    this.inFlight -= done;
    this.counters.used += done;
    return done;
  }

  protected override putComplete(burst: ChainBurst, from: number, count: number): number {
    const { loops, state, size } = this;
    if (loops === undefined || !this.reaches(burst, from, count)) return super.putComplete(burst, from, count);
    if (this.batchId >= 0 && !this.batchComplete) return 0;
    const done = loops.putPackedInOrder(
      size,
      this.used,
      burst.token.byteOffset + (from << 1),
      burst.written.byteOffset + (from << 2),
      count,
      this.own,
      state.byteOffset,
    );
    if (done === 0) return 0;
    if (this.batchId < 0) this.beginBatch();
    this.batchId = state[1]! & 0xffff;
    this.batchLength = state[2]!;
    this.batchComplete = true;
    // As many slots as it takes to get there; all of them when it is a whole lap.
    this.advanceUsed((state[0]! - this.used + size) % size || size);
    this.inFlight -= done;
    this.counters.used += done;
    return done;
  }

  /** Whether such chains of a burst lie in the memory: behind them is what belongs to others. */
  private reaches(burst: ChainBurst, from: number, count: number): boolean {
    return burst.home === this.home && from >= 0 && from + count <= burst.capacity;
  }
}
