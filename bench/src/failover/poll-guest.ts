import { DeviceLink, type LinkPlace } from '@ringwire/device-thread';
import { FrameBurst, FramePool, openPollDriver, type PollNetDriver } from '@ringwire/guest-drivers';
import type { HostMemory } from '@ringwire/guest-memory';
import { privateArrays } from '@ringwire/ring-loops';
import type { CasePlan } from '../case-plan.js';
import { opened, openedTransport } from '../net-driver-side.js';
import { driverDma, NET_QUEUE_SIZE, netFeatures, netFrames } from '../net-layout.js';
import { FailoverGuest } from './failover-guest.js';

const BUFFERS = 4 * NET_QUEUE_SIZE;
const BATCH = 32;

/** A guest with a poll-mode driver: its thread never sleeps. */
export class PollGuest extends FailoverGuest {
  private readonly memory: HostMemory;
  private readonly driver: PollNetDriver;
  private readonly pool: FramePool;
  private readonly burst: FrameBurst;
  private readonly received: FrameBurst;
  private readonly length: number;

  constructor(place: LinkPlace, memory: HostMemory, plan: CasePlan) {
    super(memory, plan);
    const frames = netFrames(plan);
    const dma = driverDma(memory);
    const pool = new FramePool(dma, { buffers: BUFFERS });
    const transport = openedTransport({ access: new DeviceLink(place) });
    this.memory = memory;
    this.pool = pool;
    this.length = frames.lengths[0]!;
    this.driver = opened(
      openPollDriver({ transport, dma, pool, features: netFeatures(plan), queueSize: NET_QUEUE_SIZE }),
    );
    this.burst = new FrameBurst(BATCH, privateArrays(memory));
    this.received = new FrameBurst(2 * BATCH, privateArrays(memory));
    for (let buffer = 0; buffer < pool.buffers; buffer++) memory.u8.set(frames.bytes, pool.dataOf(buffer));
  }

  send(count: number): number {
    const { pool, burst, memory, driver, length } = this;
    burst.clear();
    const wanted = Math.min(count, BATCH, pool.free);
    if (wanted > 0) pool.takeBurst(burst, wanted);
    for (let i = 0; i < wanted; i++) {
      const buffer = burst.frame[i]!;
      memory.i32[pool.dataOf(buffer) >>> 2] = (this.sent + i) | 0;
      pool.setLength(buffer, length);
      burst.length[i] = length;
    }
    const taken = wanted > 0 ? driver.txBurst(0, burst) : 0;
    for (let i = wanted - 1; i >= taken; i--) pool.put(burst.frame[i]!);
    this.sent = (this.sent + taken) | 0;
    if (taken === 0) driver.reclaim(0);
    return taken;
  }

  take(): number {
    const { pool, received, arrivals } = this;
    received.clear();
    const came = this.driver.rxBurst(0, received);
    for (let i = 0; i < came; i++) arrivals.add(pool.dataOf(received.frame[i]!), received.length[i]!);
    if (came > 0) pool.putBurst(received.frame, came);
    return came;
  }

  rest(): void {}

  check(): string | undefined {
    return this.driver.check()?.message;
  }

  close(): void {
    this.driver.close();
  }
}
