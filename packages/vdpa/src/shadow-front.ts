import { DEVICE_STATUS, hasFeature, isPvirtqSize, isVirtqSize, VIRTIO_F } from '@ringwire/virtio-spec';
import { isRefusal, type QueueState } from '@ringwire/virtqueue';
import { QueueSetup, startOf } from './queue-setup.js';
import { ShadowQueue } from './shadow-queue.js';
import type { ShadowRing, ShadowRings } from './shadow-rings.js';
import type { TableSpace } from './table-space.js';
import type { VdpaDevice } from './vdpa-device.js';
import { VDPA, type VdpaOutcome } from './vdpa-outcome.js';

/** What the queues of one device behind shadow queues share. */
export interface ShadowPlace {
  readonly device: VdpaDevice;
  readonly rings: ShadowRings;
  /** What the driver mapped, by address space. */
  readonly spaces: readonly TableSpace[];
  /** Features as the driver accepted them. */
  readonly features: Uint32Array;
  /** Called when there is something to forward. */
  workCallback: (() => void) | undefined;
}

/** A queue as its driver set it up, and while it is ready its shadow: a ring of the device's own behind the driver's. */
export class ShadowFront extends QueueSetup {
  isReady = false;
  /** Why it did not start or stop last; undefined where the device knows. */
  problem: string | undefined = undefined;
  private readonly index: number;
  private readonly place: ShadowPlace;
  private shadow: ShadowQueue | undefined = undefined;
  private ring: ShadowRing | undefined = undefined;

  constructor(index: number, sizeMax: number, place: ShadowPlace) {
    super(sizeMax);
    this.index = index;
    this.place = place;
  }

  override reset(): void {
    this.close();
    this.isReady = false;
    super.reset();
  }

  /** Where the driver's ring goes on without the device; undefined while that has chains, or while nothing is open. */
  save(): QueueState | undefined {
    return this.shadow?.save();
  }

  /** @see ShadowQueue.giveBack */
  giveBack(): number {
    return this.shadow?.giveBack() ?? 0;
  }

  /** @see ShadowQueue.turn */
  turn(budget: number): number {
    return this.shadow?.turn(budget) ?? 0;
  }

  /** Whose ring cannot be believed any more. */
  get culprit(): 'driver' | 'device' | undefined {
    const { shadow } = this;
    if (shadow === undefined || (shadow.ringFault === 0 && shadow.broken === 0)) return undefined;
    return shadow.broken === 0 ? 'driver' : 'device';
  }

  /** Open the queue where its driver has it, with a new ring of the device's. */
  open(): VdpaOutcome {
    const { place, addresses, size, position } = this;
    const isPacked = hasFeature(place.features, VIRTIO_F.RING_PACKED);
    if (addresses === undefined)
      return this.refused(VDPA.INVALID, `queue ${this.index} has no addresses (virtio 1.4 §4.1.4.3)`);
    const isSize = isPacked ? isPvirtqSize(size) : isVirtqSize(size);
    if (!isSize || (place.device.status & DEVICE_STATUS.FEATURES_OK) === 0) {
      const why = `queue ${this.index} has size ${size}, or features are not negotiated (virtio 1.4 §3.1.1)`;
      return this.refused(VDPA.INVALID, why);
    }
    this.close();
    const ring = this.makeRing();
    if (ring === undefined) return VDPA.NO_ROOM;
    const space = place.spaces[ring.asid]!;
    const shadow = ShadowQueue.open({
      front: { space, size, ...addresses, features: place.features },
      ...(position === undefined ? {} : { state: position }),
      back: ring.back,
      addressOf: (host, bytes) => space.addressOf(host, bytes),
      written: (host, bytes) => space.noteWritten(host, bytes),
      notifyDevice: () => place.device.kick(this.index),
      notifyDriver: () => this.callback?.(),
    });
    if (isRefusal(shadow)) {
      this.close();
      return this.refused(VDPA.INVALID, shadow.message);
    }
    this.shadow = shadow;
    const outcome = this.startBehind(ring);
    if (outcome !== VDPA.OK) this.close();
    this.isReady = outcome === VDPA.OK;
    this.problem = undefined;
    return outcome;
  }

  /** The device was set up anew: the queue is opened where it stands, or the device has to use again what it has. */
  openAgain(): VdpaOutcome {
    const { shadow } = this;
    return shadow !== undefined && shadow.inFlight > 0 ? this.giveAgain(shadow) : this.open();
  }

  /** Stop it where it stands. BUSY while the device uses buffers out of order. */
  stop(): VdpaOutcome {
    const { shadow } = this;
    this.problem = undefined;
    const outcome = this.place.device.setQueueReady(this.index, false);
    if (outcome !== VDPA.OK || shadow === undefined) return outcome;
    if (shadow.giveBack() > 0) {
      const again = this.giveAgain(shadow);
      return again === VDPA.OK ? VDPA.BUSY : again;
    }
    this.position = shadow.save();
    this.isReady = false;
    this.close();
    return VDPA.OK;
  }

  /** The device gets a new ring, and in it what it has not used. */
  private giveAgain(shadow: ShadowQueue): VdpaOutcome {
    this.freeRing();
    const ring = this.makeRing();
    if (ring === undefined) return VDPA.NO_ROOM;
    const outcome = this.startBehind(ring);
    if (outcome === VDPA.OK) shadow.moveTo(ring.back);
    return outcome;
  }

  private startBehind({ size, areas }: ShadowRing): VdpaOutcome {
    const { index, place } = this;
    const { device } = place;
    const set = device.setQueueSize(index, size);
    if (set !== VDPA.OK) return set;
    const placed = device.setQueueAddresses(index, areas);
    if (placed !== VDPA.OK) return placed;
    const begun = device.setQueueState(index, startOf(place.rings.isPacked));
    if (begun !== VDPA.OK) return begun;
    const outcome = device.setQueueReady(index, true);
    if (outcome === VDPA.OK) device.setQueueCallback(index, () => place.workCallback?.());
    return outcome;
  }

  private close(): void {
    this.shadow?.stop();
    this.shadow = undefined;
    this.freeRing();
  }

  private makeRing(): ShadowRing | undefined {
    const { rings, features } = this.place;
    const ring = rings.make(this.index, this.size, features);
    this.ring = typeof ring === 'string' ? undefined : ring;
    this.problem = typeof ring === 'string' ? ring : undefined;
    return this.ring;
  }

  private freeRing(): void {
    if (this.ring !== undefined) this.place.rings.free(this.ring);
    this.ring = undefined;
  }

  private refused(outcome: VdpaOutcome, problem: string): VdpaOutcome {
    this.problem = problem;
    return outcome;
  }
}
