import { type NetDriver, openNetDriver, type ReceivedFrame, SENT } from '@ringwire/guest-drivers';
import type { HostMemory } from '@ringwire/guest-memory';
import type { CasePlan } from './case-plan.js';
import { SINK } from './guest-layout.js';
import { NetDriverSide, opened, openedTransport } from './net-driver-side.js';
import { driverDma, MESSAGES, NET_QUEUE_SIZE, netFeatures } from './net-layout.js';
import type { NetLink } from './net-link.js';

const RECEIVE_BYTES = 0x10_0000;
/** Sleeps in vain, one after the other, after which there is no hope. */
const MOST_MISSED = 5;

/** A driver as a kernel's, at work: it sends copies, is interrupted, polls, and sleeps when there is nothing to do. */
export class KernelSide extends NetDriverSide {
  private readonly driver: NetDriver;
  private readonly memory: HostMemory;
  private readonly batch: number;
  /** What is sent, by length. */
  private readonly copies: Map<number, Uint8Array> = new Map();

  constructor(plan: CasePlan, memory: HostMemory, link: NetLink) {
    super(plan, memory, link);
    this.memory = memory;
    this.batch = plan.batch;
    const driver = opened(
      openNetDriver({
        transport: openedTransport(link),
        dma: driverDma(memory),
        events: { frame: (frame) => this.receive(frame) },
        now: () => performance.now(),
        messages: MESSAGES,
        features: netFeatures(plan),
        queueSize: NET_QUEUE_SIZE,
        receiveBytes: RECEIVE_BYTES,
      }),
    );
    this.driver = driver;
    link.interrupt = (vector) => driver.interrupt(vector);
    for (const length of this.lengths) this.copies.set(length, this.frames.bytes.slice(0, length));
  }

  get interrupts(): number {
    return this.driver.counters.interrupts;
  }

  send(_frames: number): void {
    throw new Error('kernel cases have their frames back');
  }

  loop(frames: number): void {
    const { arrivals } = this;
    const until = arrivals.count + frames;
    let left = frames;
    let inVain = 0;
    while (arrivals.count < until) {
      const sent = this.offer(Math.min(left, this.batch));
      left -= sent;
      this.link.work();
      const came = this.attend();
      if (sent > 0 || came) inVain = 0;
      else if (!this.rest() && ++inVain > MOST_MISSED) this.check();
    }
  }

  damage(): void {
    for (const copy of this.copies.values()) copy[41]! ^= 0x10;
  }

  protected check(): void {
    this.driver.watch();
    throw new Error(`no interrupt: the driver is ${this.driver.state}`);
  }

  /** Hand interrupts to the driver, and let it poll. @returns whether there was anything */
  private attend(): boolean {
    const { driver, link } = this;
    let any = link.take();
    while (driver.needsPoll) {
      driver.poll();
      any = true;
    }
    return any;
  }

  /** Sleep until interrupted. @returns false when no interrupt came in time */
  private rest(): boolean {
    if (this.link.sleep()) return true;
    this.missed++;
    return false;
  }

  /** @returns frames that the driver took */
  private offer(count: number): number {
    for (let i = 0; i < count; i++) {
      const frame = this.copies.get(this.lengths[this.slot]!)!;
      frame[0] = this.next;
      frame[1] = this.next >>> 8;
      frame[2] = this.next >>> 16;
      frame[3] = this.next >>> 24;
      if (this.driver.sendBytes(frame) !== SENT.OK) return i;
      this.next = (this.next + 1) | 0;
      this.slot = this.slot + 1 === this.lengths.length ? 0 : this.slot + 1;
    }
    return count;
  }

  private receive({ ranges, length }: ReceivedFrame): void {
    const { engine } = this.memory;
    let copied = 0;
    // As into the memory of whoever reads from a socket: from there on no device can change it.
    for (let range = 0; range < ranges.count; range++) {
      engine.copy(SINK + copied, ranges.offset[range]!, ranges.length[range]!);
      copied += ranges.length[range]!;
    }
    this.arrivals.add(SINK, length);
  }
}
