import { type ArrayMaker, GuestMemory, HostMemory, PLAIN_ARRAYS } from '@ringwire/guest-memory';
import { featureWords, VIRTIO_F } from '@ringwire/virtio-spec';
import {
  BufferList,
  ChainBurst,
  type DeviceQueue,
  type DriverQueue,
  isRefusal,
  openDeviceQueue,
  openDriverQueue,
  type QueueConfig,
  UsedBurst,
} from '@ringwire/virtqueue';
import { openLoopedDeviceQueue, openLoopedDriverQueue } from '../open-looped-queue.js';
import { privateArrays } from '../private-arrays.js';

/** Two pieces of RAM that are not neighbours in the host: buffers lie in either. */
const LOW = { gpa: 0x1_0000, size: 0x1_0000, host: 0x2_0000 };
const HIGH = { gpa: 0x1_0000_0000, size: 0x1_0000, host: 0x1_0000 };
const RINGS = LOW.gpa;
const PITCH = 0x1000;
/** Of bursts, smaller than the rings and larger. */
const ROOM = 12;

export interface RingKind {
  readonly packed: boolean;
  readonly inOrder: boolean;
  readonly size: number;
}

export interface Step {
  readonly act: 'add' | 'chain' | 'publish' | 'take' | 'put' | 'publish-used' | 'reclaim' | 'untake' | 'flip' | 'reset';
  readonly a: number;
  readonly b: number;
}

/** A driver and a device on one ring, and everything that can be seen of them. */
export class RingWorld {
  private readonly memory = HostMemory.create(0x3_0000);
  private readonly config: QueueConfig;
  private readonly looped: boolean;
  private driver: DriverQueue;
  private device: DeviceQueue;
  private readonly list: BufferList;
  private readonly burst: ChainBurst;
  private readonly used: UsedBurst;
  /** Chains of the burst that were put. */
  private done = 0;

  constructor({ packed, inOrder, size }: RingKind, looped: boolean) {
    const features: number[] = [VIRTIO_F.VERSION_1];
    if (packed) features.push(VIRTIO_F.RING_PACKED);
    if (inOrder) features.push(VIRTIO_F.IN_ORDER);
    this.config = {
      space: new GuestMemory(this.memory, [LOW, HIGH]),
      size,
      desc: RINGS,
      driver: RINGS + PITCH,
      device: RINGS + 2 * PITCH,
      features: featureWords(features),
    };
    this.looped = looped;
    const arrays: ArrayMaker = looped ? privateArrays(this.memory) : PLAIN_ARRAYS;
    this.list = new BufferList(ROOM, arrays);
    this.burst = new ChainBurst(ROOM, arrays);
    this.used = new UsedBurst(ROOM, arrays);
    [this.driver, this.device] = this.open();
  }

  /** Whether the loops are what works here. */
  get isLooped(): boolean {
    const { list, burst, used } = this;
    return (
      [list, burst, used].every(({ home }) => home !== undefined) && 'loops' in this.device && 'loops' in this.driver
    );
  }

  /** @returns what the step said */
  step({ act, a, b }: Step): unknown {
    const { driver, device, burst, used } = this;
    try {
      switch (act) {
        case 'add':
          this.fill(1 + (a % ROOM), b);
          return driver.addBurst(this.list);
        case 'chain':
          this.fill(1 + (a % 3), b);
          return driver.add(this.list, undefined, b);
        case 'publish':
          return driver.publish();
        case 'take':
          if (this.done === burst.count) this.clear();
          return device.takeBurst(burst, 1 + (a % ROOM));
        case 'put': {
          const count = Math.min(1 + (a % ROOM), burst.count - this.done);
          for (let i = this.done; i < this.done + count; i++) burst.written[i] = writtenOf(burst, i, b + i);
          device.putUsedBurst(burst, this.done, count);
          this.done += count;
          return count;
        }
        case 'publish-used':
          return device.publishUsed();
        case 'reclaim':
          used.clear();
          return driver.takeUsed(used, 1 + (a % ROOM));
        case 'untake':
          if (this.done === burst.count) return 'nothing';
          device.untake(burst.token[burst.count - 1]!);
          burst.dropLast();
          return 'given back';
        case 'flip':
          this.memory.u8[LOW.host + (a % (3 * PITCH))]! ^= 1 << (b & 7);
          return undefined;
        case 'reset':
          device.stop();
          [this.driver, this.device] = this.open();
          this.clear();
          return undefined;
      }
    } catch (error) {
      // A put that is refused leaves its chain in the burst: the burst is begun anew.
      this.clear();
      return (error as Error).message;
    }
  }

  /** Everything that the two sides say of themselves, and all bytes of memory. */
  state(): unknown {
    const { driver, device, burst, used } = this;
    const chains = Array.from({ length: burst.count }, (_, i) => ({
      token: burst.token[i],
      fault: burst.fault[i],
      written: burst.written[i],
      ranges: Array.from({ length: burst.end(i) - burst.first[i]! }, (_, r) => {
        const at = burst.first[i]! + r;
        return [burst.segments.offset[at], burst.segments.length[at], at < burst.firstWritable[i]!];
      }),
    }));
    const back = Array.from({ length: used.count }, (_, i) => [used.token[i], used.written[i], used.outcome[i]]);
    return {
      chains,
      back,
      driver: [driver.free, driver.outstanding, driver.broken, driver.hasUsed(), { ...driver.counters }],
      device: [device.inFlight, device.ringFault, device.hasAvailable(), { ...device.counters }],
      bytes: Buffer.from(this.memory.u8.subarray(LOW.host, LOW.host + 3 * PITCH)).toString('base64'),
    };
  }

  private open(): [DriverQueue, DeviceQueue] {
    const driver = (this.looped ? openLoopedDriverQueue : openDriverQueue)(this.config);
    const device = (this.looped ? openLoopedDeviceQueue : openDeviceQueue)(this.config);
    if (isRefusal(device)) throw new Error(device.message);
    return [driver, device];
  }

  private clear(): void {
    this.burst.clear();
    this.burst.written.fill(0);
    this.done = 0;
  }

  /** Buffers of many lengths, readable ones first, now and then in the other piece of RAM, or in none. */
  private fill(count: number, seed: number): void {
    const { list } = this;
    list.clear();
    const readable = seed % (count + 1);
    for (let i = 0; i < count; i++) {
      const mixed = Math.imul(seed + i, 0x9e37_79b1) >>> 0;
      const region = (mixed & 0xf00) === 0 ? LOW : HIGH;
      const beyond = (mixed & 0xf0000) === 0 ? region.size : 0;
      const address = region.gpa + 3 * PITCH + (mixed % 0x4000) + beyond;
      const bytes = 1 + ((mixed >>> 8) % 1500);
      if (i < readable) list.addReadable(address, bytes, mixed);
      else list.addWritable(address, bytes, mixed);
    }
  }
}

/** All of a chain's bytes mostly, sometimes fewer or none, rarely too many. */
function writtenOf(burst: ChainBurst, i: number, seed: number): number {
  const most = burst.writableBytes(i);
  const choice = seed & 15;
  if (choice === 0) return 0;
  if (choice === 1) return most >>> 1;
  return choice === 2 && (seed & 0x8000) !== 0 ? most + 1 : most;
}
