import { BREAK, type Breakdown, breakdown, isBreakdown } from '../breakdown.js';
import { DmaArena } from '../dma-arena.js';
import type { EthernetDriver } from '../ethernet-driver.js';
import { EventGuard } from '../event-guard.js';
import type { FramePieces } from '../frame-pieces.js';
import type { NetState } from '../net-driver.js';
import type { NetOffload } from '../net-offload.js';
import { NO_COOKIE, SENT } from '../net-tx-queue.js';
import { disableMsix } from '../pci-msix.js';
import { type IxgbeCounters, newIxgbeCounters } from './ixgbe-counters.js';
import type { IxgbeTxQueue } from './tx-queue.js';
import { VfCommands } from './vf-commands.js';
import { bindVf, type VfFunction } from './vf-function.js';
import type { VfRequests } from './vf-requests.js';
import { openSession, type VfSession } from './vf-session.js';
import { completeRings, type IxgbeVfEvents, type IxgbeVfSetup, type RingWishes, VF_EVENTS } from './vf-setup.js';
import type { VfWishes } from './vf-wishes.js';

const BUDGET = 64;
/** A life of so many pauses was a good one: tries to recover count anew afterwards. */
const GOOD_LIFE = 100;
const RECOVERY = { tries: 5, pause: 100 } as const;

/**
 * Take a virtual function of an Intel 82599 into use as a kernel does.
 * @returns the driver, running, or why not: NO_DEVICE for a function that another driver is for
 * @throws VirtioError for a setup that no driver can work with, too little memory included
 */
export function openIxgbeVf(setup: IxgbeVfSetup): IxgbeVf | Breakdown {
  const rings = completeRings(setup);
  const counters = newIxgbeCounters();
  const vf = bindVf(setup.access, setup.patience, counters);
  if (isBreakdown(vf)) return vf;
  const driver = new IxgbeVf(setup, rings, vf, counters);
  return driver.open() ?? driver;
}

/**
 * A virtual function as a kernel drives it: by interrupts, with polling while frames come in.
 *
 * The host calls {@link interrupt} for each message, then {@link poll} while {@link needsPoll}, and {@link watch} now and then,
 * ten times a second say. Nothing that the card or the physical function does is an exception: it is a counter, or the end of
 * this life, which `events.broken` tells. When the physical function was reset, the driver begins anew, and asks again for
 * what it had; frames that were on their way are lost, and counted.
 */
export class IxgbeVf implements EthernetDriver {
  readonly counters: IxgbeCounters;
  /** What to ask the physical function for. */
  readonly commands: VfCommands;
  state: NetState = 'closed';
  private readonly setup: IxgbeVfSetup;
  private readonly guard: EventGuard<IxgbeVfEvents>;
  private readonly rings: RingWishes;
  private readonly vf: VfFunction;
  private readonly wishes: VfWishes;
  private session: VfSession | undefined = undefined;
  private arena: DmaArena;
  /** Events may be told: what they ask for that ends the session comes behind. */
  private isBusy = false;
  private isClosing = false;
  private tries = 0;
  private retryAt = 0;
  private aliveSince = 0;

  /** @see openIxgbeVf */
  constructor(setup: IxgbeVfSetup, rings: RingWishes, vf: VfFunction, counters: IxgbeCounters) {
    this.guard = new EventGuard(setup.events, VF_EVENTS);
    this.setup = { ...setup, events: this.guard.events };
    this.rings = rings;
    this.vf = vf;
    this.counters = counters;
    this.arena = new DmaArena(setup.dma);
    const { mtu } = rings;
    this.wishes = {
      mac: setup.mac?.slice() as Uint8Array<ArrayBuffer> | undefined,
      mtu,
      mode: 'none',
      multicast: [],
      unicast: [],
      vlans: new Set(),
    };
    this.commands = new VfCommands(this.wishes, {
      requests: () => this.requests(),
      macChanged: (mac) => this.session?.mac.set(mac),
      mtuChanged: (bytes) => this.session?.pairs.setMtu(bytes),
    });
  }

  /** The station's address; zeros while the function is not there. */
  get mac(): Uint8Array {
    return this.session?.mac ?? new Uint8Array(6);
  }

  get mtu(): number {
    return this.wishes.mtu;
  }

  get isLinkUp(): boolean {
    return this.session?.isLinkUp ?? false;
  }

  /** Mbit/s, or -1 for unknown. */
  get speed(): number {
    return this.session?.speed ?? -1;
  }

  /** All links of the card are; undefined while there is none. */
  get isFullDuplex(): boolean | undefined {
    return this.isLinkUp ? true : undefined;
  }

  /** Queue pairs that frames may be sent on. */
  get activePairs(): number {
    return this.session?.pairs.tx.length ?? 0;
  }

  /** Frames that the card has not given back, as far as was looked. */
  get sending(): number {
    return this.session?.pairs.tx.reduce((sum, queue) => sum + queue.sending, 0) ?? 0;
  }

  /** Version of the mailbox's messages that both functions know: a `MAILBOX_API` value. */
  get api(): number {
    return this.vf.requests.api;
  }

  /** Whether {@link poll} has something to do. */
  get needsPoll(): boolean {
    return this.state === 'running' && this.session?.needsPoll === true;
  }

  /** Note a message. @param vector its number */
  interrupt(vector = 0): void {
    if (this.state === 'running' && this.session !== undefined) this.session.interrupt(vector);
    else this.counters.strayInterrupts++;
  }

  /**
   * Do what interrupts asked for.
   * @param budget most frames per queue pair
   * @returns frames that came in
   */
  poll(budget: number = BUDGET): number {
    const { session } = this;
    if (this.state !== 'running' || session === undefined || this.isBusy) return 0;
    this.isBusy = true;
    let done: number | Breakdown = 0;
    try {
      done = session.poll(budget);
    } finally {
      this.endWork(typeof done === 'number' ? undefined : done);
    }
    return typeof done === 'number' ? done : 0;
  }

  /** Look after the link, time limits, and a function that is to be brought up again. */
  watch(): void {
    const { session } = this;
    if (this.isBusy) return;
    if (this.state === 'recovering' && this.setup.now() >= this.retryAt) this.recover();
    else if (this.state === 'running' && session !== undefined) {
      this.isBusy = true;
      let problem: Breakdown | undefined;
      try {
        problem = session.watch();
      } finally {
        this.endWork(problem);
      }
    }
  }

  /**
   * Send a frame out of memory that stays the driver's until `events.sent` gives the cookie back.
   * @param pieces addresses as the card uses them
   * @param pair   below {@link activePairs}
   * @param cookie 0 or more; left out when nobody wants to hear of it
   * @returns a `SENT` value
   * @throws VirtioError for a frame or an offload that may not be sent
   */
  send(pieces: FramePieces, offload?: NetOffload, pair = 0, cookie: number = NO_COOKIE): number {
    return this.transmitQueue(pair)?.send(pieces, offload, cookie) ?? SENT.DOWN;
  }

  /** Send a copy of a frame. @see send */
  sendBytes(frame: Uint8Array, offload?: NetOffload, pair = 0): number {
    return this.transmitQueue(pair)?.sendBytes(frame, offload) ?? SENT.DOWN;
  }

  /** Give the function back: it is reset, and all memory freed. */
  close(): void {
    if (this.state === 'closed') return;
    this.isClosing = this.isBusy;
    if (this.isBusy) return;
    this.state = 'closed';
    this.release();
    this.guard.rethrow();
  }

  /** Bring the function up. @returns why it is not */
  open(): Breakdown | undefined {
    this.arena = new DmaArena(this.setup.dma);
    let session: VfSession | Breakdown | undefined;
    try {
      session = openSession(this.vf, this.setup, this.rings, this.arena, this.counters, this.wishes);
    } finally {
      if (session === undefined || isBreakdown(session)) this.release();
    }
    if (isBreakdown(session)) {
      this.counters.breaks[session.code]!++;
      return session;
    }
    this.session = session;
    this.state = 'running';
    this.aliveSince = this.setup.now();
    session.updateLink();
    return undefined;
  }

  private transmitQueue(pair: number): IxgbeTxQueue | undefined {
    const { session } = this;
    return this.state !== 'running' || session === undefined ? undefined : session.pairs.transmit(pair);
  }

  private requests(): VfRequests | undefined {
    // One request at a time: whoever asks from within another one's pause is turned away.
    return this.state === 'running' && !this.vf.mailbox.isBusy ? this.vf.requests : undefined;
  }

  /** @param problem of the session, which ends it */
  private endWork(problem: Breakdown | undefined): void {
    try {
      if (problem !== undefined && !this.isClosing) this.giveUp(problem);
    } finally {
      this.isBusy = false;
      if (this.isClosing) this.close();
    }
    this.guard.rethrow();
  }

  private giveUp(why: Breakdown): void {
    this.counters.breaks[why.code]!++;
    const mayRecover =
      why.code === BREAK.NEEDS_RESET || why.code === BREAK.TRANSMIT_STALLED || why.code === BREAK.MAILBOX_UNANSWERED;
    const { pause } = this.setup.recovery ?? RECOVERY;
    if (this.setup.now() - this.aliveSince > GOOD_LIFE * pause) this.tries = 0;
    this.state = 'broken';
    const stuck = this.release();
    if (mayRecover && stuck === undefined) this.scheduleRecovery(why);
    else this.end(stuck ?? why, stuck !== undefined);
  }

  private recover(): void {
    this.isBusy = true;
    try {
      const problem = this.open();
      if (problem !== undefined) this.scheduleRecovery(problem);
      else {
        this.counters.restarts++;
        this.setup.events.restarted?.();
      }
    } finally {
      this.endWork(undefined);
    }
  }

  private scheduleRecovery(why: Breakdown): void {
    const { tries, pause } = this.setup.recovery ?? RECOVERY;
    if (this.tries >= tries || why.code === BREAK.REMOVED) {
      this.end(breakdown(BREAK.NO_RECOVERY, `${this.tries} tries to recover were in vain: ${why.message}`), true);
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
    this.setup.events.broken?.(why, false);
  }

  /** End the session and take all memory back; while queues do not stop, the card may write there and keeps it. */
  private release(): Breakdown | undefined {
    const { session } = this;
    this.session = undefined;
    this.vf.maskInterrupts();
    const stuck = this.vf.stopQueues();
    this.vf.reset();
    disableMsix(this.vf.bound.access, this.vf.bound.msix);
    session?.pairs.abandon();
    if (stuck === undefined) this.arena.free();
    return stuck;
  }
}
