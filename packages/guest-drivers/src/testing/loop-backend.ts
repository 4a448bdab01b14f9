import { type HostMemory, RangeList } from '@ringwire/guest-memory';
import {
  copyFrame,
  DELIVERED,
  type Delivered,
  Frame,
  type FrameSink,
  type NetBackend,
  OFFLOAD,
} from '@ringwire/net-backend';

const SLOT = 0x1_1000;

/**
 * A cable that comes back to the device: what it sends, it receives, offload fields and all. Frames wait in slots of
 * memory meanwhile, and a full cable says FULL.
 */
export class LoopBackend implements NetBackend {
  readonly offloads: number;
  /** Bytes of each frame that came by. */
  readonly lengths: number[] = [];
  private device: FrameSink | undefined = undefined;
  private readonly memory: HostMemory;
  private readonly area: number;
  private readonly waiting: Frame[] = [];
  private readonly free: Frame[] = [];

  /** @param area host offset of `slots` places of 0x11000 bytes */
  constructor(
    memory: HostMemory,
    area: number,
    slots: number,
    offloads: number = Object.values(OFFLOAD).reduce((all, bit) => all | bit, 0),
  ) {
    this.memory = memory;
    this.area = area;
    this.offloads = offloads;
    for (let slot = 0; slot < slots; slot++) this.free.push(this.frameAt(slot));
  }

  attach(device: FrameSink | undefined): void {
    this.device = device;
  }

  receive(frame: Frame): Delivered {
    const kept = this.free.pop();
    if (kept === undefined) return DELIVERED.FULL;
    const at = kept.ranges.offset[0]!;
    kept.ranges.length[0] = frame.length;
    kept.length = frame.length;
    copyFrame(frame, 0, this.memory, at, frame.length);
    const { flags, gsoType, hdrLen, gsoSize, csumStart, csumOffset, outerThOffset, innerNhOffset } = frame;
    Object.assign(kept, { flags, gsoType, hdrLen, gsoSize, csumStart, csumOffset, outerThOffset, innerNhOffset });
    this.lengths.push(frame.length);
    this.waiting.push(kept);
    return DELIVERED.ACCEPTED;
  }

  pump(budget: number): number {
    let done = 0;
    while (done < budget && this.waiting.length > 0 && this.device !== undefined) {
      if (this.device.receive(this.waiting[0]!) === DELIVERED.FULL) break;
      this.free.push(this.waiting.shift()!);
      done++;
    }
    if (done > 0) this.device?.flush?.();
    return done;
  }

  private frameAt(slot: number): Frame {
    const frame = new Frame(this.memory);
    frame.ranges = new RangeList(1);
    frame.ranges.push(this.area + slot * SLOT, 0);
    frame.end = 1;
    return frame;
  }
}

/** Host bytes for so many slots. */
export const loopBytes = (slots: number): number => slots * SLOT;
