import { FEATURE_WORDS, featureWords, VIRTIO_F } from '@ringwire/virtio-spec';
import type { AdminClient } from './admin-client.js';
import { AdminPort, type AdminWishes } from './admin-port.js';
import { ADMIN_ENTRIES } from './admin-queue.js';
import { BREAK, type Breakdown, breakdown, isBreakdown } from './breakdown.js';
import { DmaArena } from './dma-arena.js';
import type { DmaMemory } from './dma-memory.js';
import { mapInterrupts } from './interrupt-plan.js';
import { bringUpCommandQueue, brokenQueue } from './live-queue.js';
import type { Patience } from './patience.js';
import { CAUSE, type MsixMessage, type Transport } from './transport.js';
import { VirtioDriver } from './virtio-driver.js';

/** What an administration driver works with. */
export interface AdminSetup extends AdminWishes {
  readonly transport: Transport;
  readonly dma: DmaMemory;
  /** A clock in milliseconds that never goes back. */
  readonly now: () => number;
  /** MSI-X messages that the host can receive, one per vector; without any there is one interrupt line. */
  readonly messages?: readonly MsixMessage[];
  readonly patience?: Patience;
  /** Milliseconds after which a command counts as unanswered; 5000 when left out. */
  readonly commandLimit?: number;
  /** The device was given up. */
  readonly broken?: (why: Breakdown) => void;
}

const COMMAND_LIMIT = 5000;
const NO_QUEUES = { first: 0, count: 0 };
const QUEUE_SIZE = 16;

/** Features of rings and transports, and nothing of the device's type. */
const KNOWN: Uint32Array = featureWords([
  VIRTIO_F.VERSION_1,
  VIRTIO_F.ACCESS_PLATFORM,
  VIRTIO_F.RING_PACKED,
  VIRTIO_F.IN_ORDER,
  VIRTIO_F.ORDER_PLATFORM,
  VIRTIO_F.NOTIFICATION_DATA,
  VIRTIO_F.NOTIF_CONFIG_DATA,
  VIRTIO_F.INDIRECT_DESC,
  VIRTIO_F.EVENT_IDX,
  VIRTIO_F.ADMIN_VQ,
]);

/**
 * Take a device into use for its administration alone, whatever its type: a physical function that others' virtual
 * functions belong to, say.
 * @returns the driver, running, or what is wrong with the device, which is given up then
 * @throws VirtioError for too little memory
 */
export function openAdminDriver(setup: AdminSetup): AdminDriver | Breakdown {
  const driver = new VirtioDriver(setup.transport, setup.patience);
  const arena = new DmaArena(setup.dma);
  let opened: AdminDriver | Breakdown | undefined;
  try {
    opened = bringUp(setup, driver, arena);
  } finally {
    // Too little memory, say: the device has to let go of what there is.
    if ((opened === undefined || isBreakdown(opened)) && driver.reset() === undefined) arena.free();
  }
  return isBreakdown(opened) ? driver.fail(opened) : opened;
}

function bringUp(setup: AdminSetup, driver: VirtioDriver, arena: DmaArena): AdminDriver | Breakdown {
  const { transport, messages = [] } = setup;
  const problem = driver.begin();
  if (problem !== undefined) return problem;
  const offered = driver.offered();
  const features = Uint32Array.from({ length: FEATURE_WORDS }, (_, word) => offered[word]! & KNOWN[word]!);
  const refused = driver.negotiate(features);
  if (refused !== undefined) return refused;
  const { first, count } = transport.adminQueues?.() ?? NO_QUEUES;
  if (count === 0) return breakdown(BREAK.NO_QUEUE, 'there is no administration virtqueue (virtio 1.4 §2.13)');
  const plan = mapInterrupts(transport, [first], messages);
  const live = bringUpCommandQueue(driver, arena, first, QUEUE_SIZE, ADMIN_ENTRIES);
  if (isBreakdown(live)) return live;
  driver.start();
  return new AdminDriver(setup, driver, arena, new AdminPort(live, arena, setup, setup.now), plan === undefined);
}

/**
 * A device whose administration virtqueue is used, and nothing else of it. The host calls {@link interrupt} for each
 * interrupt, and {@link watch} now and then.
 */
export class AdminDriver {
  state: 'running' | 'broken' | 'closed' = 'running';
  private readonly setup: AdminSetup;
  private readonly driver: VirtioDriver;
  private readonly arena: DmaArena;
  private readonly port: AdminPort;
  private readonly hasLine: boolean;

  /** @see openAdminDriver */
  constructor(setup: AdminSetup, driver: VirtioDriver, arena: DmaArena, port: AdminPort, hasLine: boolean) {
    this.setup = setup;
    this.driver = driver;
    this.arena = arena;
    this.port = port;
    this.hasLine = hasLine;
  }

  /** Commands to the device; undefined when it is gone. */
  get commands(): AdminClient | undefined {
    return this.state === 'running' ? this.port.client : undefined;
  }

  /** An interrupt came: take answers. */
  interrupt(): void {
    if (this.state !== 'running') return;
    const cause = this.hasLine ? this.driver.transport.interruptCause() : CAUSE.QUEUE | CAUSE.CONFIG;
    if (cause !== 0) this.look();
  }

  /** Look after time limits. */
  watch(): void {
    if (this.state !== 'running') return;
    const late = this.port.watch(this.setup.now(), this.setup.commandLimit ?? COMMAND_LIMIT);
    if (late !== undefined && this.state === 'running') this.giveUp(late);
    else this.look();
  }

  /** Give the device back: it is reset, and all memory freed. */
  close(): void {
    if (this.state === 'closed') return;
    this.state = 'closed';
    this.release();
  }

  private look(): void {
    this.port.client.poll();
    // What was done then may have closed the driver.
    if (this.state !== 'running') return;
    const why = this.driver.needsReset()
      ? breakdown(BREAK.NEEDS_RESET, 'DEVICE_NEEDS_RESET is set (virtio 1.4 §2.1.2)')
      : brokenQueue(this.port.live);
    if (why !== undefined) this.giveUp(why);
  }

  private giveUp(why: Breakdown): void {
    this.state = 'broken';
    this.release();
    this.driver.fail(why);
    this.setup.broken?.(why);
  }

  /** While the device does not reset it may write there: the memory stays out of use then. */
  private release(): void {
    const stuck = this.driver.reset();
    this.port.client.abandon();
    if (stuck === undefined) this.arena.free();
  }
}
