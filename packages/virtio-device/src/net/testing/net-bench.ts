import { RESOLVE } from '@ringwire/guest-memory';
import { GuardedGuest, type GuestRange, type MemorySnapshot } from '@ringwire/guest-memory/testing';
import { featureWords, hasFeature, VIRTIO_F } from '@ringwire/virtio-spec';
import { VIRTIO_NET_F } from '@ringwire/virtio-spec/net';
import {
  BufferList,
  type DriverQueue,
  NO_ROOM,
  openDriverQueue,
  type QueueConfig,
  UsedBurst,
} from '@ringwire/virtqueue';
import { NetDevice } from '../net-device.js';
import { NET_DROP } from '../net-drop.js';
import type { NetDeviceOptions } from '../net-options.js';
import { FakeBackend } from './fake-backend.js';
import { FakePort } from './fake-port.js';

export const LAYOUTS = ['split', 'packed'] as const;
export type Layout = (typeof LAYOUTS)[number];

/** The device's address: 52:54:00:12:34:56. */
export const MAC: Uint8Array = Uint8Array.of(0x52, 0x54, 0x00, 0x12, 0x34, 0x56);

const RAM = 0x1_0000;
const RAM_BYTES = 0x8_0000;
/** Memory of the host: the device's scratch, and where the backend's frames lie. */
const HOST = 0x1000_0000;
const HOST_BYTES = 0x4_0000;
const BACKEND_AREA = 0x1_0000;

export interface NetBenchOptions extends Partial<Omit<NetDeviceOptions, 'memory' | 'backend' | 'scratch'>> {
  /** Queue Size of all queues, 16 unless given. */
  readonly size?: number;
  /** Bytes of the guest's memory, 512 KiB unless given. */
  readonly ram?: number;
}

/** What came back of one buffer. */
export interface Used {
  readonly id: number;
  readonly written: number;
}

/** A network device with a driver's rings in guest memory around it; the driver side of each queue is in the test's hand. */
export class NetBench {
  readonly guest: GuardedGuest;
  readonly backend: FakeBackend;
  readonly device: NetDevice;
  port: FakePort;
  readonly size: number;
  readonly queues: DriverQueue[] = [];
  private readonly configs: QueueConfig[] = [];
  private at = RAM;
  private readonly end: number;
  private readonly used: UsedBurst;

  /** @param features what the driver negotiated, besides VERSION_1 and the ring's format */
  constructor(layout: Layout, features: readonly number[], options: NetBenchOptions = {}) {
    const { size = 16, ram = RAM_BYTES, ...given } = options;
    this.end = RAM + ram;
    this.guest = new GuardedGuest(
      [
        { gpa: RAM, size: ram },
        { gpa: HOST, size: HOST_BYTES },
      ],
      { patternedRam: true },
    );
    const { memory } = this.guest;
    const host = this.hostAt(HOST, HOST_BYTES);
    this.backend = new FakeBackend(memory, host + BACKEND_AREA);
    this.size = size;
    this.used = new UsedBurst(size);
    this.device = new NetDevice({ mac: MAC, ...given, memory, backend: this.backend, scratch: host });
    const rings = layout === 'packed' ? [VIRTIO_F.RING_PACKED] : [];
    this.port = new FakePort(memory, featureWords([VIRTIO_F.VERSION_1, ...rings, ...features]));
    this.device.queueSizes.forEach((_, index) => {
      this.open(index);
    });
    this.device.start(this.port);
  }

  /** Place a queue and open both sides of it; again after {@link FakePort.close}. */
  open(index: number): void {
    const { size } = this;
    const hasTables = hasFeature(this.port.features, VIRTIO_F.INDIRECT_DESC);
    const config: QueueConfig = this.configs[index] ?? {
      space: this.guest.space,
      size,
      desc: this.take(16 * size, 16),
      driver: this.take(8 + 2 * size, 4),
      device: this.take(8 + 8 * size, 4),
      features: this.port.features,
    };
    this.configs[index] = config;
    const tables = { address: this.take(hasTables ? 16 * size * size : 0, 16), entries: size };
    this.queues[index] = openDriverQueue(config, hasTables ? tables : undefined);
    this.port.open(index, config);
  }

  /** Guest memory that nobody uses yet. */
  take(bytes: number, align = 1): number {
    const address = Math.ceil(this.at / align) * align;
    this.at = address + bytes;
    if (this.at > this.end) throw new Error('the bench has no more memory');
    return address;
  }

  /** Make one buffer available. @param direct as {@link DriverQueue.add} has it @returns its id */
  offer(index: number, readable: readonly GuestRange[], writable: readonly GuestRange[] = []): number {
    const list = new BufferList(Math.max(1, readable.length + writable.length));
    for (const { gpa, length } of readable) list.addReadable(gpa, length);
    for (const { gpa, length } of writable) list.addWritable(gpa, length);
    const id = this.queues[index]!.add(list);
    if (id === NO_ROOM) throw new Error('the ring has no room');
    if (this.queues[index]!.publish()) this.device.notified(index);
    return id;
  }

  /** Give the device a packet in these pieces, one descriptor each. @returns the buffer's id */
  transmit(pieces: readonly Uint8Array[], pair = 0): number {
    const ranges = pieces.map((bytes) => {
      const gpa = this.take(bytes.length, 4);
      this.guest.write(gpa, bytes);
      return { gpa, length: bytes.length };
    });
    return this.offer(2 * pair + 1, ranges);
  }

  /** Post a receive buffer with descriptors of these lengths. @returns its id and where it is */
  post(lengths: readonly number[], pair = 0): { id: number; ranges: GuestRange[] } {
    const ranges = lengths.map((length) => ({ gpa: this.take(length + 3, 4), length }));
    return { id: this.offer(2 * pair, [], ranges), ranges };
  }

  /** One step with a budget for everything. */
  step(): number {
    return this.device.step(256);
  }

  /** Buffers that came back on a queue since the last call. */
  collect(index: number): Used[] {
    this.used.clear();
    this.queues[index]!.takeUsed(this.used, this.size);
    return Array.from({ length: this.used.count }, (_, i) => ({
      id: this.used.token[i]!,
      written: this.used.written[i]!,
    }));
  }

  /** Send a control command. @returns the answer's bytes, as many as were written */
  control(command: readonly number[] | Uint8Array, answerBytes = 1): Uint8Array {
    const index = this.controlIndex();
    const bytes = Uint8Array.from(command);
    const ask = this.take(bytes.length, 4);
    this.guest.write(ask, bytes);
    const answer = this.take(answerBytes, 4);
    const id = this.offer(index, [{ gpa: ask, length: bytes.length }], [{ gpa: answer, length: answerBytes }]);
    this.step();
    const used = this.collect(index);
    if (used.length !== 1 || used[0]!.id !== id) throw new Error(`the command did not come back: ${used.length}`);
    return this.guest.read(answer, used[0]!.written);
  }

  controlIndex(): number {
    const { features } = this.port;
    const hasPairs = hasFeature(features, VIRTIO_NET_F.MQ) || hasFeature(features, VIRTIO_NET_F.RSS);
    return hasPairs ? this.queues.length - 1 : 2;
  }

  /** Where a queue lies. */
  placeOf(index: number): QueueConfig {
    return this.configs[index]!;
  }

  read(ranges: readonly GuestRange[]): Uint8Array {
    return Uint8Array.from(ranges.flatMap(({ gpa, length }) => [...this.guest.read(gpa, length)]));
  }

  /** Names of the drop counters that are not zero, with their counts. */
  drops(): Record<string, number> {
    const codes = Object.entries(NET_DROP).filter(([, code]) => this.device.drops[code] !== 0);
    return Object.fromEntries(codes.map(([name, code]) => [name, this.device.drops[code]!]));
  }

  /** Bytes of the rings that a device may change. */
  ringBytes(): GuestRange[] {
    return this.configs.flatMap(({ desc, device, size }, index) =>
      this.queues[index]!.layout === 'split'
        ? [{ gpa: device, length: 6 + 8 * size }]
        : [
            { gpa: desc, length: 16 * size },
            { gpa: device, length: 4 },
          ],
    );
  }

  snapshot(): MemorySnapshot {
    return this.guest.snapshot();
  }

  /** Changes of memory outside the rings, the host's own and these ranges. */
  changedOutside(since: MemorySnapshot, allowed: readonly GuestRange[] = []): number[] {
    const all = [...this.ringBytes(), { gpa: HOST, length: HOST_BYTES }, ...allowed];
    return this.guest.changesOutside(since, all).map(({ gpa }) => gpa);
  }

  hostAt(gpa: number, bytes: number): number {
    const offset = this.guest.space.resolve(gpa, bytes, 3);
    if (offset === RESOLVE.FAULT) throw new Error('no host memory');
    return offset;
  }
}
