import type { HostMemory } from '@ringwire/guest-memory';
import { type Delivered, EVERY_OFFLOAD, type Frame, FrameRun, type FrameSink } from '@ringwire/net-backend';
import { ETHERNET } from '@ringwire/net-offload';
import { CONTROL_16 } from './mac-control.js';

/** What a wire does with what comes from the other end of its cable. */
export interface WireIngress {
  come(frame: Frame): Delivered;
  comeRun(run: FrameRun): number;
  comeFlush(): void;
}

/** Where whatever is plugged into a wire sends to. */
export class WireOutside implements FrameSink {
  /** What is left to be done goes on with the frame: the switch, or a receiver, does it. */
  readonly offloads: number = EVERY_OFFLOAD;
  private readonly wire: WireIngress;
  private readonly part: FrameRun;

  constructor(wire: WireIngress, memory: HostMemory) {
    this.wire = wire;
    this.part = new FrameRun(memory);
  }

  receive(frame: Frame): Delivered {
    return this.wire.come(frame);
  }

  receiveRun(run: FrameRun): number {
    const { part } = this;
    if (run.hasHeader) return run.type16 === CONTROL_16 ? 0 : this.wire.comeRun(run);
    part.memory = run.memory;
    part.ranges = run.ranges;
    part.first = run.first;
    part.skip = run.skip;
    part.pair = run.pair;
    part.count = framesBeforeControl(run);
    part.bytes = run.ranges.bytes(run.first, part.count) - part.count * run.skip;
    return part.count === 0 ? 0 : this.wire.comeRun(part);
  }

  flush(): void {
    this.wire.comeFlush();
  }
}

/** MAC control ends at the wire: it is to be looked at alone. What is short, or cannot be read as halfwords, too. */
function framesBeforeControl({ memory, ranges, first, count, skip }: FrameRun): number {
  const { u16 } = memory;
  const { offset, length } = ranges;
  for (let i = 0; i < count; i++) {
    const at = offset[first + i]! + skip;
    if ((at & 1) !== 0 || length[first + i]! - skip < ETHERNET.SIZE) return i;
    if (u16[(at + ETHERNET.type) >>> 1] === CONTROL_16) return i;
  }
  return count;
}
