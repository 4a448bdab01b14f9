import type { AddressSpace } from '@ringwire/guest-memory';
import { DEVICE_STATUS, hasFeature, VIRTIO_F } from '@ringwire/virtio-spec';
import type { EventNotifier } from './event-notifier.js';
import type { DoorbellArea, VdpaDevice, VdpaQueueAddresses } from './vdpa-device.js';
import { VDPA, type VdpaOutcome } from './vdpa-outcome.js';
import { refusal, type VdpaRefusal } from './vdpa-parent.js';
import { VhostIotlb } from './vhost-iotlb.js';
import { stateOfVringBase, vringBaseOf } from './vring-base.js';

const { FEATURES_OK, DRIVER_OK } = DEVICE_STATUS;
const PAGE_BYTES = 4096;

/** Bits of VHOST_GET_BACKEND_FEATURES. */
export const VHOST_BACKEND_F = {
  IOTLB_MSG_V2: 1,
  IOTLB_BATCH: 2,
  IOTLB_ASID: 3,
  SUSPEND: 4,
  RESUME: 5,
  ENABLE_AFTER_DRIVER_OK: 6,
  IOTLB_PERSIST: 8,
} as const;

/**
 * A vDPA device as vhost-vdpa's character device shows it to one process, such as a VMM: each ioctl and IOTLB message of
 * vhost is a call. What a process asks for is foreign: whatever cannot be, or is not its to do, ends with an outcome.
 */
export class VhostVdpa {
  readonly deviceId: number;
  private readonly device: VdpaDevice;
  private iotlbOf: VhostIotlb | undefined = undefined;
  private backendFeatures = 0;
  private isOpen = true;
  private readonly kicks: (EventNotifier | undefined)[] = [];
  private readonly calls: (EventNotifier | undefined)[] = [];
  private configCall: EventNotifier | undefined = undefined;

  /** The device begins as after a reset. */
  constructor(device: VdpaDevice) {
    this.device = device;
    this.deviceId = device.deviceId;
    device.reset();
  }

  /** VHOST_SET_OWNER. @param process addresses of the process that asks. BUSY when there is an owner */
  setOwner(process: AddressSpace): VdpaOutcome {
    if (!this.isOpen) return VDPA.NOT_OWNER;
    if (this.iotlbOf !== undefined) return VDPA.BUSY;
    this.iotlbOf = new VhostIotlb(this.device, process);
    return VDPA.OK;
  }

  /** Of IOTLB messages; undefined without an owner. */
  get iotlb(): VhostIotlb | undefined {
    return this.iotlbOf;
  }

  /** VHOST_GET_FEATURES: words 0 and 1, the 64 bits that the call has. */
  getFeatures(): Uint32Array {
    return this.device.deviceFeatures.map((word, at) => (at < 2 ? word : 0));
  }

  /** VHOST_SET_FEATURES. */
  setFeatures(features: Uint32Array): VdpaOutcome {
    if (!this.isOwned) return VDPA.NOT_OWNER;
    if (features.some((word, at) => at >= 2 && word !== 0)) return VDPA.INVALID;
    return this.device.setDriverFeatures(features);
  }

  /** VHOST_GET_BACKEND_FEATURES: bits of {@link VHOST_BACKEND_F}, by what the device can do. */
  getBackendFeatures(): number {
    const { abilities } = this.device;
    const F = VHOST_BACKEND_F;
    let bits = (1 << F.IOTLB_MSG_V2) | (1 << F.IOTLB_BATCH) | (1 << F.IOTLB_ASID);
    if (abilities.suspend) bits |= 1 << F.SUSPEND;
    if (abilities.resume) bits |= 1 << F.RESUME;
    if (abilities.readyWhileRunning) bits |= 1 << F.ENABLE_AFTER_DRIVER_OK;
    if (abilities.keepMaps) bits |= 1 << F.IOTLB_PERSIST;
    return bits;
  }

  /** VHOST_SET_BACKEND_FEATURES. With IOTLB_PERSIST a reset leaves mappings alone. */
  setBackendFeatures(bits: number): VdpaOutcome {
    if (!this.isOpen) return VDPA.NOT_OWNER;
    if (bits >>> 0 !== bits || (bits & ~this.getBackendFeatures()) !== 0) return VDPA.UNSUPPORTED;
    this.backendFeatures = bits;
    return VDPA.OK;
  }

  /** VHOST_VDPA_GET_STATUS. */
  getStatus(): number {
    return this.isOpen ? this.device.status : 0;
  }

  /** VHOST_VDPA_SET_STATUS: bits are never taken back, other than by 0. */
  setStatus(status: number): VdpaOutcome {
    if (!this.isOwned) return VDPA.NOT_OWNER;
    if (!Number.isInteger(status) || status < 0 || status > 0xff) return VDPA.INVALID;
    if (status === 0) return this.reset();
    if ((this.device.status & ~status) !== 0) return VDPA.INVALID;
    return this.device.setStatus(status);
  }

  /** VHOST_VDPA_GET_CONFIG_SIZE. */
  getConfigSize(): number {
    return this.device.configBytes;
  }

  /** VHOST_VDPA_GET_CONFIG. @returns undefined for what is not all inside the configuration */
  getConfig(at: number, length: number): Uint8Array | undefined {
    const isInside = this.isOpen && Number.isInteger(at) && Number.isInteger(length) && at >= 0 && length > 0;
    return isInside && at + length <= this.device.configBytes ? this.device.readConfig(at, length) : undefined;
  }

  /** VHOST_VDPA_SET_CONFIG. */
  setConfig(at: number, bytes: Uint8Array): VdpaOutcome {
    if (!this.isOwned) return VDPA.NOT_OWNER;
    return bytes.length === 0 ? VDPA.INVALID : this.device.writeConfig(at, bytes);
  }

  /** VHOST_VDPA_SET_CONFIG_CALL. */
  setConfigCall(call: EventNotifier | undefined): VdpaOutcome {
    if (!this.isOwned) return VDPA.NOT_OWNER;
    this.configCall = call;
    this.device.setConfigCallback(call === undefined ? undefined : () => call.signal());
    return VDPA.OK;
  }

  /** VHOST_VDPA_GET_VQS_COUNT. */
  getVqsCount(): number {
    return this.device.queueCount;
  }

  /** VHOST_VDPA_GET_VRING_NUM: the largest size of a ring. */
  getVringNum(): number {
    return this.device.queueSizeMax;
  }

  /** VHOST_VDPA_GET_VRING_SIZE: the size that holds. @returns undefined for a ring that there is not */
  getVringSize(index: number): number | undefined {
    return this.has(index) ? this.device.queueSize(index) : undefined;
  }

  /** VHOST_VDPA_GET_IOVA_RANGE. */
  getIovaRange(): { readonly first: number; readonly last: number } {
    return this.device.iovaRange;
  }

  /** VHOST_VDPA_GET_GROUP_NUM. */
  getGroupNum(): number {
    return this.device.groupCount;
  }

  /** VHOST_VDPA_GET_AS_NUM. */
  getAsNum(): number {
    return this.device.spaceCount;
  }

  /** VHOST_VDPA_GET_VRING_GROUP. @returns undefined for a ring that there is not */
  getVringGroup(index: number): number | undefined {
    return this.has(index) ? this.device.queueGroup(index) : undefined;
  }

  /** VHOST_VDPA_SET_GROUP_ASID. */
  setGroupAsid(group: number, asid: number): VdpaOutcome {
    return this.isOwned ? this.device.setGroupSpace(group, asid) : VDPA.NOT_OWNER;
  }

  /** VHOST_SET_VRING_NUM. */
  setVringNum(index: number, size: number): VdpaOutcome {
    return this.onRing(index) ?? this.whileStopped() ?? this.device.setQueueSize(index, size);
  }

  /** VHOST_SET_VRING_ADDR: descriptor, available and used part, in addresses of the device. */
  setVringAddr(index: number, addresses: VdpaQueueAddresses): VdpaOutcome {
    return this.onRing(index) ?? this.whileStopped() ?? this.device.setQueueAddresses(index, addresses);
  }

  /** VHOST_SET_VRING_BASE. */
  setVringBase(index: number, base: number): VdpaOutcome {
    const problem = this.onRing(index) ?? this.whileStopped();
    if (problem !== undefined) return problem;
    const state = stateOfVringBase(base, hasFeature(this.device.driverFeatures, VIRTIO_F.RING_PACKED));
    return state === undefined ? VDPA.INVALID : this.device.setQueueState(index, state);
  }

  /** VHOST_GET_VRING_BASE. @returns undefined where there is no ring, or its position cannot be told: suspend first */
  getVringBase(index: number): number | undefined {
    if (!this.isOwned || !this.has(index)) return undefined;
    const state = this.device.queueState(index);
    return state === undefined ? undefined : vringBaseOf(state);
  }

  /** VHOST_SET_VRING_KICK: the device is kicked at each signal; undefined takes it away. */
  setVringKick(index: number, kick: EventNotifier | undefined): VdpaOutcome {
    const problem = this.onRing(index);
    if (problem !== undefined) return problem;
    this.kicks[index]?.listen(undefined);
    this.kicks[index] = kick;
    kick?.listen(() => {
      kick.take();
      this.device.kick(index);
    });
    return VDPA.OK;
  }

  /** VHOST_SET_VRING_CALL: signalled for used buffers; undefined takes it away. */
  setVringCall(index: number, call: EventNotifier | undefined): VdpaOutcome {
    const problem = this.onRing(index);
    if (problem !== undefined) return problem;
    this.calls[index] = call;
    this.device.setQueueCallback(index, call === undefined ? undefined : () => call.signal());
    return VDPA.OK;
  }

  /** VHOST_VDPA_SET_VRING_ENABLE. */
  setVringEnable(index: number, isEnabled: boolean): VdpaOutcome {
    return this.onRing(index) ?? this.device.setQueueReady(index, isEnabled);
  }

  /** VHOST_VDPA_SUSPEND; a device that does not run has nothing to suspend. */
  suspend(): VdpaOutcome {
    if (!this.isOwned) return VDPA.NOT_OWNER;
    return this.runs ? this.device.suspend() : VDPA.OK;
  }

  /** VHOST_VDPA_RESUME. */
  resume(): VdpaOutcome {
    if (!this.isOwned) return VDPA.NOT_OWNER;
    return this.runs ? this.device.resume() : VDPA.OK;
  }

  /**
   * The page of a ring's doorbell, as `mmap` gives it.
   * @returns a refusal where there is none, or no page that is the ring's alone
   */
  doorbell(index: number): DoorbellArea | VdpaRefusal {
    if (!this.isOwned) return refusal(VDPA.NOT_OWNER, 'the process does not own the device');
    if (!this.has(index)) return refusal(VDPA.INVALID, `queue ${index}, want 0 to ${this.device.queueCount - 1}`);
    const area = this.device.doorbell(index);
    if (area === undefined) return refusal(VDPA.UNSUPPORTED, `queue ${index} has no page for its doorbell`);
    const isPage = area.bytes === PAGE_BYTES && area.address % PAGE_BYTES === 0;
    return isPage ? area : refusal(VDPA.UNSUPPORTED, `the doorbell of queue ${index} shares its page`);
  }

  /** The process closes the device, or died: it is reset, and nothing of the process is within its reach. */
  close(): void {
    if (!this.isOpen) return;
    this.isOpen = false;
    this.iotlbOf?.close();
    this.iotlbOf = undefined;
    for (const kick of this.kicks) kick?.listen(undefined);
    this.device.reset();
  }

  private get isOwned(): boolean {
    return this.isOpen && this.iotlbOf !== undefined;
  }

  private get runs(): boolean {
    return (this.device.status & DRIVER_OK) !== 0;
  }

  private has(index: number): boolean {
    return Number.isInteger(index) && index >= 0 && index < this.device.queueCount;
  }

  private onRing(index: number): VdpaOutcome | undefined {
    if (!this.isOwned) return VDPA.NOT_OWNER;
    return this.has(index) ? undefined : VDPA.INVALID;
  }

  /** Where a ring is changes only while the device does not run. */
  private whileStopped(): VdpaOutcome | undefined {
    const isRunning = this.runs && (this.device.status & FEATURES_OK) !== 0 && !this.device.isSuspended;
    return isRunning ? VDPA.INVALID : undefined;
  }

  /** Events that the process gave outlive a reset. */
  private reset(): VdpaOutcome {
    const keepsMaps = (this.backendFeatures & (1 << VHOST_BACKEND_F.IOTLB_PERSIST)) !== 0;
    const outcome = this.device.reset(keepsMaps);
    if (outcome !== VDPA.OK) return outcome;
    for (const [index, call] of this.calls.entries())
      if (call !== undefined) this.device.setQueueCallback(index, () => call.signal());
    const { configCall } = this;
    if (configCall !== undefined) this.device.setConfigCallback(() => configCall.signal());
    return VDPA.OK;
  }
}
