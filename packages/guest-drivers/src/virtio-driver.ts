import { DEVICE_STATUS, FEATURE_WORDS, hasFeature, VIRTIO_F } from '@ringwire/virtio-spec';
import type { DriverQueue } from '@ringwire/virtqueue';
import { BREAK, type Breakdown, breakdown } from './breakdown.js';
import { PATIENCE, type Patience, waitFor } from './patience.js';
import type { QueueSetup, Transport } from './transport.js';

const { ACKNOWLEDGE, DRIVER, DRIVER_OK, FEATURES_OK, SUSPEND, DEVICE_NEEDS_RESET, FAILED } = DEVICE_STATUS;

/** Times that configuration is read anew because it changed meanwhile. */
const CONFIG_TRIES = 16;

/**
 * The steps by which a driver takes a device into use and gives it back, for any type of device. Each returns what the
 * device did wrong, and gives it up with FAILED then; the steps that follow must not be taken.
 * @see virtio 1.4 §3.1.1, §2.1, §2.4, §3.4
 */
export class VirtioDriver {
  readonly transport: Transport;
  /** Negotiated feature words; empty before {@link negotiate}. */
  readonly features: Uint32Array<ArrayBuffer> = new Uint32Array(FEATURE_WORDS);
  private readonly patience: Patience;
  /** Status bits that the driver has set: never taken back but by a reset. */
  private bits = 0;

  constructor(transport: Transport, patience: Patience = PATIENCE) {
    this.transport = transport;
    this.patience = patience;
  }

  /** Reset the device, and wait until it is. Only then it has let go of all memory. @see virtio 1.4 §2.4.2 */
  reset(): Breakdown | undefined {
    this.bits = 0;
    this.features.fill(0);
    this.transport.setStatus(0);
    if (waitFor(() => this.transport.status() === 0, this.patience)) return undefined;
    const message = `device_status is ${this.transport.status()} after a reset, want 0 (virtio 1.4 §2.4)`;
    return breakdown(BREAK.RESET_TIMEOUT, message);
  }

  /** Steps 1 to 3: reset, ACKNOWLEDGE, DRIVER. */
  begin(): Breakdown | undefined {
    const problem = this.reset();
    if (problem !== undefined) return problem;
    this.set(ACKNOWLEDGE);
    this.set(DRIVER);
    return undefined;
  }

  /** Step 4, first half: the feature words on offer, without what this transport cannot carry. */
  offered(): Uint32Array<ArrayBuffer> {
    const words = new Uint32Array(FEATURE_WORDS);
    for (let word = 0; word < FEATURE_WORDS; word++) words[word] = this.transport.deviceFeatures(word);
    for (const bit of this.transport.unusable) words[bit >>> 5]! &= ~(1 << (bit & 31));
    return words;
  }

  /**
   * Steps 4 to 6: write the features, set FEATURES_OK, look whether it stuck.
   * @param features a subset of what {@link offered} gave
   */
  negotiate(features: Uint32Array): Breakdown | undefined {
    if (!hasFeature(features, VIRTIO_F.VERSION_1)) {
      return this.fail(breakdown(BREAK.LEGACY, 'VERSION_1 is not offered: a legacy device (virtio 1.4 §6.1)'));
    }
    for (let word = 0; word < FEATURE_WORDS; word++) this.transport.setDriverFeatures(word, features[word]!);
    this.set(FEATURES_OK);
    if ((this.transport.status() & FEATURES_OK) === 0) {
      return this.fail(breakdown(BREAK.FEATURES_REFUSED, 'FEATURES_OK did not stick (virtio 1.4 §3.1.1)'));
    }
    this.features.set(features);
    return undefined;
  }

  /**
   * Read configuration until no change came between. @see virtio 1.4 §2.5.1
   * @param bytes that `read` reaches, from the start of the configuration
   */
  readConfig<T>(bytes: number, read: (transport: Transport) => T): T | Breakdown {
    const { transport } = this;
    if (transport.configBytes < bytes) {
      const message = `device configuration has ${transport.configBytes} bytes, want ${bytes} (virtio 1.4 §2.5)`;
      return breakdown(BREAK.CONFIG, message);
    }
    for (let left = CONFIG_TRIES; left > 0; left--) {
      const generation = transport.configGeneration();
      const result = read(transport);
      if (transport.configGeneration() === generation) return result;
    }
    return breakdown(BREAK.CONFIG, `configuration changed ${CONFIG_TRIES} times while it was read (virtio 1.4 §2.5)`);
  }

  /** Step 7, for one queue. */
  enableQueue(index: number, setup: QueueSetup): Breakdown | undefined {
    const problem = this.transport.enableQueue(index, setup, this.features);
    if (problem !== undefined) return this.fail(problem);
    if (waitFor(() => this.transport.queueEnabled(index), this.patience)) return undefined;
    return this.fail(breakdown(BREAK.QUEUE_TIMEOUT, `queue ${index} does not read enabled (virtio 1.4 §4.1.4.3)`));
  }

  /**
   * Reset one queue and wait until that is done: its memory is the driver's again.
   * {@link canResetQueues}, as the caller knows. @see virtio 1.4 §2.6.1
   */
  resetQueue(index: number): Breakdown | undefined {
    this.transport.resetQueue(index);
    if (waitFor(() => this.transport.queueResetDone(index), this.patience)) return undefined;
    return breakdown(BREAK.QUEUE_TIMEOUT, `the reset of queue ${index} does not end (virtio 1.4 §2.6.1)`);
  }

  canResetQueues(): boolean {
    return hasFeature(this.features, VIRTIO_F.RING_RESET);
  }

  /** Step 8. From now on, and not before, the device may be notified. */
  start(): void {
    this.set(DRIVER_OK);
  }

  /** Give the device up: only a reset brings it back. */
  fail(why: Breakdown): Breakdown {
    this.set(FAILED);
    return why;
  }

  needsReset(): boolean {
    return (this.transport.status() & DEVICE_NEEDS_RESET) !== 0;
  }

  /** Notify the device of a queue's available buffers. */
  notify(index: number, queue: DriverQueue): void {
    this.transport.notify(index, queue.notificationData(this.transport.notifyIndex(index)));
  }

  /** Suspend a running device; SUSPEND is negotiated. No queue is touched until {@link resume}. @see virtio 1.4 §3.4 */
  suspend(): Breakdown | undefined {
    this.transport.setStatus(this.bits | SUSPEND);
    return this.awaitSuspend(SUSPEND);
  }

  resume(): Breakdown | undefined {
    this.transport.setStatus(this.bits);
    return this.awaitSuspend(DRIVER_OK);
  }

  /** @param wanted the one of SUSPEND and DRIVER_OK that is to be set, alone */
  private awaitSuspend(wanted: number): Breakdown | undefined {
    const arrived = (): boolean => (this.transport.status() & (SUSPEND | DRIVER_OK)) === wanted;
    if (waitFor(arrived, this.patience)) return undefined;
    const name = wanted === SUSPEND ? 'suspended' : 'running again';
    return breakdown(BREAK.SUSPEND, `device_status is ${this.transport.status()}, want it ${name} (virtio 1.4 §3.4)`);
  }

  private set(bit: number): void {
    this.bits |= bit;
    this.transport.setStatus(this.bits);
  }
}
