import type { AddressSpace } from '@ringwire/guest-memory';
import { DEVICE_STATUS, FEATURE_WORDS, hasFeature, VIRTIO_F, VirtioError } from '@ringwire/virtio-spec';
import { faultName, type QueueState, RING_FAULT } from '@ringwire/virtqueue';
import { monotonicMicroseconds } from './clock.js';
import { ConfigSpace } from './config-space.js';
import { type DeviceCounters, newDeviceCounters } from './device-counters.js';
import type { DeviceModel, DevicePort } from './device-model.js';
import { DeviceRunner, type Transport } from './device-runner.js';
import type { TransportSnapshot } from './inspection/snapshot-types.js';
import { acceptanceProblem, offeredFeatures, statusNames } from './offered-features.js';
import { PendingQueues } from './pending-queues.js';
import type { KeptPosition, QueueKeeper } from './queue-keeper.js';
import { QueueSlot } from './queue-slot.js';
import type { DeviceTrace } from './trace/device-trace.js';

/** What a device is made of, whatever its transport. */
export interface VirtioDeviceConfig {
  readonly model: DeviceModel;
  /** The only way to guest memory. */
  readonly space: AddressSpace;
  /**
   * The space that a queue's addresses are of, asked when the queue is enabled; `space` unless given. A burst of `space`
   * has to be one of all these.
   */
  readonly queueSpace?: (index: number) => AddressSpace;
  /** Whether `space` translates or restricts, as an IOMMU does: then ACCESS_PLATFORM has to be accepted. */
  readonly translated?: boolean;
  /** Feature words 0–3 that may be offered; everything that device and transport can do unless given. */
  readonly offer?: Uint32Array;
  /** There is work for {@link VirtioDevice.step}. Called within a driver's register access: only to be noted. */
  readonly wake?: () => void;
  /** A clock in µs that never goes back; the platform's unless given. */
  readonly now?: () => number;
  /** Keeps queues for a device that goes on when this one's thread has ended; nobody unless given. */
  readonly keeper?: QueueKeeper;
  /** Is told of what device and transport do, such as a `ChromeTrace`; nobody unless given. */
  readonly trace?: DeviceTrace;
}

const { ACKNOWLEDGE, DRIVER, DRIVER_OK, FEATURES_OK, SUSPEND, DEVICE_NEEDS_RESET, FAILED } = DEVICE_STATUS;
/** The driver's steps in their order, and what has to be set before each. virtio 1.4 §3.1.1 */
const STEPS = [ACKNOWLEDGE, DRIVER, FEATURES_OK, DRIVER_OK] as const;
const BEFORE = { [ACKNOWLEDGE]: 0, [DRIVER]: ACKNOWLEDGE, [FEATURES_OK]: DRIVER, [DRIVER_OK]: FEATURES_OK } as const;
const BROKEN = DEVICE_NEEDS_RESET | FAILED;
const QUEUES_MAX = 0x1_0000;

/**
 * A virtio device between its transport, which brings the driver's register accesses, and its type: status machine,
 * feature negotiation, queues, configuration. @see virtio 1.4 §2, §3
 *
 * Nothing that a driver writes makes a method throw. A register access never starts work on queues: it notes what
 * {@link step} is to do, and a step's own notifications leave when it has ended, so that neither is entered from inside.
 */
export class VirtioDevice {
  readonly model: DeviceModel;
  readonly space: AddressSpace;
  /** Feature words 0–3. */
  readonly offered: Uint32Array;
  readonly counters: DeviceCounters = newDeviceCounters();
  readonly queues: readonly QueueSlot[];
  readonly config: ConfigSpace;
  /** Why FEATURES_OK was refused last. */
  featuresRefusal: string | undefined;
  /** Why a status bit was not taken over. */
  statusProblem: string | undefined;
  /** Why the device needs a reset. */
  resetReason: string | undefined;

  private statusBits = 0;
  private readonly accepted = new Uint32Array(FEATURE_WORDS);
  /** Queues before those that there are with ADMIN_VQ alone. */
  private readonly ownQueues: number;
  private readonly queueSpace: (index: number) => AddressSpace;
  private readonly transport: Transport;
  private readonly runner: DeviceRunner;
  private readonly port: DevicePort;
  private readonly trace: DeviceTrace | undefined;
  private readonly wake: () => void;
  // What waits until the type is not at work.
  private resetPending = false;
  private suspendPending = false;
  private readonly queueResets: PendingQueues;
  private readonly disables: PendingQueues;

  /** @throws VirtioError for a type or an offer that cannot be */
  constructor(config: VirtioDeviceConfig, transport: Transport) {
    const { model, space, wake = () => {}, trace, keeper } = config;
    this.model = model;
    this.space = space;
    this.queueSpace = config.queueSpace ?? (() => space);
    this.trace = trace;
    this.transport = transport;
    this.wake = wake;
    this.offered = offeredFeatures(model, config.offer, config.translated === true, transport.features);
    const { queueSizes } = model;
    if (queueSizes.length > QUEUES_MAX)
      throw new VirtioError('queueSizes.length', queueSizes.length, `at most ${QUEUES_MAX}`, 'virtio 1.4 §2.6');
    this.queues = queueSizes.map((size, index) => new QueueSlot(index, size, trace, keeper));
    this.ownQueues = model.ownQueues ?? queueSizes.length;
    this.queueResets = new PendingQueues(queueSizes.length);
    this.disables = new PendingQueues(queueSizes.length);
    this.config = new ConfigSpace(model.config);
    const owner = {
      ringFault: (queue: number, fault: number) =>
        this.needsReset(`queue ${queue} cannot be trusted: ${faultName(RING_FAULT, fault)}`),
      idle: () => this.settle(),
    };
    const { queues, counters } = this;
    this.runner = new DeviceRunner({ model, space, queues, transport, counters, wake, owner, trace });
    this.port = this.openPort(config.now ?? monotonicMicroseconds);
  }

  /** The device status byte. */
  get status(): number {
    return this.statusBits;
  }

  /** Whether the device runs: queues that are enabled are served. */
  get live(): boolean {
    return this.runner.live;
  }

  /** Whether what is asked of the device has to wait: its type is at work, or a reset is under way. */
  get isChanging(): boolean {
    return this.runner.busy;
  }

  /** Whether {@link stop} is in force. */
  get isStopped(): boolean {
    return this.runner.isStopped;
  }

  /** num_queues: those for administration are not counted. */
  get numQueues(): number {
    return this.ownQueues;
  }

  /** Whether the function may do DMA: PCI's bus master enable. Off, nothing moves; on again, everything goes on. */
  get dmaEnabled(): boolean {
    return this.runner.dmaEnabled;
  }

  set dmaEnabled(enabled: boolean) {
    if (enabled !== this.runner.dmaEnabled) this.trace?.control(enabled ? 'DMA allowed' : 'no DMA allowed');
    this.runner.dmaEnabled = enabled;
  }

  /** Feature word that the device offers. @param select any 32-bit number; from 4 on there is nothing */
  deviceFeatures(select: number): number {
    return this.offered[select] ?? 0;
  }

  /** Feature word as the driver wrote it. */
  driverFeatures(select: number): number {
    return this.accepted[select] ?? 0;
  }

  /** The driver accepts a feature word. It is judged as a whole when FEATURES_OK is written. @see virtio 1.4 §2.2 */
  acceptFeatures(select: number, word: number): void {
    if ((this.statusBits & FEATURES_OK) !== 0 || !(select < FEATURE_WORDS)) this.counters.featureWritesIgnored++;
    else this.accepted[select] = word;
  }

  /** Whether a feature is negotiated: FEATURES_OK is set, and the driver accepted it. */
  negotiated(bit: number): boolean {
    return (this.statusBits & FEATURES_OK) !== 0 && hasFeature(this.accepted, bit);
  }

  /**
   * The driver writes the device status: 0 resets, other bits are set in their order and never taken back.
   * @param value as written; bits that don't exist or are the device's own have no effect
   * @see virtio 1.4 §2.1, §3.1, §3.4
   */
  writeStatus(value: number): void {
    const before = this.statusBits;
    const fresh = value & ~before;
    if (value === 0) this.reset();
    else if ((fresh & FAILED) !== 0) this.fail();
    // SUSPEND may be written along with DRIVER_OK, or left out: resuming takes it back.
    else if ((before & SUSPEND) !== 0 && (fresh & DRIVER_OK) !== 0) this.resume();
    else if ((fresh & SUSPEND) !== 0 && this.runs() && this.negotiated(VIRTIO_F.SUSPEND)) this.suspend();
    else if ((before & SUSPEND) === 0) for (const bit of STEPS) if ((fresh & bit) !== 0) this.takeStep(bit);
    const ignored = (value & ~this.statusBits) | (before & ~value);
    if (value !== 0 && ignored !== 0 && ((before ^ this.statusBits) & SUSPEND) === 0) this.counters.statusIgnored++;
    this.runner.deliver();
  }

  /** Device reset. Within a step it is done at the step's end, and the status is not 0 before. @see virtio 1.4 §2.4 */
  reset(): void {
    if (this.runner.busy) {
      this.resetPending = true;
      this.runner.halted = true;
      for (const slot of this.queues) slot.queue?.stop();
      return;
    }
    this.resetPending = false;
    this.suspendPending = false;
    for (const slot of this.queues) slot.reset();
    this.runner.stop();
    this.model.reset?.();
    this.runner.dropNotifications();
    this.runner.halted = false;
    this.queueResets.clear();
    this.disables.clear();
    this.config.thaw();
    this.accepted.fill(0);
    this.featuresRefusal = undefined;
    this.statusProblem = undefined;
    this.resetReason = undefined;
    this.statusBits = 0;
    this.trace?.control('device reset');
    this.counters.resets++;
    this.transport.reset();
  }

  /**
   * The device's owner stops it: what was taken is used, and from then on no queue is touched and the driver told nothing,
   * while registers go on as ever. Notifications on their way leave with the next {@link step}.
   * @returns false while they are, or while {@link isChanging}: to be called again
   * @see virtio 1.4 §2.12.1.4.3.4
   */
  stop(): boolean {
    const { runner } = this;
    if (runner.busy) return false;
    if (!runner.isStopped) {
      if (runner.live) runner.burst(() => this.model.suspend?.());
      runner.isStopped = true;
      this.trace?.control('stopped by its owner');
    }
    if (runner.hasNotifications) this.wake();
    return !runner.hasNotifications;
  }

  /** Take back {@link stop}. What there is to be told leaves with the next {@link step}. */
  go(): void {
    if (!this.runner.isStopped) return;
    this.trace?.control('resumed by its owner');
    this.runner.isStopped = false;
  }

  /** Notify the driver of every queue: whoever had something to tell may have ended before it did. */
  notifyDriver(): void {
    for (const { index } of this.queues) this.port.notifyUsed(index);
  }

  /** A queue as the driver sees it: those for administration are there with ADMIN_VQ alone. */
  queueAt(index: number): QueueSlot | undefined {
    return index < this.ownQueues || this.negotiated(VIRTIO_F.ADMIN_VQ) ? this.queues[index] : undefined;
  }

  /**
   * The queue whose registers the driver may write now, or undefined when they are frozen or there is no such queue.
   * A write that is not allowed is counted here.
   */
  writableQueue(index: number): QueueSlot | undefined {
    const slot = this.queueAt(index);
    if (slot !== undefined && !slot.enabled && slot.sizeMax > 0 && (this.statusBits & SUSPEND) === 0) return slot;
    this.counters.queueWritesIgnored++;
    return undefined;
  }

  /**
   * The driver enables a queue: only once features are negotiated, which decide what its bytes mean.
   * @param position where another device left off in it, KEPT where the keeper knows that; its start unless given
   */
  enableQueue(index: number, position?: QueueState | KeptPosition): void {
    const slot = this.writableQueue(index);
    if (slot === undefined) return;
    if ((this.statusBits & (FEATURES_OK | BROKEN)) === FEATURES_OK)
      this.runner.burst(() => slot.enable(this.queueSpace(index), this.accepted, position));
    else slot.refusal = 'features are not negotiated, or the device is broken (virtio 1.4 §3.1.1)';
    this.trace?.control(slot.enabled ? `queue ${index} enabled` : `queue ${index} not enabled: ${slot.refusal}`);
    if (slot.enabled) this.runner.queueChanged(slot);
    else this.counters.enableRefused++;
    this.runner.deliver();
  }

  /** The driver stops using a queue: MMIO's QueueReady. Within a step it is done at the step's end. */
  disableQueue(index: number): void {
    const slot = this.queues[index];
    if (slot === undefined || !slot.enabled || (this.statusBits & SUSPEND) !== 0) return;
    if (this.runner.busy) {
      this.disables.add(index);
      return;
    }
    slot.disable();
    this.trace?.control(`queue ${index} disabled`);
    this.runner.queueChanged(slot);
    this.runner.deliver();
  }

  /** Queue reset, if negotiated. Within a step it is done at the step's end. @see virtio 1.4 §2.6.1 */
  resetQueue(index: number): void {
    const slot = this.queues[index];
    if (slot === undefined || (this.statusBits & SUSPEND) !== 0 || !this.negotiated(VIRTIO_F.RING_RESET)) {
      this.counters.queueWritesIgnored++;
      return;
    }
    if (this.runner.busy) {
      this.queueResets.add(index);
      return;
    }
    slot.reset();
    this.trace?.control(`queue ${index} reset`);
    this.counters.queueResets++;
    this.transport.queueReset(index);
    this.runner.queueChanged(slot);
    this.runner.deliver();
  }

  /** Whether a queue's reset is under way: what its reset register reads. */
  isQueueResetting(index: number): boolean {
    return this.queueResets.has(index);
  }

  /** The driver sends an available buffer notification. @param index any number; what the ring holds decides, not this */
  notify(index: number): void {
    this.runner.kick(index);
  }

  /** The driver writes 1 to 4 bytes of the configuration. */
  writeConfig(at: number, bytes: number, value: number): void {
    if ((this.statusBits & (SUSPEND | BROKEN)) !== 0 || at + bytes > this.config.length) {
      this.counters.configWritesIgnored++;
      return;
    }
    this.runner.work(() => this.model.writeConfig(at, bytes, value));
    this.runner.deliver();
  }

  /**
   * Do a bounded amount of work on all queues, then send the notifications that came of it.
   * @param budget most chains per queue
   * @returns as {@link DeviceModel.step}; 0 as well while the device does not run
   */
  step(budget: number): number {
    return this.runner.step(budget);
  }

  /** When {@link step} is to be called at the latest, in µs of the clock; Infinity when nothing waits. */
  deadline(): number {
    return this.runner.live ? this.model.deadline() : Number.POSITIVE_INFINITY;
  }

  /** The transport's registers and interrupts as data. */
  snapshotTransport(): TransportSnapshot {
    return this.transport.snapshot();
  }

  private openPort(now: () => number): DevicePort {
    const { queues, runner } = this;
    return {
      memory: this.space.memory,
      features: this.accepted,
      now,
      queue: (index) => queues[index]?.queue,
      notifyUsed: (index) => runner.notifyUsed(index),
      configChanged: () => {
        if (this.config.markChanged() && (this.statusBits & DRIVER_OK) !== 0) runner.notifyConfig();
      },
      needsReset: (reason) => this.needsReset(reason),
      enter: () => runner.enter(),
      leave: () => runner.leave(),
    };
  }

  private runs(): boolean {
    return (this.statusBits & (DRIVER_OK | BROKEN)) === DRIVER_OK;
  }

  /** The device cannot go on: its queues end, and the driver is told. @see virtio 1.4 §2.1.2 */
  needsReset(reason: string): void {
    if ((this.statusBits & DEVICE_NEEDS_RESET) !== 0) return;
    this.resetReason = reason;
    this.trace?.control(`DEVICE_NEEDS_RESET: ${reason}`);
    this.counters.needsReset++;
    this.statusBits |= DEVICE_NEEDS_RESET;
    this.endQueues();
    if ((this.statusBits & DRIVER_OK) !== 0) this.runner.notifyConfig();
  }

  private fail(): void {
    this.statusBits |= FAILED;
    this.trace?.control('FAILED set');
    this.endQueues();
  }

  private endQueues(): void {
    this.runner.halted = true;
    for (const slot of this.queues) slot.queue?.stop();
    this.runner.stop();
  }

  private takeStep(bit: (typeof STEPS)[number]): void {
    const missing = BEFORE[bit] & ~this.statusBits;
    if (missing !== 0 || (this.statusBits & BROKEN) !== 0) {
      const why = missing !== 0 ? `before ${statusNames(missing)}` : `after ${statusNames(this.statusBits & BROKEN)}`;
      this.statusProblem = `${statusNames(bit)} was written ${why} (virtio 1.4 §3.1.1)`;
      return;
    }
    if (bit === FEATURES_OK) {
      this.featuresRefusal = acceptanceProblem(this.model, this.offered, this.accepted);
      if (this.featuresRefusal !== undefined) {
        this.counters.featuresRefused++;
        this.trace?.control(`FEATURES_OK refused: ${this.featuresRefusal}`);
        return;
      }
    }
    this.statusBits |= bit;
    this.statusProblem = undefined;
    this.trace?.control(`${statusNames(bit)} set`);
    if (bit === DRIVER_OK) this.runner.start(this.port);
  }

  /** virtio 1.4 §3.4.2: what is taken is used and told, then the status says so. */
  private suspend(): void {
    if (this.runner.busy) {
      this.suspendPending = true;
      return;
    }
    this.suspendPending = false;
    if (this.runner.live) this.runner.burst(() => this.model.suspend?.());
    this.runner.deliver();
    // The driver's interrupt handler may have done anything; a device that failed to suspend says DEVICE_NEEDS_RESET.
    if (!this.runs()) return;
    this.config.freeze();
    this.runner.halted = true;
    this.statusBits = (this.statusBits & ~DRIVER_OK) | SUSPEND;
    this.trace?.control('suspended');
  }

  private resume(): void {
    if ((this.statusBits & BROKEN) !== 0) return;
    this.statusBits = (this.statusBits & ~SUSPEND) | DRIVER_OK;
    this.trace?.control('resumed');
    this.runner.halted = false;
    if (this.config.thaw()) this.runner.notifyConfig();
    this.runner.notifyAll();
  }

  /** What was asked for while the type was at work. */
  private settle(): void {
    if (this.resetPending) this.reset();
    if ((this.statusBits & BROKEN) !== 0) this.runner.stop();
    for (let index = this.disables.take(); index >= 0; index = this.disables.take()) this.disableQueue(index);
    for (let index = this.queueResets.take(); index >= 0; index = this.queueResets.take()) this.resetQueue(index);
    if (this.suspendPending) this.suspend();
  }
}
