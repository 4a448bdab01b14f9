import type { CopyEngine, HostMemory } from '@ringwire/guest-memory';
import {
  copyFrame,
  DELIVERED,
  type Delivered,
  EVERY_OFFLOAD,
  type Frame,
  type FrameRun,
  type FrameSink,
  type NetBackend,
} from '@ringwire/net-backend';
import type { Arrivals } from './arrivals.js';
import { WORD } from './control-words.js';
import { BUFFER_PITCH, SINK, SINK_FRAMES } from './guest-layout.js';

/**
 * The far end of the cable in cases that only send: takes a copy of every frame, as whoever receives does, into a few slots
 * in turn, and checks it there.
 */
export class CheckingBackend implements NetBackend {
  readonly offloads: number = EVERY_OFFLOAD;
  private readonly arrivals: Arrivals;
  private readonly control: Int32Array;
  private readonly memory: HostMemory;
  private readonly engine: CopyEngine;
  private round = 0;
  private slot = 0;

  constructor(memory: HostMemory, arrivals: Arrivals, control: Int32Array) {
    this.memory = memory;
    this.engine = memory.engine;
    this.arrivals = arrivals;
    this.control = control;
  }

  receive(frame: Frame): Delivered {
    const { first, length } = frame;
    const to = SINK + this.slot * BUFFER_PITCH;
    this.slot = (this.slot + 1) & (SINK_FRAMES - 1);
    if (frame.end === first + 1) this.engine.copy(to, frame.ranges.offset[first]! + frame.skip, length);
    else copyFrame(frame, 0, this.memory, to, length);
    this.arrivals.add(to, length);
    return DELIVERED.ACCEPTED;
  }

  receiveRun({ ranges, first, count, skip }: FrameRun): number {
    const { engine, arrivals } = this;
    const { offset, length } = ranges;
    let { slot } = this;
    for (let i = first; i < first + count; i = (i + 1) | 0) {
      const to = (SINK + slot * BUFFER_PITCH) | 0;
      const bytes = (length[i]! - skip) | 0;
      engine.copy(to, (offset[i]! + skip) | 0, bytes);
      arrivals.add(to, bytes);
      slot = (slot + 1) & (SINK_FRAMES - 1);
    }
    this.slot = slot;
    return count;
  }

  attach(_device: FrameSink | undefined): void {}

  /** Called in every step of the device, before it sends: the place to see that the driver began another round. */
  pump(_budget: number): number {
    const round = Atomics.load(this.control, WORD.ROUND);
    if (round === this.round) return 0;
    this.round = round;
    this.arrivals.summing = Atomics.load(this.control, WORD.SUMMED) === 1;
    Atomics.store(this.control, WORD.DEVICE_IN, round);
    return 0;
  }
}
