import type { EswitchPort } from '@ringwire/eswitch';
import type { AddressSpace, HostMemory } from '@ringwire/guest-memory';
import type { NetBackend } from '@ringwire/net-backend';
import { VENDOR_B_COUNT } from '@ringwire/nic-spec/vendor-b';
import type { PciFunction } from '@ringwire/pci';
import { NetDevice, type NetDeviceOptions, type Transport, VirtioDevice } from '@ringwire/virtio-device';
import { hasFeature, VIRTIO_F } from '@ringwire/virtio-spec';
import { VIRTIO_MSI_NO_VECTOR } from '@ringwire/virtio-spec/transport';
import type { QueueState } from '@ringwire/virtqueue';

const TWO_32 = 0x1_0000_0000;
/** Vector of configuration changes, as of events of the function. */
const EVENT_VECTOR = 0;
const SHAPE = {
  pairs: 1,
  rxQueueSize: VENDOR_B_COUNT.VIRTQUEUE_SIZE,
  txQueueSize: VENDOR_B_COUNT.VIRTQUEUE_SIZE,
  controlQueueSize: VENDOR_B_COUNT.VIRTQUEUE_SIZE,
};

export interface VirtioPlaneConfig {
  readonly memory: HostMemory;
  readonly scratch: number;
  readonly space: AddressSpace;
  readonly backend: NetBackend;
  readonly mac: Uint8Array;
  readonly net: Partial<NetDeviceOptions>;
  /** The function's port of a card's switch: what the guest's driver is granted, and its link. */
  readonly port: EswitchPort | undefined;
  /** Its messages are the function's. */
  readonly pci: () => PciFunction;
  readonly wake: () => void;
  readonly now: () => number;
  /** The device cannot go on. */
  readonly broke: () => void;
}

/** One virtqueue as commands have set it up: it is opened when it becomes ready. */
export interface VirtqueueSetup {
  readonly size: number;
  /** Of MSI-X, or VIRTIO_MSI_NO_VECTOR. */
  readonly vector: number;
  readonly desc: number;
  readonly driver: number;
  readonly device: number;
}

/**
 * The standard data plane: virtio's rings and network device, behind vendor B's control plane. It can be suspended, asked
 * where it stands in its rings, and set going from there.
 */
export class VirtioPlane {
  readonly device: VirtioDevice;
  readonly net: NetDevice;
  private readonly config: VirtioPlaneConfig;
  private readonly vectors = new Array<number>(VENDOR_B_COUNT.VIRTQUEUES).fill(VIRTIO_MSI_NO_VECTOR);
  private readonly setups = new Array<VirtqueueSetup | undefined>(VENDOR_B_COUNT.VIRTQUEUES).fill(undefined);
  private readonly positions = new Array<QueueState | undefined>(VENDOR_B_COUNT.VIRTQUEUES).fill(undefined);

  constructor(config: VirtioPlaneConfig) {
    const { memory, scratch, backend, mac, net, space, wake, now, port } = config;
    this.config = config;
    this.net = new NetDevice({
      holdWhenFull: true,
      ...policyOf(port),
      ...net,
      memory,
      scratch,
      backend,
      mac,
      ...SHAPE,
    });
    if (port !== undefined) {
      this.net.setLink(port.isUp);
      port.onLink = (isUp) => this.net.setLink(isUp);
    }
    const model = this.net;
    this.device = new VirtioDevice({ model, space, translated: true, wake, now }, this.transport());
    this.device.dmaEnabled = false;
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
      usedBuffer: (queue) => this.raise(this.vectors[queue]!),
      configChange: () => {
        if (this.device.resetReason !== undefined) this.config.broke();
        this.raise(EVENT_VECTOR);
      },
      queueReset: (queue) => this.forget(queue),
      reset: () => {
        this.device.go();
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

  private raise(vector: number): void {
    if (vector !== VIRTIO_MSI_NO_VECTOR) this.config.pci().msix?.raise(vector);
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
