import { DEVICE_STATUS, FEATURE_WORDS, VirtioError } from '@ringwire/virtio-spec';
import { type QueueState, queueStateProblem } from '@ringwire/virtqueue';
import type { AsidMappings } from './asid-space.js';
import { DeviceSetup } from './device-setup.js';
import { clearFeatures, NOT_OF_VDPA } from './feature-bits.js';
import { FunctionQueue } from './function-queue.js';
import { startOf } from './queue-setup.js';
import type { DoorbellArea, VdpaAbilities, VdpaDevice, VdpaMapping, VdpaStatistic } from './vdpa-device.js';
import { VDPA, type VdpaOutcome } from './vdpa-outcome.js';
import { type ControlProblem, isControlProblem, type VendorControl } from './vendor-control.js';

const HERE = 'ControlVdpa';
/** Bytes of the configuration that one command reads. */
const CONFIG_PIECE = 48;
/** Vector of configuration changes. */
const CONFIG_VECTOR = 0;

/** A vendor's commands, and what a device behind them gets from its host. */
export interface ControlVdpaConfig {
  readonly control: VendorControl;
  /** A `VIRTIO_ID`. */
  readonly deviceId: number;
  readonly vendorId: number;
  /** What the function reaches: the mappings of its requester's domain. */
  readonly mappings: AsidMappings;
  /** First address that is the vendor's own, for its commands: what a driver maps ends before it. */
  readonly iovaEnd: number;
  /** Vector of a queue; several may share one. Vector 0 tells of configuration changes as well. */
  readonly vectorOf: (index: number) => number;
  /** The machine's interrupt behind a vector. */
  readonly irqOf?: (vector: number) => number | undefined;
  readonly doorbell?: (index: number) => DoorbellArea | undefined;
  /** The turn of a card that is emulated in this thread, its interrupts included. */
  readonly step?: (budget: number) => number;
}

class ControlQueue extends FunctionQueue {
  isReady = false;

  override reset(): void {
    super.reset();
    this.isReady = false;
  }
}

/**
 * A data plane of virtio's behind a vendor's control plane as a vDPA device: it can be suspended, asked where it stands and set
 * going from there, and tells what commands made of it. One group, one address space.
 */
export class ControlVdpa extends DeviceSetup<ControlQueue, AsidMappings> implements VdpaDevice {
  readonly deviceId: number;
  readonly vendorId: number;
  readonly abilities: VdpaAbilities;
  readonly deviceFeatures: Uint32Array;
  readonly driverFeatures: Uint32Array = new Uint32Array(FEATURE_WORDS);
  readonly configBytes: number;
  readonly iovaRange: { readonly first: number; readonly last: number };
  isSuspended = false;
  problem: string | undefined = undefined;
  private readonly config: ControlVdpaConfig;
  private readonly control: VendorControl;
  /** By queue. */
  private readonly vectors: readonly number[];
  private configCallback: (() => void) | undefined = undefined;
  /** Of the configuration, as the driver was told of it last. */
  private generation = 0;

  /** @throws VirtioError for a control plane that does not say what its device offers */
  constructor(config: ControlVdpaConfig) {
    const { control, mappings, iovaEnd } = config;
    const { configBytes, queues, queueSizeMax } = control.facts;
    super(
      Array.from({ length: queues }, () => new ControlQueue(queueSizeMax)),
      [mappings],
    );
    this.config = config;
    this.control = control;
    this.vectors = this.queues.map((_, index) => config.vectorOf(index));
    this.deviceId = config.deviceId;
    this.vendorId = config.vendorId;
    this.iovaRange = { first: 0, last: iovaEnd - 1 };
    this.configBytes = configBytes;
    this.abilities = {
      suspend: true,
      resume: true,
      state: 'any',
      keepMaps: true,
      readyWhileRunning: true,
      typeState: true,
      dirty: mappings.tracksDirty,
    };
    const features = control.features();
    if (isControlProblem(features)) throw new VirtioError('features', features.message, 'feature words', HERE);
    this.deviceFeatures = features;
    clearFeatures(features, NOT_OF_VDPA);
  }

  protected override acceptFeatures(words: Uint32Array): VdpaOutcome {
    const outcome = this.outcomeOf(this.control.accept(words), VDPA.INVALID);
    if (outcome === VDPA.OK) this.driverFeatures.set(words);
    return outcome;
  }

  readConfig(at: number, length: number): Uint8Array {
    this.needConfig(at, length);
    const bytes = new Uint8Array(length);
    for (let done = 0; done < length; done += CONFIG_PIECE) {
      const piece = this.control.readConfig(at + done, Math.min(CONFIG_PIECE, length - done));
      if (!isControlProblem(piece)) bytes.set(piece.bytes, done);
      else this.problem = piece.message;
    }
    return bytes;
  }

  /** Nothing that a function of a type in use has can be written. */
  writeConfig(at: number, bytes: Uint8Array): VdpaOutcome {
    return this.hasConfig(at, bytes.length) ? VDPA.UNSUPPORTED : VDPA.INVALID;
  }

  configGeneration(): number {
    // A change shows with the first read behind it.
    this.control.readConfig(0, 1);
    const read = this.control.readConfig(0, 1);
    return isControlProblem(read) ? 0 : read.generation;
  }

  setConfigCallback(callback: (() => void) | undefined): void {
    this.configCallback = callback;
    this.generation = this.configGeneration();
  }

  /** Of a control plane that does not answer: FAILED. */
  get status(): number {
    return this.statusOf(this.control.status());
  }

  protected override writeStatus(status: number): VdpaOutcome {
    return this.statusOf(this.control.setStatus(status)) === DEVICE_STATUS.FAILED ? VDPA.BUSY : VDPA.OK;
  }

  reset(keepMaps = false): VdpaOutcome {
    const status = this.control.setStatus(0);
    if (status !== 0) {
      this.problem = isControlProblem(status) ? status.message : `the status is ${status} after a reset, want 0`;
      return VDPA.BUSY;
    }
    if (this.isSuspended) this.resume();
    this.driverFeatures.fill(0);
    for (const queue of this.queues) queue.reset();
    this.configCallback = undefined;
    this.problem = undefined;
    return keepMaps ? VDPA.OK : this.space(0).clear();
  }

  suspend(): VdpaOutcome {
    const outcome = this.outcomeOf(this.control.suspend(), VDPA.BUSY);
    if (outcome === VDPA.OK) this.isSuspended = true;
    return outcome;
  }

  resume(): VdpaOutcome {
    const outcome = this.outcomeOf(this.control.resume(), VDPA.BUSY);
    if (outcome === VDPA.OK) this.isSuspended = false;
    return outcome;
  }

  queueReady(index: number): boolean {
    return this.queue(index).isReady;
  }

  setQueueReady(index: number, ready: boolean): VdpaOutcome {
    const queue = this.queue(index);
    if (queue.isReady === ready) return VDPA.OK;
    const problem = ready ? this.start(index, queue) : this.control.setReady(index, false);
    const outcome = this.outcomeOf(problem, ready ? VDPA.INVALID : VDPA.BUSY);
    if (outcome !== VDPA.OK) return outcome;
    queue.isReady = ready;
    queue.position = undefined;
    return VDPA.OK;
  }

  queueState(index: number): QueueState | undefined {
    const queue = this.queue(index);
    if (!queue.isReady && queue.position !== undefined) return queue.position;
    if (!queue.isReady && queue.addresses === undefined) return startOf(this.isPacked);
    const position = this.control.position(index);
    return isControlProblem(position) ? undefined : position;
  }

  setQueueState(index: number, state: QueueState): VdpaOutcome {
    const queue = this.queue(index);
    if (queue.isReady) return VDPA.BUSY;
    this.problem = queueStateProblem(state, this.isPacked ? 'packed' : 'split', queue.size);
    if (this.problem !== undefined) return VDPA.INVALID;
    queue.position = { ...state };
    return VDPA.OK;
  }

  queueIrq(index: number): number | undefined {
    this.queue(index);
    return this.config.irqOf?.(this.vectors[index]!);
  }

  kick(index: number): void {
    const queue = this.queue(index);
    queue.kicks++;
    if (queue.isReady) this.control.kick(index);
  }

  doorbell(index: number): DoorbellArea | undefined {
    this.queue(index);
    return this.config.doorbell?.(index);
  }

  queueStatistics(index: number): readonly VdpaStatistic[] {
    return this.queue(index).statistics();
  }

  override map(asid: number, mapping: VdpaMapping): VdpaOutcome {
    return this.isOwn(mapping) ? VDPA.INVALID : super.map(asid, mapping);
  }

  override setMap(asid: number, mappings: readonly VdpaMapping[]): VdpaOutcome {
    return mappings.some((mapping) => this.isOwn(mapping)) ? VDPA.INVALID : super.setMap(asid, mappings);
  }

  typeState(): Uint8Array | undefined {
    const wasSuspended = this.isSuspended;
    if (!wasSuspended && this.suspend() !== VDPA.OK) return undefined;
    const state = this.control.typeState();
    if (!wasSuspended) this.resume();
    return isControlProblem(state) ? undefined : state;
  }

  setTypeState(parts: Uint8Array): VdpaOutcome {
    return this.outcomeOf(this.control.setTypeState(parts), VDPA.INVALID);
  }

  setWorkCallback(): void {}

  step(budget: number): number {
    return this.config.step?.(budget) ?? 0;
  }

  /** A message of the function came in. */
  interrupt(vector: number): void {
    const { vectors, queues } = this;
    for (let index = 0; index < vectors.length; index++) if (vectors[index] === vector) queues[index]!.interrupt();
    if (vector !== CONFIG_VECTOR || this.configCallback === undefined) return;
    const generation = this.configGeneration();
    const isBroken = (this.status & DEVICE_STATUS.DEVICE_NEEDS_RESET) !== 0;
    if (generation === this.generation && !isBroken) return;
    this.generation = generation;
    this.configCallback();
  }

  /** @returns what the control plane did not do */
  private start(index: number, { size, addresses, position }: ControlQueue): ControlProblem | undefined {
    const { control } = this;
    if (addresses === undefined) return { message: `queue ${index} has no addresses (virtio 1.4 §4.1.4.3)` };
    return (
      control.setQueue(index, { size, ...addresses, vector: this.vectors[index]! }) ??
      control.setPosition(index, position ?? this.heldPosition(index)) ??
      control.setReady(index, true)
    );
  }

  /** Where a queue that was stopped stands. */
  private heldPosition(index: number): QueueState {
    const held = this.control.position(index);
    return isControlProblem(held) ? startOf(this.isPacked) : held;
  }

  private statusOf(answer: number | ControlProblem): number {
    if (!isControlProblem(answer)) return answer;
    this.problem = answer.message;
    return DEVICE_STATUS.FAILED;
  }

  private outcomeOf(problem: ControlProblem | undefined, refused: Exclude<VdpaOutcome, 0>): VdpaOutcome {
    this.problem = problem?.message;
    return problem === undefined ? VDPA.OK : refused;
  }

  private isOwn({ iova, bytes }: VdpaMapping): boolean {
    return iova + bytes > this.iovaRange.last + 1;
  }
}
