import { hasFeature } from '@ringwire/virtio-spec';
import { VIRTIO_NET_F, VIRTIO_NET_S } from '@ringwire/virtio-spec/net';
import type { AdminPort } from './admin-port.js';
import { announceFrame } from './announce-frame.js';
import { BREAK, type Breakdown, breakdown, isBreakdown } from './breakdown.js';
import type { CommandScope } from './command-scope.js';
import { ControlQueue } from './control-queue.js';
import type { DmaArena } from './dma-arena.js';
import { LinkState } from './link-state.js';
import { brokenQueue, type LiveQueue } from './live-queue.js';
import { type NetAgreement, rxKind } from './net-agreement.js';
import { NetCommands } from './net-commands.js';
import type { NetCounters } from './net-counters.js';
import { type NetFacts, readNetFacts } from './net-facts.js';
import { NetRxQueue } from './net-rx-queue.js';
import type { FullNetSetup } from './net-setup.js';
import { NetTxQueue } from './net-tx-queue.js';
import { ReceivedFrame } from './received-frame.js';
import { RxBuffers, rxBufferBytes } from './rx-buffers.js';
import { CAUSE, type VectorPlan } from './transport.js';
import type { VirtioDriver } from './virtio-driver.js';

/** One life of a network device, from DRIVER_OK to the next reset. */
export class NetSession implements CommandScope {
  readonly features: Uint32Array;
  readonly facts: NetFacts;
  readonly pairs: number;
  readonly controlIndex: number;
  readonly mtu: number;
  readonly mac: Uint8Array<ArrayBuffer>;
  readonly commands: NetCommands | undefined;
  /** The administration virtqueue, if it was asked for. */
  readonly admin: AdminPort | undefined;
  readonly tx: readonly NetTxQueue[];
  readonly rx: readonly NetRxQueue[];
  activePairs = 1;
  readonly link: LinkState = new LinkState();

  private readonly setup: FullNetSetup;
  private readonly driver: VirtioDriver;
  private readonly counters: NetCounters;
  private readonly plan: VectorPlan | undefined;
  private readonly control: ControlQueue | undefined;
  private readonly isOwnMac: boolean;
  // Per pair: 1 while its receive queue is polled, with notifications off.
  private readonly isPolled: Uint8Array;
  private hasConfigChanged = false;
  /** An interrupt came, or polling stopped at its budget. */
  private isDue = false;

  constructor(
    setup: FullNetSetup,
    driver: VirtioDriver,
    arena: DmaArena,
    counters: NetCounters,
    agreement: NetAgreement,
    plan: VectorPlan | undefined,
    lives: readonly LiveQueue[],
    admin: AdminPort | undefined,
  ) {
    this.admin = admin;
    const { features, rules, pairs } = agreement;
    this.setup = setup;
    this.driver = driver;
    this.counters = counters;
    this.plan = plan;
    this.features = features;
    this.facts = agreement.facts;
    this.pairs = pairs;
    this.controlIndex = agreement.controlIndex;
    this.mtu = agreement.mtu;
    this.mac = agreement.mac;
    this.isOwnMac = agreement.isOwnMac;
    this.isPolled = new Uint8Array(pairs);
    const kind = rxKind(agreement);
    const bytes = rxBufferBytes(kind, rules.hdrBytes, agreement.mtu, setup.mergeableBytes);
    const rx: NetRxQueue[] = [];
    const tx: NetTxQueue[] = [];
    for (let pair = 0; pair < pairs; pair++) {
      const frame = new ReceivedFrame(arena.dma.space.memory);
      frame.pair = pair;
      const buffers = new RxBuffers(lives[2 * pair]!, arena, bytes, setup.receiveBytes);
      const deliver = (received: ReceivedFrame): void => setup.events.frame(received);
      rx.push(new NetRxQueue(lives[2 * pair]!, buffers, rules, kind === 'mergeable', frame, counters, deliver));
      const sent = (cookie: number): void => setup.events.sent?.(cookie);
      tx.push(new NetTxQueue(lives[2 * pair + 1]!, arena, rules, agreement.mtu, setup.copyPages, counters, sent));
    }
    this.rx = rx;
    this.tx = tx;
    const controlLive = lives[2 * pairs];
    this.control = controlLive === undefined ? undefined : new ControlQueue(controlLive, arena);
    this.commands = this.control === undefined ? undefined : new NetCommands(this.control, this);
  }

  /** Whether {@link poll} has something to do: what interrupts asked for, or to tell of room in a queue. */
  get needsPoll(): boolean {
    if (this.isDue) return true;
    for (let pair = 0; pair < this.pairs; pair++) if (this.tx[pair]!.hasRoom) return true;
    return false;
  }

  /** Step 8 of the initialization, and what needs a running device. */
  start(): void {
    this.driver.start();
    const now = this.setup.now();
    for (const { live } of this.rx) live.publish();
    for (const queue of this.tx) queue.progressAt = now;
    this.link.update(this.facts, this.features);
    if (this.isOwnMac && this.has(VIRTIO_NET_F.CTRL_RX)) this.commands?.setMac(this.mac);
    if (this.pairs > 1 && this.has(VIRTIO_NET_F.MQ)) this.commands?.setPairs(this.pairs);
  }

  /** Note what an interrupt is about; work is done in {@link poll}. @param vector not looked at without MSI-X */
  interrupt(vector: number): void {
    this.counters.interrupts++;
    if (this.plan === undefined) {
      const cause = this.driver.transport.interruptCause();
      if ((cause & CAUSE.CONFIG) !== 0) this.noteConfig();
      if ((cause & CAUSE.QUEUE) !== 0) for (let pair = 0; pair < this.pairs; pair++) this.noteReceive(pair);
      if (cause !== 0) this.isDue = true;
      return;
    }
    if (vector === this.plan.config) this.noteConfig();
    for (const { index, vector: mapped } of this.plan.queues) {
      if (mapped !== vector) continue;
      if (index % 2 === 0 && index < 2 * this.pairs) this.noteReceive(index >> 1);
      this.isDue = true;
    }
  }

  /**
   * Do what interrupts asked for, a bounded amount of it.
   * @param budget most frames per queue pair
   * @returns frames handed up or given up, or what is wrong with the device
   */
  poll(budget: number): number | Breakdown {
    this.isDue = false;
    if (this.hasConfigChanged) {
      const problem = this.takeConfig();
      if (problem !== undefined) return problem;
    }
    let done = 0;
    for (let pair = 0; pair < this.pairs; pair++) {
      if (this.isPolled[pair] === 1) done += this.pollReceive(pair, budget);
      this.pollTransmit(pair);
    }
    this.control?.poll();
    this.admin?.client.poll();
    return this.brokenRing() ?? done;
  }

  /** Look after time limits. @returns what is wrong with the device */
  watch(): Breakdown | undefined {
    if (this.driver.needsReset()) return needsReset();
    const now = this.setup.now();
    for (let pair = 0; pair < this.pairs; pair++) {
      const stalled = this.watchTransmit(pair, now);
      if (stalled !== undefined) return stalled;
    }
    this.control?.poll();
    if (now - (this.control?.waitingSince() ?? now) > this.setup.commandLimit) {
      const message = `a command is unanswered after ${this.setup.commandLimit} ms`;
      return breakdown(BREAK.CONTROL_UNANSWERED, message);
    }
    return this.admin?.watch(now, this.setup.commandLimit) ?? this.brokenRing();
  }

  /** The device is reset, or given up: everybody who waits is told. */
  end(): void {
    for (const queue of this.tx) queue.abandon();
    this.control?.abandon();
    this.admin?.client.abandon();
  }

  /** Ahead of a reset, where the transport has a way to stop a queue. */
  stopQueues(): void {
    for (let pair = 0; pair < this.pairs; pair++) {
      this.driver.transport.stopQueue(this.rx[pair]!.live.index);
      this.driver.transport.stopQueue(this.tx[pair]!.live.index);
    }
    if (this.control !== undefined) this.driver.transport.stopQueue(this.control.live.index);
  }

  /** After a pause without interrupts: look at everything. */
  catchUp(): void {
    this.noteConfig();
    for (let pair = 0; pair < this.pairs; pair++) this.noteReceive(pair);
  }

  /** Reset one queue pair and set it up anew; RING_RESET is negotiated. @see virtio 1.4 §2.6.1 */
  restartPair(pair: number): Breakdown | undefined {
    return this.restartTransmit(pair) ?? this.restartReceive(pair);
  }

  now(): number {
    return this.setup.now();
  }

  pairsChanged(pairs: number, placed: boolean): void {
    // Fewer from the moment that the device may know of it, more when it does (virtio 1.4 §5.1.9.5.6.1).
    if (!placed || pairs < this.activePairs) this.activePairs = pairs;
  }

  addressChanged(mac: Uint8Array): void {
    this.mac.set(mac);
  }

  refused(): void {
    this.counters.commandsRefused++;
  }

  private has(bit: number): boolean {
    return hasFeature(this.features, bit);
  }

  private noteConfig(): void {
    this.hasConfigChanged = true;
    this.isDue = true;
  }

  private noteReceive(pair: number): void {
    if (this.isPolled[pair] === 0) this.rx[pair]!.live.queue.disableNotifications();
    this.isPolled[pair] = 1;
    this.isDue = true;
  }

  private pollReceive(pair: number, budget: number): number {
    const queue = this.rx[pair]!;
    const done = queue.poll(budget);
    // All taken: notifications on, and one more look, because frames may have come in between.
    if (done < budget && !queue.live.queue.enableNotifications()) this.isPolled[pair] = 0;
    else {
      queue.live.queue.disableNotifications();
      this.isDue = true;
    }
    return done;
  }

  private pollTransmit(pair: number): void {
    const queue = this.tx[pair]!;
    if (!queue.isStopped) {
      if (queue.reclaim() > 0) queue.progressAt = this.setup.now();
    } else if (queue.resume()) {
      queue.progressAt = this.setup.now();
      this.setup.events.writable?.(pair);
    }
  }

  private watchTransmit(pair: number, now: number): Breakdown | undefined {
    const queue = this.tx[pair]!;
    this.pollTransmit(pair);
    if (queue.live.queue.outstanding === 0) queue.progressAt = now;
    if (now - queue.progressAt <= this.setup.transmitLimit) return undefined;
    queue.progressAt = now;
    const message = `queue ${queue.live.index} used no buffer for ${this.setup.transmitLimit} ms`;
    const why = breakdown(BREAK.TRANSMIT_STALLED, message);
    if (!this.driver.canResetQueues()) return why;
    this.counters.breaks[why.code]!++;
    this.setup.events.broken?.(why, true);
    return this.restartTransmit(pair);
  }

  private restartTransmit(pair: number): Breakdown | undefined {
    const queue = this.tx[pair]!;
    const before = queue.live.queue;
    const problem = queue.live.restart();
    if (problem !== undefined) return problem;
    queue.abandon(before);
    queue.live.queue.disableNotifications();
    this.setup.events.writable?.(pair);
    return undefined;
  }

  private restartReceive(pair: number): Breakdown | undefined {
    const queue = this.rx[pair]!;
    const before = queue.live.queue;
    const problem = queue.live.restart();
    if (problem !== undefined) return problem;
    queue.abandon(before);
    this.isPolled[pair] = 0;
    queue.refill();
    return undefined;
  }

  /** A configuration change: DEVICE_NEEDS_RESET, link, speed, announcement. */
  private takeConfig(): Breakdown | undefined {
    this.hasConfigChanged = false;
    if (this.driver.needsReset()) return needsReset();
    const facts = readNetFacts(this.driver, this.features);
    if (isBreakdown(facts)) return facts;
    if (this.link.update(facts, this.features)) this.setup.events.link?.(this.link.isUp);
    if (this.has(VIRTIO_NET_F.GUEST_ANNOUNCE) && (facts.status & VIRTIO_NET_S.ANNOUNCE) !== 0) {
      this.tx[0]!.sendBytes(announceFrame(this.mac), undefined);
      this.setup.events.announce?.();
      this.commands?.acknowledgeAnnounce();
    }
    return undefined;
  }

  private brokenRing(): Breakdown | undefined {
    for (let pair = 0; pair < this.pairs; pair++) {
      const why = brokenQueue(this.rx[pair]!.live) ?? brokenQueue(this.tx[pair]!.live);
      if (why !== undefined) return why;
    }
    const others = [this.control?.live, this.admin?.live];
    for (const live of others) {
      const why = live === undefined ? undefined : brokenQueue(live);
      if (why !== undefined) return why;
    }
    return undefined;
  }
}

const needsReset = (): Breakdown => breakdown(BREAK.NEEDS_RESET, 'DEVICE_NEEDS_RESET is set (virtio 1.4 §2.1.2)');
