import type { HostMemory } from '@ringwire/guest-memory';
import { privateArrays } from '@ringwire/ring-loops';
import { type DriverQueue, USED, UsedBurst } from '@ringwire/virtqueue';
import type { LiveQueue } from './live-queue.js';
import type { NetCounters } from './net-counters.js';
import type { OffloadRules } from './offload-rules.js';
import type { ReceivedFrame } from './received-frame.js';
import type { RxBuffers } from './rx-buffers.js';
import { LARGEST_FRAME, readNumBuffers, readRxHeader } from './rx-header.js';

const BURST = 64;
const ETHERNET = 14;

/** One receive queue of a kernel-style driver: takes frames together, checks them and hands them up. */
export class NetRxQueue {
  readonly live: LiveQueue;
  private readonly buffers: RxBuffers;
  private readonly memory: HostMemory;
  private readonly rules: OffloadRules;
  private readonly isMergeable: boolean;
  /** Buffers that the largest frame fills. */
  private readonly buffersMax: number;
  private readonly frame: ReceivedFrame;
  private readonly counters: NetCounters;
  private readonly deliver: (frame: ReceivedFrame) => void;
  private readonly used: UsedBurst;
  /** Slots of the used buffers at hand: an id is another buffer's as soon as the ring is filled again. */
  private readonly taken: Uint16Array = new Uint16Array(BURST);
  private at = 0;

  /**
   * @param frame   reused for every frame that is handed up
   * @param deliver gets each frame; its buffers go back into the ring afterwards
   */
  constructor(
    live: LiveQueue,
    buffers: RxBuffers,
    rules: OffloadRules,
    isMergeable: boolean,
    frame: ReceivedFrame,
    counters: NetCounters,
    deliver: (frame: ReceivedFrame) => void,
  ) {
    this.live = live;
    this.buffers = buffers;
    this.memory = frame.memory;
    this.used = new UsedBurst(BURST, privateArrays(frame.memory));
    this.rules = rules;
    this.isMergeable = isMergeable;
    this.buffersMax = Math.ceil((rules.hdrBytes + LARGEST_FRAME) / buffers.bytes);
    this.frame = frame;
    this.counters = counters;
    this.deliver = deliver;
    buffers.post();
  }

  /**
   * Hand up frames, and post their buffers again.
   * @param budget most frames, given up ones included
   * @returns frames; fewer than the budget when there is none left
   */
  poll(budget: number): number {
    let done = 0;
    while (done < budget && this.hasBuffer()) {
      this.takeFrame();
      done++;
    }
    if (done > 0) {
      this.buffers.post();
      this.live.publish();
    }
    return done;
  }

  /** After a reset of the queue: take all buffers back; {@link refill} gives them to the new ring. @param queue the old one */
  abandon(queue: DriverQueue): void {
    const { used } = this;
    for (; this.at < used.count; this.at++) this.buffers.recycle(this.taken[this.at]!);
    for (;;) {
      used.clear();
      this.at = 0;
      if (queue.detachUnused(used) === 0) return;
      for (let i = 0; i < used.count; i++) this.buffers.recycle(used.token[i]!);
      used.clear();
    }
  }

  /** Post all buffers that are at hand. */
  refill(): void {
    this.buffers.post();
    this.live.publish();
  }

  /** Another used buffer, of the burst at hand or of the next one. */
  private hasBuffer(): boolean {
    const { used, taken } = this;
    if (this.at < used.count) return true;
    used.clear();
    this.at = 0;
    const count = this.live.queue.takeUsed(used, BURST);
    for (let i = 0; i < count; i++) taken[i] = used.token[i]!;
    return count > 0;
  }

  private takeFrame(): void {
    const { frame, counters, rules } = this;
    const first = this.at++;
    const slot = this.taken[first]!;
    const isGood = this.used.outcome[first] === USED.GOOD;
    const written = this.used.written[first]!;
    this.buffers.recycle(slot);
    if (!isGood) {
      counters.rxTooLong++;
      return;
    }
    if (written < rules.hdrBytes) {
      counters.rxShort++;
      return;
    }
    const header = this.buffers.hostOf(slot);
    frame.ranges.clear();
    this.buffers.append(slot, rules.hdrBytes, written, frame.ranges);
    frame.length = written - rules.hdrBytes;
    if (this.isMergeable && !this.takeRest(readNumBuffers(this.memory, header))) return;
    if (frame.length < ETHERNET) counters.rxShort++;
    else if (frame.length > LARGEST_FRAME) counters.rxMerge++;
    else if (!readRxHeader(this.memory, header, rules, frame.length, frame.offload)) counters.rxOffload++;
    else {
      counters.rxFrames++;
      counters.rxBytes += frame.length;
      this.deliver(frame);
    }
  }

  /**
   * Take the buffers behind a frame's first one.
   * @param count `num_buffers`, as the device gave it
   * @returns false, and counted, when the frame is given up; what belongs to it is taken all the same
   */
  private takeRest(count: number): boolean {
    const { frame, counters, used } = this;
    if (count === 0 || count > this.buffersMax) {
      counters.rxNumBuffers++;
      return false;
    }
    let isWhole = true;
    for (let taken = 1; taken < count; taken++) {
      // A device makes all buffers of a frame visible together: there is nothing to wait for.
      if (!this.hasBuffer()) {
        counters.rxMissing++;
        return false;
      }
      const i = this.at++;
      const slot = this.taken[i]!;
      const written = used.written[i]!;
      this.buffers.recycle(slot);
      if (used.outcome[i] !== USED.GOOD || written === 0) isWhole = false;
      this.buffers.append(slot, 0, written, frame.ranges);
      frame.length += written;
    }
    if (!isWhole) counters.rxMerge++;
    return isWhole;
  }
}
