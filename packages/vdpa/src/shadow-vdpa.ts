import type { PageAllocator } from '@ringwire/guest-memory';
import { DEVICE_STATUS, FEATURE_WORDS } from '@ringwire/virtio-spec';
import type { QueueState } from '@ringwire/virtqueue';
import { DeviceSetup } from './device-setup.js';
import { startOf } from './queue-setup.js';
import { featuresInFront } from './shadow-features.js';
import { ShadowFront, type ShadowPlace } from './shadow-front.js';
import { RINGS_IOVA, ShadowRings } from './shadow-rings.js';
import { TableSpace } from './table-space.js';
import type { DoorbellArea, VdpaAbilities, VdpaDevice, VdpaMapping, VdpaStatistic } from './vdpa-device.js';
import { VDPA, type VdpaOutcome, vdpaOutcomeName } from './vdpa-outcome.js';

const { ACKNOWLEDGE, DRIVER, FEATURES_OK, DRIVER_OK, DEVICE_NEEDS_RESET } = DEVICE_STATUS;

/** The device behind a {@link ShadowVdpa}, and the rings between. */
export interface ShadowVdpaConfig {
  /** The device behind: nobody else uses it. */
  readonly device: VdpaDevice;
  /** Host memory for its rings. */
  readonly pages: PageAllocator;
  /** What its rings are. */
  readonly rings: 'split' | 'packed';
}

/** What the device stood at when it was suspended. */
interface Held {
  readonly status: number;
  /** What commands had made of it. */
  readonly state: Uint8Array | undefined;
  /** The group of each queue, which a device that was reset does not know. */
  readonly groups: readonly number[];
}

/**
 * A device behind shadow queues, as a device: its driver's rings are split or packed as the driver likes, the device's as it can
 * do, and what the device has is known at any time. So it can be suspended, asked where it stands and what it wrote, whatever
 * the device itself is able to: a plain virtio function moves, and split rings go to a device that has packed ones alone.
 */
export class ShadowVdpa extends DeviceSetup<ShadowFront, TableSpace> implements VdpaDevice {
  readonly deviceId: number;
  readonly vendorId: number;
  readonly abilities: VdpaAbilities;
  readonly deviceFeatures: Uint32Array;
  readonly driverFeatures: Uint32Array;
  readonly configBytes: number;
  readonly iovaRange: { readonly first: number; readonly last: number };
  private readonly device: VdpaDevice;
  private readonly place: ShadowPlace;
  private configCallback: (() => void) | undefined = undefined;
  /** While suspended. */
  private held: Held | undefined = undefined;
  private refusal: string | undefined = undefined;
  private needsReset = false;

  /** @throws VirtioError for a device that does not have such rings, or no addresses for them */
  constructor({ device, pages, rings }: ShadowVdpaConfig) {
    const { memory, mapGranule, queueCount, queueSizeMax, spaceCount, groupCount } = device;
    const place: ShadowPlace = {
      device,
      rings: new ShadowRings(device, pages, rings),
      spaces: Array.from({ length: spaceCount }, () => new TableSpace(memory, mapGranule)),
      features: new Uint32Array(FEATURE_WORDS),
      workCallback: undefined,
    };
    const fronts = Array.from({ length: queueCount }, (_, index) => new ShadowFront(index, queueSizeMax, place));
    super(fronts, place.spaces, groupCount);
    this.device = device;
    this.place = place;
    this.deviceId = device.deviceId;
    this.vendorId = device.vendorId;
    this.configBytes = device.configBytes;
    this.iovaRange = { first: device.iovaRange.first, last: RINGS_IOVA - 1 };
    const { keepMaps, typeState, readyWhileRunning } = device.abilities;
    this.abilities = { suspend: true, resume: true, state: 'any', keepMaps, readyWhileRunning, typeState, dirty: true };
    this.deviceFeatures = featuresInFront(device.deviceFeatures);
    this.driverFeatures = place.features;
  }

  protected override acceptFeatures(words: Uint32Array): VdpaOutcome {
    const outcome = this.device.setDriverFeatures(this.place.rings.featuresFor(words));
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
    return (this.held?.status ?? this.device.status) | (this.needsReset ? DEVICE_NEEDS_RESET : 0);
  }

  protected override writeStatus(status: number): VdpaOutcome {
    return this.isSuspended ? VDPA.BUSY : this.device.setStatus(status);
  }

  reset(keepMaps = false): VdpaOutcome {
    const outcome = this.device.reset(keepMaps);
    if (outcome !== VDPA.OK) return outcome;
    for (const front of this.queues) front.reset();
    this.driverFeatures.fill(0);
    this.groupSpaces.fill(0);
    this.held = undefined;
    this.needsReset = false;
    this.refusal = undefined;
    this.configCallback = undefined;
    if (!keepMaps) for (const space of this.spaces) space.clear();
    return VDPA.OK;
  }

  get isSuspended(): boolean {
    return this.held !== undefined;
  }

  /** The device is stopped, and what it has not used goes back into the driver's rings. BUSY while it uses buffers out of order. */
  suspend(): VdpaOutcome {
    if (this.isSuspended) return VDPA.OK;
    const { device } = this;
    const { status } = device;
    const groups = this.queues.map((_, index) => device.queueGroup(index));
    if (device.abilities.suspend) {
      const outcome = device.suspend();
      if (outcome !== VDPA.OK) return outcome;
    }
    const state = device.typeState();
    const outcome = device.abilities.suspend ? VDPA.OK : this.stopDevice();
    if (outcome !== VDPA.OK) return outcome;
    const left = this.queues.reduce((sum, front) => sum + front.giveBack(), 0);
    this.held = { status, state, groups };
    if (left === 0) {
      for (const front of this.queues) front.position = front.save() ?? front.position;
      return VDPA.OK;
    }
    // What was taken before something that was used has to be used: the device gets it again, in its order.
    const failed = this.restart(this.held);
    return failed === VDPA.OK ? VDPA.BUSY : failed;
  }

  resume(): VdpaOutcome {
    return this.held === undefined ? VDPA.OK : this.restart(this.held);
  }

  queueReady(index: number): boolean {
    return this.queue(index).isReady;
  }

  setQueueReady(index: number, ready: boolean): VdpaOutcome {
    const front = this.queue(index);
    if (front.isReady === ready) return VDPA.OK;
    if (this.isSuspended) return VDPA.BUSY;
    const outcome = ready ? front.open() : front.stop();
    this.refusal = front.problem;
    return outcome;
  }

  queueState(index: number): QueueState | undefined {
    const front = this.queue(index);
    return front.isReady && !this.isSuspended ? front.save() : (front.position ?? startOf(this.isPacked));
  }

  setQueueState(index: number, state: QueueState): VdpaOutcome {
    const front = this.queue(index);
    if (front.isReady) return VDPA.BUSY;
    front.position = { ...state };
    return VDPA.OK;
  }

  /** Used buffers are told when they are in the driver's ring: no interrupt of the machine's says so. */
  queueIrq(index: number): undefined {
    this.queue(index);
    return undefined;
  }

  kick(index: number): void {
    this.queue(index);
    this.place.workCallback?.();
  }

  doorbell(index: number): DoorbellArea | undefined {
    this.queue(index);
    return undefined;
  }

  queueStatistics(index: number): readonly VdpaStatistic[] {
    return this.device.queueStatistics(index);
  }

  override queueGroup(index: number): number {
    this.queue(index);
    return this.held?.groups[index] ?? this.device.queueGroup(index);
  }

  override setGroupSpace(group: number, asid: number): VdpaOutcome {
    const before = this.groupSpaces[group];
    const outcome = super.setGroupSpace(group, asid);
    // A device that is suspended hears of it when it goes on.
    if (outcome !== VDPA.OK || this.isSuspended) return outcome;
    const behind = this.device.setGroupSpace(group, asid);
    if (behind !== VDPA.OK) this.groupSpaces[group] = before!;
    return behind;
  }

  override map(asid: number, mapping: VdpaMapping): VdpaOutcome {
    if (mapping.iova + mapping.bytes > RINGS_IOVA) return VDPA.INVALID;
    const outcome = this.device.map(asid, mapping);
    return outcome === VDPA.OK ? super.map(asid, mapping) : outcome;
  }

  override unmap(asid: number, iova: number, bytes: number): VdpaOutcome {
    if (iova + bytes > RINGS_IOVA) return VDPA.INVALID;
    const outcome = this.device.unmap(asid, iova, bytes);
    return outcome === VDPA.OK ? super.unmap(asid, iova, bytes) : outcome;
  }

  override setMap(asid: number, mappings: readonly VdpaMapping[]): VdpaOutcome {
    if (mappings.some(({ iova, bytes }) => iova + bytes > RINGS_IOVA)) return VDPA.INVALID;
    const rings = this.device.mappings(asid).filter(({ iova }) => iova >= RINGS_IOVA);
    const outcome = this.device.setMap(asid, [...mappings, ...rings]);
    return outcome === VDPA.OK ? super.setMap(asid, mappings) : outcome;
  }

  typeState(): Uint8Array | undefined {
    return this.held === undefined ? this.device.typeState() : this.held.state;
  }

  setTypeState(parts: Uint8Array): VdpaOutcome {
    return this.device.setTypeState(parts);
  }

  get problem(): string | undefined {
    return this.refusal ?? this.device.problem;
  }

  setWorkCallback(callback: (() => void) | undefined): void {
    this.place.workCallback = callback;
    this.device.setWorkCallback(callback);
  }

  step(budget: number): number {
    if (this.isSuspended) return 0;
    return this.turnAll(budget) + this.device.step(budget) + this.turnAll(budget);
  }

  private turnAll(budget: number): number {
    if ((this.status & (DRIVER_OK | DEVICE_NEEDS_RESET)) !== DRIVER_OK) return 0;
    let done = 0;
    for (let index = 0; index < this.queueCount; index++) {
      const front = this.queues[index]!;
      done += front.turn(budget);
      const { culprit } = front;
      if (culprit === undefined) continue;
      this.refusal = `queue ${index}: the ${culprit}’s ring cannot be believed any more`;
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
  private restart({ status, state = new Uint8Array(0) }: Held): VdpaOutcome {
    const { device } = this;
    const outcome = this.stopDevice();
    if (outcome !== VDPA.OK) return outcome;
    if (!this.abilities.keepMaps) this.mapAgain();
    this.held = undefined;
    for (const bits of [ACKNOWLEDGE, ACKNOWLEDGE | DRIVER]) if ((status & bits) === bits) device.setStatus(bits);
    if ((status & DRIVER) !== 0) device.setDriverFeatures(this.place.rings.featuresFor(this.driverFeatures));
    if ((status & FEATURES_OK) !== 0) device.setStatus(ACKNOWLEDGE | DRIVER | FEATURES_OK);
    if (state.length > 0 && (status & FEATURES_OK) !== 0) {
      const taken = device.setTypeState(state);
      if (taken !== VDPA.OK) return this.broken(`the device does not take its own state: ${vdpaOutcomeName(taken)}`);
    }
    for (const [group, asid] of this.groupSpaces.entries())
      if (device.groupSpace(group) !== asid && device.setGroupSpace(group, asid) !== VDPA.OK)
        return this.broken(`group ${group} does not get address space ${asid} again`);
    for (const [index, front] of this.queues.entries()) {
      if (!front.isReady) continue;
      if (front.openAgain() !== VDPA.OK)
        return this.broken(`queue ${index} does not start again: ${front.problem ?? device.problem}`);
    }
    device.setConfigCallback(this.configCallback);
    device.setStatus(status);
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
}
