import { gather, scatter } from '@ringwire/guest-memory';
import { formatChange, GuardedGuest, type MemorySnapshot } from '@ringwire/guest-memory/testing';
import { featureWords, VIRTIO_F } from '@ringwire/virtio-spec';
import { ChainBurst, type DeviceQueue, isRefusal, openDeviceQueue, openDriverQueue } from '@ringwire/virtqueue';
import { expect } from 'vitest';
import { openVirtioIommuDriver, type VirtioIommuDriver } from '../virtio-iommu-driver.js';
import type { IommuFault } from '../virtio-iommu-driver-reports.js';
import { ALL_FEATURES, hex, toHex } from './virtio-iommu-bench.js';

const AT = { request: 0x1_0000, event: 0x1_4000, requestArea: 0x2_0000, eventArea: 0x3_0000 } as const;

export interface DriverBenchOptions {
  readonly features?: readonly number[];
  /** The 40 bytes of the device configuration. */
  readonly config?: string;
  readonly requestBytes?: number;
}

/** 4 KiB pages, addresses 0x1000 to 0xffffffff, domains 1 to 9, 48 bytes of properties, bypass 0. */
export const CONFIG = '0010000000000000 0010000000000000 ffffffff00000000 01000000 09000000 30000000 00 000000';

/** A virtio-iommu driver, and the pencil with which a test plays its device. */
export class IommuDriverBench {
  readonly guest: GuardedGuest;
  readonly driver: VirtioIommuDriver;
  readonly config: Uint8Array;
  /** Configuration writes, as `offset: bytes`. */
  readonly configWrites: string[] = [];
  readonly request: DeviceQueue;
  readonly event: DeviceQueue;
  private readonly burst = new ChainBurst(1);
  private readonly untouched: MemorySnapshot;

  constructor(options: DriverBenchOptions = {}) {
    this.guest = new GuardedGuest(
      [AT.request, AT.event, AT.requestArea, AT.eventArea].map((gpa) => ({ gpa, size: 0x3000 })),
      { patternedRam: true },
    );
    const { space } = this.guest;
    this.config = hex(options.config ?? CONFIG);
    const place = (at: number) => {
      return {
        space,
        size: 8,
        desc: at,
        driver: at + 0x1000,
        device: at + 0x2000,
        features: featureWords([VIRTIO_F.VERSION_1]),
      };
    };
    this.untouched = this.guest.snapshot();
    const driver = openVirtioIommuDriver({
      features: featureWords(options.features ?? ALL_FEATURES),
      config: {
        read: (offset, into) => into.set(this.config.subarray(offset, offset + into.length)),
        write: (offset, bytes) => void this.configWrites.push(`${offset}: ${toHex(bytes)}`),
      },
      request: openDriverQueue(place(AT.request)),
      event: openDriverQueue(place(AT.event)),
      requestArea: { space, address: AT.requestArea, bytes: options.requestBytes ?? 0x1000 },
      eventArea: { space, address: AT.eventArea, bytes: 96 },
    });
    if (typeof driver === 'string') throw new Error(driver);
    this.driver = driver;
    const request = openDeviceQueue(place(AT.request));
    const event = openDeviceQueue(place(AT.event));
    if (isRefusal(request) || isRefusal(event)) throw new Error('a queue of the bench is refused');
    this.request = request;
    this.event = event;
  }

  /** The device-readable bytes of the next request and how many it may write; undefined when there is none. */
  next(): { asked: string; room: number } | undefined {
    this.driver.publish(() => {});
    this.burst.clear();
    if (this.request.takeBurst(this.burst, 1) === 0) return undefined;
    const bytes = new Uint8Array(this.burst.readableBytes(0));
    gather(this.guest.memory, this.burst.segments, 0, this.burst.firstWritable[0]!, bytes);
    return { asked: toHex(bytes), room: this.burst.writableBytes(0) };
  }

  /** Answer the request that `next` gave. @returns statuses by ticket that the driver then reports */
  answer(reply: string, written: number = hex(reply).length): [number, number][] {
    return this.use(this.request, reply, written, () => this.poll());
  }

  /** Answer the next request with a tail alone. */
  finish(status: number): void {
    const { room } = this.next()!;
    this.answer(`${'00'.repeat(room - 4)}${status.toString(16).padStart(2, '0')}000000`);
  }

  poll(): [number, number][] {
    const seen: [number, number][] = [];
    this.driver.poll((ticket, status) => seen.push([ticket, status]));
    return seen;
  }

  /** Use one event buffer. @returns the faults that the driver then reports */
  report(bytes: string, written: number = hex(bytes).length): IommuFault[] {
    this.driver.publish(() => {});
    this.burst.clear();
    expect(this.event.takeBurst(this.burst, 1)).toBe(1);
    return this.use(this.event, bytes, written, () => {
      const seen: IommuFault[] = [];
      this.driver.pollFaults((fault) => seen.push(fault));
      return seen;
    });
  }

  /** Endpoint 8 probed and attached to domain 1. */
  attach(): this {
    this.driver.probe(8);
    this.finish(0);
    this.driver.attach(8, 1);
    this.finish(0);
    return this;
  }

  /** The driver wrote nothing but its queues and areas. */
  expectNoStrayChange(): void {
    const allowed = Object.values(AT).map((gpa) => ({ gpa, length: 0x3000 }));
    expect(this.guest.changesOutside(this.untouched, allowed).map(formatChange)).toEqual([]);
  }

  private use<T>(queue: DeviceQueue, bytes: string, written: number, then: () => T): T {
    const first = this.burst.firstWritable[0]!;
    scatter(this.guest.memory, this.burst.segments, first, this.burst.end(0) - first, hex(bytes));
    queue.putUsed(this.burst.token[0]!, written);
    queue.publishUsed();
    return then();
  }
}
