import { IXGBE_MSIX, vfRxAt, vfTxAt } from '@ringwire/nic-spec/ixgbe';
import { type Breakdown, isBreakdown } from '../breakdown.js';
import type { DmaArena } from '../dma-arena.js';
import { enableMsix } from '../pci-msix.js';
import type { IxgbeCounters } from './ixgbe-counters.js';
import { isStation, localMac } from './mac-address.js';
import { QueuePairs } from './queue-pairs.js';
import type { VfFunction, VfGrant } from './vf-function.js';
import { lostFunction, readMail } from './vf-mail.js';
import { type IxgbeVfSetup, planVectors, type RingWishes } from './vf-setup.js';
import { modeOf, type VfWishes } from './vf-wishes.js';

/** One life of a virtual function, from reset to reset. */
export class VfSession {
  readonly mac: Uint8Array<ArrayBuffer>;
  readonly pairs: QueuePairs;
  isLinkUp = false;
  /** Mbit/s; -1 for not known. */
  speed = -1;
  private readonly vf: VfFunction;
  private readonly setup: IxgbeVfSetup;
  private readonly counters: IxgbeCounters;
  private readonly grant: VfGrant;
  private readonly others: number;
  /** Whether the physical function lets frames pass. */
  private isEnabled = true;
  private hasMail = false;

  /** @see openSession */
  constructor(
    vf: VfFunction,
    setup: IxgbeVfSetup,
    rings: RingWishes,
    arena: DmaArena,
    counters: IxgbeCounters,
    grant: VfGrant,
    wishes: VfWishes,
  ) {
    this.vf = vf;
    this.setup = setup;
    this.counters = counters;
    this.grant = grant;
    this.mac = this.chooseMac(grant, wishes);
    const available = Math.min(setup.messages.length, vf.bound.msix.vectors, IXGBE_MSIX.VF_VECTORS);
    const plan = planVectors(grant.pairs, available);
    this.others = plan.others;
    const places = Array.from({ length: grant.pairs }, (_, queue) => ({
      rxAt: vfRxAt(queue, 0),
      txAt: vfTxAt(queue, 0),
    }));
    const tags = grant.hidesTag ? 'hide' : 'report';
    const { now } = setup;
    const unmask = (vectors: number): void => vf.unmask(vectors);
    const options = { places, vectors: plan.vectors, ...rings, mtu: wishes.mtu, tags, now, unmask } as const;
    this.pairs = new QueuePairs(vf.registers, arena, options, counters, setup.events);
    enableMsix(vf.bound.access, vf.bound.msix, setup.messages.slice(0, available));
    vf.mapVectors(plan.vectors, plan.others);
  }

  get needsPoll(): boolean {
    return this.hasMail || this.pairs.needsPoll;
  }

  /** Ask for what the user wants, fill the queues, and let interrupts come. The link is to be looked at then. */
  start(wishes: VfWishes): Breakdown | undefined {
    const { requests } = this.vf;
    if (!requests.setMac(this.mac)) this.fallBack();
    requests.setMtu(wishes.mtu);
    for (const vlan of wishes.vlans) requests.setVlan(vlan, true);
    if (wishes.unicast.length > 0) requests.setUnicast(wishes.unicast);
    // The mode first: setting it to none takes groups away.
    requests.setMode(modeOf(wishes));
    if (wishes.multicast.length > 0) requests.setMulticast(wishes.multicast);
    this.isEnabled = requests.isEnabled() ?? true;
    const problem = lostFunction(this.vf) ?? this.enableQueues();
    if (problem !== undefined) return problem;
    this.unmaskAll();
    return undefined;
  }

  /** Note what an interrupt is about; work is done in {@link poll}. */
  interrupt(vector: number): void {
    this.counters.interrupts++;
    const isQueues = this.pairs.note(vector);
    if (vector === this.others) this.hasMail = true;
    else if (!isQueues) this.counters.strayInterrupts++;
  }

  /** @param budget most frames per pair @returns frames handed up or given up, or what is wrong */
  poll(budget: number): number | Breakdown {
    if (this.hasMail) {
      const problem = this.takeMail();
      if (problem !== undefined) return problem;
    }
    return this.pairs.poll(budget);
  }

  /** Look after the link, the physical function, and time limits. @returns what is wrong */
  watch(): Breakdown | undefined {
    return this.takeMail() ?? this.pairs.watch();
  }

  /** Mail, resets and the link: what the last vector is about. */
  private takeMail(): Breakdown | undefined {
    const { vf } = this;
    // A request is waiting for its answer, and gave others their turn: the mailbox is its.
    if (vf.mailbox.isBusy) return undefined;
    this.hasMail = false;
    const problem = readMail(vf, this.counters);
    if (problem !== undefined) return problem;
    this.updateLink();
    vf.unmask(1 << this.others);
    return undefined;
  }

  /** Look at the link, and tell when it changed. */
  updateLink(): void {
    const wasUp = this.isLinkUp;
    this.isLinkUp = this.isEnabled && this.vf.isLinkUp;
    this.speed = this.isLinkUp ? this.vf.speed : -1;
    if (this.isLinkUp !== wasUp) this.setup.events.link?.(this.isLinkUp);
  }

  private enableQueues(): Breakdown | undefined {
    const count = this.pairs.tx.length;
    this.vf.spread(count);
    return this.pairs.enable(this.vf.patience);
  }

  private unmaskAll(): void {
    let vectors = 1 << this.others;
    for (let vector = 0; vector < this.others; vector++) vectors |= 1 << vector;
    this.pairs.noteAll();
    this.hasMail = true;
    this.vf.unmask(vectors);
  }

  private chooseMac(grant: VfGrant, wishes: VfWishes): Uint8Array<ArrayBuffer> {
    if (wishes.mac !== undefined) return wishes.mac.slice();
    if (grant.mac !== undefined && isStation(grant.mac)) return grant.mac;
    if (grant.mac !== undefined) this.counters.macReplaced++;
    return localMac(this.setup.random ?? Math.random);
  }

  /** An address of the host's choice stays; without one there is nothing to fall back to. */
  private fallBack(): void {
    const { mac } = this.grant;
    if (mac !== undefined && isStation(mac)) this.mac.set(mac);
  }
}

/**
 * Bring a function up. @param arena gets all memory that the card may reach
 * @returns a session that runs, or what is wrong
 */
export function openSession(
  vf: VfFunction,
  setup: IxgbeVfSetup,
  rings: RingWishes,
  arena: DmaArena,
  counters: IxgbeCounters,
  wishes: VfWishes,
): VfSession | Breakdown {
  const grant = vf.begin(setup.pairs ?? 1);
  if (isBreakdown(grant)) return grant;
  const session = new VfSession(vf, setup, rings, arena, counters, grant, wishes);
  return session.start(wishes) ?? session;
}
