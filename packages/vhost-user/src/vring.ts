import { type DirtyLog, LoggedQueue, type RingLogging } from '@ringwire/iommu';
import { close } from '@ringwire/linux';
import { openLoopedDeviceQueue } from '@ringwire/ring-loops';
import {
  hasFeature,
  PVIRTQ_EVENT_SUPPRESS,
  pvirtqDescBytes,
  VIRTIO_F,
  virtqAvailBytes,
  virtqDescBytes,
  virtqUsedBytes,
} from '@ringwire/virtio-spec';
import { type DeviceQueue, isRefusal, type QueueRefusal, type QueueState } from '@ringwire/virtqueue';
import { type InflightArea, regionOfRing } from './inflight-area.js';
import { InflightQueue } from './inflight-queue.js';
import type { MemoryTable } from './memory-table.js';
import { WaitingQueue } from './waiting-queue.js';

const NONE = -1;
/** In place of an event descriptor: the front-end said that there is none, for one of the two sides polls. */
export const POLLED = -2;

/** Ring addresses as the front-end has them, in its own address space, or translated ones with ACCESS_PLATFORM. */
export interface VringAddresses {
  readonly desc: number;
  readonly avail: number;
  readonly used: number;
  /** Guest-physical address at which what the device writes of the ring is logged; undefined: it is not. */
  readonly log: number | undefined;
}

/** One ring as the front-end sets it up, and its queue while it runs. */
export class Vring {
  readonly index: number;
  readonly sizeMax: number;
  /** Descriptors; 0 until it is set. */
  size = 0;
  addresses: VringAddresses | undefined;
  /** Position: what SET_VRING_BASE set, or where the queue was when it was closed. See {@link stateOf}. */
  base = 0;
  /** A kick was set: from then on, until its base is asked for, the ring is the back-end's. */
  started = false;
  enabled = false;
  /** It would run, but for translations that the front-end was asked for. */
  isWaiting = false;
  queue: DeviceQueue | undefined;
  /** The same queue where its addresses are translated, … */
  private waiting: WaitingQueue | undefined;
  /** … and where its chains in flight are on record, from its opening on. */
  private tracked: InflightQueue | undefined;
  /** Times in a row that the kick was still there after it had been taken. */
  kicksLeft = 0;
  /** Event descriptors, or -1, or {@link POLLED}. */
  kick: number = NONE;
  call: number = NONE;
  err: number = NONE;

  /** It runs in a device that opens rings by itself: there is no {@link queue} here then. */
  runsElsewhere = false;

  constructor(index: number, sizeMax: number) {
    this.index = index;
    this.sizeMax = sizeMax;
  }

  /** Whether a device uses it. */
  get runs(): boolean {
    return this.queue !== undefined || this.runsElsewhere;
  }

  /** Keep another event descriptor, or none: the one before is closed. */
  setEvent(which: 'kick' | 'call' | 'err', fd: number | undefined): void {
    if (this[which] >= 0) close(this[which]);
    this[which] = fd ?? NONE;
    if (which === 'kick') this.kicksLeft = 0;
  }

  /**
   * Find the ring in memory and run its queue from {@link base} on. With ACCESS_PLATFORM it may have to wait for
   * translations: then there is no queue, and opening it is to be tried again.
   * @param log      of pages that it writes, where one is kept
   * @param inflight where its chains in flight are on record, if they are
   * @returns why it can't be; nothing was touched then
   */
  open(
    table: MemoryTable,
    features: Uint32Array,
    log: DirtyLog | undefined,
    inflight: InflightArea | undefined,
  ): string | undefined {
    const { size, addresses } = this;
    if (addresses === undefined) return `ring ${this.index} has no addresses`;
    const isTranslated = hasFeature(features, VIRTIO_F.ACCESS_PLATFORM);
    const { misses } = table.translated;
    const [desc, driver, device] = [addresses.desc, addresses.avail, addresses.used].map((at) =>
      isTranslated ? at : table.gpaOf(at),
    );
    if (desc! < 0 || driver! < 0 || device! < 0) return `ring ${this.index} has a part that is in no region`;
    const packed = hasFeature(features, VIRTIO_F.RING_PACKED);
    const space = isTranslated ? table.translated : table.space;
    const missesBefore = misses.count;
    const config = { space, size, desc: desc!, driver: driver!, device: device!, features };
    const state = stateOf(this.base, packed);
    let queue: DeviceQueue | QueueRefusal = openLoopedDeviceQueue(config, state);
    if (isRefusal(queue)) {
      misses.forgetRefused();
      return misses.count === missesBefore ? `ring ${this.index}: ${queue.message}` : undefined;
    }
    const region = inflight && regionOfRing(inflight, space.memory, this, packed);
    if (typeof region === 'string') return region;
    if (region !== undefined) {
      const tracked = InflightQueue.open(config, state, region);
      if (typeof tracked === 'string') return `ring ${this.index}: ${tracked}`;
      this.tracked = tracked;
      queue = tracked;
    }
    // What waits was not taken, so there is nothing to be logged of it.
    if (isTranslated) {
      this.waiting = new WaitingQueue(queue, misses);
      queue = this.waiting;
    }
    this.queue = log === undefined ? queue : new LoggedQueue(queue, config, log, this.logging(isTranslated));
    return undefined;
  }

  /** A log address that would itself have to be translated is left alone: the ring is logged where it lies. */
  private logging(isTranslated: boolean): RingLogging {
    const deviceAt = this.addresses?.log;
    if (deviceAt === undefined) return { ring: false };
    return isTranslated ? { ring: true } : { ring: true, deviceAt };
  }

  /** Between two turns of the device: translations that are needed soon are asked for. */
  lookAhead(): void {
    this.waiting?.lookAhead();
  }

  /** Whether a part of the ring lies between these addresses, which are as {@link addresses} are. */
  overlaps(from: number, to: number, features: Uint32Array): boolean {
    const { addresses, size } = this;
    if (addresses === undefined) return false;
    const { desc, avail, used } = addresses;
    const isPacked = hasFeature(features, VIRTIO_F.RING_PACKED);
    const parts = isPacked
      ? [
          [desc, pvirtqDescBytes(size)],
          [avail, PVIRTQ_EVENT_SUPPRESS.SIZE],
          [used, PVIRTQ_EVENT_SUPPRESS.SIZE],
        ]
      : [
          [desc, virtqDescBytes(size)],
          [avail, virtqAvailBytes(size)],
          [used, virtqUsedBytes(size)],
        ];
    return parts.some(([at, bytes]) => at! < to && at! + bytes! > from);
  }

  /** End the queue and keep its position. What it had in hand has been put or given back. */
  close(): void {
    const { queue } = this;
    if (queue === undefined) return;
    this.queue = undefined;
    this.waiting = undefined;
    // A ring that broke has no position that is worth anything: it stays where it began.
    if (queue.ringFault === 0) this.base = baseOf(queue.save());
    queue.stop();
  }

  /** Its position was told: nothing that is on record of the queue that was closed counts any more. */
  finish(): void {
    this.tracked?.finish();
    this.tracked = undefined;
  }

  /** As before anything was set: descriptors are closed. */
  reset(): void {
    this.queue?.stop();
    this.queue = undefined;
    this.runsElsewhere = false;
    this.waiting = undefined;
    this.tracked = undefined;
    for (const which of ['kick', 'call', 'err'] as const) this.setEvent(which, undefined);
    this.size = 0;
    this.addresses = undefined;
    this.base = 0;
    this.started = false;
    this.enabled = false;
    this.isWaiting = false;
  }
}

/**
 * A queue's state of a ring's base. Split: the next available index. Packed: position of the next available descriptor
 * with its wrap counter in bits 0–14 and 15. Bits 16–31 have the same for used ones, which front-ends may leave at zero;
 * as nothing is in flight they can only say the same.
 */
export function stateOf(base: number, packed: boolean): QueueState {
  const index = base & 0xffff;
  if (!packed) return { layout: 'split', lastAvailIdx: index, usedIdx: index };
  const at = index & 0x7fff;
  const wrap = index >= 0x8000 ? 1 : 0;
  return {
    layout: 'packed',
    lastAvailIdx: at,
    usedIdx: at,
    lastAvailWrapCounter: wrap,
    usedWrapCounter: wrap,
  };
}

/** The other way round: 32 bits for a packed ring. */
export function baseOf(state: QueueState): number {
  if (state.layout === 'split') return state.lastAvailIdx;
  const half = (at: number, wrap: number): number => at | (wrap << 15);
  const { lastAvailIdx, lastAvailWrapCounter, usedIdx, usedWrapCounter } = state;
  return half(lastAvailIdx, lastAvailWrapCounter) + half(usedIdx, usedWrapCounter) * 0x1_0000;
}
