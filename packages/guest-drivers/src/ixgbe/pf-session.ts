import { EICR, MISBEHAVIOR, PF_REG, PF_STAT, pfRxAt, pfTxAt } from '@ringwire/nic-spec/ixgbe';
import { BREAK, type Breakdown, breakdown } from '../breakdown.js';
import type { DmaArena } from '../dma-arena.js';
import type { Patience } from '../patience.js';
import { enableMsix } from '../pci-msix.js';
import type { BoundFunction } from './bind.js';
import { isStation } from './mac-address.js';
import {
  burntMac,
  type LinkSpeed,
  mapVectors,
  resetCard,
  sayPresent,
  setReception,
  setSpeed,
  sharePools,
  startTraffic,
  takeCauses,
  takeStopped,
} from './pf-bring-up.js';
import { PfCard } from './pf-card.js';
import { type FlowControl, setFlowControl } from './pf-flow-control.js';
import type { MailboxLog } from './pf-log.js';
import { PfMailRoom } from './pf-mail-room.js';
import type { PoolPlan } from './pf-pools.js';
import type { IxgbePfCounters, IxgbePfSetup } from './pf-setup.js';
import type { VfState } from './pf-vf-state.js';
import { QueuePairs } from './queue-pairs.js';
import { speedOf } from './vf-function.js';
import { planVectors, type RingWishes } from './vf-setup.js';

const FCS_AND_ETHERNET = 18;

/** What stays from one reset of the card to the next. */
export interface PfKeeps {
  readonly plan: PoolPlan;
  readonly hashKey: Uint8Array;
  readonly log: MailboxLog;
  /** Of virtual functions, and last of the physical one's own pool. */
  readonly states: readonly VfState[];
  /** The physical function's address; undefined until it is known. */
  mac: Uint8Array | undefined;
  /** VLANs whose frames it gets. */
  readonly vlans: Set<number>;
  /** Mbit/s that the wire is to have; undefined: as the card comes. */
  speed: LinkSpeed | undefined;
  flow: FlowControl | undefined;
}

/** One life of a card, from reset to reset. */
export class PfSession {
  readonly card: PfCard;
  readonly pairs: QueuePairs;
  readonly mail: PfMailRoom;
  isLinkUp = false;
  /** Mbit/s; -1 while the link is down. */
  speed = -1;
  private readonly bound: BoundFunction;
  private readonly setup: IxgbePfSetup;
  private readonly counters: IxgbePfCounters;
  private readonly vfs: readonly VfState[];
  private readonly vectors: { readonly vectors: readonly number[]; readonly others: number };
  private hasNews = false;

  constructor(
    bound: BoundFunction,
    setup: IxgbePfSetup,
    rings: RingWishes,
    arena: DmaArena,
    counters: IxgbePfCounters,
    keeps: PfKeeps,
  ) {
    const { registers } = bound;
    const { plan, hashKey, states, log } = keeps;
    this.bound = bound;
    this.setup = setup;
    this.counters = counters;
    this.vfs = states.slice(0, plan.vfs);
    sharePools(registers, plan);
    this.card = new PfCard(registers, plan, rings.mtu + FCS_AND_ETHERNET, hashKey, states);
    setReception(registers, plan, this.card.longestFrame, hashKey, this.card.indirection);
    this.mail = new PfMailRoom(registers, this.card, log, setup, counters);
    const queue = plan.own * plan.queuesPerPool;
    this.vectors = planVectors(1, Math.min(setup.messages.length, bound.msix.vectors));
    const places = [{ rxAt: pfRxAt(queue, 0), txAt: pfTxAt(queue, 0) }];
    const unmask = (vectors: number): void => registers.write(PF_REG.EIMS, vectors);
    const options = {
      places,
      vectors: this.vectors.vectors,
      ...rings,
      tags: 'report',
      now: setup.now,
      unmask,
    } as const;
    this.pairs = new QueuePairs(registers, arena, options, counters, setup.events);
    enableMsix(bound.access, bound.msix, setup.messages.slice(0, this.vectors.others + 1));
    mapVectors(registers, queue, this.vectors.vectors[0]!, this.vectors.others);
  }

  get needsPoll(): boolean {
    return this.hasNews || this.pairs.needsPoll;
  }

  /** Open the own pool, switch queues and interrupts on, and tell virtual functions. The link is to be looked at then. */
  start(keeps: PfKeeps, mac: Uint8Array, patience: Patience): Breakdown | undefined {
    const { registers } = this.bound;
    for (const state of this.vfs) {
      state.forget();
      this.card.reset(state);
    }
    this.card.openOwn(mac, keeps.vlans);
    if (keeps.speed !== undefined) setSpeed(registers, keeps.speed);
    if (keeps.flow !== undefined) setFlowControl(registers, keeps.flow);
    startTraffic(registers, patience);
    const problem = this.pairs.enable(patience);
    if (problem !== undefined) return problem;
    registers.write(PF_REG.EIMS, EICR.MAILBOX | EICR.LSC | (1 << this.vectors.others) | 1);
    this.pairs.noteAll();
    sayPresent(registers, true);
    return undefined;
  }

  /** Note what an interrupt is about; work is done in {@link poll}. */
  interrupt(vector: number): void {
    this.counters.interrupts++;
    const isQueues = this.pairs.note(vector);
    if (vector === this.vectors.others) this.hasNews = true;
    else if (!isQueues) this.counters.strayInterrupts++;
  }

  /** @param budget most frames @returns frames handed up or given up, or what is wrong */
  poll(budget: number): number | Breakdown {
    if (this.hasNews) {
      const problem = this.takeNews();
      if (problem !== undefined) return problem;
    }
    return this.pairs.poll(budget);
  }

  /** Look after everything, whether an interrupt told of it or not. @returns what is wrong */
  watch(): Breakdown | undefined {
    const spoofed = this.bound.registers.read(PF_STAT.SSVPC);
    this.counters.spoofed += spoofed === 0xffff_ffff ? 0 : spoofed;
    return this.takeNews() ?? this.pairs.watch();
  }

  /** Mailboxes, resets, misbehavior, and the link. */
  private takeNews(): Breakdown | undefined {
    const { registers } = this.bound;
    if (registers.isGone(PF_REG.CTRL))
      return breakdown(BREAK.REMOVED, 'CTRL reads all ones: the card is not there any more');
    this.hasNews = false;
    takeCauses(registers);
    this.takeMisbehavior();
    for (const state of this.vfs) this.mail.serve(state);
    if (this.updateLink()) this.tellLink();
    registers.write(PF_REG.EIMS, (1 << this.vectors.others) | EICR.MAILBOX | EICR.LSC);
    return undefined;
  }

  private takeMisbehavior(): void {
    const { registers } = this.bound;
    const { queuesPerPool } = this.card.plan;
    for (const { queue, isReceive } of takeStopped(registers)) {
      const state = this.vfs[Math.floor(queue / queuesPerPool)];
      const why = kindOf(registers.read(isReceive ? PF_REG.LVMMC_RX : PF_REG.LVMMC_TX));
      const what = `${isReceive ? 'receive' : 'transmit'} queue ${queue % queuesPerPool}: ${why}`;
      // The own queue's turn comes with the time limit for what was sent.
      if (state === undefined || state.isShutOff) continue;
      state.isShutOff = true;
      this.counters.misbehaved++;
      this.card.applyEnable(state);
      this.mail.restart(state, `shut off until it resets: ${what}`);
      this.setup.events.misbehaved?.(state.vf, what);
    }
  }

  /** Look at the link, and tell when it changed. @returns whether anything did */
  updateLink(): boolean {
    const speed = speedOf(this.bound.registers.read(PF_REG.LINKS));
    if (speed === this.speed) return false;
    this.speed = speed;
    const wasUp = this.isLinkUp;
    this.isLinkUp = speed > 0;
    if (this.isLinkUp !== wasUp) this.setup.events.link?.(this.isLinkUp);
    // A limit is a part of the link's speed.
    for (const state of this.vfs) this.card.applyRate(state, speed);
    return true;
  }

  private tellLink(): void {
    const reason = this.isLinkUp ? `the link is up with ${this.speed} Mbit/s` : 'the link is down';
    for (const state of this.vfs) if (state.isClearToSend) this.mail.ping(state, reason);
  }
}

function kindOf(code: number): string {
  switch (code) {
    case MISBEHAVIOR.DMA:
      return 'an address or a length that is nowhere';
    case MISBEHAVIOR.DESCRIPTOR:
      return 'a descriptor that does not go with those before it';
    case MISBEHAVIOR.RING:
      return 'a head or tail behind the end of the ring';
    default:
      return `cause ${code}`;
  }
}

/** Bring a card up. @param arena gets all memory that it may reach @returns a session that runs, or what is wrong */
export function openPfSession(
  bound: BoundFunction,
  setup: IxgbePfSetup,
  rings: RingWishes,
  arena: DmaArena,
  counters: IxgbePfCounters,
  keeps: PfKeeps,
  patience: Patience,
): PfSession | Breakdown {
  const problem = resetCard(bound.registers, patience);
  if (problem !== undefined) return problem;
  const mac = keeps.mac ?? burntMac(bound.registers);
  if (!isStation(mac))
    return breakdown(BREAK.CONFIG, 'RAL 0 and RAH 0 hold no address of a station, and the setup has none');
  keeps.mac = mac;
  const session = new PfSession(bound, setup, rings, arena, counters, keeps);
  const failure = session.start(keeps, mac, patience);
  return failure ?? session;
}
