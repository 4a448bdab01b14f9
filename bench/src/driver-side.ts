import type { HostMemory } from '@ringwire/guest-memory';
import { openLoopedDriverQueue, privateArrays } from '@ringwire/ring-loops';
import { BufferList, type DriverQueue, UsedBurst } from '@ringwire/virtqueue';
import { type CasePlan, elementsOf, HEADER_BYTES } from './case-plan.js';
import { notify, sleepUntilNotified, WORD } from './control-words.js';
import type { FrameSet } from './frame-set.js';
import { BUFFER_PITCH, bufferGpa, bufferHost, guestOf, MOST_BUFFERS, queueConfig, TABLES } from './guest-layout.js';

/** Most used buffers that a driver takes back at once. */
const RECLAIM = 256;

/** What a driver of the bench does: number frames, make them available in bursts, take used buffers back. */
export class DriverSide {
  readonly queue: DriverQueue;
  /** Number of the next frame: 32 bits that wrap. */
  next = 0;
  /** Times that it slept in vain although used buffers lay ready. */
  missed = 0;

  private readonly control: Int32Array;
  private readonly i32: Int32Array;
  private readonly lengths: Uint32Array;
  private readonly scattered: boolean;
  private readonly list: BufferList;
  private readonly used: UsedBurst;
  /** Where the next frame lies. */
  private slot = 0;
  private readonly ready = (): boolean => this.queue.hasUsed();

  constructor(plan: CasePlan, memory: HostMemory, control: Int32Array, frames: FrameSet) {
    if (frames.length > MOST_BUFFERS) throw new Error(`${frames.length} frames, want at most ${MOST_BUFFERS}`);
    this.queue = openLoopedDriverQueue(queueConfig(plan, guestOf(memory)), TABLES);
    if (plan.idle === 'spin') this.queue.disableNotifications();
    this.control = control;
    this.i32 = memory.i32;
    this.lengths = Uint32Array.from(frames, ({ length }) => length);
    this.scattered = elementsOf(plan) > 1;
    this.list = new BufferList(Math.max(plan.batch, 2), privateArrays(memory));
    this.used = new UsedBurst(RECLAIM, privateArrays(memory));
    frames.forEach((frame, slot) => {
      memory.u8.set(frame, bufferHost(slot));
    });
  }

  /** Make the next frames available. @param count at most the case's batch, and at most `queue.free` */
  offer(count: number): void {
    if (this.scattered) this.fillScattered(count);
    else this.fillPlain(count);
    if (this.queue.publish()) notify(this.control, WORD.AVAIL_NOTIFIED);
  }

  /** Take used buffers back. @returns how many */
  reclaim(): number {
    this.used.clear();
    return this.queue.takeUsed(this.used, RECLAIM);
  }

  /** With nothing to do: sleep until three quarters of the outstanding buffers are used, as Linux does. */
  sleep(): void {
    const seen = Atomics.load(this.control, WORD.USED_NOTIFIED);
    if (this.queue.enableNotifications(Math.floor((this.queue.outstanding * 3) / 4))) return;
    if (!sleepUntilNotified(this.control, WORD.USED_NOTIFIED, seen, this.ready)) this.missed++;
    this.queue.disableNotifications();
  }

  private fillPlain(count: number): void {
    const { list, i32, lengths } = this;
    const slots = lengths.length;
    let slot = this.slot;
    let next = this.next;
    list.clear();
    for (let i = 0; i < count; i++) {
      i32[bufferHost(slot) >>> 2] = next;
      list.addReadable(bufferGpa(slot), lengths[slot]!);
      next = (next + 1) | 0;
      slot = slot + 1 === slots ? 0 : slot + 1;
    }
    this.slot = slot;
    this.next = next;
    this.queue.addBurst(list);
  }

  private fillScattered(count: number): void {
    const { list, lengths } = this;
    for (let i = 0; i < count; i++) {
      const slot = this.slot;
      this.i32[bufferHost(slot) >>> 2] = this.next;
      list.clear();
      list.addReadable(bufferGpa(slot), HEADER_BYTES);
      list.addReadable(bufferGpa(slot) + HEADER_BYTES, lengths[slot]! - HEADER_BYTES);
      this.queue.add(list);
      this.next = (this.next + 1) | 0;
      this.slot = slot + 1 === lengths.length ? 0 : slot + 1;
    }
  }
}

/** Host offset of a byte of a frame, for those who damage one on purpose. */
export function frameByte(slot: number, at: number): number {
  if (at >= BUFFER_PITCH) throw new RangeError(`at is ${at}, want below ${BUFFER_PITCH}`);
  return bufferHost(slot) + at;
}
