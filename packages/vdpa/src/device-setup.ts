import type { HostMemory } from '@ringwire/guest-memory';
import { DEVICE_STATUS, FEATURE_WORDS, hasFeature, VIRTIO_F, VirtioError } from '@ringwire/virtio-spec';
import type { AsidMappings } from './asid-space.js';
import type { QueueSetup } from './queue-setup.js';
import { replaceMappings } from './replace-mappings.js';
import type { HostRange, VdpaAbilities, VdpaMapping, VdpaQueueAddresses } from './vdpa-device.js';
import { VDPA, type VdpaOutcome } from './vdpa-outcome.js';

const { FEATURES_OK } = DEVICE_STATUS;
const HERE = 'VdpaDevice';

/**
 * What a bus driver sets up is kept and judged the same way whoever's the device is: queues that are not ready, groups and their
 * address spaces, mappings. The rest of a `VdpaDevice` is its own: {@link ModelVdpa}, {@link VpVdpa}, {@link ControlVdpa},
 * {@link ShadowVdpa}.
 */
export abstract class DeviceSetup<Queue extends QueueSetup, Space extends AsidMappings> {
  readonly memory: HostMemory;
  readonly queueCount: number;
  readonly queueSizeMax: number;
  readonly queueSizeMin: number = 1;
  readonly queueAlign: number = 16;
  readonly groupCount: number;
  readonly spaceCount: number;
  readonly mapGranule: number;
  abstract readonly abilities: VdpaAbilities;
  abstract readonly deviceFeatures: Uint32Array;
  abstract readonly driverFeatures: Uint32Array;
  abstract readonly configBytes: number;
  abstract readonly status: number;
  protected readonly queues: readonly Queue[];
  /** By address-space id. */
  protected readonly spaces: readonly Space[];
  /** The address space of each group. */
  protected readonly groupSpaces: number[];

  /** @param spaces at least one */
  constructor(queues: readonly Queue[], spaces: readonly Space[], groups = 1) {
    this.queues = queues;
    this.spaces = spaces;
    this.groupSpaces = new Array<number>(groups).fill(0);
    this.memory = spaces[0]!.memory;
    this.queueCount = queues.length;
    this.queueSizeMax = Math.max(...queues.map(({ size }) => size));
    this.groupCount = groups;
    this.spaceCount = spaces.length;
    this.mapGranule = Math.max(...spaces.map(({ granule }) => granule));
  }

  abstract reset(keepMaps?: boolean): VdpaOutcome;
  abstract queueReady(index: number): boolean;
  /** @param words four, of features that are offered, before FEATURES_OK */
  protected abstract acceptFeatures(words: Uint32Array): VdpaOutcome;
  /** @param status 8 bits, not 0 */
  protected abstract writeStatus(status: number): VdpaOutcome;

  setDriverFeatures(features: Uint32Array): VdpaOutcome {
    if ((this.status & FEATURES_OK) !== 0) return VDPA.BUSY;
    const { deviceFeatures } = this;
    if (features.some((word, at) => (word & ~(deviceFeatures[at] ?? 0)) !== 0)) return VDPA.INVALID;
    return this.acceptFeatures(Uint32Array.from({ length: FEATURE_WORDS }, (_, word) => features[word] ?? 0));
  }

  setStatus(status: number): VdpaOutcome {
    if (!Number.isInteger(status) || status < 0 || status > 0xff) return VDPA.INVALID;
    return status === 0 ? this.reset() : this.writeStatus(status);
  }

  queueSize(index: number): number {
    return this.queue(index).size;
  }

  setQueueSize(index: number, size: number): VdpaOutcome {
    const queue = this.queue(index);
    return this.queueReady(index) ? VDPA.BUSY : queue.setSize(size);
  }

  setQueueAddresses(index: number, addresses: VdpaQueueAddresses): VdpaOutcome {
    const queue = this.queue(index);
    return this.queueReady(index) ? VDPA.BUSY : queue.setAddresses(addresses);
  }

  setQueueCallback(index: number, callback: (() => void) | undefined): void {
    this.queue(index).callback = callback;
  }

  /** The only group, unless a device has several. */
  queueGroup(index: number): number {
    this.queue(index);
    return 0;
  }

  groupSpace(group: number): number {
    return this.groupSpaces[checked('group', group, this.groupCount)]!;
  }

  setGroupSpace(group: number, asid: number): VdpaOutcome {
    const isThere = this.groupSpaces[group] !== undefined && this.spaces[asid] !== undefined;
    if (!isThere) return VDPA.INVALID;
    const isUsed = this.queues.some((_, index) => this.queueReady(index) && this.queueGroup(index) === group);
    if (isUsed) return VDPA.BUSY;
    this.groupSpaces[group] = asid;
    return VDPA.OK;
  }

  map(asid: number, mapping: VdpaMapping): VdpaOutcome {
    return this.space(asid).map(mapping);
  }

  unmap(asid: number, iova: number, bytes: number): VdpaOutcome {
    return this.space(asid).unmap(iova, bytes);
  }

  setMap(asid: number, mappings: readonly VdpaMapping[]): VdpaOutcome {
    return replaceMappings(this.space(asid), mappings);
  }

  mappings(asid: number): readonly VdpaMapping[] {
    return this.space(asid).mappings;
  }

  trackDirty(isOn: boolean): VdpaOutcome {
    if (!this.abilities.dirty) return VDPA.UNSUPPORTED;
    for (const space of this.spaces) {
      const outcome = space.trackDirty(isOn);
      if (outcome !== VDPA.OK) return outcome;
    }
    return VDPA.OK;
  }

  takeDirty(): readonly HostRange[] {
    return this.spaces.flatMap((space) => space.takeDirty());
  }

  protected get isPacked(): boolean {
    return hasFeature(this.driverFeatures, VIRTIO_F.RING_PACKED);
  }

  /** @throws VirtioError for an index that there is not */
  protected queue(index: number): Queue {
    return this.queues[checked('index', index, this.queueCount)]!;
  }

  /** @throws VirtioError for an id that there is not */
  protected space(asid: number): Space {
    return this.spaces[checked('asid', asid, this.spaceCount)]!;
  }

  /** Whether the configuration has these bytes. */
  protected hasConfig(at: number, length: number): boolean {
    const isRange = Number.isInteger(at) && Number.isInteger(length) && at >= 0 && length >= 0;
    return isRange && at + length <= this.configBytes;
  }

  /** @throws VirtioError where {@link hasConfig} is false */
  protected needConfig(at: number, length: number): void {
    if (!this.hasConfig(at, length))
      throw new VirtioError('at', at, `${length} bytes within ${this.configBytes}`, 'virtio 1.4 §2.5');
  }
}

function checked(field: string, value: number, end: number): number {
  if (Number.isInteger(value) && value >= 0 && value < end) return value;
  throw new VirtioError(field, value, `0 to ${end - 1}`, HERE);
}
