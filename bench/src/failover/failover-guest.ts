import { DeviceLink, type LinkPlace, ParkingSpot } from '@ringwire/device-thread';
import { FrameBurst, FramePool, openPollDriver, type PollNetDriver } from '@ringwire/guest-drivers';
import { type HostMemory, RangeList } from '@ringwire/guest-memory';
import { cableSpotAt, DELIVERED, type Delivered, Frame, type FrameSink, SharedCable } from '@ringwire/net-backend';
import { privateArrays } from '@ringwire/ring-loops';
import { Arrivals } from '../arrivals.js';
import type { Layout } from '../case-plan.js';
import { opened, openedTransport } from '../net-driver-side.js';
import { driverDma, NET_QUEUE_SIZE, netFeatures, netFrames } from '../net-layout.js';
import { CABLE, OUTBOX, planOf } from './failover-layout.js';

const BUFFERS = 4 * NET_QUEUE_SIZE;
const BATCH = 32;

/** What is at the other end of the cable: checks what the guest sent, and sends numbered frames of its own. */
class Peer implements FrameSink {
  readonly offloads = 0;
  readonly arrivals: Arrivals;
  sent = 0;
  private readonly memory: HostMemory;
  private readonly cable: SharedCable;
  private readonly frame: Frame;

  constructor(memory: HostMemory, layout: Layout) {
    const frames = netFrames(planOf(layout));
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

  take(): void {
    this.cable.pump(CABLE.frames);
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

/**
 * A guest with a poll-mode driver, and the peer of its device, in one thread that never sleeps. Frames of both directions are
 * numbered, and of each the number, the length and the sum over all bytes are compared where it comes in.
 */
export class FailoverGuest {
  /** What came to the guest; what the guest sent is the peer's. */
  readonly arrivals: Arrivals;
  readonly peer: Peer;
  sent = 0;
  private readonly memory: HostMemory;
  private readonly driver: PollNetDriver;
  private readonly pool: FramePool;
  private readonly burst: FrameBurst;
  private readonly received: FrameBurst;
  private readonly length: number;

  constructor(place: LinkPlace, memory: HostMemory, layout: Layout) {
    const plan = planOf(layout);
    const frames = netFrames(plan);
    const dma = driverDma(memory);
    this.memory = memory;
    this.pool = new FramePool(dma, { buffers: BUFFERS });
    this.arrivals = new Arrivals(memory, frames);
    this.peer = new Peer(memory, layout);
    this.length = frames.lengths[0]!;
    const transport = openedTransport({ access: new DeviceLink(place) });
    const setup = { transport, dma, pool: this.pool, features: netFeatures(plan), queueSize: NET_QUEUE_SIZE };
    this.driver = opened(openPollDriver(setup));
    this.burst = new FrameBurst(BATCH, privateArrays(memory));
    this.received = new FrameBurst(2 * BATCH, privateArrays(memory));
    for (let buffer = 0; buffer < this.pool.buffers; buffer++) memory.u8.set(frames.bytes, this.pool.dataOf(buffer));
  }

  /** Frames that the guest sent and the peer has not had. */
  get leaving(): number {
    return (this.sent - this.peer.arrivals.count) | 0;
  }

  /** Frames that the peer sent and the guest has not had. */
  get coming(): number {
    return (this.peer.sent - this.arrivals.count) | 0;
  }

  set summing(on: boolean) {
    this.arrivals.summing = on;
    this.peer.arrivals.summing = on;
  }

  /** Send a burst of frames, of those that the pool and the ring have room for. */
  send(count: number): void {
    const { pool, burst, memory, driver, length } = this;
    burst.clear();
    const wanted = Math.min(count, BATCH, pool.free);
    pool.takeBurst(burst, wanted);
    for (let i = 0; i < wanted; i++) {
      const buffer = burst.frame[i]!;
      memory.i32[pool.dataOf(buffer) >>> 2] = (this.sent + i) | 0;
      pool.setLength(buffer, length);
      burst.length[i] = length;
    }
    const taken = wanted === 0 ? 0 : driver.txBurst(0, burst);
    for (let i = wanted - 1; i >= taken; i--) pool.put(burst.frame[i]!);
    this.sent = (this.sent + taken) | 0;
    if (taken === 0) driver.reclaim(0);
  }

  /** Take what came to the guest. */
  take(): void {
    const { pool, received, arrivals } = this;
    received.clear();
    const came = this.driver.rxBurst(0, received);
    for (let i = 0; i < came; i++) arrivals.add(pool.dataOf(received.frame[i]!), received.length[i]!);
    if (came > 0) pool.putBurst(received.frame, came);
  }

  /** @returns what the device did wrong, if it is not to be believed any more */
  check(): string | undefined {
    return this.driver.check()?.message;
  }

  close(): void {
    this.driver.close();
  }
}
