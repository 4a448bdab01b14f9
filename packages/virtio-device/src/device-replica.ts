import type { AddressSpace } from '@ringwire/guest-memory';
import { FEATURE_WORDS, hasFeature, VIRTIO_F } from '@ringwire/virtio-spec';
import { faultName, RING_FAULT } from '@ringwire/virtqueue';
import { monotonicMicroseconds } from './clock.js';
import { type DeviceCounters, newDeviceCounters } from './device-counters.js';
import type { DeviceModel, DevicePort } from './device-model.js';
import { DeviceRunner, type Transport } from './device-runner.js';
import { snapshotQueue } from './inspection/snapshot-device.js';
import type { QueueSnapshot } from './inspection/snapshot-types.js';
import { QUEUE_AREA, QueueSlot } from './queue-slot.js';

/** Of one queue, as the driver wrote it. */
export interface ReplicaQueue {
  readonly enabled: boolean;
  readonly size: number;
  /** Low and high words of `queue_desc`, `queue_driver` and `queue_device`. */
  readonly addresses: readonly [number, number, number, number, number, number];
}

/** What a {@link DeviceReplica} serves. */
export interface ReplicaConfig {
  readonly model: DeviceModel;
  readonly space: AddressSpace;
  /** Queues beyond are the control plane's. */
  readonly queues: number;
  /** The driver is to be notified of used buffers. */
  readonly used: (queue: number) => void;
  /** The device cannot go on. @param reason a sentence for people */
  readonly broke: (reason: string) => void;
}

/**
 * A device type at work in a thread that has no registers: it serves some queues of a device whose control plane is in
 * another thread, and is told what the driver did there. It never goes on by itself after {@link ReplicaConfig.broke}.
 */
export class DeviceReplica {
  readonly counters: DeviceCounters = newDeviceCounters();
  private readonly config: ReplicaConfig;
  private readonly slots: readonly QueueSlot[];
  private readonly features = new Uint32Array(FEATURE_WORDS);
  private readonly runner: DeviceRunner;
  private readonly port: DevicePort;

  constructor(config: ReplicaConfig) {
    const { model, space, queues } = config;
    const slots = Array.from({ length: queues }, (_, index) => new QueueSlot(index, model.queueSizes[index]!));
    const owner = {
      ringFault: (queue: number, fault: number) =>
        this.breakDown(`queue ${queue} cannot be trusted: ${faultName(RING_FAULT, fault)}`),
      idle: () => {},
    };
    const transport = replicaTransport((queue) => config.used(queue));
    const runner = new DeviceRunner({
      model,
      space,
      queues: slots,
      transport,
      counters: this.counters,
      wake: () => {},
      owner,
      trace: undefined,
    });
    this.config = config;
    this.slots = slots;
    this.runner = runner;
    this.port = {
      memory: space.memory,
      features: this.features,
      now: monotonicMicroseconds,
      queue: (index) => slots[index]?.queue,
      notifyUsed: (index) => runner.notifyUsed(index),
      // The configuration is the control plane's.
      configChanged: () => {},
      needsReset: (reason) => this.breakDown(reason),
      enter: () => runner.enter(),
      leave: () => runner.leave(),
    };
  }

  /** DRIVER_OK, with the queues that are enabled by then. */
  start(features: Uint32Array, queues: readonly ReplicaQueue[]): void {
    this.features.set(features);
    for (const [index, registers] of queues.entries()) this.writeQueue(index, registers);
    this.runner.start(this.port);
  }

  /** Reset, or the end: no queue is touched any more. */
  stop(): void {
    for (const slot of this.slots) slot.reset();
    this.runner.stop();
    this.runner.dropNotifications();
    this.runner.halted = false;
  }

  /** A queue was enabled, disabled or reset. */
  setQueue(index: number, registers: ReplicaQueue): void {
    this.writeQueue(index, registers);
    this.runner.queueChanged(this.slots[index]!);
    this.runner.deliver();
  }

  /** Whether queues may be touched: not while the device is suspended, or may do no DMA. */
  setLive(isLive: boolean): void {
    if (this.runner.halted === !isLive) return;
    this.runner.halted = !isLive;
    this.runner.notifyAll();
  }

  /** Use up what was taken and send notifications that are held back. */
  suspend(): void {
    if (this.runner.live) this.runner.burst(() => this.config.model.suspend?.());
    this.runner.deliver();
  }

  /** Something of the device type's own, in a burst. */
  burst(call: () => void): void {
    if (this.runner.live) this.runner.burst(call);
    else this.runner.work(call);
    this.runner.deliver();
  }

  notify(index: number): void {
    this.runner.kick(index);
  }

  step(budget: number): number {
    return this.runner.step(budget);
  }

  deadline(): number {
    return this.runner.live ? this.config.model.deadline() : Number.POSITIVE_INFINITY;
  }

  /** Queues as data. */
  snapshot(): QueueSnapshot[] {
    return this.slots.map(snapshotQueue);
  }

  private writeQueue(index: number, { enabled, size, addresses }: ReplicaQueue): void {
    const slot = this.slots[index]!;
    slot.reset();
    if (!enabled) return;
    slot.writeSize(size, hasFeature(this.features, VIRTIO_F.RING_PACKED));
    for (const area of Object.values(QUEUE_AREA)) {
      slot.writeAddress(area, false, addresses[2 * area]!);
      slot.writeAddress(area, true, addresses[2 * area + 1]!);
    }
    this.runner.burst(() => slot.enable(this.config.space, this.features));
    // The control plane has just found it in order: mappings changed meanwhile.
    if (!slot.enabled) this.breakDown(`queue ${index} is out of reach: ${slot.refusal}`);
  }

  private breakDown(reason: string): void {
    this.runner.halted = true;
    for (const slot of this.slots) slot.queue?.stop();
    this.config.broke(reason);
  }
}

/** Of a device whose registers are in another thread: used buffers are all there is to tell. */
function replicaTransport(usedBuffer: (queue: number) => void): Transport {
  return {
    features: [],
    usedBuffer,
    configChange: () => {},
    queueReset: () => {},
    reset: () => {},
    snapshot: () => ({ kind: 'mmio', interruptStatus: 0, badAccesses: 0, refusedAccesses: 0 }),
  };
}
