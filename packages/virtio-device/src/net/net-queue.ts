import { type DeviceQueue, faultName, RING_FAULT } from '@ringwire/virtqueue';
import { Coalescing } from './coalescing.js';
import type { NetState } from './net-state.js';
import type { Statistics } from './net-statistics.js';

/** What a network device's queues have in common: coming and going, and telling the driver. */
export class NetQueue {
  /** Virtqueue index. */
  readonly index: number;
  readonly statistics: Statistics;
  readonly coalescing: Coalescing = new Coalescing();
  /** Undefined while the driver has not enabled it. */
  queue: DeviceQueue | undefined = undefined;
  protected readonly state: NetState;
  /** Whether the driver was asked to notify of available buffers; a new ring asks for it. */
  private listening = true;
  /** Whether the driver is to be notified of used buffers. */
  private owed = false;
  private readonly interrupts: number;

  /** @param interrupts the counter of notifications sent, or -1 */
  constructor(state: NetState, index: number, statistics: Statistics, interrupts: number) {
    this.state = state;
    this.index = index;
    this.statistics = statistics;
    this.interrupts = interrupts;
  }

  /** The queue was enabled, disabled or reset: nothing of its former life is used any more. */
  reopen(): void {
    this.queue = this.state.port?.queue(this.index);
    this.listening = true;
    this.owed = false;
    this.coalescing.restart();
  }

  close(): void {
    this.queue = undefined;
    this.owed = false;
    this.coalescing.restart();
  }

  /** Make used elements visible, for so many packets. */
  protected publish(packets: number): void {
    const queue = this.queue;
    if (queue === undefined) return;
    const wanted = queue.publishUsed();
    const { port } = this.state;
    const now = this.coalescing.active ? this.coalescing.used(packets, wanted, port!.now()) : wanted;
    if (now) this.owe();
  }

  /** Time passed or coalescing parameters changed. */
  checkCoalescing(now: number): void {
    if (this.coalescing.due(now)) this.owe();
  }

  private owe(): void {
    this.owed = true;
    this.state.owing = true;
  }

  /** Send the notification that is owed: last of all, because whoever gets it may call the device at once. */
  notifyOwed(): void {
    if (!this.owed) return;
    this.owed = false;
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
    if (this.listening || this.queue === undefined) return false;
    this.listening = true;
    return this.queue.enableNotifications();
  }

  /** The ring cannot be trusted any more: the device needs a reset. */
  protected checkRing(queue: DeviceQueue): void {
    if (queue.ringFault === RING_FAULT.NONE) return;
    this.state.broken ??= `virtqueue ${this.index}: ${faultName(RING_FAULT, queue.ringFault)}`;
  }
}
