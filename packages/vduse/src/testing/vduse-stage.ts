import { GuestMemory, HostMemory, RangeList } from '@ringwire/guest-memory';
import { addressOf, close, mapFileAt, newMemoryFile, signalEvent } from '@ringwire/linux';
import { type Delivered, Frame } from '@ringwire/net-backend';
import { ScriptedBackend } from '@ringwire/net-backend/testing';
import { PeerMemory } from '@ringwire/peer-memory';
import { type DeviceModel, NET_SCRATCH_BYTES, NetDevice } from '@ringwire/virtio-device';
import { featuresFromBigInt } from '@ringwire/virtio-spec';
import { type DriverQueue, openDriverQueue } from '@ringwire/virtqueue';
import { VduseDevice, type VduseDeviceOptions, type VduseState } from '../vduse-device.js';
import { ScriptedKernel, type ScriptedNode } from './scripted-kernel.js';

/** VERSION_1, ACCESS_PLATFORM; with MAC and MRG_RXBUF; RING_PACKED too. */
export const SPLIT: bigint = (1n << 32n) | (1n << 33n) | (1n << 5n) | (1n << 15n);
export const PACKED: bigint = SPLIT | (1n << 34n);
/** Words of a queue's state where nobody has moved it: what virtio-vdpa sets. */
const STARTS = { split: [0, 0, 0, 0], packed: [1, 0, 1, 0] } as const;
export const QUEUE_SIZE = 16;
export const NAME = 'net0';
/** The driver's memory: as it has it, and where in the file it begins. */
export const RAM = { iova: 0x4000_0000, size: 0x10_0000, offset: 0x1000 } as const;
const FILE_BYTES: number = RAM.offset + RAM.size;
const FRAME_BYTES = 4096;
/** Offsets of each ring's parts in RAM; each ring lies 0x4000 higher than the one before. */
const RING = { desc: 0x1000, driver: 0x2000, device: 0x3000, NEXT: 0x4000 } as const;

/** A device with its kernel and its driver in the same process: nothing happens between two calls. */
export class VduseStage {
  readonly kernel: ScriptedKernel = new ScriptedKernel();
  readonly backend: ScriptedBackend = new ScriptedBackend();
  readonly host: HostMemory = HostMemory.create(0x200_0000);
  readonly model: NetDevice;
  readonly memory: PeerMemory;
  readonly file: number = newMemoryFile('guest-ram', FILE_BYTES);
  /** The driver's view of its memory. */
  readonly guest: GuestMemory;
  device: VduseDevice;
  states: VduseState[] = [];
  problems: string[] = [];
  time = 0;
  private id = 0;

  /** @param features of the network device: an address and mergeable buffers unless given */
  constructor(options: Partial<VduseDeviceOptions> = {}, features: readonly number[] = [5, 15]) {
    this.model = new NetDevice({
      memory: this.host,
      scratch: 0,
      backend: this.backend,
      mac: Uint8Array.of(2, 0, 0, 0, 0, 1),
      features,
      rxQueueSize: QUEUE_SIZE,
      txQueueSize: QUEUE_SIZE,
    });
    const start = NET_SCRATCH_BYTES + FRAME_BYTES;
    this.memory = new PeerMemory(this.host, start, this.host.size - start);
    this.device = this.serve(options);
    const driverSide = HostMemory.create(FILE_BYTES);
    mapFileAt(addressOf(driverSide.u8), FILE_BYTES, this.file, 0);
    this.guest = new GuestMemory(driverSide, [{ gpa: RAM.iova, size: RAM.size, host: RAM.offset }]);
    this.node.regions = [
      {
        file: this.file,
        offset: BigInt(RAM.offset),
        first: BigInt(RAM.iova),
        last: BigInt(RAM.iova + RAM.size - 1),
        access: 3,
      },
    ];
  }

  /** Serve it, once more where the one before is gone. */
  serve(options: Partial<VduseDeviceOptions> = {}): VduseDevice {
    const { model, memory, kernel } = this;
    this.device = new VduseDevice({
      name: NAME,
      model: model as DeviceModel,
      memory,
      kernel,
      now: () => this.time,
      onState: (state) => this.states.push(state),
      onProblem: (reason) => this.problems.push(reason),
      ...options,
    });
    return this.device;
  }

  /** The process was killed: its descriptors are closed, and it says nothing any more. */
  killed(): void {
    const { node } = this;
    const { isOnBus, queues } = node;
    node.isOnBus = true;
    // As with a kernel that is told nothing: what closing does to queues is undone.
    const kicks = queues.map(({ kick }) => kick);
    this.device.close();
    for (const [index, kick] of kicks.entries()) queues[index]!.kick = kick;
    node.isOnBus = isOnBus;
    this.model.stop();
  }

  get node(): ScriptedNode {
    return this.kernel.nodes.get(NAME)!;
  }

  /** A request of the kernel, served. @returns the answer's result and the words of its union, if it was answered */
  ask(type: number, ...words: readonly number[]): { result: number; words: number[] } | undefined {
    const bytes = new Uint8Array(152);
    const view = new DataView(bytes.buffer);
    const id = ++this.id;
    view.setUint32(0, type, true);
    view.setUint32(4, id, true);
    for (const [at, word] of words.entries()) view.setUint32(24 + 4 * at, word, true);
    return this.askBytes(bytes);
  }

  askBytes(bytes: Uint8Array): { result: number; words: number[] } | undefined {
    const { answers } = this.node;
    const before = answers.length;
    this.kernel.ask(NAME, bytes);
    this.device.ready();
    const answer = answers[before];
    if (answer === undefined) return undefined;
    const view = new DataView(answer.buffer);
    if (view.getUint32(0, true) !== new DataView(bytes.buffer).getUint32(4, true)) throw new Error('another id');
    const words = Array.from({ length: 3 }, (_, at) => view.getUint32(24 + 4 * at, true));
    return { result: view.getUint32(4, true), words };
  }

  /** SET_STATUS, which the kernel notes when it was answered as carried out. @returns whether it was */
  setStatus(status: number): boolean {
    const isDone = this.ask(1, status)!.result === 0;
    if (isDone) this.node.status = status;
    if (status === 0) this.kernelReset();
    return isDone;
  }

  /** A driver sets up rings and features, as virtio-vdpa does. */
  setUp(features: bigint): void {
    this.node.accepted = features;
    for (const [ring, queue] of this.node.queues.entries()) {
      const at = RAM.iova + ring * RING.NEXT;
      queue.size = QUEUE_SIZE;
      queue.areas = [BigInt(at + RING.desc), BigInt(at + RING.driver), BigInt(at + RING.device)];
      queue.state = (features & PACKED) === PACKED ? STARTS.packed : STARTS.split;
      queue.isReady = true;
    }
  }

  /** The whole way to DRIVER_OK. @returns whether each step was taken */
  start(features: bigint): boolean[] {
    const steps = [0, 1, 3].map((status) => this.setStatus(status));
    this.setUp(features);
    return [...steps, ...[0xb, 0xf].map((status) => this.setStatus(status))];
  }

  openDriver(ring: number, features: bigint): DriverQueue {
    const at = RAM.iova + ring * RING.NEXT;
    const addresses = { desc: at + RING.desc, driver: at + RING.driver, device: at + RING.device };
    return openDriverQueue({
      space: this.guest,
      size: QUEUE_SIZE,
      ...addresses,
      features: featuresFromBigInt(features),
    });
  }

  /** The driver notifies, and the device has its turn. */
  kick(ring: number): void {
    signalEvent(this.node.queues[ring]!.kick);
    this.device.ready();
    this.device.pump(64);
  }

  /** A frame for the driver, from elsewhere. */
  bring(bytes: Uint8Array): Delivered {
    const frame = new Frame(this.host);
    this.host.u8.set(bytes, NET_SCRATCH_BYTES);
    frame.ranges = new RangeList(1);
    frame.ranges.push(NET_SCRATCH_BYTES, bytes.length);
    frame.end = 1;
    frame.length = bytes.length;
    const delivered = this.model.sink.receive(frame);
    this.model.sink.flush?.();
    return delivered;
  }

  end(): void {
    this.device.close();
    close(this.file);
  }

  /** As Linux does behind the answer to status 0. */
  private kernelReset(): void {
    this.node.status = 0;
    this.node.accepted = 0n;
    for (const queue of this.node.queues)
      Object.assign(queue, { size: 0, areas: [0n, 0n, 0n], state: [0, 0, 0, 0], isReady: false, kick: -1 });
  }
}
