import { ACCESS, type HostMemory } from '@ringwire/guest-memory';
import { NO_ORIGIN, originsBetween } from '@ringwire/net-backend';
import {
  type NetJournal,
  type QueueKeeper,
  restoreFunction,
  saveKeptFunction,
  type VirtioPci,
} from '@ringwire/virtio-device';
import { pvirtqDescBytes } from '@ringwire/virtio-spec';
import type { DevicePackedQueue, DeviceQueue, DeviceSplitQueue, QueueConfig, QueueState } from '@ringwire/virtqueue';
import { KEEP, type KeepLayout, STAND, stateAt } from './keep-layout.js';
import { KeptQueue } from './kept-queue.js';
import { QueueRecord } from './queue-record.js';

/**
 * Keeps a device in host memory, so that another thread goes on with it when its own is ended, wherever that is: registers as
 * the driver left them, control commands, and where it stands in every queue.
 */
export class DeviceKeeper implements QueueKeeper, NetJournal {
  private readonly memory: HostMemory;
  private readonly layout: KeepLayout;
  private readonly records: readonly QueueRecord[];
  private readonly queues: (KeptQueue | undefined)[] = [];
  /** Frames of the origin that a queue had last which were delivered and came again. */
  private readonly again: Uint32Array;
  private virtio: VirtioPci | undefined = undefined;
  private readonly isControl: (queue: number) => boolean;

  /** @param isControl whether what a queue's commands change has to be kept as well */
  constructor(memory: HostMemory, layout: KeepLayout, isControl: (queue: number) => boolean = () => false) {
    this.memory = memory;
    this.layout = layout;
    this.records = layout.records.map((at, queue) => new QueueRecord(memory, at, layout.descriptors[queue]!));
    this.again = new Uint32Array(layout.records.length);
    this.isControl = isControl;
  }

  /** Whether there is a device to go on with. */
  get hasFunction(): boolean {
    return this.word(KEEP.FUNCTION) !== 0;
  }

  /** Whether nobody can go on with it, because its state was longer than there is room for. */
  get isLost(): boolean {
    return this.word(KEEP.OVERFLOW) !== 0;
  }

  /** Chains used in all queues, modulo 2^31 each: whether a thread got anywhere. */
  get progress(): readonly number[] {
    return this.records.map((record) => record.get(STAND.CHAINS));
  }

  /** There is no device: the next thread begins as after power-on. */
  forget(): void {
    this.store(KEEP.FUNCTION, 0);
    this.store(KEEP.OVERFLOW, 0);
  }

  /** Keep the function from now on. */
  attach(virtio: VirtioPci): void {
    this.virtio = virtio;
  }

  /** Go on with the function that was kept. @returns why that cannot be, in a sentence */
  restore(virtio: VirtioPci): string | undefined {
    const { memory, layout } = this;
    const place = layout.states[this.word(KEEP.FUNCTION) - 1]!;
    const length = memory.u32[place >> 2]!;
    if (length > layout.stateBytes) return `the kept state has ${length} bytes, want at most ${layout.stateBytes}`;
    const at = stateAt(place);
    const problem = restoreFunction(virtio, memory.u8.slice(at, at + length), true);
    if (problem !== undefined) return problem;
    virtio.device.notifyDriver();
    return undefined;
  }

  /** The function as it is now is what another thread would go on with. */
  save(): void {
    const { memory, layout, virtio } = this;
    if (virtio === undefined) return;
    const bytes = saveKeptFunction(virtio);
    if (bytes.length > layout.stateBytes) {
      this.store(KEEP.OVERFLOW, 1);
      return;
    }
    const next = this.word(KEEP.FUNCTION) === 1 ? 2 : 1;
    const place = layout.states[next - 1]!;
    memory.u32[place >> 2] = bytes.length;
    memory.u8.set(bytes, stateAt(place));
    this.store(KEEP.FUNCTION, next);
  }

  resume(index: number, config: QueueConfig): QueueState | string {
    return this.records[index]!.recover(config);
  }

  keep(index: number, queue: DeviceSplitQueue | DevicePackedQueue, goesOn: boolean, config: QueueConfig): DeviceQueue {
    const record = this.records[index]!;
    const stand = goesOn ? record.read() : record.begin(queue.layout === 'packed');
    const { space, desc, size } = config;
    const kept = new KeptQueue(queue, {
      record,
      stand,
      // Within a burst, where the queue has been found to be in reach.
      ring: () => space.resolve(desc, pvirtqDescBytes(size), ACCESS.READ | ACCESS.WRITE),
      beforePublish: () => {
        if (this.isControl(index)) this.save();
      },
    });
    this.queues[index] = kept;
    this.again[index] = 0;
    return kept;
  }

  nextOrigin(queue: number): number {
    return this.queues[queue]?.nextOrigin ?? NO_ORIGIN;
  }

  wasDelivered(queue: number, origin: number): boolean {
    const kept = this.queues[queue];
    if (kept === undefined || kept.frame === NO_ORIGIN || origin === NO_ORIGIN) return false;
    const behind = originsBetween(kept.frame, origin);
    if (behind !== 0) return behind < 0;
    if (this.again[queue]! >= kept.parts) return false;
    this.again[queue] = this.again[queue]! + 1;
    return true;
  }

  delivered(queue: number, origin: number): void {
    const kept = this.queues[queue];
    if (kept === undefined) return;
    if (kept.frame === origin) kept.parts++;
    else kept.parts = 1;
    kept.frame = origin;
    // What comes with this origin from here on is new.
    this.again[queue] = kept.parts;
  }

  private word(byte: number): number {
    return Atomics.load(this.memory.i32, (this.layout.at + byte) >> 2);
  }

  private store(byte: number, value: number): void {
    Atomics.store(this.memory.i32, (this.layout.at + byte) >> 2, value);
  }
}
