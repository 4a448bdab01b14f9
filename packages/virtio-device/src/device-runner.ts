import type { AddressSpace } from '@ringwire/guest-memory';
import { RING_FAULT } from '@ringwire/virtqueue';
import type { DeviceCounters } from './device-counters.js';
import type { DeviceModel, DevicePort } from './device-model.js';
import type { TransportSnapshot } from './inspection/snapshot-types.js';
import { PendingQueues } from './pending-queues.js';
import type { QueueSlot } from './queue-slot.js';
import type { DeviceTrace } from './trace/device-trace.js';

/** What a device needs of its transport. Called between steps, never within one. */
export interface Transport {
  /** Bits of virtio 1.4 §6 that this transport has besides the common ones. */
  readonly features: readonly number[];
  /** Interrupt: a buffer of the queue was used. */
  usedBuffer(queue: number): void;
  /** Interrupt: the configuration changed, or the device needs a reset. */
  configChange(): void;
  /** The queue's registers are as after a reset: its vector, where there is one. */
  queueReset(queue: number): void;
  /** The device was reset: selectors, vectors and pending interrupts too. */
  reset(): void;
  /** Registers and interrupts as data, for people. */
  snapshot(): TransportSnapshot;
}

/** What the runner tells the device around it. */
interface RunnerOwner {
  /** A queue's ring cannot be trusted. */
  ringFault(queue: number, fault: number): void;
  /** The type is not at work any more: what had to wait for that can be done. */
  idle(): void;
}

/** What the runner works on. */
export interface RunnerParts {
  readonly model: DeviceModel;
  readonly space: AddressSpace;
  readonly queues: readonly QueueSlot[];
  readonly transport: Transport;
  readonly counters: DeviceCounters;
  readonly wake: () => void;
  readonly owner: RunnerOwner;
  readonly trace: DeviceTrace | undefined;
}

/**
 * A device type at work: when it may touch queues, in bursts of its address space, and how its notifications leave.
 *
 * While the type is at work nothing else is entered: its notifications wait for the end of the step, or of the driver's
 * register access, that they came of. So an interrupt handler may do all that a driver does.
 */
export class DeviceRunner {
  /** The driver or an error stopped all queues: FAILED, DEVICE_NEEDS_RESET, SUSPEND, or a reset that is due. */
  halted = false;
  /** The type is at work: calls that would disturb it have to wait. */
  busy = false;

  private stopped = false;
  /** The configuration changed while stopped: to be told later. */
  private configHeld = false;

  private readonly parts: RunnerParts;
  private dma = true;
  private started = false;
  private inBurst = false;
  private epoch = Number.NaN;
  /** Of the type's own bursts: calls of `enter` within a burst, and whether it began the one around them. */
  private nested = 0;
  private ownBurst = false;
  private readonly used: PendingQueues;
  private configPending = false;

  constructor(parts: RunnerParts) {
    this.parts = parts;
    this.used = new PendingQueues(parts.queues.length);
  }

  /** Whether queues may be touched. */
  get live(): boolean {
    return this.started && !this.halted && this.dma && !this.stopped;
  }

  get dmaEnabled(): boolean {
    return this.dma;
  }

  set dmaEnabled(enabled: boolean) {
    if (this.dma === enabled) return;
    this.dma = enabled;
    this.notifyAll();
  }

  /** Somebody other than the driver stopped everything: no queue is touched, and nothing that happens is told. */
  get isStopped(): boolean {
    return this.stopped;
  }

  set isStopped(stopped: boolean) {
    if (this.stopped === stopped) return;
    this.stopped = stopped;
    if (stopped) return;
    if (this.configHeld) this.notifyConfig();
    this.notifyAll();
  }

  /** Whether notifications wait for the next step. */
  get hasNotifications(): boolean {
    return this.configPending || !this.used.isEmpty;
  }

  start(port: DevicePort): void {
    this.started = true;
    this.work(() => this.parts.model.start(port));
    this.notifyAll();
  }

  /** End the type's work for good, at the end of what it is doing now. */
  stop(): void {
    if (this.busy || !this.started) return;
    this.started = false;
    this.parts.model.stop();
  }

  /** Forget what was to be sent. */
  dropNotifications(): void {
    this.used.clear();
    this.configPending = false;
    this.configHeld = false;
  }

  /** An available buffer notification. */
  kick(index: number): void {
    const { model, queues, counters, wake, trace } = this.parts;
    const isServed = this.live && queues[index]?.enabled === true;
    trace?.kicked(index, isServed);
    if (!isServed) {
      counters.kicksIgnored++;
      return;
    }
    counters.kicks++;
    model.notified(index);
    wake();
  }

  /** Look after whatever was made available while nobody did. */
  notifyAll(): void {
    if (!this.live) return;
    for (const { index, enabled } of this.parts.queues) if (enabled) this.parts.model.notified(index);
    this.parts.wake();
  }

  queueChanged({ index, enabled }: QueueSlot): void {
    if (!this.started) return;
    this.work(() => this.parts.model.queueChanged(index));
    if (!enabled || !this.live) return;
    this.parts.model.notified(index);
    this.parts.wake();
  }

  /** Call the type, on the driver's behalf. */
  work(call: () => void): void {
    const isOuter = !this.busy;
    this.busy = true;
    try {
      call();
    } finally {
      if (isOuter) {
        this.busy = false;
        this.parts.owner.idle();
      }
    }
  }

  /** The same in a burst, so that addresses can be resolved. */
  burst(call: () => void): void {
    const own = this.beginBurst();
    try {
      call();
    } finally {
      if (own) this.endBurst();
    }
  }

  step(budget: number): number {
    if (this.busy) return 0;
    let done = 0;
    if (this.live) {
      this.beginBurst();
      try {
        // Beginning may have found a ring out of reach.
        if (this.live) done = this.parts.model.step(budget);
      } finally {
        this.endBurst();
      }
    }
    this.deliver();
    return done;
  }

  /** `DevicePort.enter`. */
  enter(): boolean {
    if (!this.live) return false;
    if (this.inBurst) this.nested++;
    else {
      this.beginBurst();
      this.ownBurst = true;
    }
    return true;
  }

  /** `DevicePort.leave`. */
  leave(): void {
    if (this.nested > 0) this.nested--;
    else if (this.ownBurst) {
      this.ownBurst = false;
      this.endBurst();
      // The interrupt waits for a step, or for its time: the type may be at work within another device's burst.
      this.parts.wake();
    }
  }

  notifyUsed(index: number): void {
    if (!this.live || this.parts.queues[index]?.enabled !== true) return;
    this.used.add(index);
    if (!this.busy) this.parts.wake();
  }

  notifyConfig(): void {
    this.configHeld = this.stopped;
    if (this.stopped) return;
    this.configPending = true;
    if (!this.busy) this.parts.wake();
  }

  /** Hand what is pending to the transport. Its handler may do what a driver does, a step or a reset included. */
  deliver(): void {
    if (this.busy) return;
    const { queues, counters, transport, trace } = this.parts;
    for (let index = this.used.take(); index >= 0; index = this.used.take()) {
      if (queues[index]!.enabled !== true) continue;
      counters.usedNotifications++;
      trace?.notifiedUsed(index);
      transport.usedBuffer(index);
    }
    if (!this.configPending) return;
    this.configPending = false;
    counters.configNotifications++;
    trace?.notifiedConfig();
    transport.configChange();
  }

  /** @returns false when a burst has begun already. Rings whose host offsets are void are found anew. */
  private beginBurst(): boolean {
    if (this.inBurst) return false;
    this.inBurst = true;
    this.busy = true;
    const epoch = this.parts.space.enter();
    if (epoch !== this.epoch) {
      this.epoch = epoch;
      for (const { queue } of this.parts.queues) queue?.refresh();
      this.judgeRings();
    }
    return true;
  }

  private endBurst(): void {
    this.inBurst = false;
    this.nested = 0;
    this.parts.space.leave();
    this.judgeRings();
    this.busy = false;
    this.parts.owner.idle();
  }

  private judgeRings(): void {
    if (this.halted) return;
    const { queues, owner } = this.parts;
    for (let index = 0; index < queues.length; index++) {
      const fault = queues[index]!.queue?.ringFault ?? RING_FAULT.NONE;
      if (fault === RING_FAULT.NONE) continue;
      owner.ringFault(index, fault);
      return;
    }
  }
}
