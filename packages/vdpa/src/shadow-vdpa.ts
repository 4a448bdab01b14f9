import { GuestMemory, type HostMemory, PageAllocator } from '@ringwire/guest-memory';
import {
  DEVICE_STATUS,
  FEATURE_WORDS,
  featureWords,
  hasFeature,
  isPvirtqSize,
  isVirtqSize,
  PVIRTQ_EVENT_SUPPRESS,
  pvirtqDescBytes,
  VIRTIO_F,
  VirtioError,
  virtqAvailBytes,
  virtqDescBytes,
  virtqUsedBytes,
} from '@ringwire/virtio-spec';
import { isRefusal, type QueueState } from '@ringwire/virtqueue';
import { type ShadowBack, ShadowQueue } from './shadow-queue.js';
import { TableSpace } from './table-space.js';
import type {
  DoorbellArea,
  HostRange,
  VdpaAbilities,
  VdpaDevice,
  VdpaMapping,
  VdpaQueueAddresses,
  VdpaStatistic,
} from './vdpa-device.js';
import { VDPA, type VdpaOutcome, vdpaOutcomeName } from './vdpa-outcome.js';
import { startOf } from './vdpa-queue.js';

const { ACKNOWLEDGE, DRIVER, FEATURES_OK, DRIVER_OK, DEVICE_NEEDS_RESET } = DEVICE_STATUS;
const HERE = 'ShadowVdpa';
const PAGE_BYTES = 4096;
const ADDRESS_END = 2 ** 53;
/** Where the device finds the rings that are its own: a driver's mappings end before it. */
const RINGS_IOVA = 2 ** 46;
const RINGS_BYTES = 0x1000_0000;
const RW = 3;
/** What a driver's ring may be, whatever the device's is. */
const FRONT_BITS = [
  VIRTIO_F.INDIRECT_DESC,
  VIRTIO_F.EVENT_IDX,
  VIRTIO_F.VERSION_1,
  VIRTIO_F.ACCESS_PLATFORM,
  VIRTIO_F.RING_PACKED,
  VIRTIO_F.ORDER_PLATFORM,
] as const;
/** Bits of rings and transports: not of the device type. virtio 1.4 §2.2 */
const RING_FIRST = 24;
const RING_LAST = 49;

/** The device behind a {@link ShadowVdpa}, and the rings between. */
export interface ShadowVdpaConfig {
  /** The device behind: nobody else uses it. */
  readonly device: VdpaDevice;
  /** Host memory for its rings. */
  readonly pages: PageAllocator;
  /** What its rings are. */
  readonly rings: 'split' | 'packed';
}

/** One queue as its driver set it up. */
interface Front {
  size: number;
  addresses: VdpaQueueAddresses | undefined;
  position: QueueState | undefined;
  callback: (() => void) | undefined;
  isReady: boolean;
  shadow: ShadowQueue | undefined;
  /** Host memory of the device's ring, and where the device has it. */
  ring: { readonly host: number; readonly iova: number; readonly bytes: number } | undefined;
}

/**
 * A device behind shadow queues, as a device: its driver's rings are split or packed as the driver likes, the device's as it can
 * do, and what the device has is known at any time. So it can be suspended, asked where it stands and what it wrote, whatever
 * the device itself is able to: a plain virtio function moves, and split rings go to a device that has packed ones alone.
 */
export class ShadowVdpa implements VdpaDevice {
  readonly deviceId: number;
  readonly vendorId: number;
  readonly memory: HostMemory;
  readonly abilities: VdpaAbilities;
  readonly deviceFeatures: Uint32Array;
  readonly driverFeatures: Uint32Array = new Uint32Array(FEATURE_WORDS);
  readonly configBytes: number;
  readonly queueCount: number;
  readonly queueSizeMax: number;
  readonly queueSizeMin: number = 1;
  readonly queueAlign: number = 16;
  readonly groupCount: number;
  readonly spaceCount: number;
  readonly iovaRange: { readonly first: number; readonly last: number };
  readonly mapGranule: number;
  isSuspended = false;
  private readonly device: VdpaDevice;
  private readonly pages: PageAllocator;
  private readonly isPackedBehind: boolean;
  private readonly iovas = new PageAllocator(RINGS_IOVA, RINGS_BYTES);
  private readonly fronts: readonly Front[];
  /** What the driver mapped, by address space. */
  private readonly spaces: readonly TableSpace[];
  private configCallback: (() => void) | undefined = undefined;
  private workCallback: (() => void) | undefined = undefined;
  /** While suspended: what the device stood at, and what commands had made of it. */
  private heldStatus = 0;
  private heldState: Uint8Array | undefined = undefined;
  private refusal: string | undefined = undefined;
  private needsReset = false;

  /** @throws VirtioError for a device that does not have such rings, or no addresses for them */
  constructor({ device, pages, rings }: ShadowVdpaConfig) {
    this.isPackedBehind = rings === 'packed';
    if (this.isPackedBehind && !hasFeature(device.deviceFeatures, VIRTIO_F.RING_PACKED))
      throw new VirtioError('rings', rings, 'ones that the device has', HERE);
    if (device.iovaRange.last < RINGS_IOVA + RINGS_BYTES - 1)
      throw new VirtioError('iovaRange.last', device.iovaRange.last, `addresses from ${RINGS_IOVA} on`, HERE);
    this.device = device;
    this.pages = pages;
    this.deviceId = device.deviceId;
    this.vendorId = device.vendorId;
    this.memory = device.memory;
    this.configBytes = device.configBytes;
    this.queueCount = device.queueCount;
    this.queueSizeMax = device.queueSizeMax;
    this.groupCount = device.groupCount;
    this.spaceCount = device.spaceCount;
    this.mapGranule = device.mapGranule;
    this.iovaRange = { first: device.iovaRange.first, last: RINGS_IOVA - 1 };
    const { keepMaps, typeState, readyWhileRunning } = device.abilities;
    this.abilities = { suspend: true, resume: true, state: 'any', keepMaps, readyWhileRunning, typeState, dirty: true };
    const own = featureWords(FRONT_BITS);
    this.deviceFeatures = device.deviceFeatures.map((word, at) => (word & typeBits(at)) | own[at]!);
    this.spaces = Array.from({ length: this.spaceCount }, () => new TableSpace(this.memory, this.mapGranule));
    this.fronts = Array.from({ length: this.queueCount }, () => ({
      size: this.queueSizeMax,
      addresses: undefined,
      position: undefined,
      callback: undefined,
      isReady: false,
      shadow: undefined,
      ring: undefined,
    }));
  }

  setDriverFeatures(features: Uint32Array): VdpaOutcome {
    if ((this.status & FEATURES_OK) !== 0) return VDPA.BUSY;
    if (features.some((word, at) => (word & ~(this.deviceFeatures[at] ?? 0)) !== 0)) return VDPA.INVALID;
    const words = Uint32Array.from({ length: FEATURE_WORDS }, (_, word) => features[word] ?? 0);
    const outcome = this.device.setDriverFeatures(this.featuresBehind(words));
    if (outcome === VDPA.OK) this.driverFeatures.set(words);
    return outcome;
  }

  readConfig(at: number, length: number): Uint8Array {
    return this.device.readConfig(at, length);
  }

  writeConfig(at: number, bytes: Uint8Array): VdpaOutcome {
    return this.device.writeConfig(at, bytes);
  }

  configGeneration(): number {
    return this.device.configGeneration();
  }

  setConfigCallback(callback: (() => void) | undefined): void {
    this.configCallback = callback;
    this.device.setConfigCallback(callback);
  }

  get status(): number {
    return (this.isSuspended ? this.heldStatus : this.device.status) | (this.needsReset ? DEVICE_NEEDS_RESET : 0);
  }

  setStatus(status: number): VdpaOutcome {
    if (status === 0) return this.reset();
    return this.isSuspended ? VDPA.BUSY : this.device.setStatus(status);
  }

  reset(keepMaps = false): VdpaOutcome {
    const outcome = this.device.reset(keepMaps);
    if (outcome !== VDPA.OK) return outcome;
    for (const [index, front] of this.fronts.entries()) {
      this.close(index, front);
      front.isReady = false;
      front.size = this.queueSizeMax;
      front.addresses = undefined;
      front.position = undefined;
      front.callback = undefined;
    }
    this.driverFeatures.fill(0);
    this.isSuspended = false;
    this.needsReset = false;
    this.heldState = undefined;
    this.refusal = undefined;
    this.configCallback = undefined;
    if (!keepMaps) for (const space of this.spaces) space.clear();
    return VDPA.OK;
  }

  /** The device is stopped, and what it has not used goes back into the driver's rings. BUSY while it uses buffers out of order. */
  suspend(): VdpaOutcome {
    if (this.isSuspended) return VDPA.OK;
    const { device } = this;
    const { status } = device;
    if (device.abilities.suspend) {
      const outcome = device.suspend();
      if (outcome !== VDPA.OK) return outcome;
    }
    const state = device.typeState();
    const outcome = device.abilities.suspend ? VDPA.OK : this.stopDevice();
    if (outcome !== VDPA.OK) return outcome;
    let left = 0;
    for (const { shadow } of this.fronts) left += shadow?.giveBack() ?? 0;
    this.heldStatus = status;
    this.heldState = state;
    this.isSuspended = true;
    if (left === 0) {
      for (const front of this.fronts) front.position = front.shadow?.save() ?? front.position;
      return VDPA.OK;
    }
    // What was taken before something that was used has to be used: the device gets it again, in its order.
    const failed = this.restart();
    return failed === VDPA.OK ? VDPA.BUSY : failed;
  }

  resume(): VdpaOutcome {
    return this.isSuspended ? this.restart() : VDPA.OK;
  }

  queueSize(index: number): number {
    return this.front(index).size;
  }

  setQueueSize(index: number, size: number): VdpaOutcome {
    const front = this.front(index);
    if (front.isReady) return VDPA.BUSY;
    if (!isPvirtqSize(size) || size > this.queueSizeMax) return VDPA.INVALID;
    front.size = size;
    return VDPA.OK;
  }

  setQueueAddresses(index: number, addresses: VdpaQueueAddresses): VdpaOutcome {
    const front = this.front(index);
    if (front.isReady) return VDPA.BUSY;
    const { desc, driver, device } = addresses;
    const isEvery = [desc, driver, device].every((at) => Number.isInteger(at) && at >= 0 && at < ADDRESS_END);
    if (!isEvery) return VDPA.INVALID;
    front.addresses = { desc, driver, device };
    return VDPA.OK;
  }

  queueReady(index: number): boolean {
    return this.front(index).isReady;
  }

  setQueueReady(index: number, ready: boolean): VdpaOutcome {
    const front = this.front(index);
    if (front.isReady === ready) return VDPA.OK;
    if (this.isSuspended) return VDPA.BUSY;
    return ready ? this.open(index, front) : this.stop(index, front);
  }

  queueState(index: number): QueueState | undefined {
    const front = this.front(index);
    if (!front.isReady || this.isSuspended) return front.position ?? startOf(this.isPacked);
    return front.shadow?.save();
  }

  setQueueState(index: number, state: QueueState): VdpaOutcome {
    const front = this.front(index);
    if (front.isReady) return VDPA.BUSY;
    front.position = { ...state };
    return VDPA.OK;
  }

  setQueueCallback(index: number, callback: (() => void) | undefined): void {
    this.front(index).callback = callback;
  }

  /** Used buffers are told when they are in the driver's ring: no interrupt of the machine's says so. */
  queueIrq(index: number): undefined {
    this.front(index);
    return undefined;
  }

  kick(index: number): void {
    this.front(index);
    this.workCallback?.();
  }

  doorbell(index: number): DoorbellArea | undefined {
    this.front(index);
    return undefined;
  }

  queueStatistics(index: number): readonly VdpaStatistic[] {
    return this.device.queueStatistics(index);
  }

  queueGroup(index: number): number {
    return this.device.queueGroup(index);
  }

  groupSpace(group: number): number {
    return this.device.groupSpace(group);
  }

  setGroupSpace(group: number, asid: number): VdpaOutcome {
    return this.device.setGroupSpace(group, asid);
  }

  map(asid: number, mapping: VdpaMapping): VdpaOutcome {
    if (mapping.iova + mapping.bytes > RINGS_IOVA) return VDPA.INVALID;
    const outcome = this.device.map(asid, mapping);
    return outcome === VDPA.OK ? this.space(asid).map(mapping) : outcome;
  }

  unmap(asid: number, iova: number, bytes: number): VdpaOutcome {
    if (iova + bytes > RINGS_IOVA) return VDPA.INVALID;
    const outcome = this.device.unmap(asid, iova, bytes);
    return outcome === VDPA.OK ? this.space(asid).unmap(iova, bytes) : outcome;
  }

  setMap(asid: number, mappings: readonly VdpaMapping[]): VdpaOutcome {
    if (mappings.some(({ iova, bytes }) => iova + bytes > RINGS_IOVA)) return VDPA.INVALID;
    const rings = this.device.mappings(asid).filter(({ iova }) => iova >= RINGS_IOVA);
    const outcome = this.device.setMap(asid, [...mappings, ...rings]);
    if (outcome !== VDPA.OK) return outcome;
    const space = this.space(asid);
    space.clear();
    for (const mapping of mappings) space.map(mapping);
    return VDPA.OK;
  }

  mappings(asid: number): readonly VdpaMapping[] {
    return this.space(asid).mappings;
  }

  trackDirty(isOn: boolean): VdpaOutcome {
    for (const space of this.spaces) {
      const outcome = space.trackDirty(isOn);
      if (outcome !== VDPA.OK) return outcome;
    }
    return VDPA.OK;
  }

  /** Known here, whatever the device knows: each buffer when it comes back, and the rings. */
  takeDirty(): readonly HostRange[] {
    return this.spaces.flatMap((space) => space.takeDirty());
  }

  typeState(): Uint8Array | undefined {
    return this.isSuspended ? this.heldState : this.device.typeState();
  }

  setTypeState(parts: Uint8Array): VdpaOutcome {
    return this.device.setTypeState(parts);
  }

  get problem(): string | undefined {
    return this.refusal ?? this.device.problem;
  }

  setWorkCallback(callback: (() => void) | undefined): void {
    this.workCallback = callback;
    this.device.setWorkCallback(callback);
  }

  step(budget: number): number {
    if (this.isSuspended) return 0;
    return this.turnAll(budget) + this.device.step(budget) + this.turnAll(budget);
  }

  private turnAll(budget: number): number {
    if ((this.status & (DRIVER_OK | DEVICE_NEEDS_RESET)) !== DRIVER_OK) return 0;
    let done = 0;
    for (const [index, { shadow }] of this.fronts.entries()) {
      if (shadow === undefined) continue;
      done += shadow.turn(budget);
      if (shadow.ringFault === 0 && shadow.broken === 0) continue;
      const whose = shadow.broken === 0 ? 'driver’s' : 'device’s';
      this.refusal = `queue ${index}: the ${whose} ring cannot be believed any more`;
      this.needsReset = true;
      this.configCallback?.();
      break;
    }
    return done;
  }

  /** Nothing of the device's reaches memory any more. */
  private stopDevice(): VdpaOutcome {
    return this.device.reset(this.abilities.keepMaps);
  }

  /** Set the device up anew, as it stood: at the driver's rings where they are, or with what it has to use again. */
  private restart(): VdpaOutcome {
    const { device, heldStatus, heldState } = this;
    const outcome = this.stopDevice();
    if (outcome !== VDPA.OK) return outcome;
    if (!this.abilities.keepMaps) this.mapAgain();
    this.isSuspended = false;
    for (const bits of [ACKNOWLEDGE, ACKNOWLEDGE | DRIVER]) if ((heldStatus & bits) === bits) device.setStatus(bits);
    if ((heldStatus & DRIVER) !== 0) device.setDriverFeatures(this.featuresBehind(this.driverFeatures));
    if ((heldStatus & FEATURES_OK) !== 0) device.setStatus(ACKNOWLEDGE | DRIVER | FEATURES_OK);
    if (heldState !== undefined && heldState.length > 0 && (heldStatus & FEATURES_OK) !== 0) {
      const taken = device.setTypeState(heldState);
      if (taken !== VDPA.OK) return this.broken(`the device does not take its own state: ${vdpaOutcomeName(taken)}`);
    }
    for (const [index, front] of this.fronts.entries()) {
      if (!front.isReady) continue;
      const { shadow } = front;
      const started =
        shadow !== undefined && shadow.inFlight > 0 ? this.giveAgain(index, front, shadow) : this.open(index, front);
      if (started !== VDPA.OK) return this.broken(`queue ${index} does not start again: ${this.problem}`);
    }
    device.setConfigCallback(this.configCallback);
    device.setStatus(heldStatus);
    return VDPA.OK;
  }

  private broken(problem: string): VdpaOutcome {
    this.refusal = problem;
    this.needsReset = true;
    return VDPA.BUSY;
  }

  private mapAgain(): void {
    for (const [asid, space] of this.spaces.entries())
      for (const mapping of space.mappings) this.device.map(asid, mapping);
  }

  /** Open a queue where its driver has it, with a ring of the device's of its own. */
  private open(index: number, front: Front): VdpaOutcome {
    const { addresses, size, position } = front;
    if (addresses === undefined) {
      this.refusal = `queue ${index} has no addresses (virtio 1.4 §4.1.4.3)`;
      return VDPA.INVALID;
    }
    const isSize = this.isPacked ? isPvirtqSize(size) : isVirtqSize(size);
    if (!isSize || (this.device.status & FEATURES_OK) === 0) {
      this.refusal = `queue ${index} has size ${size}, or features are not negotiated (virtio 1.4 §3.1.1)`;
      return VDPA.INVALID;
    }
    this.close(index, front);
    const space = this.spaces[this.spaceOf(index)]!;
    const back = this.makeRing(index, front);
    const shadow = ShadowQueue.open({
      front: { space, size, ...addresses, features: this.driverFeatures },
      ...(position === undefined ? {} : { state: position }),
      back,
      addressOf: (host) => addressOf(space, host),
      written: (host, bytes) => space.noteWritten(host, bytes),
      notifyDevice: () => this.device.kick(index),
      notifyDriver: () => front.callback?.(),
    });
    if (isRefusal(shadow)) {
      this.refusal = shadow.message;
      this.close(index, front);
      return VDPA.INVALID;
    }
    front.shadow = shadow;
    const outcome = this.startBehind(index, front);
    if (outcome !== VDPA.OK) this.close(index, front);
    front.isReady = outcome === VDPA.OK;
    this.refusal = undefined;
    return outcome;
  }

  /** The device gets a new ring, and in it what it has not used. */
  private giveAgain(index: number, front: Front, shadow: ShadowQueue): VdpaOutcome {
    this.freeRing(index, front);
    const back = this.makeRing(index, front);
    const outcome = this.startBehind(index, front);
    if (outcome === VDPA.OK) shadow.moveTo(back);
    return outcome;
  }

  private startBehind(index: number, { ring, size }: Front): VdpaOutcome {
    const { device } = this;
    const areas = this.areas(ring!.iova, this.sizeBehind(size));
    const set = device.setQueueSize(index, this.sizeBehind(size));
    if (set !== VDPA.OK) return set;
    const placed = device.setQueueAddresses(index, areas);
    if (placed !== VDPA.OK) return placed;
    const begun = device.setQueueState(index, startOf(this.isPackedBehind));
    if (begun !== VDPA.OK) return begun;
    const outcome = device.setQueueReady(index, true);
    if (outcome === VDPA.OK) device.setQueueCallback(index, () => this.workCallback?.());
    return outcome;
  }

  private stop(index: number, front: Front): VdpaOutcome {
    const { shadow } = front;
    const outcome = this.device.setQueueReady(index, false);
    if (outcome !== VDPA.OK || shadow === undefined) return outcome;
    if (shadow.giveBack() > 0) {
      const again = this.giveAgain(index, front, shadow);
      return again === VDPA.OK ? VDPA.BUSY : again;
    }
    front.position = shadow.save();
    front.isReady = false;
    this.close(index, front);
    return VDPA.OK;
  }

  private close(index: number, front: Front): void {
    front.shadow?.stop();
    front.shadow = undefined;
    this.freeRing(index, front);
  }

  /** A ring of zeros for the device. @returns it as its driver, which is the shadow queue, sees it */
  private makeRing(index: number, front: Front): ShadowBack {
    const size = this.sizeBehind(front.size);
    const bytes = this.ringBytes(size);
    const host = this.pages.allocate(bytes);
    const iova = this.iovas.allocate(bytes);
    this.memory.engine.fill(host, 0, bytes);
    front.ring = { host, iova, bytes };
    const mapped = this.device.map(this.spaceOf(index), { iova, bytes, host, access: RW });
    if (mapped !== VDPA.OK) throw new VirtioError('ring', vdpaOutcomeName(mapped), 'a mapping of its own', HERE);
    const space = new GuestMemory(this.memory, [{ gpa: iova, size: bytes, host }]);
    return { queue: { space, size, ...this.areas(iova, size), features: this.featuresBehind(this.driverFeatures) } };
  }

  private freeRing(index: number, front: Front): void {
    const { ring } = front;
    if (ring === undefined) return;
    front.ring = undefined;
    // A reset may have taken the mapping away.
    this.device.unmap(this.spaceOf(index), ring.iova, ring.bytes);
    this.iovas.free(ring.iova);
    this.pages.free(ring.host);
  }

  private areas(iova: number, size: number): VdpaQueueAddresses {
    const driver = iova + up(this.isPackedBehind ? pvirtqDescBytes(size) : virtqDescBytes(size));
    const device = driver + up(this.isPackedBehind ? PVIRTQ_EVENT_SUPPRESS.SIZE : virtqAvailBytes(size));
    return { desc: iova, driver, device };
  }

  private ringBytes(size: number): number {
    const last = this.isPackedBehind ? PVIRTQ_EVENT_SUPPRESS.SIZE : virtqUsedBytes(size);
    return Math.ceil((this.areas(0, size).device + last) / PAGE_BYTES) * PAGE_BYTES;
  }

  /** A split ring behind has a power of two, as many as a packed one in front may not. */
  private sizeBehind(size: number): number {
    return this.isPackedBehind || isVirtqSize(size) ? size : 2 ** Math.ceil(Math.log2(size));
  }

  /** What the device accepts: its type's as the driver has them, rings as they are behind. */
  private featuresBehind(features: Uint32Array): Uint32Array {
    // A driver that leaves these out is refused by the device, as it should be.
    const bits: number[] = [VIRTIO_F.VERSION_1, VIRTIO_F.ACCESS_PLATFORM].filter((bit) => hasFeature(features, bit));
    if (this.isPackedBehind) bits.push(VIRTIO_F.RING_PACKED);
    for (const bit of [VIRTIO_F.EVENT_IDX, VIRTIO_F.RING_RESET, VIRTIO_F.ORDER_PLATFORM])
      if (hasFeature(this.device.deviceFeatures, bit)) bits.push(bit);
    const own = featureWords(bits);
    return features.map((word, at) => (word & typeBits(at)) | own[at]!);
  }

  private get isPacked(): boolean {
    return hasFeature(this.driverFeatures, VIRTIO_F.RING_PACKED);
  }

  private spaceOf(index: number): number {
    return this.device.groupSpace(this.device.queueGroup(index));
  }

  private space(asid: number): TableSpace {
    const space = this.spaces[asid];
    if (space !== undefined) return space;
    throw new VirtioError('asid', asid, `0 to ${this.spaceCount - 1}`, HERE);
  }

  private front(index: number): Front {
    const front = this.fronts[index];
    if (front !== undefined) return front;
    throw new VirtioError('index', index, `0 to ${this.queueCount - 1}`, HERE);
  }
}

const up = (bytes: number): number => Math.ceil(bytes / 64) * 64;

/** Bits of a feature word that are the device type's. */
function typeBits(word: number): number {
  let bits = 0;
  for (let bit = 0; bit < 32; bit++) {
    const number = 32 * word + bit;
    if (number < RING_FIRST || number > RING_LAST) bits |= 1 << bit;
  }
  return bits;
}

/** Where the device finds a driver's buffer: where the driver does. */
function addressOf(space: TableSpace, host: number): number {
  const found = space.mappings.find((one) => host >= one.host && host < one.host + one.bytes);
  return found === undefined ? 0 : found.iova + host - found.host;
}
