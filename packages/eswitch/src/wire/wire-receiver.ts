import { DELIVERED, type Delivered, type Frame, type FrameRun, type FrameSink } from '@ringwire/net-backend';
import { ETHERNET } from '@ringwire/net-offload';
import { nanosecondsOf } from '../nanoseconds.js';
import { FlowControl, SAY_NOTHING } from './flow-control.js';
import { frameCost } from './frame-cost.js';
import type { PauseFrames } from './mac-control.js';
import { ReceiveBuffer } from './receive-buffer.js';
import type { WireCounters, WireDrops } from './wire-counters.js';
import { WireLane } from './wire-lane.js';
import { type MediumLane, WireMedium } from './wire-medium.js';
import { WIRE_AREA, type WirePortOptions, type WireTap } from './wire-options.js';
import type { WireIngress } from './wire-outside.js';
import type { WireLink, WireSettings } from './wire-settings.js';

const { ACCEPTED, FULL, DROPPED } = DELIVERED;
/** What comes waits before the cable when more than so many bytes of it are on their way. */
const COMING_MOST = 0x4000;

/** What the receiving half of a wire knows of the whole. */
export interface ReceiverHome {
  readonly settings: WireSettings;
  readonly link: WireLink;
  readonly counters: WireCounters;
  readonly pauses: PauseFrames;
  readonly tap: WireTap | undefined;
  /** Send nothing for so many quanta. */
  pause(quanta: number): void;
  /** Tell the other end to. */
  sendPause(quanta: number, now: number): void;
  /** A frame is lost, and counted. */
  lose(reason: keyof WireDrops, isSent: boolean, frame: Frame): void;
}

/** The receiving half of a wire: what comes takes its time, ends here if it is PAUSE, and waits for the card otherwise. */
export class WireReceiver implements WireIngress {
  /** The card's switch, while the link is up. */
  inside: FrameSink | undefined = undefined;
  readonly lane: WireLane;
  private readonly medium: WireMedium = new WireMedium();
  private readonly buffer: ReceiveBuffer;
  private readonly flow: FlowControl = new FlowControl();
  private readonly home: ReceiverHome;
  private readonly now: () => number;
  private readonly isPaced: boolean;
  private readonly countIn: (delivered: Delivered) => void;

  constructor(home: ReceiverHome, { memory, at, now, isPaced = true, hostRate = 0 }: WirePortOptions) {
    this.home = home;
    this.now = now;
    this.isPaced = isPaced;
    this.lane = new WireLane(memory, at + WIRE_AREA.COMING, home.pauses);
    this.buffer = new ReceiveBuffer(memory, at + WIRE_AREA.BUFFER, hostRate);
    const { counters } = home;
    this.countIn = (delivered) => {
      if (delivered === ACCEPTED) counters.toCard++;
      else counters.drops.card++;
    };
  }

  /** Frames that wait for the card. */
  get waiting(): number {
    return this.buffer.count;
  }

  come(frame: Frame): Delivered {
    const now = this.time();
    if (!this.isPaced) return this.arrive(frame, now);
    if (this.lane.backlog >= COMING_MOST) return FULL;
    return this.lane.push(frame, frameCost(frame), now);
  }

  comeRun(run: FrameRun): number {
    const { inside } = this;
    const { counters, tap } = this.home;
    if (this.isPaced || tap !== undefined || inside?.receiveRun === undefined || this.buffer.isLimited) return 0;
    const accepted = inside.receiveRun(run);
    counters.receivedFrames += accepted;
    counters.receivedBytes += run.ranges.bytes(run.first, accepted) - accepted * run.skip;
    counters.toCard += accepted;
    return accepted;
  }

  comeFlush(): void {
    this.inside?.flush?.();
  }

  /** A frame is here. @param at when its last bit was, in ns with a fraction */
  arrive(frame: Frame, at: number): Delivered {
    const { inside, buffer } = this;
    const { counters, pauses, tap } = this.home;
    tap?.received(frame, at);
    counters.receivedFrames++;
    counters.receivedBytes += frame.length;
    if (frame.length >= ETHERNET.SIZE && pauses.isControl(frame)) return this.takeControl(frame);
    const now = this.time();
    if (inside !== undefined && buffer.isOpen(now)) {
      buffer.pass(frame);
      const delivered = inside.receive(frame);
      this.countIn(delivered);
      return delivered === ACCEPTED ? ACCEPTED : DROPPED;
    }
    const delivered = inside === undefined ? DROPPED : buffer.push(frame);
    if (inside === undefined) this.home.lose('link', false, frame);
    else if (delivered !== ACCEPTED) this.home.lose('buffer', false, frame);
    this.control(now);
    return delivered === ACCEPTED ? ACCEPTED : DROPPED;
  }

  /** Frames whose time has come, up to `now`, go to the card. @returns how many */
  step(budget: number, now: number): number {
    const { lane } = this;
    this.medium.advance(now);
    let done = 0;
    for (; done < budget; done++) {
      const frame = lane.peek(now);
      if (frame === undefined) break;
      this.arrive(frame, lane.endedAt + lane.delay);
      lane.drop();
    }
    // Whoever got one of them may have had the cable pulled out.
    const { inside } = this;
    if (inside !== undefined) done += this.buffer.drain(inside, budget, now, this.countIn);
    this.control(now);
    return done;
  }

  /** When to be stepped next, in ns. */
  deadline(): number {
    return Math.min(this.medium.deadline(), this.lane.deadline(), this.buffer.deadline(), this.flow.againAt);
  }

  /** Tell the other end to pause, or to go on, where that is due. */
  control(now: number): void {
    const { settings, link } = this.home;
    const quanta = this.flow.ask(this.buffer.fill, settings, link, now);
    if (quanta !== SAY_NOTHING) this.home.sendPause(quanta, now);
  }

  /** What is on its way, or waits, is lost. */
  restart(speed: number, now: number): void {
    const { counters } = this.home;
    const coming = this.lane.clear();
    counters.receivedFrames += coming;
    counters.drops.link += coming + this.buffer.clear();
    this.medium.restart(speed, now);
    this.flow.reset();
  }

  /** Which lanes a medium of its own carries: none where another one carries what comes, too. */
  comeOn(lanes: readonly MediumLane[]): void {
    this.medium.carry(lanes);
  }

  /** MAC control ends here. IEEE 802.3 §31.5.3 */
  private takeControl(frame: Frame): Delivered {
    const { counters, link, pauses } = this.home;
    const quanta = pauses.timeOf(frame);
    if (quanta < 0) {
      this.home.lose('control', false, frame);
      return DROPPED;
    }
    counters.pausesReceived++;
    if (quanta === 0) counters.resumesReceived++;
    if (link.honoursPause) this.home.pause(quanta);
    else counters.pausesIgnored++;
    return ACCEPTED;
  }

  private time(): number {
    return nanosecondsOf(this.now());
  }
}
