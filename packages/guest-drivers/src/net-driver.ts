import { hasFeature, VIRTIO_F, VIRTIO_ID, VirtioError } from '@ringwire/virtio-spec';
import { VIRTIO_NET_F } from '@ringwire/virtio-spec/net';
import type { AdminClient } from './admin-client.js';
import { BREAK, type Breakdown, breakdown } from './breakdown.js';
import type { EthernetDriver } from './ethernet-driver.js';
import { EventGuard } from './event-guard.js';
import type { FramePieces } from './frame-pieces.js';
import type { NetCommands } from './net-commands.js';
import type { NetCounters } from './net-counters.js';
import { NetLife } from './net-life.js';
import type { NetOffload } from './net-offload.js';
import type { NetSession } from './net-session.js';
import { completeNetSetup, type FullNetSetup, NET_EVENTS, type NetEvents, type NetSetup } from './net-setup.js';
import { NO_COOKIE, SENT } from './net-tx-queue.js';

const BUDGET = 64;
/** A life of so many pauses was a good one: tries to recover count anew afterwards. */
const GOOD_LIFE = 100;

/** How a driver and its device are: what {@link NetDriver.state} says. */
export type NetState = 'running' | 'suspended' | 'recovering' | 'broken' | 'closed';

/**
 * Take a network device into use as a kernel does.
 * @returns the driver, running, or what is wrong with the device, which is given up then
 * @throws VirtioError for a setup that no driver can work with, too little memory included
 */
export function openNetDriver(setup: NetSetup): NetDriver | Breakdown {
  const guard = new EventGuard(setup.events, NET_EVENTS);
  const full = completeNetSetup({ ...setup, events: guard.events });
  if (setup.transport.deviceId !== VIRTIO_ID.NET) {
    const message = `device id ${setup.transport.deviceId} is no network device, want ${VIRTIO_ID.NET} (virtio 1.4 §5)`;
    return breakdown(BREAK.NO_DEVICE, message);
  }
  const life = new NetLife(full);
  const problem = life.open();
  return problem ?? new NetDriver(full, life, guard);
}

/**
 * A network device as a kernel drives it: by interrupts, with polling while frames come in.
 *
 * The host calls {@link interrupt} for each interrupt, then {@link poll} while {@link needsPoll}, and {@link watch} now
 * and then, ten times a second say. Nothing that the device does is an exception: it is a counter, or the end of the
 * device's life, which `events.broken` tells.
 */
export class NetDriver implements EthernetDriver {
  readonly counters: NetCounters;
  state: NetState = 'running';
  private readonly setup: FullNetSetup;
  private readonly life: NetLife;
  private readonly guard: EventGuard<NetEvents>;
  private isPolling = false;
  private isClosing = false;
  private tries = 0;
  private retryAt = 0;
  private aliveSince = 0;

  /** @see openNetDriver */
  constructor(setup: FullNetSetup, life: NetLife, guard: EventGuard<NetEvents>) {
    this.guard = guard;
    this.setup = setup;
    this.life = life;
    this.counters = life.counters;
    this.aliveSince = setup.now();
  }

  /** Negotiated feature words; all 0 while the device is not there. */
  get features(): Uint32Array {
    return this.life.driver.features;
  }

  /** The station's address. */
  get mac(): Uint8Array {
    return this.life.session?.mac ?? new Uint8Array(6);
  }

  /** As negotiated, or 1500. */
  get mtu(): number {
    return this.life.session?.mtu || 1500;
  }

  get isLinkUp(): boolean {
    return this.life.session?.link.isUp ?? false;
  }

  /** Mbit/s, or -1 for unknown. */
  get speed(): number {
    return this.life.session?.link.speed ?? -1;
  }

  /** Undefined for unknown. */
  get isFullDuplex(): boolean | undefined {
    return this.life.session?.link.isFullDuplex;
  }

  /** The device is a stand-by for another one with the same address: whom to use is the user's decision. */
  get isStandby(): boolean {
    return hasFeature(this.features, VIRTIO_NET_F.STANDBY);
  }

  /** Queue pairs that frames may be sent on. */
  get activePairs(): number {
    return this.life.session?.activePairs ?? 0;
  }

  /** Frames that the device has not given back, as far as was looked. */
  get sending(): number {
    return this.life.session?.tx.reduce((sum, queue) => sum + queue.sending, 0) ?? 0;
  }

  /** Commands to the device; undefined without CTRL_VQ, and while the device is not there. */
  get commands(): NetCommands | undefined {
    return this.state === 'running' ? this.life.session?.commands : undefined;
  }

  /** Administration commands; undefined unless they were asked for and there are any, and while the device is not there. */
  get admin(): AdminClient | undefined {
    return this.state === 'running' ? this.life.session?.admin?.client : undefined;
  }

  /** Whether {@link poll} has something to do. */
  get needsPoll(): boolean {
    return this.state === 'running' && this.life.session?.needsPoll === true;
  }

  /** Note an interrupt. @param vector number of the MSI-X message; not looked at where there is one line */
  interrupt(vector = 0): void {
    if (this.state === 'running' && this.life.session !== undefined) this.life.session.interrupt(vector);
    else this.counters.strayInterrupts++;
  }

  /**
   * Do what interrupts asked for.
   * @param budget most frames per queue pair
   * @returns frames that came in
   */
  poll(budget: number = BUDGET): number {
    const { session } = this.life;
    if (this.state !== 'running' || session === undefined || this.isPolling) return 0;
    this.isPolling = true;
    const done = session.poll(budget);
    this.isPolling = false;
    if (this.isClosing) this.close();
    else if (typeof done !== 'number') this.giveUp(done);
    this.guard.rethrow();
    return typeof done === 'number' ? done : 0;
  }

  /** Look after time limits, and after a device that is to be brought up again. */
  watch(): void {
    const { session } = this.life;
    if (this.state === 'recovering' && this.setup.now() >= this.retryAt) this.recover();
    else if (this.state === 'running' && session !== undefined && !this.isPolling) {
      const problem = session.watch();
      if (problem !== undefined) this.giveUp(problem);
    }
    this.guard.rethrow();
  }

  /**
   * Send a frame out of memory that stays the driver's until `events.sent` gives the cookie back.
   * @param pieces addresses as the device uses them
   * @param pair   below {@link activePairs}
   * @param cookie 0 or more; left out when nobody wants to hear of it
   * @returns a `SENT` value
   * @throws VirtioError for a frame or an offload that may not be sent
   */
  send(pieces: FramePieces, offload?: NetOffload, pair = 0, cookie: number = NO_COOKIE): number {
    const queue = this.transmitQueue(pair);
    return queue === undefined ? SENT.DOWN : queue.send(pieces, offload, cookie);
  }

  /** Send a copy of a frame. @see send */
  sendBytes(frame: Uint8Array, offload?: NetOffload, pair = 0): number {
    const queue = this.transmitQueue(pair);
    return queue === undefined ? SENT.DOWN : queue.sendBytes(frame, offload);
  }

  /** Reset the queues of one pair and set them up anew: what was in them is lost. @throws VirtioError without RING_RESET */
  restartPair(pair: number): void {
    const { session } = this.life;
    if (session === undefined || this.state !== 'running') return;
    if (!this.life.driver.canResetQueues())
      throw new VirtioError('pair', pair, 'RING_RESET negotiated', 'virtio 1.4 §2.6.1');
    const problem = session.restartPair(pair);
    if (problem !== undefined) this.giveUp(problem);
  }

  /** Stop the device until {@link resume}, its state kept. @throws VirtioError without SUSPEND @see virtio 1.4 §3.4 */
  suspend(): void {
    this.needSuspend();
    if (this.state !== 'running') return;
    const problem = this.life.driver.suspend();
    if (problem === undefined) this.state = 'suspended';
    else this.giveUp(problem);
  }

  /** Go on after {@link suspend}. */
  resume(): void {
    this.needSuspend();
    if (this.state !== 'suspended') return;
    const problem = this.life.driver.resume();
    this.state = 'running';
    if (problem !== undefined) this.giveUp(problem);
    else this.life.session!.catchUp();
  }

  /** Give the device back: it is reset, and all memory freed. */
  close(): void {
    if (this.state === 'closed') return;
    this.isClosing = this.isPolling;
    if (this.isPolling) return;
    this.state = 'closed';
    this.life.session?.stopQueues();
    this.life.release();
    this.guard.rethrow();
  }

  private transmitQueue(pair: number): NetSession['tx'][number] | undefined {
    const { session } = this.life;
    if (this.state !== 'running' || session === undefined) return undefined;
    if (!Number.isInteger(pair) || pair < 0 || pair >= session.activePairs)
      throw new VirtioError('pair', pair, `0 to ${session.activePairs - 1}, those in use`, 'virtio 1.4 §5.1.9.5.6.1');
    return session.tx[pair];
  }

  private needSuspend(): void {
    if (this.life.session === undefined || hasFeature(this.features, VIRTIO_F.SUSPEND)) return;
    throw new VirtioError('VIRTIO_F_SUSPEND', 0, 'it negotiated', 'virtio 1.4 §3.4.1');
  }

  /** The device does not work: reset it. One that asked for it, or that stalled, gets another chance. */
  private giveUp(why: Breakdown): void {
    this.counters.breaks[why.code]!++;
    const mayRecover = why.code === BREAK.NEEDS_RESET || why.code === BREAK.TRANSMIT_STALLED;
    const { pause } = this.setup.recovery;
    if (this.setup.now() - this.aliveSince > GOOD_LIFE * pause) this.tries = 0;
    this.state = 'broken';
    const stuck = this.life.release();
    if (mayRecover && stuck === undefined) this.scheduleRecovery(why);
    else this.end(stuck === undefined ? why : stuck, stuck !== undefined);
  }

  private recover(): void {
    const problem = this.life.open();
    if (problem !== undefined) {
      this.scheduleRecovery(problem);
      return;
    }
    this.state = 'running';
    this.counters.restarts++;
    this.aliveSince = this.setup.now();
    this.setup.events.restarted?.();
  }

  private scheduleRecovery(why: Breakdown): void {
    const { tries, pause } = this.setup.recovery;
    if (this.tries >= tries) {
      this.end(breakdown(BREAK.NO_RECOVERY, `${tries} tries to recover were in vain: ${why.message}`), true);
      return;
    }
    this.state = 'recovering';
    this.retryAt = this.setup.now() + pause * 2 ** this.tries;
    this.tries++;
    this.setup.events.broken?.(why, true);
  }

  private end(why: Breakdown, isNew: boolean): void {
    if (isNew) this.counters.breaks[why.code]!++;
    this.state = 'broken';
    this.life.driver.fail(why);
    this.setup.events.broken?.(why, false);
  }
}
