import { ACCESS, RangeList } from '@ringwire/guest-memory';
import { PVIRTQ_EVENT_SUPPRESS, pvirtqDescBytes, virtqUsedBytes } from '@ringwire/virtio-spec';
import {
  type ChainBurst,
  type DeviceQueue,
  type QueueConfig,
  TAKE,
  type Take,
  WrappedQueue,
} from '@ringwire/virtqueue';
import type { DirtyLog } from './dirty-log.js';

const RW = ACCESS.READ | ACCESS.WRITE;
const EVERYTHING = Number.POSITIVE_INFINITY;

/** What a {@link LoggedQueue} does about the ring itself. */
export interface RingLogging {
  /** Whether the parts of the ring that a device writes are logged. */
  readonly ring: boolean;
  /**
   * Guest-physical address at which the device area is logged, from its first byte on, in place of where it lies. A ring
   * may lie where the guest does not see it, and stand for one that the guest does see.
   */
  readonly deviceAt?: number;
}

/**
 * A device queue that logs what the device writes into guest memory: of each buffer the bytes that it is put with, all
 * of it when it is put with none (it may have been begun), and the parts of the ring that a device writes. A buffer is
 * marked before the used index tells of it.
 */
export class LoggedQueue extends WrappedQueue {
  private readonly config: QueueConfig;
  private readonly log: DirtyLog;
  private readonly logging: RingLogging;
  /** Device-writable ranges of the chains in flight, by token; each made when its token is first seen, and kept. */
  private readonly writable: (RangeList | undefined)[] = [];
  /** What a device writes of the ring, as host ranges. */
  private readonly ring = new RangeList(4);
  /** Elements were put, and the ring not marked since. */
  private isRingWritten = false;

  /**
   * @param queue   as `openDeviceQueue` made it of `config`
   * @param config  where the queue lies, in the space that its buffers are resolved through
   * @param logging the ring where it lies, unless given
   */
  constructor(queue: DeviceQueue, config: QueueConfig, log: DirtyLog, logging: RingLogging = { ring: true }) {
    super(queue);
    this.config = config;
    this.log = log;
    this.logging = logging;
    this.locate();
  }

  override takeBurst(burst: ChainBurst, max: number): number {
    const first = burst.count;
    const taken = this.queue.takeBurst(burst, max);
    for (let i = first; i < first + taken; i++) this.remember(burst, i);
    return taken;
  }

  override takeAvailable(burst: ChainBurst): Take {
    const outcome = this.queue.takeAvailable(burst);
    if (outcome === TAKE.CHAIN || outcome === TAKE.CHAIN_FAULT) this.remember(burst, burst.count - 1);
    return outcome;
  }

  override putUsed(token: number, written: number): void {
    this.queue.putUsed(token, written);
    this.isRingWritten = true;
    const ranges = this.writable[token];
    if (ranges !== undefined) this.log.markRanges(ranges, 0, ranges.count, written > 0 ? written : EVERYTHING);
  }

  override putUsedBurst(burst: ChainBurst, from: number, count: number): void {
    for (let i = from; i < from + count; i++) {
      const written = burst.written[i]!;
      burst.written[i] = 0;
      this.putUsed(burst.token[i]!, written);
    }
  }

  override publishUsed(): boolean {
    const notify = this.queue.publishUsed();
    if (this.isRingWritten) this.markRing();
    return notify;
  }

  override disableNotifications(): void {
    this.queue.disableNotifications();
    this.markRing();
  }

  override enableNotifications(): boolean {
    const isWaiting = this.queue.enableNotifications();
    this.markRing();
    return isWaiting;
  }

  override refresh(): boolean {
    const isReachable = this.queue.refresh();
    this.locate();
    return isReachable;
  }

  override stop(): void {
    if (this.isRingWritten) this.markRing();
    this.queue.stop();
  }

  private remember(burst: ChainBurst, i: number): void {
    const token = burst.token[i]!;
    this.writable[token] ??= new RangeList(4);
    const ranges = this.writable[token];
    ranges.clear();
    const { segments } = burst;
    for (let s = burst.firstWritable[i]!; s < burst.end(i); s++) ranges.push(segments.offset[s]!, segments.length[s]!);
  }

  private markRing(): void {
    this.isRingWritten = false;
    const { ring, deviceAt } = this.logging;
    if (!ring) return;
    this.log.markRanges(this.ring, 0, this.ring.count, EVERYTHING);
    if (deviceAt !== undefined) this.log.mark(deviceAt, this.deviceBytes);
  }

  private locate(): void {
    const { space, size, desc, device } = this.config;
    const ring = this.ring;
    ring.clear();
    if (this.queue.layout === 'packed') space.resolveRanges(desc, pvirtqDescBytes(size), RW, ring);
    if (this.logging.deviceAt === undefined) space.resolveRanges(device, this.deviceBytes, RW, ring);
  }

  private get deviceBytes(): number {
    return this.queue.layout === 'packed' ? PVIRTQ_EVENT_SUPPRESS.SIZE : virtqUsedBytes(this.config.size);
  }
}
