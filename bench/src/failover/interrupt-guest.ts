import { DeviceLink, type LinkPlace } from '@ringwire/device-thread';
import { type NetDriver, openNetDriver, type ReceivedFrame, SENT } from '@ringwire/guest-drivers';
import type { HostMemory } from '@ringwire/guest-memory';
import type { CasePlan } from '../case-plan.js';
import { SINK } from '../guest-layout.js';
import { opened, openedTransport } from '../net-driver-side.js';
import { driverDma, MESSAGES, NET_QUEUE_SIZE, netFeatures, netFrames } from '../net-layout.js';
import { FailoverGuest } from './failover-guest.js';

const RECEIVE_BYTES = 0x10_0000;
/** Longest sleep, in ms: what comes to the peer, which is in this thread, too, interrupts nobody. */
const REST_MS = 0.1;

/** A guest with a driver as a kernel's: it is interrupted, and its thread sleeps while nothing moves. */
export class InterruptGuest extends FailoverGuest {
  private readonly memory: HostMemory;
  private readonly link: DeviceLink;
  private readonly driver: NetDriver;
  /** What is sent. */
  private readonly frame: Uint8Array;
  private readonly number: DataView;

  constructor(place: LinkPlace, memory: HostMemory, plan: CasePlan) {
    super(memory, plan);
    const link = new DeviceLink(place, { interrupts: { message: (_low, _high, data) => driver.interrupt(data) } });
    const driver = opened(
      openNetDriver({
        transport: openedTransport({ access: link }),
        dma: driverDma(memory),
        events: { frame: (frame) => this.receive(frame) },
        now: () => performance.now(),
        messages: MESSAGES,
        features: netFeatures(plan),
        queueSize: NET_QUEUE_SIZE,
        receiveBytes: RECEIVE_BYTES,
      }),
    );
    this.memory = memory;
    this.link = link;
    this.driver = driver;
    this.frame = netFrames(plan).bytes.slice();
    this.number = new DataView(this.frame.buffer);
  }

  send(count: number): number {
    const { driver, frame, number } = this;
    for (let i = 0; i < count; i++) {
      number.setInt32(0, this.sent, true);
      if (driver.sendBytes(frame) !== SENT.OK) return i;
      this.sent = (this.sent + 1) | 0;
    }
    return count;
  }

  take(): number {
    const { driver, arrivals, link } = this;
    const before = arrivals.count;
    link.takeInterrupts();
    while (driver.needsPoll) driver.poll();
    return arrivals.count - before;
  }

  rest(): void {
    this.link.waitForInterrupt(REST_MS);
  }

  check(): string | undefined {
    this.driver.watch();
    return this.driver.state === 'running' ? undefined : `the driver is ${this.driver.state}`;
  }

  close(): void {
    this.driver.close();
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
