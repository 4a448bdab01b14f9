import type { EswitchPort } from '@ringwire/eswitch';
import type { AddressSpace, HostMemory } from '@ringwire/guest-memory';
import type { NetBackend } from '@ringwire/net-backend';
import { NetDevice, type NetDeviceOptions, type Transport, TypeState, VirtioDevice } from '@ringwire/virtio-device';
import { DEVICE_STATUS, hasFeature, VIRTIO_F } from '@ringwire/virtio-spec';
import { VIRTIO_MSI_NO_VECTOR } from '@ringwire/virtio-spec/transport';
import type { QueueState } from '@ringwire/virtqueue';
import { followLink } from './link-follower.js';

const TWO_32 = 0x1_0000_0000;

/** A function's own device, and what its vendor's commands reach it through. */
export interface VirtioPlaneConfig {
  readonly memory: HostMemory;
  readonly scratch: number;
  readonly space: AddressSpace;
  readonly backend: NetBackend;
  readonly mac: Uint8Array;
  readonly net: Partial<NetDeviceOptions>;
  /** The function's port of a card's switch: what the guest's driver is granted, and its link. */
  readonly port: EswitchPort | undefined;
  /** Pairs of queues; a control queue comes behind them, unless whoever serves the function has that (`externalControl`). */
  readonly pairs: number;
  /** Largest Queue Size. */
  readonly queueSize: number;
  /** A used buffer of a queue is to be told. @param vector as the queue was set up with, never VIRTIO_MSI_NO_VECTOR */
  readonly usedBuffer: (queue: number, vector: number) => void;
  /** The configuration changed, or the device cannot go on. */
  readonly configChange: () => void;
  readonly wake: () => void;
  readonly now: () => number;
  /** The device cannot go on. */
  readonly broke: () => void;
}

/** One virtqueue as commands have set it up: it is opened when it becomes ready. */
export interface VirtqueueSetup {
  readonly size: number;
  /** Whatever its control plane means by it, or VIRTIO_MSI_NO_VECTOR. */
  readonly vector: number;
  readonly desc: number;
  readonly driver: number;
  readonly device: number;
}

/**
 * The standard data plane of a card's function: virtio's rings and network device, behind a control plane that is its vendor's.
 * It can be suspended, asked where it stands in its rings, and set going from there.
 */
export class VirtioPlane {
  readonly device: VirtioDevice;
  readonly net: NetDevice;
  private readonly config: VirtioPlaneConfig;
  private readonly vectors: number[];
  private readonly setups: (VirtqueueSetup | undefined)[];
  private readonly positions: (QueueState | undefined)[];
  private readonly state: TypeState;
  /** A state that comes piece by piece, and how much of it is here. */
  private arriving: Uint8Array = new Uint8Array(0);
  private arrived = 0;

  constructor(config: VirtioPlaneConfig) {
    const { memory, scratch, backend, mac, net, space, wake, now, port, pairs, queueSize } = config;
    this.config = config;
    this.net = new NetDevice({
      holdWhenFull: true,
      ...policyOf(port),
      ...net,
      memory,
      scratch,
      backend,
      mac,
      pairs,
      rxQueueSize: queueSize,
      txQueueSize: queueSize,
      controlQueueSize: queueSize,
    });
    const queues = this.net.queueSizes.length;
    this.vectors = new Array<number>(queues).fill(VIRTIO_MSI_NO_VECTOR);
    this.setups = new Array<VirtqueueSetup | undefined>(queues).fill(undefined);
    this.positions = new Array<QueueState | undefined>(queues).fill(undefined);
    if (port !== undefined) followLink(this.net, port);
    const model = this.net;
    this.device = new VirtioDevice({ model, space, translated: true, wake, now }, this.transport());
    this.device.dmaEnabled = false;
    this.state = new TypeState(this.device);
  }

  get queues(): number {
    return this.setups.length;
  }

  get isPacked(): boolean {
    return hasFeature(
      Uint32Array.from([0, 1], (word) => this.device.driverFeatures(word)),
      VIRTIO_F.RING_PACKED,
    );
  }

  /** Write the device status, virtio 1.4 §2.1; 0 resets the device. */
  writeStatus(status: number): void {
    const { device, state } = this;
    const isStarted = (): boolean => (device.status & DEVICE_STATUS.DRIVER_OK) !== 0;
    const wasStarted = isStarted();
    device.writeStatus(status);
    if (isStarted() && !wasStarted) state.started();
  }

  /** What commands of the control queue made of the device. @see TypeState */
  typeState(): Uint8Array {
    return this.state.get()!;
  }

  /**
   * A piece of the type state that another device had, from a control plane with small messages; in their order, the first with
   * `offset` 0. The last one has them judged.
   * @param total bytes of all pieces
   * @returns false for a piece that does not follow, and for a state that is not taken
   */
  receiveState(offset: number, total: number, length: number, byte: (at: number) => number): boolean {
    if (offset === 0) this.arriving = new Uint8Array(total);
    else if (offset !== this.arrived || total !== this.arriving.length) return false;
    for (let at = 0; at < length; at++) this.arriving[offset + at] = byte(at);
    this.arrived = offset + length;
    return this.arrived < total || this.state.set(this.arriving) === undefined;
  }

  isReady(index: number): boolean {
    return this.device.queues[index]!.enabled;
  }

  /** @returns false while the queue is ready */
  setQueue(index: number, setup: VirtqueueSetup): boolean {
    if (this.isReady(index)) return false;
    this.setups[index] = setup;
    return true;
  }

  /** Where the queue is to go on. It is judged when the queue becomes ready. @returns false while it is */
  setPosition(index: number, position: QueueState): boolean {
    if (this.isReady(index)) return false;
    this.positions[index] = position;
    return true;
  }

  /** @returns undefined while a buffer of the queue is in flight: suspend first */
  position(index: number): QueueState | undefined {
    const { queue } = this.device.queues[index]!;
    if (queue === undefined) return this.positions[index] ?? startOf(this.isPacked);
    return this.device.isStopped && queue.inFlight === 0 ? queue.save() : undefined;
  }

  /** @returns whether the queue is ready, or not, as was asked for */
  setReady(index: number, ready: boolean): boolean {
    if (ready === this.isReady(index)) return true;
    if (ready) return this.startQueue(index);
    const { isStopped } = this.device;
    if (!isStopped) this.device.stop();
    const position = this.position(index);
    if (!isStopped) this.device.go();
    this.device.disableQueue(index);
    this.positions[index] = position;
    return !this.isReady(index);
  }

  /** Touch no ring any more; what was taken is used first. @returns false: ask again */
  suspend(): boolean {
    if (this.device.isChanging) return false;
    this.device.stop();
    // What is to be told of buffers that were just used leaves with a step, which does nothing else now.
    this.device.step(0);
    return this.device.isStopped;
  }

  resume(): void {
    this.device.go();
  }

  close(): void {
    this.device.reset();
    this.net.close();
    if (this.config.port !== undefined) this.config.port.onLink = undefined;
  }

  private startQueue(index: number): boolean {
    const { device } = this;
    const setup = this.setups[index];
    const slot = device.writableQueue(index);
    if (slot === undefined || setup === undefined) return false;
    slot.reset();
    slot.writeSize(setup.size, this.isPacked);
    for (const [area, address] of [setup.desc, setup.driver, setup.device].entries()) {
      slot.writeAddress(area, false, address >>> 0);
      slot.writeAddress(area, true, Math.floor(address / TWO_32));
    }
    this.vectors[index] = setup.vector;
    device.enableQueue(index, this.positions[index]);
    return slot.enabled;
  }

  private transport(): Transport {
    return {
      features: [],
      usedBuffer: (queue) => {
        const vector = this.vectors[queue]!;
        if (vector !== VIRTIO_MSI_NO_VECTOR) this.config.usedBuffer(queue, vector);
      },
      configChange: () => {
        if (this.device.resetReason !== undefined) this.config.broke();
        this.config.configChange();
      },
      queueReset: (queue) => this.forget(queue),
      reset: () => {
        this.device.go();
        this.state.reset();
        for (let queue = 0; queue < this.setups.length; queue++) this.forget(queue);
      },
      // One address space: what is mapped in it the function does not know.
      snapshot: () => ({
        kind: 'vdpa',
        suspended: this.device.isStopped,
        queueSpaces: this.setups.map(() => 0),
        mappings: [],
      }),
    };
  }

  private forget(queue: number): void {
    this.vectors[queue] = VIRTIO_MSI_NO_VECTOR;
    this.setups[queue] = undefined;
    this.positions[queue] = undefined;
  }
}

/** The port decides what the guest's driver may have. */
const policyOf = (port: EswitchPort | undefined): Pick<NetDeviceOptions, 'policy'> =>
  port === undefined
    ? {}
    : { policy: { request: (wishes) => port.request(wishes) === undefined, forget: () => port.forgetWishes() } };

/** The start of a queue. virtio 1.4 §2.7, §2.8.1 */
const startOf = (isPacked: boolean): QueueState =>
  isPacked
    ? { layout: 'packed', lastAvailIdx: 0, lastAvailWrapCounter: 1, usedIdx: 0, usedWrapCounter: 1 }
    : { layout: 'split', lastAvailIdx: 0, usedIdx: 0 };
