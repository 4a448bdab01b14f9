import {
  DELIVERED,
  type Delivered,
  EVERY_OFFLOAD,
  type Frame,
  type FrameRun,
  type FrameSink,
  type NetBackend,
} from '@ringwire/net-backend';
import { BYTE_MILLIBITS, microsecondsOf, nanosecondsOf } from '../nanoseconds.js';
import { TransmitLine } from '../transmit-line.js';
import type { Stepped } from '../virtual-clock.js';
import { cableDelay, checkCable } from './cable-length.js';
import { frameCost } from './frame-cost.js';
import { PauseFrames, quantaMillibits } from './mac-control.js';
import type { WireCable } from './wire-cable.js';
import { newWireCounters, type WireCounters, type WireDrops } from './wire-counters.js';
import { WireLane } from './wire-lane.js';
import { type MediumLane, NEVER, WireMedium } from './wire-medium.js';
import {
  type CardOfWire,
  checkPort,
  WIRE_AREA,
  type WireDropWatcher,
  type WirePortOptions,
  type WireTap,
} from './wire-options.js';
import { WireOutside } from './wire-outside.js';
import { type ReceiverHome, WireReceiver } from './wire-receiver.js';
import type { WireRoom } from './wire-room.js';
import {
  checkWire,
  linkAlone,
  PLAIN_WIRE,
  sameLink,
  type WireControl,
  type WireLink,
  type WireSettings,
} from './wire-settings.js';

const { ACCEPTED, FULL, DROPPED } = DELIVERED;
/** Bytes on the wire that wait of others than the arbiter's, before its own have to wait for them. */
const BACKLOG_MOST = 0x1_0000;

/**
 * The external port of a card: between its switch and whatever is at the other end of the cable, such as a capture, an
 * uplink, a switch or another card (`joinWires`).
 *
 * Frames leave one behind the other, at the link's speed and with the gaps that IEEE 802.3 asks for, and come likewise.
 * PAUSE frames are its own: those that come end here, and those that go are made here, by how full the receive buffer is,
 * and by nothing that a function does or leaves undone: a receiver without room loses its frames in the switch.
 */
export class WirePort implements WireRoom, WireControl, Stepped, FrameSink, ReceiverHome {
  readonly counters: WireCounters = newWireCounters();
  settings: WireSettings;
  link: WireLink;
  onChange: (() => void) | undefined = undefined;
  /** Where whatever is plugged in sends to. */
  readonly outside: WireOutside;
  readonly pauses: PauseFrames;
  tap: WireTap | undefined = undefined;
  dropWatcher: WireDropWatcher | undefined = undefined;
  /** Of the cable. */
  readonly sending: WireLane;
  readonly ownMedium: WireMedium = new WireMedium();
  private readonly isPaced: boolean;
  /** Length of the cable to whatever is plugged in that is no card. */
  private readonly metres: number;
  private readonly now: () => number;
  /** Of what is sent: a cable's ends share one with half duplex. */
  private medium: WireMedium = this.ownMedium;
  private readonly receiver: WireReceiver;
  /** What the arbiter lets through, before it is here. */
  private readonly room: TransmitLine = new TransmitLine();
  private card: CardOfWire | undefined = undefined;
  private plugged: NetBackend | undefined = undefined;
  private cable: WireCable | undefined = undefined;
  private peer: WirePort | undefined = undefined;
  /** Flat out there is no lane that pauses. ns */
  private flatPausedUntil = 0;

  /** @throws VirtioError for what cannot be */
  constructor(options: WirePortOptions) {
    const { memory, at, now, mac, isPaced = true, cable = 0, hostRate: _, ...settings } = options;
    checkPort(options);
    this.settings = { ...PLAIN_WIRE, ...settings };
    checkWire(this.settings);
    checkCable(cable, this.settings.speed);
    this.link = linkAlone(this.settings, false);
    this.isPaced = isPaced;
    this.metres = cable;
    this.now = now;
    this.pauses = new PauseFrames(memory, at + WIRE_AREA.PAUSES, mac);
    this.sending = new WireLane(memory, at + WIRE_AREA.SENDING, this.pauses);
    this.receiver = new WireReceiver(this, options);
    this.outside = new WireOutside(this.receiver, memory);
    this.sending.delay = cableDelay(cable);
    this.receiver.lane.delay = cableDelay(cable);
    this.restart();
  }

  /** Mbit/s that the arbiter shares; 0: flat out. */
  get rate(): number {
    return this.isPaced ? this.link.speed : 0;
  }

  /** Frames that wait to be sent, or for the card. */
  get waiting(): number {
    return this.sending.count + this.receiver.waiting;
  }

  /** Who gets frames takes what it can of the work; whoever looks at them on their way sees them finished. */
  get offloads(): number {
    if (this.tap !== undefined || (this.isPaced && this.peer !== undefined)) return 0;
    return this.peer?.receiver.inside?.offloads ?? this.plugged?.offloads ?? EVERY_OFFLOAD;
  }

  /** Be the wire of a card. Once. */
  serve(card: CardOfWire): void {
    this.card = card;
    card.giveWire(this);
    this.comeUp();
  }

  /** Plug something in, or, with undefined, pull out what is there: the cable to another card, too. */
  plug(plugged: NetBackend | undefined): void {
    const { peer } = this;
    if (peer !== undefined) {
      this.leave();
      peer.leave();
      peer.relink();
    }
    this.plugged?.attach(undefined);
    this.plugged = plugged;
    this.relink();
    plugged?.attach(this.outside);
  }

  configure(changes: Partial<WireSettings>): void {
    const settings = { ...this.settings, ...changes };
    checkWire(settings);
    checkCable(this.cable?.metres ?? this.metres, settings.speed);
    this.settings = settings;
    this.relink();
    this.receiver.control(this.time());
  }

  // What the switch's port, and the arbiter in front of it, call.

  /** A frame from the card. FULL where it has to wait, or has no room. */
  receive(frame: Frame): Delivered {
    const { counters } = this;
    const now = this.time();
    if (this.isPaced) {
      const delivered = this.sending.push(frame, frameCost(frame), now);
      if (delivered === ACCEPTED) counters.fromCard++;
      return delivered;
    }
    if (now < this.flatPausedUntil) return FULL;
    const delivered = this.handOut(frame, now);
    if (delivered === FULL) return FULL;
    counters.fromCard++;
    if (delivered === DROPPED) this.lose('otherEnd', true, frame);
    return ACCEPTED;
  }

  receiveRun(run: FrameRun): number {
    const { plugged, counters } = this;
    if (this.isPaced || this.tap !== undefined || plugged === undefined || this.time() < this.flatPausedUntil) return 0;
    const accepted = plugged.receiveRun?.(run) ?? 0;
    counters.fromCard += accepted;
    counters.sentFrames += accepted;
    counters.sentBytes += run.ranges.bytes(run.first, accepted) - accepted * run.skip;
    return accepted;
  }

  flush(): void {
    if (!this.isPaced) this.flushOut();
  }

  readyAt(bytes: number, now: number): number {
    if (!this.isPaced) return Math.max(now, this.flatPausedUntil);
    const over = this.sending.backlog - BACKLOG_MOST;
    const ready = this.room.readyAt(bytes, now);
    return over <= 0 ? ready : Math.max(ready, now + Math.ceil((over * BYTE_MILLIBITS) / this.link.speed));
  }

  take(bytes: number): void {
    this.room.take(bytes);
  }

  // What whoever steps the card calls.

  step(budget: number): number {
    const now = this.time();
    const { receiver } = this;
    // Whoever gets a frame may pull the cable out, or plug another one in: then it is another medium.
    let done = this.plugged?.pump(budget) ?? 0;
    this.medium.advance(now);
    done += this.sendOut(budget, now);
    done += receiver.step(budget, now);
    // What was said meanwhile begins now.
    this.medium.advance(now);
    this.flushOut();
    receiver.comeFlush();
    return done;
  }

  /** When to be stepped next, in µs; behind {@link step}. */
  deadline(): number {
    const own = Math.min(this.medium.deadline(), this.sending.deadline(), this.receiver.deadline());
    return Math.min(microsecondsOf(own), this.plugged?.deadline?.() ?? NEVER);
  }

  // What the receiving half calls.

  /** What is being sent ends; then nothing but PAUSE is until so many quanta from now. */
  pause(quanta: number): void {
    const { sending, medium, room, link } = this;
    const now = this.time();
    medium.advance(now);
    sending.pause(quanta, link.speed, now);
    this.flatPausedUntil = now + Math.ceil(quantaMillibits(quanta) / link.speed);
    const end = medium.endOf(sending, now);
    room.pause(end, Math.max(end, this.flatPausedUntil), now);
    this.onChange?.();
  }

  sendPause(quanta: number, now: number): void {
    if (this.isPaced) {
      this.sending.sendPause(quanta, now);
      return;
    }
    this.countPause(quanta);
    const frame = this.pauses.of(quanta);
    if (this.handOut(frame, now) !== ACCEPTED) this.lose('otherEnd', true, frame);
  }

  lose(reason: keyof WireDrops, isSent: boolean, frame: Frame): void {
    this.counters.drops[reason]++;
    this.dropWatcher?.lost(reason, isSent, frame);
  }

  // What a cable to another card calls.

  isAt(cable: WireCable): boolean {
    return this.cable === cable;
  }

  plugCable(cable: WireCable): void {
    this.plug(undefined);
    this.cable = cable;
    this.sending.delay = cableDelay(cable.metres);
    this.peer = cable.otherEndOf(this);
  }

  /** The link is another one from now on, and comes up with {@link comeUp}: the card sees it go. */
  takeDown(link: WireLink): void {
    this.card?.wire.backend.attach(undefined);
    this.receiver.inside = undefined;
    this.link = link;
    this.restart();
  }

  sendOn(medium: WireMedium, lanes: readonly MediumLane[]): void {
    this.medium = medium;
    medium.carry(lanes);
  }

  /** The card, and whoever is behind it, sees the link. */
  comeUp(): void {
    const { card, link } = this;
    if (card === undefined) return;
    // Functions that have a link while nothing is plugged in see the speed as well.
    card.setLink(link);
    if (!link.isUp) return;
    this.receiver.inside = card.wire.backend;
    card.wire.backend.attach(this);
  }

  private leave(): void {
    this.sending.delay = cableDelay(this.metres);
    this.cable = undefined;
    this.peer = undefined;
  }

  private relink(): void {
    if (this.cable !== undefined) {
      this.cable.settle();
      return;
    }
    const link = linkAlone(this.settings, this.plugged !== undefined);
    if (sameLink(link, this.link)) return;
    this.takeDown(link);
    this.comeUp();
  }

  /** What was on its way is lost. */
  private restart(): void {
    const { link, room, sending, receiver } = this;
    const now = this.time();
    this.counters.drops.link += sending.clear();
    receiver.restart(link.speed, now);
    this.ownMedium.restart(link.speed, now);
    // With half duplex both directions are on one; a cable says so for both its ends.
    const isHalf = link.duplex === 'half';
    this.sendOn(this.ownMedium, isHalf ? [sending, receiver.lane] : [sending]);
    receiver.comeOn(isHalf ? [] : [receiver.lane]);
    room.clear(now);
    room.setRate(link.speed, now);
    this.flatPausedUntil = 0;
    this.onChange?.();
  }

  private time(): number {
    return nanosecondsOf(this.now());
  }

  private sendOut(budget: number, now: number): number {
    const { sending } = this;
    let done = 0;
    for (; done < budget; done++) {
      const frame = sending.peek(now);
      if (frame === undefined) break;
      this.countPause(sending.pauseTime);
      if (this.handOut(frame, sending.endedAt) !== ACCEPTED) this.lose('otherEnd', true, frame);
      sending.drop();
    }
    return done;
  }

  private handOut(frame: Frame, at: number): Delivered {
    const { peer, counters } = this;
    const delivered = peer === undefined ? (this.plugged?.receive(frame) ?? DROPPED) : ACCEPTED;
    if (delivered !== ACCEPTED) return delivered;
    this.tap?.sent(frame, at);
    counters.sentFrames++;
    counters.sentBytes += frame.length;
    // What becomes of it there is the other end's affair.
    peer?.receiver.arrive(frame, at + this.sending.delay);
    return delivered;
  }

  /** @param quanta of a PAUSE that is sent; -1: it is none */
  private countPause(quanta: number): void {
    if (quanta >= 0) this.counters.pausesSent++;
    if (quanta === 0) this.counters.resumesSent++;
  }

  private flushOut(): void {
    if (this.peer === undefined) this.plugged?.flush?.();
    else this.peer.receiver.comeFlush();
  }
}
