import type { GuardedGuest } from '@ringwire/guest-memory/testing';
import { featureWords, hasFeature, VIRTIO_F } from '@ringwire/virtio-spec';
import { VIRTIO_NET_F } from '@ringwire/virtio-spec/net';
import { BufferList, type DriverQueue, openDriverQueue, UsedBurst } from '@ringwire/virtqueue';
import { NET_SCRATCH_BYTES, NetDevice } from '../../net/net-device.js';
import type { NetDeviceOptions } from '../../net/net-options.js';
import { FakeBackend } from '../../net/testing/fake-backend.js';
import { S } from '../../testing/device-bench.js';
import { PciFace } from '../../testing/pci-face.js';
import type { AdminOptions } from '../administered-model.js';

const MAC: Uint8Array = Uint8Array.of(0x52, 0x54, 0x00, 0x12, 0x34, 0x56);
const SIZE = 16;
const BACKEND_BYTES = 0x2000;

/** Gives memory away, piece by piece. */
export class Pieces {
  private at: number;
  private readonly end: number;

  constructor(from: number, bytes: number) {
    this.at = from;
    this.end = from + bytes;
  }

  take(bytes: number, align = 16): number {
    const at = Math.ceil(this.at / align) * align;
    this.at = at + bytes;
    if (this.at > this.end) throw new Error('the bench has no more memory');
    return at;
  }
}

export interface NetFunctionOptions extends Partial<Omit<NetDeviceOptions, 'memory' | 'backend' | 'scratch'>> {
  readonly admin?: AdminOptions;
  readonly wake?: () => void;
}

/** The rings of a driver: they are its own, whichever device serves them. */
export class DriverRings {
  readonly features: Uint32Array;
  readonly queues: DriverQueue[] = [];
  readonly places: { size: number; desc: number; driver: number; device: number }[] = [];
  private readonly guest: GuardedGuest;
  private readonly ram: Pieces;
  private readonly used: UsedBurst = new UsedBurst(SIZE);

  constructor(guest: GuardedGuest, ram: Pieces, features: readonly number[]) {
    this.guest = guest;
    this.ram = ram;
    this.features = featureWords([VIRTIO_F.VERSION_1, ...features]);
  }

  open(index: number): void {
    const place = {
      size: SIZE,
      desc: this.ram.take(16 * SIZE),
      driver: this.ram.take(8 + 2 * SIZE),
      device: this.ram.take(8 + 8 * SIZE),
    };
    this.places[index] = place;
    this.queues[index] = openDriverQueue({ space: this.guest.space, ...place, features: this.features });
  }

  write(bytes: Uint8Array): number {
    const at = this.ram.take(bytes.length);
    this.guest.write(at, bytes);
    return at;
  }

  /** Post a receive buffer. @returns where it is */
  post(pair = 0, bytes = 0x100): number {
    const at = this.ram.take(bytes);
    this.queues[2 * pair]!.addWritable(at, bytes);
    this.queues[2 * pair]!.publish();
    return at;
  }

  /** Send a frame, behind a header of zeros. */
  send(frame: Uint8Array, pair = 0): void {
    const bytes = new Uint8Array(12 + frame.length);
    bytes.set(frame, 12);
    this.queues[2 * pair + 1]!.addReadable(this.write(bytes), bytes.length);
    this.queues[2 * pair + 1]!.publish();
  }

  /** Make a command available: data to be read, room for the answer. @returns where the answer comes */
  ask(index: number, data: Uint8Array, room: number): number {
    const answer = this.ram.take(Math.max(1, room));
    const list = new BufferList(2);
    if (data.length > 0) list.addReadable(this.write(data), data.length);
    if (room > 0) list.addWritable(answer, room);
    this.queues[index]!.add(list);
    this.queues[index]!.publish();
    return answer;
  }

  /** Lengths of what came back. */
  collect(index: number): number[] {
    this.used.clear();
    this.queues[index]!.takeUsed(this.used, SIZE);
    return [...this.used.written.subarray(0, this.used.count)];
  }
}

/** A network device as a PCI function, and a driver's hands on it. */
export class NetFunction {
  readonly backend: FakeBackend;
  readonly device: NetDevice;
  readonly face: PciFace;
  rings: DriverRings;
  private readonly guest: GuardedGuest;

  /** @param host pieces of memory for the device itself */
  constructor(guest: GuardedGuest, host: Pieces, rings: DriverRings, options: NetFunctionOptions = {}) {
    const { admin, wake, ...given } = options;
    const { memory } = guest;
    const bytes = NET_SCRATCH_BYTES + BACKEND_BYTES;
    const scratch = guest.space.resolve(host.take(bytes), bytes, 3);
    this.guest = guest;
    this.rings = rings;
    this.backend = new FakeBackend(memory, scratch + NET_SCRATCH_BYTES);
    this.device = new NetDevice({ mac: MAC, ...given, memory, backend: this.backend, scratch });
    const config = { model: this.device, space: guest.space, ...(wake === undefined ? {} : { wake }) };
    this.face = new PciFace(config, admin === undefined ? {} : { admin });
  }

  /** Everything up to DRIVER_OK. @param queues to set up */
  start(queues: readonly number[]): void {
    const { face, rings } = this;
    face.setStatus(0);
    face.setStatus(S.ACK);
    face.setStatus(S.ACK | S.DRIVER);
    rings.features.forEach((word, select) => {
      face.accept(select, word);
    });
    face.setStatus(S.ACK | S.DRIVER | S.FEATURES);
    for (const index of queues) {
      if (rings.queues[index] === undefined) rings.open(index);
      face.place(index, rings.places[index]!);
      face.enable(index);
    }
    face.setStatus(S.ACK | S.DRIVER | S.FEATURES | S.OK);
  }

  step(): number {
    return this.face.device.step(64);
  }

  /** A control command. @returns its first answered byte */
  control(data: Uint8Array): number {
    const index = this.controlIndex();
    const answer = this.rings.ask(index, data, 1);
    this.face.kick(index);
    this.step();
    this.rings.collect(index);
    return this.guest.read(answer, 1)[0]!;
  }

  controlIndex(): number {
    const { features } = this.rings;
    const hasPairs = hasFeature(features, VIRTIO_NET_F.MQ) || hasFeature(features, VIRTIO_NET_F.RSS);
    return hasPairs ? this.device.queueSizes.length - 1 : 2;
  }

  /** Bring frames, then lengths of what came into the buffers of a pair. */
  receive(frames: readonly Uint8Array[], pair = 0): number[] {
    for (const frame of frames) this.backend.deliver(frame);
    this.step();
    return this.rings.collect(2 * pair);
  }
}
