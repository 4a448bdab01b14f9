import { hasFeature, VIRTIO_F } from '@ringwire/virtio-spec';
import { AdminPort } from './admin-port.js';
import { type Breakdown, isBreakdown } from './breakdown.js';
import { CONTROL_ENTRIES } from './control-queue.js';
import { DmaArena } from './dma-arena.js';
import { mapInterrupts } from './interrupt-plan.js';
import { bringUpCommandQueue, bringUpQueue, type LiveQueue } from './live-queue.js';
import { ADMIN_NET_FEATURES, NET_DRIVER_FEATURES } from './net-accept.js';
import { agreeNet, type NetAgreement, queueIndexes, rxKind } from './net-agreement.js';
import { type NetCounters, newNetCounters } from './net-counters.js';
import { NetSession } from './net-session.js';
import type { FullNetSetup } from './net-setup.js';
import { TX_ENTRIES } from './net-tx-queue.js';
import { LARGEST_FRAME } from './rx-header.js';
import { VirtioDriver } from './virtio-driver.js';

/** One device, through all its lives: what a session uses, and how it ends. */
export class NetLife {
  readonly driver: VirtioDriver;
  readonly counters: NetCounters = newNetCounters();
  session: NetSession | undefined = undefined;
  private readonly setup: FullNetSetup;
  private arena: DmaArena;

  constructor(setup: FullNetSetup) {
    this.setup = setup;
    this.driver = new VirtioDriver(setup.transport, setup.patience);
    this.arena = new DmaArena(setup.dma);
  }

  open(): Breakdown | undefined {
    this.arena = new DmaArena(this.setup.dma);
    let session: NetSession | Breakdown;
    try {
      session = openNetSession(this.setup, this.driver, this.arena, this.counters);
    } catch (mistake) {
      // Too little memory, say: the device has to let go of what there is.
      this.release();
      throw mistake;
    }
    if (!isBreakdown(session)) {
      this.session = session;
      return undefined;
    }
    this.counters.breaks[session.code]!++;
    this.release();
    this.driver.fail(session);
    return session;
  }

  /** End the session and take all memory back; while the device does not reset, it may write there and keeps it. */
  release(): Breakdown | undefined {
    const { session } = this;
    this.session = undefined;
    const problem = this.driver.reset();
    session?.end();
    if (problem === undefined) this.arena.free();
    return problem;
  }
}

/**
 * Take a network device into use: negotiate, set the queues up, fill them, start.
 * @param arena gets all memory that the device may reach; on a failure it is the caller's to reset before freeing it
 * @see virtio 1.4 §3.1.1, §5.1.5
 */
function openNetSession(
  setup: FullNetSetup,
  driver: VirtioDriver,
  arena: DmaArena,
  counters: NetCounters,
): NetSession | Breakdown {
  const problem = driver.begin();
  if (problem !== undefined) return driver.fail(problem);
  const known = setup.admin === undefined ? NET_DRIVER_FEATURES : ADMIN_NET_FEATURES;
  const agreement = agreeNet(driver, known, setup, counters);
  if (isBreakdown(agreement)) return agreement;
  const indexes = queueIndexes(agreement);
  const hasAdmin = hasFeature(agreement.features, VIRTIO_F.ADMIN_VQ);
  const admins = (hasAdmin ? driver.transport.adminQueues?.() : undefined) ?? { first: 0, count: 0 };
  if (admins.count > 0) indexes.push(admins.first);
  const plan = mapInterrupts(driver.transport, indexes, setup.messages);
  const lives: LiveQueue[] = [];
  for (const index of indexes) {
    const isCommands = index === agreement.controlIndex || (admins.count > 0 && index === admins.first);
    const entries = isCommands ? CONTROL_ENTRIES : index % 2 === 1 ? TX_ENTRIES : rxEntries(agreement);
    const bringUp = isCommands ? bringUpCommandQueue : bringUpQueue;
    const live = bringUp(driver, arena, index, setup.queueSize, entries);
    if (isBreakdown(live)) return live;
    lives.push(live);
  }
  const admin = admins.count > 0 ? new AdminPort(lives.pop()!, arena, setup.admin!, setup.now) : undefined;
  const session = new NetSession(setup, driver, arena, counters, agreement, plan, lives, admin);
  session.start();
  return session;
}

const rxEntries = (agreement: NetAgreement): number =>
  rxKind(agreement) === 'big' ? Math.ceil((agreement.rules.hdrBytes + LARGEST_FRAME) / 4096) : 1;
