import { isBreakdown, openMmioTransport, openPciTransport, type Transport } from '@ringwire/guest-drivers';
import { type AddressSpace, type HostMemory, IdentitySpace } from '@ringwire/guest-memory';
import { featureWords, VIRTIO_F } from '@ringwire/virtio-spec';
import { type DriverQueue, openDriverQueue, UsedBurst } from '@ringwire/virtqueue';
import type { DeviceLink } from '../device-link.js';
import { assignBars } from './net-thread.js';

/** Status bits by hand, virtio 1.4 §2.1. */
export const S = { ACK: 1, DRIVER: 2, OK: 4, FEATURES: 8, NEEDS_RESET: 64 } as const;

/** Where the driver's queue and its one buffer lie. */
const AT = { desc: 0x1_0000, driver: 0x1_4000, device: 0x1_6000 } as const;
export const BUFFER = 0x2_0000;
const BUFFER_BYTES = 16;
/** MSI-X vectors of configuration and queue. */
const VECTOR = { config: 0, queue: 1 } as const;

export interface EntropyOptions {
  /** Feature bits besides VERSION_1. */
  readonly accept?: readonly number[];
  /** Where the driver finds its own memory. */
  readonly space?: AddressSpace;
  readonly msix?: boolean;
  /** Queue Size, up to 1024; 64 unless given. */
  readonly size?: number;
}

/** A driver of a device with one queue, register by register, for a test that says each step. */
export class EntropySide {
  readonly transport: Transport;
  queue: DriverQueue;
  private readonly link: DeviceLink;
  private readonly space: AddressSpace;
  private readonly features: Uint32Array;
  private readonly hasMessages: boolean;
  private readonly size: number;
  private readonly used: UsedBurst;

  constructor(
    link: DeviceLink,
    memory: HostMemory,
    { accept = [], space, msix = true, size = 64 }: EntropyOptions = {},
  ) {
    this.link = link;
    this.size = size;
    this.used = new UsedBurst(size);
    this.space = space ?? new IdentitySpace(memory);
    this.features = featureWords([VIRTIO_F.VERSION_1, ...accept]);
    const isPci = link.place.transport === 'pci';
    this.hasMessages = isPci && msix;
    if (isPci) assignBars(link);
    const transport = isPci ? openPciTransport(link) : openMmioTransport(link);
    if (isBreakdown(transport)) throw new Error(transport.message);
    this.transport = transport;
    this.queue = this.newQueue();
  }

  /** Everything from reset to DRIVER_OK. */
  start(): void {
    const { transport, features } = this;
    for (const status of [0, S.ACK, S.ACK | S.DRIVER]) transport.setStatus(status);
    features.forEach((word, at) => {
      transport.setDriverFeatures(at, word);
    });
    transport.setStatus(S.ACK | S.DRIVER | S.FEATURES);
    if (this.hasMessages) {
      const plan = { config: VECTOR.config, queues: [{ index: 0, vector: VECTOR.queue }] };
      const messages = [0, 1].map((vector) => ({ addressLo: 0xfee0_0000, addressHi: 0, data: 0x40 + vector }));
      if (!transport.mapVectors(plan, messages)) throw new Error('the device takes no vectors');
    }
    this.queue = this.newQueue();
    const problem = transport.enableQueue(0, { size: this.size, ...AT }, features);
    if (problem !== undefined) throw new Error(problem.message);
    transport.setStatus(S.ACK | S.DRIVER | S.FEATURES | S.OK);
  }

  /** Make one buffer available, and notify the device if it wants that. @returns whether it did */
  offer(address = BUFFER): boolean {
    this.queue.addWritable(address, BUFFER_BYTES);
    const isWanted = this.queue.publish();
    if (isWanted) this.kick();
    return isWanted;
  }

  kick(): void {
    this.transport.notify(0, 0);
  }

  /** @returns buffers that came back since the last call */
  collect(): number {
    this.used.clear();
    return this.queue.takeUsed(this.used, this.size);
  }

  /** Take interrupts until a buffer came back. @returns how many; 0 when the time was up first */
  waitForUsed(limitMs = 10_000): number {
    for (;;) {
      const got = this.collect();
      if (got > 0) return got;
      if (this.queue.enableNotifications()) continue;
      if (this.link.waitForInterrupt(limitMs) === 0) return this.collect();
      if (!this.hasMessages) this.transport.interruptCause();
    }
  }

  private newQueue(): DriverQueue {
    return openDriverQueue({ space: this.space, size: this.size, ...AT, features: this.features });
  }
}
