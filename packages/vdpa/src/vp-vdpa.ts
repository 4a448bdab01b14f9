import type { HostMemory } from '@ringwire/guest-memory';
import { DEVICE_STATUS, FEATURE_WORDS, hasFeature, isPvirtqSize, VIRTIO_F, VirtioError } from '@ringwire/virtio-spec';
import type { QueueState } from '@ringwire/virtqueue';
import { type AsidMappings, IOVA_END } from './asid-space.js';
import { replaceMappings } from './replace-mappings.js';
import type {
  DoorbellArea,
  HostRange,
  VdpaAbilities,
  VdpaDevice,
  VdpaMapping,
  VdpaQueueAddresses,
  VdpaStatistic,
} from './vdpa-device.js';
import { VDPA, type VdpaOutcome } from './vdpa-outcome.js';
import { startOf } from './vdpa-queue.js';
import type { VdpaMessage, VirtioRegisters } from './virtio-registers.js';

const { DRIVER, FEATURES_OK } = DEVICE_STATUS;
const ADDRESS_END = 2 ** 53;
const HERE = 'VpVdpa';
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
  /** The turn of a function that is emulated in this thread. */
  readonly step?: (budget: number) => number;
}

interface VpQueue {
  size: number;
  addresses: VdpaQueueAddresses | undefined;
  callback: (() => void) | undefined;
  /** What a device that has no counters lets be known: how often it was notified, and did so. */
  kicks: number;
  calls: number;
}

/**
 * Any standard virtio-pci function as a vDPA device, driven through its registers. They say nothing of positions in rings:
 * queues start at their start, and stop by queue reset or with the device. One group, one address space.
 */
export class VpVdpa implements VdpaDevice {
  readonly deviceId: number;
  readonly vendorId: number;
  readonly memory: HostMemory;
  readonly abilities: VdpaAbilities;
  readonly deviceFeatures: Uint32Array;
  readonly driverFeatures: Uint32Array = new Uint32Array(FEATURE_WORDS);
  readonly configBytes: number;
  readonly isSuspended = false;
  readonly queueCount: number;
  readonly queueSizeMax: number;
  readonly queueSizeMin: number = 1;
  readonly queueAlign: number = 16;
  readonly groupCount = 1;
  readonly spaceCount = 1;
  readonly iovaRange: { readonly first: number; readonly last: number } = { first: 0, last: IOVA_END - 1 };
  readonly mapGranule: number;
  problem: string | undefined = undefined;

  private readonly config: VpVdpaConfig;
  private readonly registers: VirtioRegisters;
  private readonly space: AsidMappings;
  private readonly sizes: readonly number[];
  private readonly queues: readonly VpQueue[];
  private configCallback: (() => void) | undefined = undefined;

  /** @throws VirtioError for a device without VERSION_1 and ACCESS_PLATFORM, which nothing would keep in its mappings */
  constructor(config: VpVdpaConfig) {
    const { registers, mappings, vendorId = 0x1af4 } = config;
    this.config = config;
    this.registers = registers;
    this.space = mappings;
    this.memory = mappings.memory;
    this.mapGranule = mappings.granule;
    this.abilities = {
      suspend: false,
      resume: false,
      state: 'start',
      keepMaps: true,
      readyWhileRunning: true,
      typeState: false,
      dirty: mappings.tracksDirty,
    };
    this.deviceId = registers.deviceId;
    this.vendorId = vendorId;
    this.configBytes = registers.configBytes;
    // What an earlier driver left is over: sizes are those of a device after reset.
    registers.setStatus(0);
    this.deviceFeatures = this.readFeatures();
    for (const bit of [VIRTIO_F.VERSION_1, VIRTIO_F.ACCESS_PLATFORM])
      if (!hasFeature(this.deviceFeatures, bit))
        throw new VirtioError('device_feature', bit, 'offered', 'virtio 1.4 §6.1, §6.2');
    this.queueCount = registers.queueLimit;
    this.sizes = Array.from({ length: this.queueCount }, (_, index) => registers.queueSizeMax(index));
    this.queueSizeMax = Math.max(...this.sizes);
    this.queues = this.sizes.map((size) => ({ size, addresses: undefined, callback: undefined, kicks: 0, calls: 0 }));
  }

  setDriverFeatures(features: Uint32Array): VdpaOutcome {
    if ((this.status & FEATURES_OK) !== 0) return VDPA.BUSY;
    if (features.some((word, at) => (word & ~(this.deviceFeatures[at] ?? 0)) !== 0)) return VDPA.INVALID;
    for (let word = 0; word < FEATURE_WORDS; word++) this.driverFeatures[word] = features[word] ?? 0;
    return VDPA.OK;
  }

  readConfig(at: number, length: number): Uint8Array {
    const inside = Number.isInteger(at) && Number.isInteger(length) && at >= 0 && length >= 0;
    if (!inside || at + length > this.configBytes)
      throw new VirtioError('at', at, `${length} bytes within ${this.configBytes}`, 'virtio 1.4 §2.5');
    return Uint8Array.from({ length }, (_, byte) => this.registers.readConfig(at + byte, 1));
  }

  /** Nothing that a function of a type in use has can be written. */
  writeConfig(at: number, bytes: Uint8Array): VdpaOutcome {
    const inside = Number.isInteger(at) && at >= 0 && at + bytes.length <= this.configBytes;
    return inside ? VDPA.UNSUPPORTED : VDPA.INVALID;
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

  setStatus(status: number): VdpaOutcome {
    if (!Number.isInteger(status) || status < 0 || status > 0xff) return VDPA.INVALID;
    if (status === 0) return this.reset();
    const fresh = status & ~this.status;
    if ((fresh & FEATURES_OK) !== 0)
      for (let word = 0; word < FEATURE_WORDS; word++)
        this.registers.setDriverFeatures(word, this.driverFeatures[word]!);
    this.registers.setStatus(status);
    if ((fresh & DRIVER) !== 0) this.mapVectors();
    return VDPA.OK;
  }

  reset(keepMaps = false): VdpaOutcome {
    this.registers.unmapVectors();
    this.registers.setStatus(0);
    if (!this.waitFor(() => this.status === 0)) {
      this.problem = `device_status is ${this.status} after a reset, want 0 (virtio 1.4 §2.4)`;
      return VDPA.BUSY;
    }
    this.driverFeatures.fill(0);
    for (const [index, queue] of this.queues.entries()) {
      queue.size = this.sizes[index]!;
      queue.addresses = undefined;
      queue.callback = undefined;
    }
    this.configCallback = undefined;
    this.problem = undefined;
    return keepMaps ? VDPA.OK : this.space.clear();
  }

  suspend(): VdpaOutcome {
    return VDPA.UNSUPPORTED;
  }

  resume(): VdpaOutcome {
    return VDPA.UNSUPPORTED;
  }

  queueSize(index: number): number {
    return this.queue(index).size;
  }

  setQueueSize(index: number, size: number): VdpaOutcome {
    const queue = this.queue(index);
    if (this.queueReady(index)) return VDPA.BUSY;
    if (!isPvirtqSize(size) || size > this.sizes[index]!) return VDPA.INVALID;
    queue.size = size;
    return VDPA.OK;
  }

  setQueueAddresses(index: number, addresses: VdpaQueueAddresses): VdpaOutcome {
    const queue = this.queue(index);
    if (this.queueReady(index)) return VDPA.BUSY;
    const { desc, driver, device } = addresses;
    const isEvery = [desc, driver, device].every((at) => Number.isInteger(at) && at >= 0 && at < ADDRESS_END);
    if (!isEvery) return VDPA.INVALID;
    queue.addresses = { desc, driver, device };
    return VDPA.OK;
  }

  queueReady(index: number): boolean {
    this.queue(index);
    return this.registers.queueEnabled(index);
  }

  setQueueReady(index: number, ready: boolean): VdpaOutcome {
    const { registers } = this;
    const { size, addresses } = this.queue(index);
    if (this.queueReady(index) === ready) return VDPA.OK;
    if (!ready) {
      if (!hasFeature(this.driverFeatures, VIRTIO_F.RING_RESET)) return VDPA.UNSUPPORTED;
      registers.resetQueue(index);
      return this.waitFor(() => registers.queueResetDone(index)) ? VDPA.OK : VDPA.BUSY;
    }
    if (addresses === undefined || (this.status & FEATURES_OK) === 0) return VDPA.INVALID;
    this.problem = registers.enableQueue(index, { size, ...addresses }, this.driverFeatures)?.message;
    if (this.problem !== undefined) return VDPA.INVALID;
    if (this.waitFor(() => registers.queueEnabled(index))) return VDPA.OK;
    this.problem = `queue ${index} does not read enabled (virtio 1.4 §4.1.4.3)`;
    return VDPA.INVALID;
  }

  /** A function that was not started is at the start; where it is from then on it does not say. */
  queueState(index: number): QueueState | undefined {
    return this.queueReady(index) ? undefined : startOf(this.isPacked);
  }

  setQueueState(index: number, state: QueueState): VdpaOutcome {
    if (this.queueReady(index)) return VDPA.BUSY;
    const start = Object.entries(startOf(this.isPacked));
    const given: Readonly<Record<string, unknown>> = { ...state };
    return start.every(([field, value]) => given[field] === value) ? VDPA.OK : VDPA.UNSUPPORTED;
  }

  setQueueCallback(index: number, callback: (() => void) | undefined): void {
    this.queue(index).callback = callback;
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
    const { kicks, calls } = this.queue(index);
    return [
      { name: 'kicks', value: kicks },
      { name: 'interrupts', value: calls },
    ];
  }

  queueGroup(index: number): number {
    this.queue(index);
    return 0;
  }

  groupSpace(group: number): number {
    this.checked('group', group, 1);
    return 0;
  }

  setGroupSpace(group: number, asid: number): VdpaOutcome {
    return group === 0 && asid === 0 ? VDPA.OK : VDPA.INVALID;
  }

  map(asid: number, mapping: VdpaMapping): VdpaOutcome {
    return this.mappingsOf(asid).map(mapping);
  }

  unmap(asid: number, iova: number, bytes: number): VdpaOutcome {
    return this.mappingsOf(asid).unmap(iova, bytes);
  }

  setMap(asid: number, mappings: readonly VdpaMapping[]): VdpaOutcome {
    return replaceMappings(this.mappingsOf(asid), mappings);
  }

  mappings(asid: number): readonly VdpaMapping[] {
    return this.mappingsOf(asid).mappings;
  }

  trackDirty(isOn: boolean): VdpaOutcome {
    return this.space.trackDirty(isOn);
  }

  takeDirty(): readonly HostRange[] {
    return this.space.takeDirty();
  }

  /** Registers do not say what commands did. */
  typeState(): undefined {
    return undefined;
  }

  setTypeState(): VdpaOutcome {
    return VDPA.UNSUPPORTED;
  }

  setWorkCallback(): void {}

  step(budget: number): number {
    return this.config.step?.(budget) ?? 0;
  }

  /** An MSI-X message of the function came in, by its place among `messages`; without one, its pin is asserted. */
  interrupt(vector?: number): void {
    if (vector === 0) this.configCallback?.();
    else if (vector !== undefined) this.used(vector - 1);
    else {
      const cause = this.registers.interruptCause();
      if ((cause & ISR.QUEUE) !== 0) for (let index = 0; index < this.queueCount; index++) this.used(index);
      if ((cause & ISR.CONFIG) !== 0) this.configCallback?.();
    }
  }

  private used(index: number): void {
    const queue = this.queues[index];
    if (queue?.callback === undefined) return;
    queue.calls++;
    queue.callback();
  }

  private get isPacked(): boolean {
    return hasFeature(this.driverFeatures, VIRTIO_F.RING_PACKED);
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

  private readFeatures(): Uint32Array {
    const words = Uint32Array.from({ length: FEATURE_WORDS }, (_, word) => this.registers.deviceFeatures(word));
    // Notifications by another name than the queue's, and queues for administration, are not of the operations here.
    for (const bit of [...this.registers.unusable, VIRTIO_F.NOTIF_CONFIG_DATA, VIRTIO_F.ADMIN_VQ, VIRTIO_F.SR_IOV])
      words[bit >>> 5]! &= ~(1 << (bit & 31));
    return words;
  }

  /** A register of an emulated function may change with its turn. */
  private waitFor(done: () => boolean): boolean {
    for (let left = TRIES; left > 0; left--) {
      if (done()) return true;
      this.step(0);
    }
    return false;
  }

  private queue(index: number): VpQueue {
    return this.queues[this.checked('index', index, this.queueCount)]!;
  }

  private mappingsOf(asid: number): AsidMappings {
    this.checked('asid', asid, 1);
    return this.space;
  }

  private checked(field: string, value: number, end: number): number {
    if (Number.isInteger(value) && value >= 0 && value < end) return value;
    throw new VirtioError(field, value, `0 to ${end - 1}`, HERE);
  }
}
