import type { DeviceQueue } from '@ringwire/virtqueue';
import { Coalescing } from './coalescing.js';
import type { NetState } from './net-state.js';
import type { Statistics } from './net-statistics.js';

/** What a network device's queues have in common: coming and going, and telling the driver. */
export class NetQueue {
  /** Virtqueue index; the control queue's depends on what was negotiated. */
  index: number;
  readonly statistics: Statistics;
  readonly coalescing: Coalescing = new Coalescing();
  /** Undefined while the driver has not enabled it. */
  queue: DeviceQueue | undefined = undefined;
  /** The driver has enabled it, and this thread or another one serves it. */
  isOn = false;
  /** It is on, and not within reach for now. */
  protected isWaiting = false;
  protected readonly state: NetState;
  /** The queue was enabled, reset or disabled: it is asked for again when it is used next. */
  private isStale = true;
  /** Whether the driver was asked to notify of available buffers. */
  private listening = false;
  private readonly interrupts: number;

  /** @param interrupts the counter of notifications sent, or -1 */
  constructor(state: NetState, index: number, statistics: Statistics, interrupts: number) {
    this.state = state;
    this.index = index;
    this.statistics = statistics;
    this.interrupts = interrupts;
  }

  /** Nothing of the queue's former life is used any more. */
  close(): void {
    this.queue = undefined;
    this.isOn = false;
    this.isWaiting = false;
    this.isStale = true;
    this.coalescing.restart();
  }

  /** Before work on queues: find the queue that the driver set up meanwhile. */
  refresh(): void {
    if (!this.isStale) return;
    this.isStale = false;
    this.listening = false;
    const { port } = this.state;
    const queue = port?.queue(this.index);
    this.isWaiting = queue === undefined && port?.isWaiting?.(this.index) === true;
    this.isOn = queue !== undefined || this.isWaiting;
    if (queue !== undefined && this.isServed()) this.open(queue);
  }

  /** Whether this thread serves the queue. */
  protected isServed(): boolean {
    return this.state.serves(this.index >>> 1);
  }

  protected open(queue: DeviceQueue): void {
    this.queue = queue;
  }

  /** Make used elements visible, for so many packets. */
  protected publish(packets: number): void {
    const queue = this.queue!;
    const wanted = queue.publishUsed();
    if (this.coalescing.active ? this.coalescing.used(packets, wanted, this.state.port!.now()) : wanted) this.notify();
  }

  /** Time passed or coalescing parameters changed. */
  checkCoalescing(now: number): void {
    if (this.coalescing.due(now)) this.notify();
  }

  private notify(): void {
    if (this.interrupts >= 0) this.statistics.add(this.interrupts, 1);
    this.state.port?.notifyUsed(this.index);
  }

  /** Buffers come in faster than they would be notified of. */
  protected stopListening(): void {
    if (!this.listening) return;
    this.listening = false;
    this.queue?.disableNotifications();
  }

  /** @returns true when a buffer is waiting already, of which no notification may come */
  protected listen(): boolean {
    return !this.listening && this.listenAnew();
  }

  /** The same where the driver has been asked before, and buffers were taken since. */
  protected listenAnew(): boolean {
    this.listening = true;
    return this.queue!.enableNotifications();
  }
}
