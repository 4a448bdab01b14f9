import { hasFeature, VIRTIO_ID, VirtioError } from '@ringwire/virtio-spec';
import { VIRTIO_NET_F, VIRTIO_NET_S } from '@ringwire/virtio-spec/net';
import { BREAK, type Breakdown, breakdown, isBreakdown } from './breakdown.js';
import type { BurstDriver } from './burst-driver.js';
import type { CommandScope } from './command-scope.js';
import { CONTROL_ENTRIES, ControlQueue } from './control-queue.js';
import { DmaArena } from './dma-arena.js';
import type { DmaMemory } from './dma-memory.js';
import type { FrameBurst, FramePool } from './frame-pool.js';
import { bringUpCommandQueue, bringUpQueue, brokenQueue, type LiveQueue } from './live-queue.js';
import { POLL_DRIVER_FEATURES } from './net-accept.js';
import { agreeNet, type NetAgreement, queueIndexes } from './net-agreement.js';
import { NetCommands } from './net-commands.js';
import { type NetCounters, newNetCounters } from './net-counters.js';
import { type NetFacts, readNetFacts } from './net-facts.js';
import type { Patience } from './patience.js';
import { PollRxQueue } from './poll-rx-queue.js';
import { POLL_TX_ENTRIES, PollTxQueue } from './poll-tx-queue.js';
import { LARGEST_FRAME } from './rx-header.js';
import type { Transport } from './transport.js';
import { VirtioDriver } from './virtio-driver.js';

/** What a poll-mode driver works with. */
export interface PollSetup {
  readonly transport: Transport;
  readonly dma: DmaMemory;
  /** For all queues; its memory is that of `dma`. Without mergeable buffers its data bytes hold the largest frame. */
  readonly pool: FramePool;
  /** Feature words to choose from; all that the driver knows when left out. */
  readonly features?: Uint32Array;
  /** Queue pairs at most; 1 when left out. */
  readonly pairs?: number;
  /** Queue Size at most; 256 when left out. */
  readonly queueSize?: number;
  readonly patience?: Patience;
  /** Milliseconds, for the age of commands; 0 for ever when left out. */
  readonly now?: () => number;
  /** 0 ≤ x < 1, for an address where the device has none. */
  readonly random?: () => number;
}

/** A driver without features that would need a header to be read: each frame is one descriptor and no more. */
export const PLAIN_POLL_FEATURES: readonly (keyof typeof VIRTIO_NET_F)[] = ['MAC', 'STATUS', 'MTU', 'CTRL_VQ', 'MQ'];

const FRAME_MAX = 1518;
const ETHERNET = 14;
const VLAN_TAG = 4;

/**
 * Take a network device into use as a poll-mode driver does: no interrupts, bursts of frames.
 * @returns the driver, running, or what is wrong with the device, which is given up then
 * @throws VirtioError for a setup that no driver can work with, too little memory included
 */
export function openPollDriver(setup: PollSetup): PollNetDriver | Breakdown {
  const { transport } = setup;
  if (transport.deviceId !== VIRTIO_ID.NET) {
    const message = `device id ${transport.deviceId} is no network device, want ${VIRTIO_ID.NET} (virtio 1.4 §5)`;
    return breakdown(BREAK.NO_DEVICE, message);
  }
  const driver = new VirtioDriver(transport, setup.patience);
  const arena = new DmaArena(setup.dma);
  const counters = newNetCounters();
  let opened: PollNetDriver | Breakdown | undefined;
  try {
    opened = bringUp(setup, driver, arena, counters);
    return isBreakdown(opened) ? driver.fail(opened) : opened;
  } finally {
    // What the device may have learnt of is not used again before it let go of it.
    const isUp = opened !== undefined && !isBreakdown(opened);
    if (!isUp && driver.reset() === undefined) arena.free();
  }
}

function bringUp(
  setup: PollSetup,
  driver: VirtioDriver,
  arena: DmaArena,
  counters: NetCounters,
): PollNetDriver | Breakdown {
  const problem = driver.begin();
  if (problem !== undefined) return problem;
  const { features, pairs = 1, random = Math.random } = setup;
  const agreement = agreeNet(driver, POLL_DRIVER_FEATURES, { features, pairs, random }, counters);
  if (isBreakdown(agreement)) return agreement;
  checkPool(setup.pool, agreement);
  const lives: LiveQueue[] = [];
  for (const index of queueIndexes(agreement)) {
    const isControl = index === agreement.controlIndex;
    const entries = isControl ? CONTROL_ENTRIES : index % 2 === 1 ? POLL_TX_ENTRIES : 1;
    const take = isControl ? bringUpCommandQueue : bringUpQueue;
    const live = take(driver, arena, index, setup.queueSize ?? 256, entries);
    if (isBreakdown(live)) return live;
    lives.push(live);
  }
  return new PollNetDriver(setup, driver, arena, counters, agreement, lives);
}

/** @throws VirtioError when a frame may come in that no buffer can hold */
function checkPool(pool: FramePool, { features, rules, mtu }: NetAgreement): void {
  if (hasFeature(features, VIRTIO_NET_F.MRG_RXBUF)) return;
  const largest = rules.receive.types !== 0 ? LARGEST_FRAME : Math.max(FRAME_MAX, mtu + ETHERNET + VLAN_TAG);
  if (pool.dataBytes < largest)
    throw new VirtioError('dataBytes', pool.dataBytes, `${largest} for the largest frame`, 'virtio 1.4 §5.1.9.3.1');
}

/** A network device as a poll-mode driver drives it. Each queue pair is one thread's, if there are several. */
export class PollNetDriver implements BurstDriver, CommandScope {
  readonly counters: NetCounters;
  readonly features: Uint32Array;
  readonly facts: NetFacts;
  /** Queue pairs that were set up. */
  readonly pairs: number;
  readonly controlIndex: number;
  readonly mac: Uint8Array<ArrayBuffer>;
  /** Commands to the device, with CTRL_VQ; {@link pollCommands} brings their answers. */
  readonly commands: NetCommands | undefined;
  /** Queue pairs that frames may be sent on. */
  activePairs = 1;
  private readonly setup: PollSetup;
  private readonly driver: VirtioDriver;
  private readonly arena: DmaArena;
  private readonly rx: readonly PollRxQueue[];
  private readonly tx: readonly PollTxQueue[];
  private readonly control: ControlQueue | undefined;

  /** @see openPollDriver */
  constructor(
    setup: PollSetup,
    driver: VirtioDriver,
    arena: DmaArena,
    counters: NetCounters,
    agreement: NetAgreement,
    lives: readonly LiveQueue[],
  ) {
    const { features, rules, pairs, mtu } = agreement;
    this.setup = setup;
    this.driver = driver;
    this.arena = arena;
    this.counters = counters;
    this.features = features;
    this.facts = agreement.facts;
    this.pairs = pairs;
    this.controlIndex = agreement.controlIndex;
    this.mac = agreement.mac;
    const isMergeable = hasFeature(features, VIRTIO_NET_F.MRG_RXBUF);
    const frameMax = mtu === 0 ? LARGEST_FRAME : mtu + ETHERNET;
    const receive = lives.filter(({ index }) => index % 2 === 0 && index !== agreement.controlIndex);
    const transmit = lives.filter(({ index }) => index % 2 === 1);
    const control = lives.find(({ index }) => index === agreement.controlIndex);
    this.tx = transmit.map((live) => new PollTxQueue(live, setup.pool, rules, frameMax, counters));
    this.control = control === undefined ? undefined : new ControlQueue(control, arena);
    this.commands = this.control === undefined ? undefined : new NetCommands(this.control, this);
    this.rx = receive.map((live) => new PollRxQueue(live, setup.pool, rules, isMergeable, counters));
    driver.start();
    for (const { live } of this.rx) live.publish();
    if (agreement.isOwnMac && hasFeature(features, VIRTIO_NET_F.CTRL_RX)) this.commands?.setMac(this.mac);
    if (pairs > 1 && hasFeature(features, VIRTIO_NET_F.MQ)) this.commands?.setPairs(pairs);
  }

  /** Append frames that came in on a queue pair, at most `max`: they are the caller's. @returns frames appended */
  rxBurst(pair: number, frames: FrameBurst, max: number = frames.capacity): number {
    return this.rx[pair]!.burst(frames, max);
  }

  /**
   * Send frames of a burst, from `from` on: those that the ring has room for are the driver's.
   * @param pair below {@link activePairs}
   * @returns frames taken
   * @throws VirtioError for a pair that is not in use, or a frame that may not be sent
   */
  txBurst(pair: number, frames: FrameBurst, from = 0): number {
    if (!(pair < this.activePairs))
      throw new VirtioError('pair', pair, `0 to ${this.activePairs - 1}, those in use`, 'virtio 1.4 §5.1.9.5.6.1');
    return this.tx[pair]!.burst(frames, from);
  }

  /** Put frames that the device has sent back into the pool; {@link txBurst} does it too, when the ring fills. */
  reclaim(pair: number): number {
    return this.tx[pair]!.reclaim();
  }

  /** Take answers to commands. */
  pollCommands(): void {
    this.control?.poll();
  }

  /** Read the link's state from the device. */
  isLinkUp(): boolean {
    if (!hasFeature(this.features, VIRTIO_NET_F.STATUS)) return true;
    const facts = readNetFacts(this.driver, this.features);
    return !isBreakdown(facts) && (facts.status & VIRTIO_NET_S.LINK_UP) !== 0;
  }

  /** Whether the device is still to be believed: to be asked now and then. @returns why not */
  check(): Breakdown | undefined {
    if (this.driver.needsReset()) return breakdown(BREAK.NEEDS_RESET, 'DEVICE_NEEDS_RESET is set (virtio 1.4 §2.1.2)');
    for (const { live } of [...this.rx, ...this.tx]) {
      const why = brokenQueue(live);
      if (why !== undefined) return why;
    }
    return this.control === undefined ? undefined : brokenQueue(this.control.live);
  }

  /** Reset the device; all frames that it had go back into the pool. @returns what it did wrong */
  close(): Breakdown | undefined {
    const problem = this.driver.reset();
    // A device that does not reset may still write: its buffers stay out of use.
    if (problem !== undefined) return problem;
    for (const queue of this.rx) queue.abandon();
    for (const queue of this.tx) queue.abandon();
    this.control?.abandon();
    this.arena.free();
    return undefined;
  }

  now(): number {
    return this.setup.now?.() ?? 0;
  }

  pairsChanged(pairs: number, placed: boolean): void {
    if (!placed || pairs < this.activePairs) this.activePairs = pairs;
  }

  addressChanged(mac: Uint8Array): void {
    this.mac.set(mac);
  }

  refused(): void {
    this.counters.commandsRefused++;
  }
}
