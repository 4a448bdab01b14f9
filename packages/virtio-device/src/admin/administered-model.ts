import { isVirtqSize, VirtioError } from '@ringwire/virtio-spec';
import type { DeviceModel, DevicePort, SharedMemoryRegion, TypeParts } from '../device-model.js';
import type { ModelSnapshot } from '../inspection/snapshot-types.js';
import { AdminControl } from './admin-control.js';
import { AdminQueue } from './admin-queue.js';
import type { SriovOwner } from './group-member.js';
import { PartsCapability } from './parts-objects.js';
import { NO_PARTS, SelfGroup } from './self-group.js';
import { SriovGroup } from './sriov-group.js';

/** Administration virtqueues of a device: its own capabilities, and its virtual functions. @see virtio 1.4 §2.12, §2.13 */
export interface AdminOptions {
  /** How many queues, 1 unless given. */
  readonly queues?: number;
  /** Queue Size to offer, 64 unless given. */
  readonly queueSize?: number;
  /** The virtual functions that the device owns, if it is a physical function. */
  readonly sriov?: SriovOwner;
}

/**
 * A device type with administration virtqueues behind its own queues: transports see one type. They are outside of what
 * the type does per packet, and work wherever it works.
 */
export class AdministeredModel implements DeviceModel {
  readonly deviceId: number;
  readonly features: Uint32Array;
  readonly queueSizes: readonly number[];
  readonly config: Uint8Array;
  readonly sharedMemory: readonly SharedMemoryRegion[];
  readonly typeParts?: TypeParts;
  readonly ownQueues: number;
  private readonly inner: DeviceModel;
  private readonly control: AdminControl;
  private readonly queues: readonly AdminQueue[];
  private port: DevicePort | undefined = undefined;

  /** @throws VirtioError for queues that cannot be */
  constructor(inner: DeviceModel, { queues = 1, queueSize = 64, sriov }: AdminOptions) {
    const first = inner.queueSizes.length;
    const room = 0x1_0000 - first;
    if (!(Number.isInteger(queues) && queues >= 1 && queues <= room))
      throw new VirtioError('admin.queues', queues, `1 to ${room}`, 'virtio 1.4 §4.1.4.3.1');
    if (!isVirtqSize(queueSize))
      throw new VirtioError('admin.queueSize', queueSize, 'a power of two ≤ 32768', 'virtio 1.4 §2.7');
    this.inner = inner;
    this.ownQueues = first;
    if (inner.typeParts !== undefined) this.typeParts = inner.typeParts;
    this.deviceId = inner.deviceId;
    this.features = inner.features;
    this.config = inner.config;
    this.sharedMemory = inner.sharedMemory ?? [];
    this.queueSizes = [...inner.queueSizes, ...Array.from({ length: queues }, () => queueSize)];
    this.control = new AdminControl(groupsOf(inner, sriov));
    this.queues = Array.from({ length: queues }, (_, at) => new AdminQueue(first + at, this.control));
  }

  featureProblem(features: Uint32Array): string | undefined {
    return this.inner.featureProblem(features);
  }

  writeConfig(at: number, bytes: number, value: number): void {
    this.inner.writeConfig(at, bytes, value);
  }

  start(port: DevicePort): void {
    this.port = port;
    this.inner.start(port);
  }

  queueChanged(index: number): void {
    const queue = this.queues[index - this.ownQueues];
    if (queue === undefined) this.inner.queueChanged(index);
    else queue.close();
  }

  notified(index: number): void {
    const queue = this.queues[index - this.ownQueues];
    if (queue === undefined) this.inner.notified(index);
    else queue.notified();
  }

  step(budget: number): number {
    let done = this.inner.step(budget);
    // The type may have been stopped from within.
    for (const queue of this.queues) if (this.port !== undefined) done += queue.turn(this.port, budget);
    return done;
  }

  deadline(): number {
    return this.queues.reduce((earliest, { retryAt }) => Math.min(earliest, retryAt), this.inner.deadline());
  }

  suspend(): void {
    this.inner.suspend?.();
  }

  snapshot(): ModelSnapshot | undefined {
    return this.inner.snapshot?.();
  }

  stop(): void {
    this.port = undefined;
    for (const queue of this.queues) queue.close();
    this.inner.stop();
  }

  reset(): void {
    this.control.reset();
    this.inner.reset?.();
  }
}

function groupsOf(inner: DeviceModel, sriov: SriovOwner | undefined): readonly (SelfGroup | SriovGroup)[] {
  const own = inner.selfGroup ?? NO_PARTS;
  if (sriov === undefined) return [new SelfGroup(own, () => 0)];
  const capability = new PartsCapability();
  const group = new SriovGroup(sriov, capability);
  const capabilities = [capability, ...own.capabilities];
  return [new SelfGroup({ ...own, capabilities }, (type) => group.count(type)), group];
}
