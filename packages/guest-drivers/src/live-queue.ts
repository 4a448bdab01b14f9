import { openLoopedDriverQueue } from '@ringwire/ring-loops';
import {
  hasFeature,
  PVIRTQ_EVENT_SUPPRESS,
  pvirtqDescBytes,
  VIRTIO_F,
  VIRTQ_DESC,
  virtqAvailBytes,
  virtqDescBytes,
  virtqUsedBytes,
} from '@ringwire/virtio-spec';
import {
  BROKEN,
  DriverPackedQueue,
  type DriverQueue,
  type IndirectTables,
  type QueueConfig,
} from '@ringwire/virtqueue';
import { BREAK, type Breakdown, breakdown, isBreakdown } from './breakdown.js';
import type { DmaArena } from './dma-arena.js';
import type { VirtioDriver } from './virtio-driver.js';

const SIZE_MAX = 0x8000;

/**
 * The Queue Size to use: at most what the device offers and what the driver wants, and one that the format allows.
 * @returns 0 when the device has no such queue
 */
function chooseQueueSize(offered: number, wanted: number, features: Uint32Array): number {
  const most = Math.min(offered, wanted, SIZE_MAX);
  if (most < 1) return 0;
  return hasFeature(features, VIRTIO_F.RING_PACKED) ? most : 2 ** Math.floor(Math.log2(most));
}

/** A virtqueue in use: its ring in memory, and the device's registers that name it. */
export class LiveQueue {
  readonly index: number;
  /** Elements that one buffer can have: those of an indirect table where there are tables, else Queue Size. */
  readonly entries: number;
  readonly isIndirect: boolean;
  /** Another one after {@link restart}. */
  queue: DriverQueue;
  private readonly driver: VirtioDriver;
  private readonly config: QueueConfig;
  private readonly tables: IndirectTables | undefined;

  constructor(driver: VirtioDriver, index: number, config: QueueConfig, tables: IndirectTables | undefined) {
    this.driver = driver;
    this.index = index;
    this.config = config;
    this.tables = tables;
    this.isIndirect = tables !== undefined;
    this.entries = tables?.entries ?? config.size;
    this.queue = openLoopedDriverQueue(config, tables);
  }

  /** Tell the device where the queue is, and enable it. */
  enable(): Breakdown | undefined {
    const { size, desc, driver, device } = this.config;
    const { queue } = this;
    const progress = queue instanceof DriverPackedQueue ? { progress: () => queue.progress() } : {};
    return this.driver.enableQueue(this.index, { size, desc, driver, device, ...progress });
  }

  /** Make what was added visible, and notify the device if it wants to be. */
  publish(): void {
    if (this.queue.publish()) this.driver.notify(this.index, this.queue);
  }

  /**
   * Reset the queue, in the same memory again. What was outstanding is given up: take it with `detachUnused` of the
   * former `queue` first. RING_RESET is negotiated. @see virtio 1.4 §2.6.1
   */
  restart(): Breakdown | undefined {
    const problem = this.driver.resetQueue(this.index);
    if (problem !== undefined) return problem;
    this.queue = openLoopedDriverQueue(this.config, this.tables);
    return this.enable();
  }
}

/**
 * Find, place, zero and enable one virtqueue.
 * @param wanted  Queue Size at most
 * @param entries elements of the longest buffer: room for indirect tables, where they were negotiated
 */
export function bringUpQueue(
  driver: VirtioDriver,
  arena: DmaArena,
  index: number,
  wanted: number,
  entries: number,
): LiveQueue | Breakdown {
  const { features } = driver;
  const offered = driver.transport.queueSizeMax(index);
  const size = chooseQueueSize(offered, wanted, features);
  if (size === 0) {
    const message = `queue ${index} has a maximum size of ${offered}, want 1 or more (virtio 1.4 §2.6)`;
    return driver.fail(breakdown(BREAK.NO_QUEUE, message));
  }
  const config = { space: arena.dma.space, size, ...placeRing(arena, size, features), features: features.slice() };
  const live = new LiveQueue(driver, index, config, placeTables(arena, size, entries, features));
  return live.enable() ?? live;
}

/** One allocation for the three parts; the used ring and event suppression areas are aligned to 4. */
function placeRing(
  arena: DmaArena,
  size: number,
  features: Uint32Array,
): { desc: number; driver: number; device: number } {
  const isPacked = hasFeature(features, VIRTIO_F.RING_PACKED);
  const descBytes = isPacked ? pvirtqDescBytes(size) : virtqDescBytes(size);
  const driverBytes = isPacked ? PVIRTQ_EVENT_SUPPRESS.SIZE : virtqAvailBytes(size);
  const deviceBytes = isPacked ? PVIRTQ_EVENT_SUPPRESS.SIZE : virtqUsedBytes(size);
  const deviceAt = Math.ceil((descBytes + driverBytes) / 4) * 4;
  const desc = arena.allocate(deviceAt + deviceBytes);
  return { desc, driver: desc + descBytes, device: desc + deviceAt };
}

function placeTables(
  arena: DmaArena,
  size: number,
  entries: number,
  features: Uint32Array,
): IndirectTables | undefined {
  const most = Math.min(entries, size);
  if (!hasFeature(features, VIRTIO_F.INDIRECT_DESC) || most < 2) return undefined;
  return { address: arena.allocate(size * most * VIRTQ_DESC.SIZE), entries: most };
}

/** What made a queue's driver stop believing the device. */
export function brokenQueue({ index, queue }: LiveQueue): Breakdown | undefined {
  if (queue.broken === BROKEN.NONE) return undefined;
  const reason = Object.keys(BROKEN).find((name) => BROKEN[name as keyof typeof BROKEN] === queue.broken);
  return breakdown(BREAK.RING, `queue ${index} is not to be believed: ${reason}`);
}

/**
 * The same for a queue of commands: a command's parts are elements of one buffer, for which there has to be room.
 * @param entries elements of a command
 */
export function bringUpCommandQueue(
  driver: VirtioDriver,
  arena: DmaArena,
  index: number,
  wanted: number,
  entries: number,
): LiveQueue | Breakdown {
  const live = bringUpQueue(driver, arena, index, wanted, entries);
  if (isBreakdown(live) || live.entries >= entries) return live;
  const message = `queue ${index} has room for ${live.entries} elements, want ${entries} for a command`;
  return breakdown(BREAK.NO_QUEUE, `${message} (virtio 1.4 §5.1.9.5)`);
}
