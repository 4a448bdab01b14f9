import { INTEL_VENDOR_ID, IXGBE_DEVICE_ID, IXGBE_PF_BAR } from '@ringwire/nic-spec/ixgbe';
import { VirtioError } from '@ringwire/virtio-spec';
import { BREAK, type Breakdown, isBreakdown } from '../breakdown.js';
import { DmaArena } from '../dma-arena.js';
import { EventGuard } from '../event-guard.js';
import type { FramePieces } from '../frame-pieces.js';
import type { NetOffload } from '../net-offload.js';
import { NO_COOKIE, SENT } from '../net-tx-queue.js';
import { PATIENCE, type Patience } from '../patience.js';
import { disableMsix } from '../pci-msix.js';
import { type BoundFunction, bindFunction, type KnownFunction } from './bind.js';
import { type LinkSpeed, setSpeed, stopCard } from './pf-bring-up.js';
import { checkFlowControl, type FlowControl, setFlowControl } from './pf-flow-control.js';
import { type MailboxEntry, MailboxLog } from './pf-log.js';
import { setOwnGroups, setOwnMac, setOwnMode, setOwnVlan } from './pf-own-settings.js';
import { planPools } from './pf-pools.js';
import { openPfSession, type PfKeeps, type PfSession } from './pf-session.js';
import {
  type IxgbePfCounters,
  type IxgbePfEvents,
  type IxgbePfSetup,
  newIxgbePfCounters,
  PF_EVENTS,
} from './pf-setup.js';
import { changeVf, type VfChanges } from './pf-vf-settings.js';
import { type VfInfo, VfState } from './pf-vf-state.js';
import { completeRings, type RingWishes } from './vf-setup.js';
import type { AcceptMode } from './vf-wishes.js';

const KNOWN: KnownFunction = {
  name: '82599 physical function',
  vendor: INTEL_VENDOR_ID,
  devices: [IXGBE_DEVICE_ID.PF],
  barBytes: IXGBE_PF_BAR.REGISTERS_BYTES,
};
const BUDGET = 64;
const KEY_BYTES = 40;
const LOG_ENTRIES = 256;

/**
 * Take the physical function of an Intel 82599 into use, as the host's driver that owns the card.
 * @returns the driver, running, or why not: NO_DEVICE for a function that another driver is for
 * @throws VirtioError for a setup that no driver can work with, too little memory included
 */
export function openIxgbePf(setup: IxgbePfSetup): IxgbePf | Breakdown {
  const rings = completeRings(setup);
  const plan = planPools(setup.vfs);
  const { logEntries = LOG_ENTRIES } = setup;
  if (!Number.isInteger(logEntries) || logEntries < 1)
    throw new VirtioError('logEntries', logEntries, '1 or more exchanges to be kept', 'IxgbePfSetup');
  const bound = bindFunction(setup.access, KNOWN);
  if (isBreakdown(bound)) return bound;
  const random = setup.random ?? Math.random;
  const keeps = {
    plan,
    hashKey: Uint8Array.from({ length: KEY_BYTES }, () => Math.floor(random() * 256)),
    log: new MailboxLog(logEntries),
    states: Array.from({ length: plan.vfs + 1 }, (_, vf) => new VfState(vf)),
    mac: setup.mac?.slice(),
    vlans: new Set<number>(),
    speed: undefined,
    flow: undefined,
  };
  const driver = new IxgbePf(setup, rings, bound, keeps);
  return driver.open() ?? driver;
}

/**
 * The driver that owns the card: it shares queues out to functions, decides what virtual ones may have, and has a queue pair
 * itself. The host calls {@link interrupt} for each message, then {@link poll} while {@link needsPoll}, and {@link watch} now
 * and then. It enables the virtual functions by PCI when this driver runs.
 */
export class IxgbePf {
  readonly counters: IxgbePfCounters = newIxgbePfCounters();
  state: 'running' | 'broken' | 'closed' = 'closed';
  private readonly setup: IxgbePfSetup;
  private readonly guard: EventGuard<IxgbePfEvents>;
  private readonly rings: RingWishes;
  private readonly bound: BoundFunction;
  private readonly keeps: PfKeeps;
  private readonly patience: Patience;
  private session: PfSession | undefined = undefined;
  private arena: DmaArena;
  /** Events may be told: what they ask for that ends the session comes behind. */
  private isBusy = false;
  private isClosing = false;
  private isRestarting = false;

  /** @see openIxgbePf */
  constructor(setup: IxgbePfSetup, rings: RingWishes, bound: BoundFunction, keeps: PfKeeps) {
    this.guard = new EventGuard(setup.events, PF_EVENTS);
    this.setup = { ...setup, events: this.guard.events };
    this.rings = rings;
    this.bound = bound;
    this.keeps = keeps;
    this.patience = setup.patience ?? PATIENCE;
    this.arena = new DmaArena(setup.dma);
  }

  /** The physical function's address. */
  get mac(): Uint8Array {
    return this.keeps.mac ?? new Uint8Array(6);
  }

  get isLinkUp(): boolean {
    return this.session?.isLinkUp ?? false;
  }

  /** Mbit/s of the wire; -1 while the link is down. The card has full duplex alone. */
  get speed(): number {
    return this.session?.speed ?? -1;
  }

  /** Queues of each kind that a virtual function has. */
  get queuesPerVf(): number {
    return this.keeps.plan.queuesPerPool;
  }

  /** The last exchanges of the mailboxes with what was decided, oldest first. @see describeMail */
  get mailbox(): readonly MailboxEntry[] {
    return this.keeps.log.entries;
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

  /** Do what interrupts asked for. @param budget most frames @returns frames that came in */
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

  /** Look after mailboxes, the link and time limits, whether an interrupt told of them or not. */
  watch(): void {
    if (this.state !== 'running' || this.session === undefined || this.isBusy) return;
    this.isBusy = true;
    let problem: Breakdown | undefined;
    try {
      problem = this.session.watch();
    } finally {
      this.endWork(problem);
    }
  }

  /** Send a frame out of memory that stays the driver's until `events.sent` gives the cookie back. @returns a `SENT` value */
  send(pieces: FramePieces, offload?: NetOffload, cookie: number = NO_COOKIE): number {
    return this.session?.pairs.transmit(0).send(pieces, offload, cookie) ?? SENT.DOWN;
  }

  /** Send a copy of a frame. @see send */
  sendBytes(frame: Uint8Array, offload?: NetOffload): number {
    return this.session?.pairs.transmit(0).sendBytes(frame, offload) ?? SENT.DOWN;
  }

  /**
   * Say what a virtual function is to have. What its driver has to notice, it is told; it begins anew then.
   * @param vf below the number of virtual functions
   * @throws VirtioError for what cannot be, naming the setting: nothing is changed then
   */
  setVf(vf: number, changes: VfChanges): void {
    const state = this.vfState(vf);
    const { card, speed, mail } = this.needSession();
    if (changeVf(card, state, changes, speed)) mail.restart(state, 'the host changed its settings');
  }

  /**
   * Set the wire's speed: the physical function's to say, and none of a virtual one's.
   * @param speed Mbit/s: 10000 or 1000 @param duplex full alone
   */
  setLink(speed: LinkSpeed, duplex: 'full' | 'half' = 'full'): void {
    if (speed !== 10_000 && speed !== 1000)
      throw new VirtioError('speed', speed, '10000 or 1000 Mbit/s', '82599 datasheet §8.2.3.22, AUTOC');
    if (duplex !== 'full')
      throw new VirtioError('duplex', duplex, 'full: the card has no other', '82599 datasheet §8.2.3.22, AUTOC');
    this.needSession();
    this.keeps.speed = speed;
    setSpeed(this.bound.registers, speed);
  }

  /**
   * Set PAUSE frames of the wire: the physical function's to say, and none of a virtual one's.
   * @throws VirtioError for watermarks and times that the card has not
   */
  setPause(flow: FlowControl): void {
    checkFlowControl(flow);
    this.needSession();
    this.keeps.flow = flow;
    setFlowControl(this.bound.registers, flow);
  }

  /** What is set for a virtual function, and what its driver has. */
  vfInfo(vf: number): VfInfo {
    return this.vfState(vf).info();
  }

  /** What the physical function itself gets beside frames to its address. */
  setMode(mode: AcceptMode): void {
    setOwnMode(this.needSession().card, mode);
  }

  /** Groups whose frames the physical function itself gets. */
  setMulticast(groups: readonly Uint8Array[]): void {
    setOwnGroups(this.needSession().card, groups);
  }

  /** Change the physical function's own address. @throws VirtioError for one that another function has */
  setMac(mac: Uint8Array): void {
    setOwnMac(this.needSession().card, this.keeps, mac);
  }

  /** Let the physical function itself have frames of a VLAN, or not. @returns false when the card's table is full */
  setVlan(vlan: number, isMember: boolean): boolean {
    return setOwnVlan(this.needSession().card, this.keeps, vlan, isMember);
  }

  /**
   * Reset the card and bring it up again: virtual functions are told, and begin anew with what the host set. From within an
   * event it is done when the event is over.
   * @returns why the card is not up, which `events.broken` tells too
   */
  restart(): Breakdown | undefined {
    if (this.state !== 'running') return undefined;
    this.isRestarting = this.isBusy;
    if (this.isBusy) return undefined;
    this.isBusy = true;
    try {
      return this.bringUpAgain();
    } finally {
      this.endWork(undefined);
    }
  }

  /** Give the card back: it stops, and all memory is freed. */
  close(): void {
    if (this.state === 'closed') return;
    this.isClosing = this.isBusy;
    if (this.isBusy) return;
    this.state = 'closed';
    this.release();
    this.guard.rethrow();
  }

  /** Bring the card up. @returns why it is not */
  open(): Breakdown | undefined {
    this.arena = new DmaArena(this.setup.dma);
    let session: PfSession | Breakdown | undefined;
    try {
      session = openPfSession(this.bound, this.setup, this.rings, this.arena, this.counters, this.keeps, this.patience);
    } finally {
      if (session === undefined || isBreakdown(session)) this.release();
    }
    if (isBreakdown(session)) {
      this.counters.breaks[session.code]!++;
      return session;
    }
    this.session = session;
    this.state = 'running';
    session.updateLink();
    return undefined;
  }

  private vfState(vf: number): VfState {
    const { plan, states } = this.keeps;
    if (Number.isInteger(vf) && vf >= 0 && vf < plan.vfs) return states[vf]!;
    throw new VirtioError('vf', vf, `an integer from 0 to ${plan.vfs - 1}`, 'IxgbePf');
  }

  private needSession(): PfSession {
    if (this.session !== undefined) return this.session;
    throw new VirtioError('state', this.state, 'running', 'IxgbePf');
  }

  private bringUpAgain(): Breakdown | undefined {
    const problem = this.release() ?? this.open();
    // What events asked for meanwhile is this one.
    this.isRestarting = false;
    if (problem !== undefined) this.end(problem);
    return problem;
  }

  /** @param problem of the session, which ends it */
  private endWork(problem: Breakdown | undefined): void {
    try {
      if (problem !== undefined && !this.isClosing) this.giveUp(problem);
    } finally {
      this.isBusy = false;
      if (this.isClosing) this.close();
      else if (this.isRestarting) this.restart();
    }
    this.guard.rethrow();
  }

  /** What was sent stalls: the card is reset once more. Everything else is its end. */
  private giveUp(why: Breakdown): void {
    this.counters.breaks[why.code]!++;
    if (why.code === BREAK.TRANSMIT_STALLED) {
      this.setup.events.broken?.(why, true);
      if (!this.isClosing && this.bringUpAgain() === undefined) this.counters.restarts++;
      return;
    }
    this.release();
    this.end(why);
  }

  private end(why: Breakdown): void {
    this.state = 'broken';
    this.setup.events.broken?.(why, false);
  }

  /** End the session and take all memory back; while queues do not stop, the card may write there and keeps it. */
  private release(): Breakdown | undefined {
    const { session } = this;
    const { registers } = this.bound;
    this.session = undefined;
    const stuck = session?.pairs.disable(this.patience);
    stopCard(registers);
    disableMsix(this.bound.access, this.bound.msix);
    session?.pairs.abandon();
    if (stuck === undefined) this.arena.free();
    return stuck;
  }
}
