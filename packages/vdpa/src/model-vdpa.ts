import { type DeviceModel, type DeviceTrace, type Transport, TypeState, VirtioDevice } from '@ringwire/virtio-device';
import { DEVICE_STATUS, FEATURE_WORDS, VirtioError } from '@ringwire/virtio-spec';
import type { QueueState } from '@ringwire/virtqueue';
import { type AsidSpace, IOVA_END } from './asid-space.js';
import { DeviceSetup } from './device-setup.js';
import { GroupBurst } from './group-burst.js';
import { startOf } from './queue-setup.js';
import type { DoorbellArea, VdpaAbilities, VdpaDevice, VdpaStatistic } from './vdpa-device.js';
import { VDPA, type VdpaOutcome } from './vdpa-outcome.js';
import { VdpaQueue } from './vdpa-queue.js';

const { DRIVER_OK } = DEVICE_STATUS;
const TWO_32 = 0x1_0000_0000;
const HERE = 'ModelVdpa';

/** A device type of ours, and what a {@link ModelVdpa} has around it. */
export interface ModelVdpaConfig {
  readonly model: DeviceModel;
  /** By address-space id, at least one. They are this device's: its reset clears them. */
  readonly spaces: readonly AsidSpace[];
  readonly vendorId?: number;
  /** Groups of queues; 1 unless given. */
  readonly groups?: number;
  /** The group of a queue by the features that were accepted; 0 unless given. */
  readonly groupOf?: (index: number, features: Uint32Array) => number;
  /** Feature words 0–3 that may be offered; everything that the device can do unless given. */
  readonly offer?: Uint32Array;
  readonly doorbell?: (index: number) => DoorbellArea | undefined;
  readonly irq?: (index: number) => number | undefined;
  /** The device was suspended, or goes on, by its bus driver or with a reset. */
  readonly suspended?: (isSuspended: boolean) => void;
  /** A clock in µs that never goes back; the platform's unless given. */
  readonly now?: () => number;
  readonly trace?: DeviceTrace;
}

/**
 * A device type of ours behind the operations of vDPA: each group of its queues lies in an address space of its own, and it
 * can be suspended, asked where it stands, and set going from there.
 */
export class ModelVdpa extends DeviceSetup<VdpaQueue, AsidSpace> implements VdpaDevice {
  readonly deviceId: number;
  readonly vendorId: number;
  readonly abilities: VdpaAbilities;
  readonly iovaRange: { readonly first: number; readonly last: number } = { first: 0, last: IOVA_END - 1 };
  /** The device itself, for snapshots and explanations. */
  readonly device: VirtioDevice;

  private readonly groupOf: (index: number, features: Uint32Array) => number;
  private readonly doorbellOf: (index: number) => DoorbellArea | undefined;
  private readonly irqOf: (index: number) => number | undefined;
  private readonly tellSuspended: (isSuspended: boolean) => void;
  private readonly state: TypeState;
  private refusal: string | undefined = undefined;
  private configCallback: (() => void) | undefined = undefined;
  private workCallback: (() => void) | undefined = undefined;
  /** Of a reset that is under way: whether mappings stay. */
  private keepsMaps = false;

  /** @throws VirtioError for a device or an offer that cannot be */
  constructor(config: ModelVdpaConfig) {
    const { model, spaces, groups = 1 } = config;
    if (spaces.length === 0) throw new VirtioError('spaces.length', 0, 'at least 1', HERE);
    if (!Number.isInteger(groups) || groups < 1) throw new VirtioError('groups', groups, 'at least 1', HERE);
    super(
      model.queueSizes.map((size) => new VdpaQueue(size)),
      spaces,
      groups,
    );
    this.deviceId = model.deviceId;
    this.vendorId = config.vendorId ?? 0;
    this.groupOf = config.groupOf ?? (() => 0);
    this.doorbellOf = config.doorbell ?? (() => undefined);
    this.irqOf = config.irq ?? (() => undefined);
    this.tellSuspended = config.suspended ?? (() => {});
    this.abilities = {
      suspend: true,
      resume: true,
      state: 'any',
      keepMaps: true,
      readyWhileRunning: true,
      typeState: model.typeParts !== undefined,
      dirty: spaces.every(({ tracksDirty }) => tracksDirty),
    };
    const { offer, now, trace } = config;
    this.device = new VirtioDevice(
      {
        model,
        space: new GroupBurst(spaces),
        queueSpace: (index) => spaces[this.groupSpaces[this.queueGroup(index)]!]!,
        translated: true,
        wake: () => this.workCallback?.(),
        ...(offer === undefined ? {} : { offer }),
        ...(now === undefined ? {} : { now }),
        ...(trace === undefined ? {} : { trace }),
      },
      this.transport(),
    );
    this.state = new TypeState(this.device);
  }

  get deviceFeatures(): Uint32Array {
    return this.device.offered;
  }

  get driverFeatures(): Uint32Array {
    return Uint32Array.from({ length: FEATURE_WORDS }, (_, word) => this.device.driverFeatures(word));
  }

  protected override acceptFeatures(words: Uint32Array): VdpaOutcome {
    for (const [word, bits] of words.entries()) this.device.acceptFeatures(word, bits);
    return VDPA.OK;
  }

  get configBytes(): number {
    return this.device.config.length;
  }

  readConfig(at: number, length: number): Uint8Array {
    this.needConfig(at, length);
    return Uint8Array.from({ length }, (_, byte) => this.device.config.read(at + byte, 1));
  }

  writeConfig(at: number, bytes: Uint8Array): VdpaOutcome {
    if (!this.hasConfig(at, bytes.length)) return VDPA.INVALID;
    const ignored = this.device.counters.configWritesIgnored;
    for (const [byte, value] of bytes.entries()) this.device.writeConfig(at + byte, 1, value);
    return this.device.counters.configWritesIgnored === ignored ? VDPA.OK : VDPA.BUSY;
  }

  configGeneration(): number {
    // A change shows with the first read behind it.
    this.device.config.read(0, 0);
    return this.device.config.generation;
  }

  setConfigCallback(callback: (() => void) | undefined): void {
    this.configCallback = callback;
  }

  get status(): number {
    return this.device.status;
  }

  protected override writeStatus(status: number): VdpaOutcome {
    const wasStarted = this.isStarted;
    this.device.writeStatus(status);
    if (this.isStarted && !wasStarted) this.state.started();
    return VDPA.OK;
  }

  reset(keepMaps = false): VdpaOutcome {
    this.keepsMaps = keepMaps;
    this.device.reset();
    return VDPA.OK;
  }

  suspend(): VdpaOutcome {
    if (this.device.isChanging) return VDPA.BUSY;
    const isFresh = !this.isSuspended;
    this.device.stop();
    if (isFresh) this.tellSuspended(true);
    // What is to be told of buffers that were just used leaves with a step, which does nothing else now.
    this.device.step(0);
    return VDPA.OK;
  }

  resume(): VdpaOutcome {
    this.go();
    return VDPA.OK;
  }

  get isSuspended(): boolean {
    return this.device.isStopped;
  }

  queueReady(index: number): boolean {
    this.queue(index);
    return this.device.queues[index]!.enabled;
  }

  setQueueReady(index: number, ready: boolean): VdpaOutcome {
    const queue = this.queue(index);
    if (this.queueReady(index) === ready) return VDPA.OK;
    if (this.device.isChanging) return VDPA.BUSY;
    return ready ? this.startQueue(index, queue) : this.stopQueue(index, queue);
  }

  queueState(index: number): QueueState | undefined {
    const queue = this.queue(index);
    const { device } = this;
    const running = device.queues[index]!.queue;
    if (running === undefined) return queue.position ?? startOf(this.isPacked);
    if (device.isChanging) return undefined;
    const wasStopped = device.isStopped;
    if (!wasStopped) device.stop();
    const state = running.inFlight === 0 ? running.save() : undefined;
    if (!wasStopped) device.go();
    return state;
  }

  setQueueState(index: number, state: QueueState): VdpaOutcome {
    const queue = this.queue(index);
    if (this.queueReady(index)) return VDPA.BUSY;
    queue.position = { ...state };
    return VDPA.OK;
  }

  queueIrq(index: number): number | undefined {
    this.queue(index);
    return this.irqOf(index);
  }

  kick(index: number): void {
    this.queue(index);
    this.device.notify(index);
  }

  doorbell(index: number): DoorbellArea | undefined {
    this.queue(index);
    return this.doorbellOf(index);
  }

  queueStatistics(index: number): readonly VdpaStatistic[] {
    return this.queue(index).statistics();
  }

  override queueGroup(index: number): number {
    this.queue(index);
    return this.groupOf(index, this.driverFeatures);
  }

  typeState(): Uint8Array | undefined {
    return this.state.get();
  }

  setTypeState(parts: Uint8Array): VdpaOutcome {
    if (!this.abilities.typeState) return VDPA.UNSUPPORTED;
    this.refusal = this.state.set(parts);
    return this.refusal === undefined ? VDPA.OK : VDPA.INVALID;
  }

  get problem(): string | undefined {
    const { device } = this;
    return device.resetReason ?? device.featuresRefusal ?? device.statusProblem ?? this.refusal;
  }

  setWorkCallback(callback: (() => void) | undefined): void {
    this.workCallback = callback;
  }

  step(budget: number): number {
    return this.device.step(budget);
  }

  /** Something came in for the device: {@link step} is to be called. */
  wake(): void {
    this.workCallback?.();
  }

  private get isStarted(): boolean {
    return (this.device.status & DRIVER_OK) !== 0;
  }

  private startQueue(index: number, queue: VdpaQueue): VdpaOutcome {
    const { device } = this;
    const slot = device.writableQueue(index);
    if (slot === undefined) return VDPA.BUSY;
    slot.reset();
    slot.writeSize(queue.size, this.isPacked);
    const { addresses } = queue;
    if (addresses !== undefined) {
      for (const [area, address] of [addresses.desc, addresses.driver, addresses.device].entries()) {
        slot.writeAddress(area, false, address >>> 0);
        slot.writeAddress(area, true, Math.floor(address / TWO_32));
      }
    }
    device.enableQueue(index, queue.position);
    this.refusal = slot.refusal;
    if (slot.queue === undefined) return VDPA.INVALID;
    queue.begin(slot.queue);
    return VDPA.OK;
  }

  private stopQueue(index: number, queue: VdpaQueue): VdpaOutcome {
    const position = this.queueState(index);
    this.device.disableQueue(index);
    if (this.device.queues[index]!.enabled) return VDPA.BUSY;
    queue.position = position;
    queue.end();
    return VDPA.OK;
  }

  private transport(): Transport {
    return {
      features: [],
      usedBuffer: (index) => this.queues[index]!.callback?.(),
      configChange: () => this.configCallback?.(),
      queueReset: (index) => this.queues[index]!.end(),
      reset: () => this.wasReset(),
      snapshot: () => ({
        kind: 'vdpa',
        suspended: this.isSuspended,
        queueSpaces: this.queues.map((_, index) => this.groupSpaces[this.queueGroup(index)]!),
        mappings: this.spaces.map(({ mappings }) => mappings.length),
      }),
    };
  }

  private go(): void {
    if (!this.isSuspended) return;
    this.tellSuspended(false);
    this.device.go();
  }

  private wasReset(): void {
    this.go();
    for (const queue of this.queues) queue.reset();
    this.groupSpaces.fill(0);
    this.configCallback = undefined;
    this.refusal = undefined;
    this.state.reset();
    if (!this.keepsMaps) for (const space of this.spaces) space.clear();
    this.keepsMaps = false;
  }
}
