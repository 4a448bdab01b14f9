import { mkdtempSync, readdirSync, readFileSync, readlinkSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { GuestMemory, HostMemory, PageAllocator, RangeList } from '@ringwire/guest-memory';
import { accept, addressOf, close, connectUnix, listenUnix, mapFileAt, newEvent, newMemoryFile } from '@ringwire/linux';
import { type Delivered, Frame } from '@ringwire/net-backend';
import { ScriptedBackend } from '@ringwire/net-backend/testing';
import { PeerMemory } from '@ringwire/peer-memory';
import type { VdpaDevice, VdpaHost } from '@ringwire/vdpa';
import { NET_SCRATCH_BYTES, NetDevice, type NetDeviceOptions } from '@ringwire/virtio-device';
import { featuresFromBigInt } from '@ringwire/virtio-spec';
import { type DriverQueue, openDriverQueue, UsedBurst } from '@ringwire/virtqueue';
import type { VhostDevicePort } from '../device-port.js';
import { type RingLayouts, Session } from '../session.js';
import { joined, longs, RawPeer, words } from './raw-peer.js';

export const RAM = { gpa: 0x1_4000_0000, userspace: 0x7f12_3456_0000, size: 0x10_0000, offset: 0x1000 } as const;
const FILE_BYTES: number = RAM.offset + RAM.size;
/** VERSION_1, and RING_PACKED too; the protocol's own bit is 30. */
export const SPLIT: bigint = (1n << 32n) | (1n << 30n);
export const PACKED: bigint = SPLIT | (1n << 34n);
export const QUEUE_SIZE = 16;
/** The host's own place for a frame that arrives. */
const FRAME_BYTES = 4096;
/** Offsets of each ring's parts in RAM; each ring lies 0x4000 higher than the one before. */
const RING = { desc: 0x1000, driver: 0x2000, device: 0x3000, NEXT: 0x4000 } as const;

/** Makes a vDPA device with a port of the stage's backend, in memory of its own. */
export type MakeVdpa = (host: VdpaHost, backend: ScriptedBackend) => VdpaDevice;

const VDPA_BYTES = 0x200_0000;

/** A session with its front-end in the same process: nothing happens between two calls. */
export class SessionStage {
  backend: ScriptedBackend = new ScriptedBackend();
  readonly device: NetDevice;
  readonly memory: PeerMemory;
  vdpa: VdpaDevice | undefined;
  session: Session;
  peer: RawPeer;
  /** The front-end's RAM: the file, and a driver's view of it. */
  readonly file: number = newMemoryFile('guest-ram', FILE_BYTES);
  readonly guest: GuestMemory;
  readonly kicks: readonly number[];
  readonly calls: readonly number[];
  /** The rings' numbers. */
  readonly rings: readonly number[];
  time = 0;
  private readonly layouts: RingLayouts;

  /**
   * @param options of the device, where it is to have more than an address and mergeable buffers
   * @param layouts of rings that are offered
   * @param makeVdpa makes a vDPA device that is served in its place
   */
  constructor(options: Partial<NetDeviceOptions> = {}, layouts: RingLayouts = 'both', makeVdpa?: MakeVdpa) {
    this.layouts = layouts;
    const vdpaBytes = makeVdpa === undefined ? 0 : VDPA_BYTES;
    const host = HostMemory.create(0x200_0000 + vdpaBytes);
    this.device = new NetDevice({
      memory: host,
      scratch: 0,
      backend: this.backend,
      mac: Uint8Array.of(2, 0, 0, 0, 0, 1),
      features: [5, 15],
      rxQueueSize: QUEUE_SIZE,
      txQueueSize: QUEUE_SIZE,
      ...options,
    });
    this.vdpa = makeVdpa?.(
      { memory: host, pages: new PageAllocator(0x200_0000, vdpaBytes), now: () => this.time },
      this.backend,
    );
    const count = this.vdpa?.queueCount ?? this.device.queueSizes.length;
    this.rings = Array.from({ length: count }, (_, ring) => ring);
    this.kicks = this.rings.map(() => newEvent());
    this.calls = this.rings.map(() => newEvent());
    const start = NET_SCRATCH_BYTES + FRAME_BYTES;
    this.memory = new PeerMemory(host, start, 0x200_0000 - start);
    [this.peer, this.session] = this.connect();
    const driverSide = HostMemory.create(FILE_BYTES);
    mapFileAt(addressOf(driverSide.u8), FILE_BYTES, this.file, 0);
    this.guest = new GuestMemory(driverSide, [{ gpa: RAM.gpa, size: RAM.size, host: RAM.offset }]);
  }

  /** The front-end's next connection, after the session's end. */
  reconnect(): void {
    close(this.peer.socket);
    [this.peer, this.session] = this.connect();
  }

  /** Send a request and have it served. */
  say(id: number, payload: Uint8Array, fds: readonly number[] = [], flags = 1): void {
    this.peer.send(id, payload, fds, flags);
    this.session.serve(64);
  }

  ask(id: number, payload: Uint8Array = new Uint8Array(0)): Uint8Array | undefined {
    this.say(id, payload);
    return this.peer.answer()?.payload;
  }

  /** Features, memory and all rings, up to but without kicks and enabling. */
  setUp(features: bigint, bases: readonly number[] = []): void {
    const first = (features & PACKED) === PACKED ? 0x8000 : 0;
    this.say(16, longs(1n << 3n));
    this.say(2, longs(features));
    this.say(5, this.memTable(), [this.file]);
    for (const ring of this.rings) {
      this.say(8, words(ring, QUEUE_SIZE));
      this.say(10, words(ring, bases[ring] ?? first));
      this.say(9, this.ringAddress(ring));
      this.say(13, longs(ring), [this.calls[ring]!]);
    }
  }

  start(): void {
    for (const ring of this.rings) {
      this.say(12, longs(ring), [this.kicks[ring]!]);
      this.say(18, words(ring, 1));
    }
  }

  memTable(): Uint8Array {
    return joined(words(1, 0), longs(RAM.gpa, RAM.size, RAM.userspace, RAM.offset));
  }

  /** index, flags; desc, used, avail, log. */
  ringAddress(ring: number, flags = 0, log = 0): Uint8Array {
    const at = RAM.userspace + ring * RING.NEXT;
    return joined(words(ring, flags), longs(at + RING.desc, at + RING.device, at + RING.driver, log));
  }

  openDriver(ring: number, features: bigint): DriverQueue {
    const at = RAM.gpa + ring * RING.NEXT;
    return openDriverQueue({
      space: this.guest,
      size: QUEUE_SIZE,
      desc: at + RING.desc,
      driver: at + RING.driver,
      device: at + RING.device,
      features: featuresFromBigInt(features & ~(1n << 30n)),
    });
  }

  /** What runs the device's rings. */
  get port(): VhostDevicePort {
    return this.session.port as VhostDevicePort;
  }

  /** A turn of the device. */
  turn(): void {
    this.session.port.step(64);
    this.session.port.finishTurn();
  }

  /** A frame for the front-end, from elsewhere. @param flushed whether the burst that it came in is over */
  bring(bytes: Uint8Array, flushed = true): Delivered {
    const { memory } = this.memory;
    const frame = new Frame(memory);
    memory.u8.set(bytes, NET_SCRATCH_BYTES);
    frame.ranges = new RangeList(1);
    frame.ranges.push(NET_SCRATCH_BYTES, bytes.length);
    frame.end = 1;
    frame.length = bytes.length;
    const delivered = this.device.sink.receive(frame);
    if (flushed) this.device.sink.flush?.();
    return delivered;
  }

  private connect(): [RawPeer, Session] {
    const [client, socket] = connection();
    return [
      new RawPeer(client),
      new Session({
        ...{ socket, memory: this.memory, rings: this.layouts, now: () => this.time },
        device: this.vdpa === undefined ? { model: this.device } : { vdpa: this.vdpa },
      }),
    ];
  }

  end(): void {
    this.session.close();
    for (const fd of [this.peer.socket, this.file, ...this.kicks, ...this.calls]) close(fd);
  }
}

/** Ids of the buffers that came back used. */
export function usedOf(queue: DriverQueue): { id: number; written: number }[] {
  const burst = new UsedBurst(QUEUE_SIZE);
  const count = queue.takeUsed(burst, QUEUE_SIZE);
  return Array.from({ length: count }, (_, at) => ({ id: burst.token[at]!, written: burst.written[at]! }));
}

/** Both ends of a connection. */
export function connection(): [client: number, server: number] {
  const directory = mkdtempSync(join(tmpdir(), 'ringwire-vhost-'));
  const path = join(directory, 's');
  const listener = listenUnix(path);
  const client = connectUnix(path);
  const server = accept(listener);
  close(listener);
  rmSync(directory, { recursive: true });
  return [client, server];
}

/** What the process has open and mapped that a session could leave behind. */
export function held(): { fds: number; maps: number } {
  const names = readdirSync('/proc/self/fd').map((fd) => {
    try {
      return readlinkSync(`/proc/self/fd/${fd}`);
    } catch {
      return 'gone';
    }
  });
  const maps = readFileSync('/proc/self/maps', 'utf8').split('\n');
  return {
    fds: names.filter((name) => /socket:|eventfd|memfd:/.test(name)).length,
    maps: maps.filter((line) => line.includes('memfd:guest-ram')).length,
  };
}
