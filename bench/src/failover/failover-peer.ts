import { ParkingSpot } from '@ringwire/device-thread';
import { type HostMemory, RangeList } from '@ringwire/guest-memory';
import { cableSpotAt, DELIVERED, type Delivered, Frame, type FrameSink, SharedCable } from '@ringwire/net-backend';
import { Arrivals } from '../arrivals.js';
import type { CasePlan } from '../case-plan.js';
import { netFrames } from '../net-layout.js';
import { CABLE, OUTBOX } from './failover-layout.js';

/** What is at the other end of the cable: checks what the guest sent, and sends numbered frames of its own. */
export class FailoverPeer implements FrameSink {
  readonly offloads = 0;
  readonly arrivals: Arrivals;
  sent = 0;
  private readonly memory: HostMemory;
  private readonly cable: SharedCable;
  private readonly frame: Frame;

  constructor(memory: HostMemory, plan: CasePlan) {
    const frames = netFrames(plan);
    const length = frames.lengths[0]!;
    const spot = new ParkingSpot(memory.i32, cableSpotAt(CABLE, 0) >> 2);
    memory.u8.set(frames.bytes, OUTBOX);
    this.memory = memory;
    this.arrivals = new Arrivals(memory, frames);
    this.frame = new Frame(memory);
    this.frame.ranges = new RangeList(1);
    this.frame.ranges.push(OUTBOX, length);
    this.frame.end = 1;
    this.frame.length = length;
    this.cable = new SharedCable(memory, CABLE, 1, () => spot.wake());
    this.cable.attach(this);
    this.cable.running(true);
  }

  receive({ ranges, first, skip, length }: Frame): Delivered {
    this.arrivals.add(ranges.offset[first]! + skip, length);
    return DELIVERED.ACCEPTED;
  }

  /** Take what came. @returns frames */
  take(): number {
    return this.cable.pump(CABLE.frames);
  }

  send(count: number): void {
    const { memory, cable, frame } = this;
    for (let i = 0; i < count; i++) {
      memory.i32[OUTBOX >> 2] = this.sent;
      if (cable.receive(frame) !== DELIVERED.ACCEPTED) break;
      this.sent = (this.sent + 1) | 0;
    }
    cable.flush();
  }
}
