import { scatter } from '@ringwire/guest-memory';
import { FEATURE_WORDS, VIRTIO_ID } from '@ringwire/virtio-spec';
import { ChainBurst } from '@ringwire/virtqueue';
import type { DeviceModel, DevicePort } from './device-model.js';

/** Most bytes given for one buffer; a driver asks again for more. */
const MOST = 4096;

/**
 * An entropy device, virtio 1.4 §5.4: fills device-writable buffers of its one queue with random bytes.
 * The shortest whole example of a {@link DeviceModel}.
 */
export class EntropyModel implements DeviceModel {
  readonly deviceId: number = VIRTIO_ID.RNG;
  readonly features: Uint32Array = new Uint32Array(FEATURE_WORDS);
  readonly queueSizes: readonly number[];
  readonly config: Uint8Array = new Uint8Array(0);

  private readonly fill: (bytes: Uint8Array) => void;
  private readonly burst = new ChainBurst(32);
  private readonly bytes = new Uint8Array(MOST);
  private port: DevicePort | undefined;
  private waiting = false;

  /** @param fill sets all bytes of the array at random; `crypto.getRandomValues` fits */
  constructor(fill: (bytes: Uint8Array) => void, queueSize = 256) {
    this.fill = fill;
    this.queueSizes = [queueSize];
  }

  featureProblem(): undefined {}

  writeConfig(): void {}

  start(port: DevicePort): void {
    this.port = port;
  }

  queueChanged(): void {}

  notified(): void {
    this.waiting = true;
  }

  step(budget: number): number {
    const queue = this.waiting ? this.port?.queue(0) : undefined;
    if (queue === undefined) return 0;
    this.burst.clear();
    const taken = queue.takeBurst(this.burst, budget);
    for (let i = 0; i < taken; i++) queue.putUsed(this.burst.token[i]!, this.give(i));
    if (taken > 0 && queue.publishUsed()) this.port?.notifyUsed(0);
    // Nothing left: ask for a notification, and look once more before relying on it.
    if (taken === 0) this.waiting = queue.enableNotifications();
    return taken;
  }

  deadline(): number {
    return Number.POSITIVE_INFINITY;
  }

  stop(): void {
    this.port = undefined;
    this.waiting = false;
  }

  /** @returns bytes written to chain `i`; 0 for a faulty one, and for one without device-writable bytes */
  private give(i: number): number {
    const { burst, port } = this;
    if (port === undefined || burst.fault[i] !== 0) return 0;
    const bytes = this.bytes.subarray(0, Math.min(burst.writableBytes(i), MOST));
    this.fill(bytes);
    const first = burst.firstWritable[i]!;
    return scatter(port.memory, burst.segments, first, burst.end(i) - first, bytes);
  }
}
