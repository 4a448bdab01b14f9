import { openLoopedDeviceQueue } from '@ringwire/ring-loops';
import {
  type ChainBurst,
  type DeviceQueue,
  type DeviceSplitQueue,
  isRefusal,
  type QueueConfig,
  type QueueState,
  RING_FAULT,
  TAKE,
  type Take,
  WrappedQueue,
} from '@ringwire/virtqueue';
import { PackedRecord } from './inflight-packed.js';
import type { InflightRecord, InflightRegion } from './inflight-record.js';
import { SplitRecord } from './inflight-split.js';

/**
 * A device queue whose chains in flight are on record, and which begins with those that an earlier life left. The order
 * of things is the protocol's: on record before a chain is used, off it when its used element is visible.
 */
export class InflightQueue extends WrappedQueue {
  private readonly record: InflightRecord;
  private hasPut = false;
  private stopped = false;

  private constructor(queue: DeviceQueue, record: InflightRecord) {
    super(queue);
    this.record = record;
  }

  /**
   * Open a queue where an earlier life stopped, or anew.
   * @param config of a queue that was opened once: it can be
   * @param state  where it begins when the region is a new one
   * @returns the queue, or why the region can't be believed
   */
  static open(config: QueueConfig, state: QueueState, region: InflightRegion): InflightQueue | string {
    const record =
      state.layout === 'split' ? SplitRecord.open(region, config, state) : PackedRecord.open(region, config, state);
    if (typeof record === 'string') return `the in-flight region's ${record}`;
    const queue = openLoopedDeviceQueue(config, record.state);
    if (isRefusal(queue)) return queue.message;
    if (queue.layout === 'packed') (record as PackedRecord).attach(queue);
    return new InflightQueue(queue, record);
  }

  /** The ring was stopped, and the front-end is told where. */
  finish(): void {
    this.record.finish();
  }

  override takeBurst(burst: ChainBurst, max: number): number {
    const { record } = this;
    const first = burst.count;
    const most = Math.min(max, burst.capacity - first);
    for (let head = record.nextAgain(); head >= 0 && burst.count - first < most; head = record.nextAgain()) {
      if ((this.queue as DeviceSplitQueue).takeAgain(burst, head) === TAKE.RING_FAULT) break;
      record.took(head);
    }
    const again = burst.count - first;
    const taken = again < most ? this.queue.takeBurst(burst, most - again) : 0;
    for (let i = first + again; i < first + again + taken; i++) record.took(burst.token[i]!);
    return again + taken;
  }

  override takeAvailable(burst: ChainBurst): Take {
    const before = burst.faults;
    if (this.takeBurst(burst, 1) === 0) return this.ringFault === RING_FAULT.NONE ? TAKE.EMPTY : TAKE.RING_FAULT;
    return burst.faults === before ? TAKE.CHAIN : TAKE.CHAIN_FAULT;
  }

  override putUsed(token: number, written: number): void {
    this.queue.putUsed(token, written);
    this.hasPut = true;
    this.record.put(token);
  }

  override putUsedBurst(burst: ChainBurst, from: number, count: number): void {
    this.queue.putUsedBurst(burst, from, count);
    this.hasPut ||= count > 0;
    for (let i = from; i < from + count; i++) this.record.put(burst.token[i]!);
  }

  override publishUsed(): boolean {
    if (!this.hasPut || this.stopped || this.ringFault !== RING_FAULT.NONE) return false;
    this.hasPut = false;
    this.record.beforePublish();
    const notify = this.queue.publishUsed();
    this.record.published();
    return notify;
  }

  override untake(token: number): void {
    this.queue.untake(token);
    this.record.gaveBack(token);
  }

  override refresh(): boolean {
    const isReachable = this.queue.refresh();
    if (isReachable) this.record.relocate();
    return isReachable;
  }

  override stop(): void {
    this.stopped = true;
    this.queue.stop();
  }
}
