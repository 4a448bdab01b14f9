import { DEVICE_STATUS, FEATURE_WORDS, hasFeature, VIRTIO_F, VirtioError } from '@ringwire/virtio-spec';
import { type QueueState, queueStateProblem } from '@ringwire/virtqueue';
import { type AsidMappings, IOVA_END } from './asid-space.js';
import { DeviceSetup } from './device-setup.js';
import { clearFeatures, NOT_OF_VDPA } from './feature-bits.js';
import { FunctionQueue } from './function-queue.js';
import { areTypeParts, type VpMember } from './member-parts.js';
import { OwnedMember } from './owned-member.js';
import { startOf } from './queue-setup.js';
import type { DoorbellArea, VdpaAbilities, VdpaDevice, VdpaStatistic } from './vdpa-device.js';
import { VDPA, type VdpaOutcome } from './vdpa-outcome.js';
import type { VdpaMessage, VirtioRegisters } from './virtio-registers.js';

const { DRIVER, FEATURES_OK, DRIVER_OK } = DEVICE_STATUS;
/** What an interrupt was about, in the ISR status. virtio 1.4 §4.1.4.5 */
const ISR = { QUEUE: 1, CONFIG: 2 } as const;
/** Looks at a register that is to change. */
const TRIES = 1000;

/** A virtio-pci function, and what a {@link VpVdpa} gets from the machine it is in. */
export interface VpVdpaConfig {
  readonly registers: VirtioRegisters;
  /** What the function reaches: the mappings of its requester's domain. */
  readonly mappings: AsidMappings;
  /** Vendor of the PCI function. */
  readonly vendorId?: number;
  /** MSI-X messages that the host can receive: with one for each queue and one more, each has a vector. */
  readonly messages?: readonly VdpaMessage[];
  /** The machine's interrupt behind each of these messages. */
  readonly irqs?: readonly number[];
  /** What its owner does for it by administration commands: with it the function suspends, and its positions are known. */
  readonly member?: VpMember;
  /** The turn of a function that is emulated in this thread. */
  readonly step?: (budget: number) => number;
}

/**
 * Any standard virtio-pci function as a vDPA device, driven through its registers. They say nothing of positions in rings:
 * queues start at their start, and stop by queue reset or with the device. Where the function's owner has administration commands
 * for it, device parts say the rest. One group, one address space.
 */
export class VpVdpa extends DeviceSetup<FunctionQueue, AsidMappings> implements VdpaDevice {
  readonly deviceId: number;
  readonly vendorId: number;
  readonly abilities: VdpaAbilities;
  readonly deviceFeatures: Uint32Array;
  readonly driverFeatures: Uint32Array = new Uint32Array(FEATURE_WORDS);
  readonly configBytes: number;
  readonly iovaRange: { readonly first: number; readonly last: number } = { first: 0, last: IOVA_END - 1 };
  problem: string | undefined = undefined;
  private readonly config: VpVdpaConfig;
  private readonly registers: VirtioRegisters;
  /** The function in its owner's hands, if it has one that helps. */
  private readonly owned: OwnedMember | undefined;
  private configCallback: (() => void) | undefined = undefined;

  /** @throws VirtioError for a device without VERSION_1 and ACCESS_PLATFORM, which nothing would keep in its mappings */
  constructor(config: VpVdpaConfig) {
    const { registers, mappings, member, vendorId = 0x1af4 } = config;
    // What an earlier driver left is over: sizes are those of a device after reset.
    registers.setStatus(0);
    super(
      Array.from({ length: registers.queueLimit }, (_, index) => new FunctionQueue(registers.queueSizeMax(index))),
      [mappings],
    );
    this.config = config;
    this.registers = registers;
    this.owned = member === undefined ? undefined : new OwnedMember(member);
    const isOwned = member !== undefined;
    this.abilities = {
      suspend: isOwned,
      resume: isOwned,
      state: isOwned ? 'any' : 'start',
      keepMaps: true,
      readyWhileRunning: true,
      typeState: isOwned,
      dirty: mappings.tracksDirty,
    };
    this.deviceId = registers.deviceId;
    this.vendorId = vendorId;
    this.configBytes = registers.configBytes;
    this.deviceFeatures = Uint32Array.from({ length: FEATURE_WORDS }, (_, word) => registers.deviceFeatures(word));
    clearFeatures(this.deviceFeatures, [...registers.unusable, ...NOT_OF_VDPA]);
    for (const bit of [VIRTIO_F.VERSION_1, VIRTIO_F.ACCESS_PLATFORM])
      if (!hasFeature(this.deviceFeatures, bit))
        throw new VirtioError('device_feature', bit, 'offered', 'virtio 1.4 §6.1, §6.2');
  }

  protected override acceptFeatures(words: Uint32Array): VdpaOutcome {
    this.driverFeatures.set(words);
    return VDPA.OK;
  }

  readConfig(at: number, length: number): Uint8Array {
    this.needConfig(at, length);
    return Uint8Array.from({ length }, (_, byte) => this.registers.readConfig(at + byte, 1));
  }

  /** Nothing that a function of a type in use has can be written. */
  writeConfig(at: number, bytes: Uint8Array): VdpaOutcome {
    return this.hasConfig(at, bytes.length) ? VDPA.UNSUPPORTED : VDPA.INVALID;
  }

  configGeneration(): number {
    return this.registers.configGeneration();
  }

  setConfigCallback(callback: (() => void) | undefined): void {
    this.configCallback = callback;
  }

  get status(): number {
    return this.registers.status();
  }

  protected override writeStatus(status: number): VdpaOutcome {
    const { registers, owned } = this;
    const fresh = status & ~this.status;
    if ((fresh & FEATURES_OK) !== 0)
      for (let word = 0; word < FEATURE_WORDS; word++) registers.setDriverFeatures(word, this.driverFeatures[word]!);
    if ((fresh & DRIVER_OK) !== 0 && owned?.isStaged === true) return this.startThere(status, owned);
    registers.setStatus(status);
    if ((fresh & DRIVER) !== 0) this.mapVectors();
    return VDPA.OK;
  }

  /** The device starts where another one stood: stopped by its owner, it touches nothing before it has the parts. */
  private startThere(status: number, owned: OwnedMember): VdpaOutcome {
    return owned.whileStopped(() => {
      this.registers.setStatus(status);
      const isTaken = owned.giveAll();
      if (!isTaken) this.registers.setStatus(DEVICE_STATUS.FAILED);
      this.problem = isTaken ? undefined : 'the function refuses these device parts (virtio 1.4 §2.12.1.4.3.3)';
      return isTaken ? VDPA.OK : VDPA.INVALID;
    });
  }

  reset(keepMaps = false): VdpaOutcome {
    this.registers.unmapVectors();
    this.registers.setStatus(0);
    if (!this.waitFor(() => this.status === 0)) {
      this.problem = `device_status is ${this.status} after a reset, want 0 (virtio 1.4 §2.4)`;
      return VDPA.BUSY;
    }
    if (this.isSuspended) this.resume();
    this.owned?.forget();
    this.driverFeatures.fill(0);
    for (const queue of this.queues) queue.reset();
    this.configCallback = undefined;
    this.problem = undefined;
    return keepMaps ? VDPA.OK : this.space(0).clear();
  }

  suspend(): VdpaOutcome {
    return this.owned?.stop() ?? VDPA.UNSUPPORTED;
  }

  resume(): VdpaOutcome {
    return this.owned?.resume() ?? VDPA.UNSUPPORTED;
  }

  get isSuspended(): boolean {
    return this.owned?.isStopped ?? false;
  }

  queueReady(index: number): boolean {
    this.queue(index);
    return this.registers.queueEnabled(index);
  }

  setQueueReady(index: number, ready: boolean): VdpaOutcome {
    if (this.queueReady(index) === ready) return VDPA.OK;
    if (!ready) return this.stopQueue(index);
    const { owned } = this;
    const position = owned?.positions.get(index);
    const isRunning = (this.status & DRIVER_OK) !== 0;
    if (!isRunning || owned === undefined || position === undefined) return this.startQueue(index);
    // A register for positions there is not: the owner says where the queue goes on, before anything of it is used.
    return owned.whileStopped(() => {
      const outcome = this.startQueue(index);
      if (outcome !== VDPA.OK || owned.givePosition(index, position)) return outcome;
      this.problem = `the function does not take the position of queue ${index}`;
      return VDPA.INVALID;
    });
  }

  private startQueue(index: number): VdpaOutcome {
    const { registers } = this;
    const { size, addresses } = this.queue(index);
    if (addresses === undefined || (this.status & FEATURES_OK) === 0) return VDPA.INVALID;
    this.problem = registers.enableQueue(index, { size, ...addresses }, this.driverFeatures)?.message;
    if (this.problem !== undefined) return VDPA.INVALID;
    if (this.waitFor(() => registers.queueEnabled(index))) return VDPA.OK;
    this.problem = `queue ${index} does not read enabled (virtio 1.4 §4.1.4.3)`;
    return VDPA.INVALID;
  }

  private stopQueue(index: number): VdpaOutcome {
    const { registers, owned } = this;
    if (!hasFeature(this.driverFeatures, VIRTIO_F.RING_RESET)) return VDPA.UNSUPPORTED;
    let position: QueueState | undefined;
    owned?.whileStopped(() => {
      position = owned.positionOf(index, this.isPacked);
      return VDPA.OK;
    });
    registers.resetQueue(index);
    if (!this.waitFor(() => registers.queueResetDone(index))) return VDPA.BUSY;
    if (position !== undefined) owned?.positions.set(index, position);
    return VDPA.OK;
  }

  /** A function that was not started is at the start; where it is from then on its parts say, if anything does. */
  queueState(index: number): QueueState | undefined {
    const isReady = this.queueReady(index);
    const { owned } = this;
    const held = owned?.positions.get(index);
    if (!isReady || held !== undefined) return held ?? startOf(this.isPacked);
    return owned?.isStopped === true ? owned.positionOf(index, this.isPacked) : undefined;
  }

  setQueueState(index: number, state: QueueState): VdpaOutcome {
    if (this.queueReady(index)) return VDPA.BUSY;
    const { owned } = this;
    const start = Object.entries(startOf(this.isPacked));
    const given: Readonly<Record<string, unknown>> = { ...state };
    owned?.positions.delete(index);
    if (start.every(([field, value]) => given[field] === value)) return VDPA.OK;
    if (owned === undefined) return VDPA.UNSUPPORTED;
    this.problem = queueStateProblem(state, this.isPacked ? 'packed' : 'split', this.queue(index).size);
    if (this.problem !== undefined) return VDPA.INVALID;
    owned.positions.set(index, { ...state });
    return VDPA.OK;
  }

  queueIrq(index: number): number | undefined {
    this.queue(index);
    return this.hasVectors ? this.config.irqs?.[index + 1] : undefined;
  }

  kick(index: number, data: number = index): void {
    this.queue(index).kicks++;
    if (this.queueReady(index)) this.registers.notify(index, data);
  }

  /** A function's doorbells share a page with one another, which is nobody's alone. */
  doorbell(index: number): DoorbellArea | undefined {
    this.queue(index);
    return undefined;
  }

  queueStatistics(index: number): readonly VdpaStatistic[] {
    return this.queue(index).statistics();
  }

  /** Registers do not say what commands did; parts do. */
  typeState(): Uint8Array | undefined {
    const { owned } = this;
    return (this.status & DRIVER_OK) === 0 ? owned?.typeParts : owned?.typePartsNow();
  }

  setTypeState(parts: Uint8Array): VdpaOutcome {
    if (this.owned === undefined) return VDPA.UNSUPPORTED;
    const isBetween = (this.status & (FEATURES_OK | DRIVER_OK)) === FEATURES_OK;
    this.problem =
      isBetween && areTypeParts(parts) ? undefined : 'these are no device parts of the type (virtio 1.4 §2.14)';
    if (this.problem !== undefined) return VDPA.INVALID;
    this.owned.typeParts = parts.slice();
    return VDPA.OK;
  }

  setWorkCallback(): void {}

  step(budget: number): number {
    return this.config.step?.(budget) ?? 0;
  }

  /** An MSI-X message of the function came in, by its place among `messages`; without one, its pin is asserted. */
  interrupt(vector?: number): void {
    if (vector === 0) this.configCallback?.();
    else if (vector !== undefined) this.queues[vector - 1]?.interrupt();
    else {
      const cause = this.registers.interruptCause();
      if ((cause & ISR.QUEUE) !== 0) for (const queue of this.queues) queue.interrupt();
      if ((cause & ISR.CONFIG) !== 0) this.configCallback?.();
    }
  }

  private get hasVectors(): boolean {
    const wanted = this.queueCount + 1;
    return this.registers.vectorLimit >= wanted && (this.config.messages?.length ?? 0) >= wanted;
  }

  private mapVectors(): void {
    if (!this.hasVectors) return;
    const queues = this.queues.map((_, index) => ({ index, vector: index + 1 }));
    const isMapped = this.registers.mapVectors({ config: 0, queues }, this.config.messages!);
    if (!isMapped) this.registers.unmapVectors();
  }

  /** A register of an emulated function may change with its turn. */
  private waitFor(done: () => boolean): boolean {
    for (let left = TRIES; left > 0; left--) {
      if (done()) return true;
      this.step(0);
    }
    return false;
  }
}
