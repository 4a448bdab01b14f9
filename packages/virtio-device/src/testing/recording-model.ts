import { scatter } from '@ringwire/guest-memory';
import { featureWords, hasFeature } from '@ringwire/virtio-spec';
import { ChainBurst } from '@ringwire/virtqueue';
import type { DeviceModel, DevicePort, SharedMemoryRegion } from '../device-model.js';

export interface RecordingOptions {
  readonly deviceId?: number;
  readonly features?: readonly number[];
  readonly queueSizes?: readonly number[];
  readonly config?: Uint8Array;
  readonly sharedMemory?: readonly SharedMemoryRegion[];
  /** Feature bits of which the first needs the second. */
  readonly needs?: readonly [bit: number, other: number];
}

/** What the model fills device-writable buffers with. */
export const FILL = 0xa5;

/** A device type that fills writable buffers, and writes down what its transport tells it. */
export class RecordingModel implements DeviceModel {
  readonly deviceId: number;
  readonly features: Uint32Array;
  readonly queueSizes: readonly number[];
  readonly config: Uint8Array;
  readonly sharedMemory: readonly SharedMemoryRegion[];
  /** `start`, `stop`, `suspend`, `changed 0`, `notified 1`, `config 4 2 513` in their order. */
  readonly calls: string[] = [];
  port: DevicePort | undefined;
  /** What happens in the middle of a step, with buffers taken and nothing written yet. */
  duringStep: (() => void) | undefined;
  steps = 0;
  dueAt: number = Number.POSITIVE_INFINITY;
  private readonly needs: readonly [number, number] | undefined;
  private readonly burst = new ChainBurst(64);

  constructor(options: RecordingOptions = {}) {
    this.deviceId = options.deviceId ?? 4;
    this.features = featureWords(options.features ?? []);
    this.queueSizes = options.queueSizes ?? [16, 16];
    this.config = options.config ?? Uint8Array.of(1, 2, 3, 4, 5, 6, 7, 8);
    this.sharedMemory = options.sharedMemory ?? [];
    this.needs = options.needs;
  }

  featureProblem(features: Uint32Array): string | undefined {
    if (this.needs === undefined) return undefined;
    const [bit, other] = this.needs;
    return hasFeature(features, bit) && !hasFeature(features, other) ? `bit ${bit} needs bit ${other}` : undefined;
  }

  writeConfig(at: number, bytes: number, value: number): void {
    this.calls.push(`config ${at} ${bytes} ${value}`);
  }

  start(port: DevicePort): void {
    this.calls.push('start');
    this.port = port;
  }

  queueChanged(index: number): void {
    this.calls.push(`changed ${index}`);
  }

  notified(index: number): void {
    this.calls.push(`notified ${index}`);
  }

  step(budget: number): number {
    this.steps++;
    let done = 0;
    for (let index = 0; index < this.queueSizes.length; index++) done += this.serve(index, budget);
    return done;
  }

  deadline(): number {
    return this.dueAt;
  }

  suspend(): void {
    this.calls.push('suspend');
  }

  stop(): void {
    this.calls.push('stop');
    this.port = undefined;
  }

  /** The calls so far; they are forgotten. */
  takeCalls(): string[] {
    return this.calls.splice(0);
  }

  private serve(index: number, budget: number): number {
    const { burst, port } = this;
    const queue = port?.queue(index);
    if (port === undefined || queue === undefined) return 0;
    burst.clear();
    const taken = queue.takeBurst(burst, budget);
    if (taken > 0) this.duringStep?.();
    for (let i = 0; i < taken; i++) {
      const bytes = burst.fault[i] === 0 ? new Uint8Array(burst.writableBytes(i)).fill(FILL) : new Uint8Array(0);
      const first = burst.firstWritable[i]!;
      if (bytes.length > 0) scatter(port.memory, burst.segments, first, burst.end(i) - first, bytes);
      queue.putUsed(burst.token[i]!, bytes.length);
    }
    if (taken > 0 && queue.publishUsed()) port.notifyUsed(index);
    return taken;
  }
}
