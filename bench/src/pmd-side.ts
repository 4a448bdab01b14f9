import { FrameBurst, FramePool, openPollDriver, type PollNetDriver } from '@ringwire/guest-drivers';
import type { HostMemory } from '@ringwire/guest-memory';
import { privateArrays } from '@ringwire/ring-loops';
import type { CasePlan } from './case-plan.js';
import { NetDriverSide, opened, openedTransport } from './net-driver-side.js';
import { driverDma, NET_QUEUE_SIZE, netFeatures } from './net-layout.js';
import type { NetLink } from './net-link.js';

/** For both rings, twice over. */
const BUFFERS = 4 * NET_QUEUE_SIZE;
/** Frames on their way at most, in cases in which they come back: what the receive ring and the cable hold. */
const WINDOW = NET_QUEUE_SIZE;
/** Turns without progress between two looks at whether the device is broken. */
const PATIENCE = 0x10_0000;

/** A poll-mode driver at work. Each buffer of its pool holds the frame already: only its number is written. */
export class PmdSide extends NetDriverSide {
  readonly interrupts = 0;
  private readonly driver: PollNetDriver;
  private readonly pool: FramePool;
  private readonly batch: number;
  private readonly i32: Int32Array;
  private readonly u8: Uint8Array;
  private readonly burst: FrameBurst;
  private readonly received: FrameBurst;
  private idle = 0;

  constructor(plan: CasePlan, memory: HostMemory, link: NetLink) {
    super(plan, memory, link);
    const dma = driverDma(memory);
    const pool = new FramePool(dma, { buffers: BUFFERS });
    const setup = {
      transport: openedTransport(link),
      dma,
      pool,
      features: netFeatures(plan),
      queueSize: NET_QUEUE_SIZE,
    };
    this.pool = pool;
    this.driver = opened(openPollDriver(setup));
    this.batch = plan.batch;
    this.i32 = memory.i32;
    this.u8 = memory.u8;
    this.burst = new FrameBurst(plan.batch, privateArrays(memory));
    this.received = new FrameBurst(2 * plan.batch, privateArrays(memory));
    for (let buffer = 0; buffer < pool.buffers; buffer++) memory.u8.set(this.frames.bytes, pool.dataOf(buffer));
  }

  send(frames: number): void {
    const { driver, pool, link } = this;
    const all = pool.free;
    for (let left = frames; left > 0 || pool.free < all; ) {
      const sent = this.offer(Math.min(left, this.batch));
      left -= sent;
      link.work();
      // The driver takes sent frames back when its ring is half full; those of the last bursts are asked for.
      if (sent === 0 && driver.reclaim(0) === 0) this.noProgress();
    }
  }

  loop(frames: number): void {
    const { driver, pool, link, received, arrivals } = this;
    let onTheWay = 0;
    for (let left = frames; left > 0 || onTheWay > 0; ) {
      const sent = this.offer(Math.min(left, this.batch, WINDOW - onTheWay));
      left -= sent;
      onTheWay += sent;
      link.work();
      received.clear();
      const came = driver.rxBurst(0, received);
      for (let i = 0; i < came; i++) {
        const frame = received.frame[i]!;
        arrivals.add(pool.dataOf(frame), received.length[i]!);
        pool.put(frame);
      }
      onTheWay -= came;
      if (came === 0 && sent === 0) this.noProgress();
    }
    driver.reclaim(0);
  }

  damage(): void {
    const { pool, u8 } = this;
    for (let buffer = 0; buffer < pool.buffers; buffer++) u8[pool.dataOf(buffer) + 41]! ^= 0x10;
  }

  protected check(): void {
    const problem = this.driver.check();
    if (problem !== undefined) throw new Error(problem.message);
  }

  /** Send the next frames. @returns those that the ring took; the others are sent next time */
  private offer(count: number): number {
    const { pool, burst, i32, lengths, driver } = this;
    let { slot, next } = this;
    const { frame, length: bytes } = burst;
    burst.clear();
    pool.takeBurst(burst, count);
    for (let i = 0; i < count; i = (i + 1) | 0) {
      const buffer = frame[i]!;
      const length = lengths[slot]!;
      i32[pool.dataOf(buffer) >>> 2] = next;
      pool.setLength(buffer, length);
      bytes[i] = length;
      next = (next + 1) | 0;
      slot = slot + 1 === lengths.length ? 0 : slot + 1;
    }
    const sent = count === 0 ? 0 : driver.txBurst(0, burst);
    for (let i = count - 1; i >= sent; i--) {
      pool.put(burst.frame[i]!);
      next = (next - 1) | 0;
      slot = slot === 0 ? lengths.length - 1 : slot - 1;
    }
    this.slot = slot;
    this.next = next;
    return sent;
  }

  private noProgress(): void {
    if (++this.idle % PATIENCE === 0) this.check();
  }
}
