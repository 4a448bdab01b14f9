import type { AddressSpace, CopyEngine, HostMemory } from '@ringwire/guest-memory';
import { openLoopedDeviceQueue, privateArrays } from '@ringwire/ring-loops';
import { ChainBurst, type DeviceQueue, isRefusal } from '@ringwire/virtqueue';
import { type CasePlan, elementsOf } from './case-plan.js';
import { notify, sleepUntilNotified, WORD } from './control-words.js';
import { deviceSpace } from './device-dma.js';
import { FrameCheck } from './frame-check.js';
import { type FrameSet, NUMBER_BYTES, sumWithoutNumber } from './frame-set.js';
import { BUFFER_PITCH, queueConfig, SINK, SINK_FRAMES } from './guest-layout.js';

/** What a device of the bench does: take bursts of frames, copy and check each, give the buffers back. */
export class DeviceSide {
  readonly queue: DeviceQueue;
  readonly check: FrameCheck = new FrameCheck();
  /** Times that it slept in vain although frames lay ready. */
  missed = 0;
  /** Words read only to have their lines fetched: kept, so that no compiler leaves the reads out. */
  touched = 0;

  private readonly space: AddressSpace;
  /** What the last burst was told about host offsets that are kept: those of the ring. */
  private epoch: number;
  private readonly control: Int32Array;
  private readonly engine: CopyEngine;
  private readonly memory: HostMemory;
  private readonly batch: number;
  private readonly scattered: boolean;
  private readonly burst: ChainBurst;
  // Per slot of the frame set, from our own copy of it: guest memory has no say in what is expected.
  private readonly frames: FrameSet;
  private readonly lengths: Uint32Array;
  private readonly sums: Uint32Array;
  private slot = 0;
  /** Number of the frame that is due. */
  private due = 0;
  private sink = 0;
  private readonly ready = (): boolean => this.queue.hasAvailable();

  constructor(plan: CasePlan, memory: HostMemory, control: Int32Array, frames: FrameSet) {
    this.space = deviceSpace(plan, memory);
    this.epoch = this.space.enter();
    const queue = openLoopedDeviceQueue(queueConfig(plan, this.space));
    if (isRefusal(queue)) throw new Error(queue.message);
    this.queue = queue;
    if (plan.idle === 'spin') queue.disableNotifications();
    this.space.leave();
    this.control = control;
    this.engine = memory.engine;
    this.memory = memory;
    this.batch = plan.batch;
    this.scattered = elementsOf(plan) > 1;
    this.burst = new ChainBurst(plan.batch, privateArrays(memory));
    this.frames = frames;
    this.lengths = Uint32Array.from(frames, ({ length }) => length);
    this.sums = Uint32Array.from(frames, sumWithoutNumber);
  }

  /** Handle one burst. @param summed whether every byte is summed as it is copied @returns frames taken */
  step(summed: boolean): number {
    const { space } = this;
    const epoch = space.enter();
    if (epoch !== this.epoch) {
      this.epoch = epoch;
      this.queue.refresh();
    }
    const count = this.handleBurst(summed);
    space.leave();
    return count;
  }

  private handleBurst(summed: boolean): number {
    const { queue, burst } = this;
    burst.clear();
    const count = queue.takeBurst(burst, this.batch);
    if (count === 0) return 0;
    if (this.scattered) this.receiveScattered(count);
    else {
      this.touch(count);
      if (summed) this.receiveSummed(count);
      else this.receiveCopied(count);
    }
    queue.putUsedBurst(burst, 0, count);
    if (queue.publishUsed()) notify(this.control, WORD.USED_NOTIFIED);
    return count;
  }

  /** With nothing to do: sleep until frames are available. */
  sleep(): void {
    const seen = Atomics.load(this.control, WORD.AVAIL_NOTIFIED);
    if (this.queue.enableNotifications()) return;
    if (!sleepUntilNotified(this.control, WORD.AVAIL_NOTIFIED, seen, this.ready)) this.missed++;
    this.queue.disableNotifications();
  }

  /** Compare the newest frames that were kept, byte by byte. @param most not more than came in the round */
  checkSink(most: number): void {
    const { frames, memory } = this;
    for (let back = Math.min(most, SINK_FRAMES); back > 0; back--) {
      const number = (this.due - back) | 0;
      const frame = frames[(this.slot - back + frames.length) % frames.length]!;
      const at = SINK + ((this.sink - back) & (SINK_FRAMES - 1)) * BUFFER_PITCH;
      for (let byte = 0; byte < frame.length; byte++) {
        const wanted = byte < NUMBER_BYTES ? (number >>> (8 * byte)) & 0xff : frame[byte]!;
        if (memory.u8[at + byte] === wanted) continue;
        this.check.wrongBytes(number, `byte ${byte} ${memory.u8[at + byte]}`, `${wanted}`);
        break;
      }
    }
  }

  /** Read the first word of each frame: the cache misses overlap, and the copies that follow find the lines there. */
  private touch(count: number): void {
    const { offset } = this.burst.segments;
    const u32 = this.memory.u32;
    let sum = 0;
    for (let i = 0; i < count; i++) sum = (sum + u32[offset[i]! >>> 2]!) | 0;
    this.touched = sum;
  }

  private receiveSummed(count: number): void {
    const { first, segments } = this.burst;
    const { offset, length: segmentLength } = segments;
    const { engine, lengths, sums } = this;
    const i32 = this.memory.i32;
    let { slot, due, sink } = this;
    for (let i = 0; i < count; i++) {
      const segment = first[i]!;
      const length = segmentLength[segment]!;
      const to = SINK + sink * BUFFER_PITCH;
      const sum = engine.copyChecksum(to, offset[segment]!, length);
      const number = i32[to >>> 2]!;
      let wanted = sums[slot]! + (number & 0xffff) + (number >>> 16);
      wanted = (wanted & 0xffff) + (wanted >>> 16);
      wanted = (wanted & 0xffff) + (wanted >>> 16);
      if (number !== due) this.check.wrongNumber(number, due);
      if (sum !== wanted || length !== lengths[slot]) this.wrongSum(number, slot, length, sum, wanted);
      due = (number + 1) | 0;
      slot = slot + 1 === lengths.length ? 0 : slot + 1;
      sink = (sink + 1) & (SINK_FRAMES - 1);
    }
    this.slot = slot;
    this.due = due;
    this.sink = sink;
  }

  /** Frames of one segment each: chain `i` is segment `i`. */
  private receiveCopied(count: number): void {
    const { offset, length: segmentLength } = this.burst.segments;
    const { engine, lengths } = this;
    const i32 = this.memory.i32;
    let { slot, due, sink } = this;
    for (let i = 0; i < count; i++) {
      const length = segmentLength[i]!;
      const to = SINK + sink * BUFFER_PITCH;
      engine.copy(to, offset[i]!, length);
      const number = i32[to >>> 2]!;
      if (number !== due) this.check.wrongNumber(number, due);
      if (length !== lengths[slot]) this.check.wrongBytes(number, `${length} bytes`, `${lengths[slot]}`);
      due = (number + 1) | 0;
      slot = slot + 1 === lengths.length ? 0 : slot + 1;
      sink = (sink + 1) & (SINK_FRAMES - 1);
    }
    this.slot = slot;
    this.due = due;
    this.sink = sink;
  }

  /** Frames of several segments, each of an even length but the last: their sums add up. */
  private receiveScattered(count: number): void {
    const { burst, engine, lengths, sums } = this;
    const { offset, length: segmentLength } = burst.segments;
    for (let i = 0; i < count; i++) {
      const to = SINK + this.sink * BUFFER_PITCH;
      let length = 0;
      let sum = 0;
      for (let segment = burst.first[i]!; segment < burst.end(i); segment++) {
        sum += engine.copyChecksum(to + length, offset[segment]!, segmentLength[segment]!);
        length += segmentLength[segment]!;
      }
      sum = (sum & 0xffff) + (sum >>> 16);
      const number = this.memory.i32[to >>> 2]!;
      let wanted = sums[this.slot]! + (number & 0xffff) + (number >>> 16);
      wanted = (wanted & 0xffff) + (wanted >>> 16);
      wanted = (wanted & 0xffff) + (wanted >>> 16);
      if (number !== this.due) this.check.wrongNumber(number, this.due);
      if (sum !== wanted || length !== lengths[this.slot]) this.wrongSum(number, this.slot, length, sum, wanted);
      this.due = (number + 1) | 0;
      this.slot = this.slot + 1 === lengths.length ? 0 : this.slot + 1;
      this.sink = (this.sink + 1) & (SINK_FRAMES - 1);
    }
  }

  private wrongSum(number: number, slot: number, length: number, sum: number, wanted: number): void {
    this.check.wrongBytes(number, `${length} bytes of sum ${sum}`, `${this.lengths[slot]} of sum ${wanted}`);
  }
}
